"""An interpreter, tried in a box: whether it starts there, what it says it is, and what it needs to be seen.

A path that exists proves little: a virtual environment whose base is gone, a wrapper that needs a variable, a Python
that is too old all look well from outside (DESIGN §6, "Interpreter profile"). What it says is a claim of the site's own
program, read as any output of a box: bounded, and believed only in form.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.box import Box, run
from sandbox.closure import Closure, closure, mapped_files
from sandbox.environment import PATH
from sandbox.limits import Limits, MiB
from sandbox.tree import HANDOFF, HOME, SHM, lies_below
from sandbox.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandbox.levels import Level
    from sandbox.outcome import Outcome
    from sandbox.running import Running

#: What the interpreter is made to run; the mark finds its lines among what wrappers print. Its own working folder and
#: that of the script are no part of it.
_MARK: Final = "autoreduce interpreter "
_SCRIPT: Final = b"""\
import json, os, platform, sys
for name in sys.argv[2:]:
    __import__(name)
own = {os.getcwd(), os.path.dirname(os.path.abspath(__file__))}
print("autoreduce interpreter " + json.dumps([platform.python_version(), platform.python_implementation(),
                                              sys.executable, sys.prefix, sys.base_prefix]))
for path in sys.path:
    if os.path.isabs(path) and os.path.exists(path) and path not in own:
        print("autoreduce path " + json.dumps(path))
with open("/proc/self/maps", errors="surrogateescape") as maps:
    for line in maps:
        if "/" in line:
            print("autoreduce map " + json.dumps(line.rstrip("\\n")))
"""
_PATH_MARK: Final = "autoreduce path "
_MAP_MARK: Final = "autoreduce map "
#: Oldest Python that the harness runs under.
OLDEST: Final = (3, 8)
_LONGEST: Final = 4096
#: Entries of a path, and mappings; a framework of a few hundred libraries has some thousand.
_MOST_PATHS: Final = 64
_MOST_MAPPINGS: Final = 20_000


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
    #: Folders and archives that it imports from.
    path: tuple[str, ...] = ()
    #: Files that it had mapped: itself and its libraries.
    mapped: tuple[str, ...] = ()


class Unfit(Exception):
    """The interpreter cannot run scripts here; the sentence says why and what mends it."""


def probe(
    argv: tuple[str, ...],
    env: Mapping[str, str],
    spool: str,
    *,
    wall: float = 60.0,
    level: Level = "none",
    needs: Closure | None = None,
    imports: tuple[str, ...] = (),
) -> Interpreter:
    """Start an interpreter in a box and return what it says it is; the caller has one thread.

    Args:
        argv: program and first arguments.
        env: its variables.
        spool: folder for the box's scratch.
        wall: seconds it may take.
        level: of the box.
        needs: what the box shows of the host beyond the distribution, at a level that hides the rest.
        imports: modules that it shall import first, so that their libraries are among what it has mapped.

    Raises:
        Unfit: it does not start, does not end well, or is too old.
    """
    said: list[str] = []

    def collect(running: Running, outcome: Outcome) -> Outcome:
        said.append(running.logs.stdout.text().decode("utf-8", "replace"))
        said.append(running.logs.stderr.text().decode("utf-8", "replace"))
        return outcome

    box = Box(
        interpreter=argv,
        env=env,
        spool=spool,
        script=_SCRIPT,
        script_name="probe.py",
        mode="program",
        script_args=imports,
        limits=Limits(wall=wall, grace=1.0, log=8 * MiB),
        level=level,
        closure=needs,
    )
    outcome = run(box, collect=collect)
    if outcome.verdict is Verdict.cancelled:
        signal.raise_signal(signal.SIGTERM)  # the box took a signal that was meant for its caller
    stdout, stderr = said or ("", "")
    if outcome.verdict is not Verdict.completed and level != "none":
        raise Unfit(f"{argv[0]} does not start behind the tree of a box: {with_last_word(outcome.sentence, stderr)}")
    if outcome.verdict is not Verdict.completed:
        needs_python = ".".join(map(str, OLDEST))
        ended = with_last_word(outcome.sentence, stderr)
        why = f"{ended}; name a Python {needs_python} or later that starts on this host"
        raise Unfit(f"{argv[0]} does not run scripts: {why}")
    return _read(argv[0], stdout)


def needs_of(program: str, facts: Interpreter, bind: Iterable[str] = ()) -> Closure:
    """Works out what a box has to show so that an interpreter starts behind its tree.

    Args:
        program: as its profile names it; a bare name is looked up as a box does.
        facts: what it said of itself.
        bind: what its profile declares beyond that.

    Raises:
        OSError, ValueError: see `closure.closure`; the sentence says what to change.
    """
    found = program if "/" in program else shutil.which(program, path=PATH) or facts.executable
    return closure(
        os.path.abspath(found),
        executable=facts.executable,
        prefix=facts.prefix,
        base_prefix=facts.base_prefix,
        mapped=facts.mapped,
        also=(*bind, *(path for path in facts.path if _may_beshown(path))),
    )


def _may_beshown(path: str) -> bool:
    """Whether an entry of a search path is a folder of its own, and not one that holds whatever there is: /opt, /."""
    return path.count("/") > 1 and not any(lies_below(own, path) for own in (HOME, HANDOFF, SHM))


def with_last_word(sentence: str, stderr: str) -> str:
    """Returns how a box ended, with the last line that its script said on its standard error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return f'{sentence}; it said "{shown(lines[-1])}"' if lines else sentence


def _read(program: str, stdout: str) -> Interpreter:
    lines = stdout.splitlines()
    found = [line for line in lines if line.startswith(_MARK)]
    try:
        values = json.loads(found[-1][len(_MARK) :][:_LONGEST])
        version, implementation, executable, prefix, base = values
        parts = tuple(int(part) for part in version.split(".")[:2])
        facts = Interpreter(
            version=shown(version),
            implementation=shown(implementation),
            executable=os.path.normpath(shown(executable)),
            prefix=shown(prefix),
            base_prefix=shown(base),
            path=_texts(lines, _PATH_MARK, _MOST_PATHS),
            mapped=mapped_files("\n".join(_texts(lines, _MAP_MARK, _MOST_MAPPINGS))),
        )
    except (IndexError, ValueError, TypeError, AttributeError, RecursionError):
        raise Unfit(f"{program} runs, but does not do what a Python does; name a Python") from None
    if parts < OLDEST:
        raise Unfit(f"{program} is Python {facts.version}; scripts need {'.'.join(map(str, OLDEST))} or later")
    return facts


def _texts(lines: Iterable[str], mark: str, most: int) -> tuple[str, ...]:
    """Reads the texts behind a mark, the first ones, each once; a line that is none, or too long, is left out."""
    texts: dict[str, None] = {}
    for line in lines:
        if not line.startswith(mark) or len(line) > _LONGEST or len(texts) >= most:
            continue
        text = json.loads(line[len(mark) :])
        if isinstance(text, str) and text.isprintable():
            texts[text] = None
    return tuple(texts)


def shown(text: str) -> str:
    """Returns a stranger's text as it can be printed, cut."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:300])
