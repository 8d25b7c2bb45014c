"""What the run directory of this host says of its supervisor: for `status`, `check` and whoever else must not hang.

The store is not touched, and the configuration is not read. Nothing here imports what takes long.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from supervisor import rundir, storenotes


def unseen(run_dir: str) -> str:
    """Return why it cannot be told whether a supervisor runs, "" where it can: "not there" differs from "not shown"."""
    try:
        with contextlib.suppress(FileNotFoundError), open(os.path.join(run_dir, rundir.IDENTITY_FILE), "rb"):
            return ""
    except PermissionError:
        owner = _owner(run_dir)
        hint = f"; use `sudo -u #{owner}` with this command" if owner is not None else ""
        return f'cannot look into "{run_dir}" as uid {os.geteuid()}{hint}'
    return ""


def _owner(path: str) -> int | None:
    try:
        return os.stat(path).st_uid
    except OSError:
        return None


def read(run_dir: str) -> dict[str, Any]:
    """Return what the run directory says of the supervisor; without one that lives, its state says nothing.

    The host, the store and its bound are named by the supervisor that serves: its configuration may have been edited.
    """
    who = rundir.serving(run_dir)
    if who is None:
        return {"running": False, "run_dir": run_dir}
    identity = rundir.read_local(run_dir, rundir.IDENTITY_FILE) or {}
    state = rundir.read_local(run_dir, rundir.STATE_FILE) or {}
    since = identity.get("time")
    if not isinstance(since, float) or not _is_of(state, since):
        state = {}  # left by an earlier supervisor; this one has not described itself yet
    runs = state.get("running", [])
    return {
        "running": True,
        "host": state.get("host"),
        "run_dir": run_dir,
        "store_path": state.get("store_path"),
        "pid": who.pid,
        "start": who.start,
        "boot": identity.get("boot"),
        "since": since,
        "slots": state.get("slots"),
        "runs": runs if isinstance(runs, list) else [],
        "memory": state.get("memory", {}),
        "waits": state.get("waits", {}),
        "waiting": state.get("waiting"),
        "failing": state.get("failing", {}),
        "nowhere": state.get("nowhere", {}),
        "disabled": state.get("disabled", {}),
        "max_waiting": state.get("max_waiting"),
        "store": state.get("store", "not looked at yet"),
        "unproven": state.get("unproven", ""),
        "store_since": state.get("store_since"),
        "held": state.get("held", 0),
        "drained": state.get("drained", {}),
        "runs_in_trouble": [{"job": job, **trouble.to_json()} for job, trouble in storenotes.told(run_dir)],
        "broker": state.get("broker", "not looked at yet"),
        "broker_since": state.get("broker_since"),
        "oldest": state.get("oldest", 0),
        "undeliverable": state.get("undeliverable", 0),
        "published": state.get("published", 0),
        "config": state.get("config", {}),
    }


def _is_of(state: dict[str, object], since: float) -> bool:
    written = state.get("time")
    return isinstance(written, float) and written >= since
