"""An interpreter, tried in a box: whether it starts there, and what it says it is.

A path that exists proves little: a virtual environment whose base is gone, a wrapper that needs a variable, a Python
that is too old all look well from outside (DESIGN §6, "Interpreter profile"). What it says is a claim of the site's own
program, read as any output of a box: bounded, and believed only in form.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.box import Box, run
from sandbox.limits import Limits
from sandbox.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.outcome import Outcome
    from sandbox.running import Running

#: What the interpreter is made to run; the mark finds its line among what wrappers print.
_MARK: Final = "autoreduce interpreter "
_SCRIPT: Final = b"""\
import json, platform, sys
print("autoreduce interpreter " + json.dumps([platform.python_version(), platform.python_implementation(),
                                              sys.executable, sys.prefix, sys.base_prefix]))
"""
#: Oldest Python that the harness runs under.
OLDEST: Final = (3, 8)
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """What an interpreter says of itself."""

    #: Such as ``3.11.7``.
    version: str
    #: Such as ``CPython``.
    implementation: str
    #: Path of the program, wherever a wrapper or a link led.
    executable: str
    #: Its environment, and the installation below it; the same where there is no environment.
    prefix: str
    base_prefix: str


class Unfit(Exception):
    """The interpreter cannot run scripts here; the sentence says why and what mends it."""


def probe(argv: tuple[str, ...], env: Mapping[str, str], spool: str, *, wall: float = 60.0) -> Interpreter:
    """Start an interpreter in a box and return what it says it is; the caller has one thread.

    Args:
        argv: program and first arguments.
        env: its variables.
        spool: folder for the box's scratch.
        wall: seconds it may take.

    Raises:
        Unfit: it does not start, does not end well, or is too old.
    """
    said: list[str] = []

    def collect(running: Running, outcome: Outcome) -> Outcome:
        said.append(running.logs.stdout.text().decode("utf-8", "replace"))
        said.append(running.logs.stderr.text().decode("utf-8", "replace"))
        return outcome

    limits = Limits(wall=wall, grace=1.0)
    box = Box(
        interpreter=argv, env=env, spool=spool, script=_SCRIPT, script_name="probe.py", mode="program", limits=limits
    )
    outcome = run(box, collect=collect)
    if outcome.verdict is Verdict.cancelled:
        signal.raise_signal(signal.SIGTERM)  # the box took a signal that was meant for its caller
    stdout, stderr = said or ("", "")
    if outcome.verdict is not Verdict.completed:
        raise Unfit(f"{argv[0]} does not run scripts: {_why(outcome, stderr)}")
    return _read(argv[0], stdout)


def _why(outcome: Outcome, stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = f'; it said "{_shown(lines[-1])}"' if lines else ""
    needs = ".".join(map(str, OLDEST))
    return f"{outcome.sentence}{said}; name a Python {needs} or later that starts on this host"


def _read(program: str, stdout: str) -> Interpreter:
    found = [line for line in stdout.splitlines() if line.startswith(_MARK)]
    try:
        values = json.loads(found[-1][len(_MARK) :][:_LONGEST])
        version, implementation, executable, prefix, base = values
        parts = tuple(int(part) for part in version.split(".")[:2])
        facts = Interpreter(
            version=_shown(version),
            implementation=_shown(implementation),
            executable=os.path.normpath(_shown(executable)),
            prefix=_shown(prefix),
            base_prefix=_shown(base),
        )
    except (IndexError, ValueError, TypeError, AttributeError):
        raise Unfit(f"{program} runs, but does not do what a Python does; name a Python") from None
    if parts < OLDEST:
        raise Unfit(f"{program} is Python {facts.version}; scripts need {'.'.join(map(str, OLDEST))} or later")
    return facts


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:300])
