"""Boxes for tests: short scripts in program mode, and a loop that drives a box until something is true."""

from __future__ import annotations

import functools
import os
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

import psutil

from sandbox.box import Box, start
from sandbox.closure import Closure, closure
from sandbox.limits import Limits
from sandbox.linux import proctree

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.outcome import Outcome
    from sandbox.running import Running

#: Generous: the tests share a small machine with others.
PATIENCE = 60.0
#: The limit of a core in a box: 1, or what the tests were started with if that is less.
NO_CORE = min(limit for limit in (1, psutil.Process().rlimit(psutil.RLIMIT_CORE)[1]) if limit >= 0)


@functools.cache
def closure_here() -> Closure:
    """What this interpreter needs behind a tree."""
    return closure(
        sys.executable,
        executable=sys.executable,
        prefix=sys.prefix,
        base_prefix=sys.base_prefix,
        also=[path for path in sys.path if os.path.isdir(path) and "site-packages" in path],
    )


def box(spool: object, script: str, **changes: Any) -> Box:
    """Make a box that runs the script's text as a program in its output folder; limits by their names."""
    limits = {key: changes.pop(key) for key in Limits.__dataclass_fields__ if key in changes}
    limits.setdefault("grace", 1.0)
    values: dict[str, Any] = {
        "interpreter": (sys.executable,),
        "script": textwrap.dedent(script).encode(),
        "mode": "program",
        "input_files": ("/data/run.nxs",),
        "spool": str(spool),
        "limits": Limits(**limits),
        "sample_every": 0.05,
    }
    if changes.get("level", "none") != "none":
        values["closure"] = closure_here()
        values["input_files"] = ("/usr/bin/env",)  # a file that every host has
    return Box(**values | changes)


def drive(running: Running, until: Callable[[Running], object] | None = None, timeout: float = PATIENCE) -> Any:
    """Turn the box until it has ended, or until something is true, and return that."""
    deadline = time.monotonic() + timeout
    while True:
        answer = until(running) if until else running.ended
        if answer:
            return answer
        assert not running.ended, f"the box ended first: {running.facts()} {running.logs.stderr.text()!r}"
        assert time.monotonic() < deadline, f"waited {timeout} s in vain: {running.facts()}"
        running.wait(0.05)
        running.pump(time.monotonic())


def says(text: str, *, known: bool = False) -> Callable[[Running], bool]:
    """Make a predicate: the script has said this on stdout.

    With `known` its init and itself have become known too: they are told on another pipe, and the script behind a tree
    is looked for with the first sample, all of which may come after its first words.
    """

    def has_said(running: Running) -> bool:
        if known and None in (running.tree(), running.facts()["script"]):
            return False
        return text.encode() in running.logs.stdout.text()

    return has_said


def outcome_of(made: Box) -> Outcome:
    """Run a box to its end, check that nothing of it is left, and return its outcome."""
    outcome, _ = outcome_and_logs(made)
    return outcome


def outcome_and_logs(made: Box) -> tuple[Outcome, bytes]:
    """Run a box to its end, check that nothing of it is left, and return its outcome and what it said on stdout."""
    with start(made) as running:
        drive(running)
        outcome = running.outcome()
        token, scratch = running.token, running.scratch
        assert proctree.carriers(token) == []
    assert not os.path.exists(scratch)
    return outcome, running.logs.stdout.text()


def children_of(pid: int) -> list[int]:
    """List the living direct children of a process."""
    return [process.pid for process in proctree.scan().values() if process.ppid == pid and process.living]
