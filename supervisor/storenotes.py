"""Notes of shepherds in the run directory: a run that waits for the store says so where a store that is away cannot.

A shepherd has no channel to its supervisor (DESIGN §3), and what it waits for may fail for it alone. `status` and the
heartbeat read the notes of the living. Stdlib only: the shepherd imports this.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from sandbox.linux import proctree
from supervisor import rundir
from supervisor.storecall import reason
from supervisor.storehealth import Trouble, trouble_of

if TYPE_CHECKING:
    from supervisor.records import Identity

_PREFIX = "waits-"


class StoreNote:
    """The note of one shepherd: written when a call fails, removed when one has succeeded."""

    def __init__(self, run_dir: str, me: Identity, job: str) -> None:
        """Write for the shepherd `me` of `job`; an empty `run_dir` writes to standard error alone."""
        self._run_dir = run_dir
        self._me = me
        self._job = job
        self._trouble: Trouble | None = None

    def failed(self, error: OSError) -> None:
        """Say that the store failed; the same trouble is said once."""
        self._tell(reason(error), time.time())

    def _tell(self, why: str, since: float) -> None:
        known = self._trouble
        if known is not None and known.why == why:
            return
        self._trouble = Trouble(why=why, since=known.since if known is not None else since)
        print(f"shepherd of job {self._job}: {why}", file=sys.stderr, flush=True)  # noqa: T201  # its log
        record = {"pid": self._me.pid, "start": self._me.start, "boot": self._me.boot, "job": self._job}
        if self._run_dir:
            with contextlib.suppress(OSError):  # a full run directory keeps no run from going on
                rundir.write_local(self._run_dir, self._name, {**record, **self._trouble.to_json()})

    def hangs(self, call: str, seconds: float) -> None:
        """Say that a call has not returned for `seconds`; said by another thread than that of the call."""
        self._tell(f"no answer to {call}", time.time() - seconds)

    def well(self) -> None:
        """Say that the store answers again."""
        if self._trouble is None:
            return
        self._trouble = None
        print(f"shepherd of job {self._job}: the store answers again", file=sys.stderr, flush=True)  # noqa: T201  # its log
        if self._run_dir:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._run_dir, self._name))

    @property
    def _name(self) -> str:
        return f"{_PREFIX}{self._me.pid}.json"


def told(run_dir: str) -> list[tuple[str, Trouble]]:
    """Return what living shepherds wait for, oldest first, each with its job; notes of the dead are removed."""
    try:
        names = [name for name in os.listdir(run_dir) if name.startswith(_PREFIX) and name.endswith(".json")]
    except OSError:
        return []
    found = []
    for name in names:
        record = rundir.read_local(run_dir, name) or {}
        trouble = trouble_of(record)
        if trouble is not None and _lives(record):
            found.append((str(record.get("job", "?")), trouble))
        elif record:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(run_dir, name))
    return sorted(found, key=lambda each: each[1].since)


def _lives(record: dict[str, Any]) -> bool:
    pid, start = record.get("pid"), record.get("start")
    if record.get("boot") != proctree.boot_id() or not isinstance(pid, int) or not isinstance(start, int):
        return False
    return proctree.alive(proctree.Identity(pid, start))


def of_runs(run_dir: str) -> Trouble | None:
    """Return the oldest trouble of a run of this host, with its job in the sentence, or None."""
    notes = told(run_dir)
    if not notes:
        return None
    job, trouble = notes[0]
    return Trouble(why=f"job {job}: {trouble.why}", since=trouble.since)
