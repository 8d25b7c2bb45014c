"""`status`: whether the supervisor of this host runs, and what it does; looks into the run directory only.

The store is not touched: a store that hangs must not make the verb hang that says so.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from sandbox.limits import format_duration, format_size
from supervisor import hosts, rundir, shown, storenotes
from supervisor.exitcodes import INTERNAL, NOT_RUNNING, OK
from supervisor.verbs import opened
from supervisor.verbs.daemon import service_unseen

if TYPE_CHECKING:
    import argparse

    from supervisor.settings import Settings

EPILOG = """\
Exit status: 0 a supervisor runs here; 3 none does; 70 it cannot be told; 78 configuration.

Example:
  autoreduce-supervisor status --json --config /etc/autoreduce/supervisor.toml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Print the status and return 0 or 3."""
    settings = opened.settings(args)
    if isinstance(settings, int):
        return settings
    unseen = service_unseen(settings.service.run_dir)
    if unseen:
        shown.complain(unseen)
        return INTERNAL
    status = read(settings)
    if args.json:
        shown.say(json.dumps(status))
    else:
        shown.say(*text(status, time.time()))
    return OK if status["running"] else NOT_RUNNING


def read(settings: Settings) -> dict[str, Any]:
    """Return what the run directory says of the supervisor; without one that lives, its state says nothing."""
    run_dir = settings.service.run_dir
    who = rundir.serving(run_dir)
    status: dict[str, Any] = {
        "running": who is not None,
        "host": settings.host.id or hosts.default_id(),
        "run_dir": run_dir,
        "store_path": settings.store.path,
    }
    if who is None:
        return status
    identity = rundir.read_local(run_dir, rundir.IDENTITY_FILE) or {}
    state = rundir.read_local(run_dir, rundir.STATE_FILE) or {}
    since = identity.get("time")
    if not isinstance(since, float) or not _is_of(state, since):
        state = {}  # left by an earlier supervisor; this one has not described itself yet
    runs = state.get("running", [])
    return status | {
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
        "max_waiting": settings.store.max_waiting,
        "store": state.get("store", "not looked at yet"),
        "unproven": state.get("unproven", ""),
        "store_since": state.get("store_since"),
        "held": state.get("held", 0),
        "drained": state.get("drained", {}),
        "runs_in_trouble": [{"job": job, **trouble.to_json()} for job, trouble in storenotes.told(run_dir)],
        "broker": state.get("broker", "not looked at yet"),
        "config": state.get("config", {}),
    }


def _is_of(state: dict[str, object], since: float) -> bool:
    written = state.get("time")
    return isinstance(written, float) and written >= since


def text(status: dict[str, Any], now: float) -> list[str]:
    """Return the status as lines for people (pure)."""
    if not status["running"]:
        return [f'no supervisor runs on host {status["host"]} with "{status["run_dir"]}"']
    since = status["since"]
    begun = f", since {shown.moment(since, now)}" if isinstance(since, float) else ""
    rows = [f"running: pid {status['pid']}, host {status['host']}{begun}"]
    drained = status["drained"]
    if isinstance(drained, dict) and drained:
        rows.append(f"drained: {_drained(drained, now)}")
    runs, slots = status["runs"], status["slots"]
    rows.append(f"slots:   {len(runs)} of {slots} busy" if isinstance(slots, int) else "slots:   not described yet")
    rows += [f"         {_run(run, now)}" for run in runs if isinstance(run, dict)]
    rows += _room(status["memory"], status["waits"])
    waiting = status["waiting"]
    if isinstance(waiting, int):
        full = waiting >= status["max_waiting"]
        note = "; store.max_waiting is reached, further messages stay with the broker" if full else ""
        rows.append(f"waiting: {waiting} not finished with, those under way included{note}")
    failing = status["failing"]
    if isinstance(failing, dict):
        rows += [f"failing: {shown.line(name)}: {shown.line(why, 400)}" for name, why in failing.items()]
    disabled = status["disabled"]
    if isinstance(disabled, dict):
        rows += [f"waits:   {shown.line(why, 600)}" for why in disabled.values()]
    nowhere = status["nowhere"]
    if isinstance(nowhere, dict) and nowhere.get("jobs"):
        rows.append(f"stuck:   {nowhere['jobs']} that no living host takes: {shown.line(nowhere.get('why'), 400)}")
    at = status["store_since"]
    begun = f", since {shown.moment(at, now)}" if isinstance(at, int | float) else ""
    rows.append(f"store:   {shown.line(status['store'])}{begun} ({status['store_path']})")
    if status["held"]:
        rows.append(f"         {status['held']} messages came and are not taken yet; the broker has them still")
    rows += [
        f"         the run of job {shown.line(run['job'])} waits: {shown.line(run['why'])}, since "
        f"{shown.moment(run['since'], now)}"
        for run in status["runs_in_trouble"]
    ]
    if status["unproven"]:
        rows.append(f"CAUTION: {shown.line(status['unproven'], 600)}")
    rows.append(f"broker:  {shown.line(status['broker'])}")
    return rows + _config(status["config"], now)


def _room(memory: object, waits: object) -> list[str]:
    """Return how much memory the limits of what runs reserve, and which jobs wait for room."""
    rows = []
    if isinstance(memory, dict):
        limits, room = memory.get("limits"), memory.get("room")
        if isinstance(limits, int) and isinstance(room, int) and room > 0 and limits >= 0:
            rows.append(f"memory:  {format_size(limits)} of {format_size(room)} reserved by limits")
    if isinstance(waits, dict):
        rows += [f"         job {shown.line(job)} waits: {shown.line(why, 300)}" for job, why in waits.items()]
    return rows


def _config(config: object, now: float) -> list[str]:
    """Return what came of the last reload, where somebody has to do something about it."""
    if not isinstance(config, dict):
        return []
    rows = []
    problems, restart, told = config.get("problems"), config.get("restart"), config.get("told")
    if isinstance(problems, list) and problems and isinstance(told, int | float):
        rows.append(
            f"config:  a reload was refused, {shown.moment(told, now)}; the configuration before it is in force"
        )
        rows += [f"         {shown.line(problem, 600)}" for problem in problems]
    if isinstance(restart, list) and restart:
        rows.append(f"config:  needs a restart: {', '.join(shown.line(key) for key in restart)}")
    return rows


def _run(run: dict[str, Any], now: float) -> str:
    since = run.get("since")
    lasted = f" for {format_duration(max(0.0, now - since))}" if isinstance(since, int | float) else ""
    words = f"{run.get('instrument')} run {run.get('run')}, RB {run.get('rb')}, job {run.get('job')}"
    return f"{shown.line(words)}, epoch {run.get('epoch')}{lasted}"


def _drained(drained: dict[str, Any], now: float) -> str:
    since = drained.get("since")
    begun = f" since {shown.moment(since, now)}" if isinstance(since, int | float) else ""
    why = f" ({drained['why']})" if drained.get("why") else ""
    return shown.line(f"by {drained.get('by')}{begun}{why}; no new runs and messages are taken until resume", 400)
