"""A real box whose script tries what is forbidden (`sandbox.linux.acts`), and what became of each act.

What comes out of a box is hostile input by rule: lines of ours are taken by their mark, by known names, once each.
"""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from sandbox.box import Box, run
from sandbox.interpreter import shown, with_last_word
from sandbox.limits import KiB, Limits, MiB
from sandbox.linux import acts, proctree
from sandbox.running import Phase
from sandbox.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.bait import Bait
    from sandbox.closure import Closure
    from sandbox.levels import Level
    from sandbox.outcome import Outcome
    from sandbox.running import Running

#: Small enough to be reached at once, large enough for an interpreter and its wrapper.
LIMITS: Final = Limits(
    memory=128 * MiB,
    wall=30.0,
    processes=32,
    open_files=64,
    output=12 * MiB,
    files=100,
    log=64 * KiB,
    tmp=16 * MiB,
    grace=0.2,
)
#: Bytes of chatter after the last act: more than the log keeps, and not a flood.
_CHATTER: Final = 128 * KiB
#: Acts that only a scratch of a fixed size stops; elsewhere it is watched.
OF_HARD_SCRATCH: Final = ("fill the scratch with bytes", "fill the scratch with files")
#: Acts that cost time and that one box shows for all.
ONCE: Final = ("stay behind", "start too many processes", "take too much memory")
#: The act after which the script may be gone.
LAST: Final = "take too much memory"
_STAGE: Final = re.compile(r"box could not be built at ([a-z ]+)")
_LONGEST_LINE: Final = 1000
_MOST_LINES: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an act."""

    stopped: bool
    #: How, or what it got.
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a box of one level showed."""

    level: Level
    #: Acts that were asked for.
    asked: tuple[str, ...]
    #: By act.
    answers: Mapping[str, Answer]
    #: What the builder says of its guards.
    guards: Mapping[str, str] = field(default_factory=dict)
    verdict: Verdict | None
    #: How it ended, in a sentence, with the last line of what it said where nothing was answered.
    sentence: str
    #: Processes of the box that lived on.
    left_behind: int = 0
    #: Bytes that the script said, and those that were kept.
    said: int = 0
    kept: int = 0

    @property
    def built(self) -> bool:
        """Whether there was a box at all."""
        return self.verdict is not Verdict.setup_failed

    @property
    def stage(self) -> str:
        """The step at which the building failed, by our own sentence; "" where none did."""
        found = None if self.built else _STAGE.match(self.sentence)
        return found[1] if found else ""

    @property
    def started(self) -> bool:
        """Whether the interpreter ran our script."""
        return bool(self.answers)


def try_box(
    level: Level,
    bait: Bait,
    *,
    spool: str,
    interpreter: tuple[str, ...],
    env: Mapping[str, str],
    closure: Closure | None,
    cgroup: Literal["auto", "off"] = "auto",
    without: frozenset[str] = frozenset(),
    asked: tuple[str, ...],
) -> Tried:
    """Runs the acts in a box; the caller has one thread.

    Args:
        level: of the box.
        bait: what the acts are aimed at.
        spool: folder for its scratch.
        interpreter: program and first arguments.
        env: variables of its profile.
        closure: what it needs beyond the distribution.
        cgroup: see `Box`.
        without: ditto.
        asked: names of `acts.ACTS`.
    """
    taken: list[tuple[str, bytes, bytes, int]] = []

    def collect(running: Running, outcome: Outcome) -> Outcome:
        logs = running.logs
        taken.append((running.token, logs.stdout.text(), logs.stderr.text(), logs.total))
        return outcome

    outcome = run(
        Box(
            interpreter=interpreter,
            env=env,
            spool=spool,
            script=_text(),
            script_name="acts.py",
            mode="program",
            limits=LIMITS,
            script_args=(json.dumps(_aim(bait, asked)),),
            sample_every=0.05,
            level=level,
            closure=closure,
            cgroup=cgroup,
            without=without,
        ),
        on_tick=_hurry,
        collect=collect,
    )
    if outcome.verdict is Verdict.cancelled:
        signal.raise_signal(signal.SIGTERM)  # the box took a signal that was meant for its caller
    token, stdout, stderr, said = taken[0] if taken else ("", b"", b"", 0)
    answers = read_answers(stdout)
    return Tried(
        level=level,
        asked=asked,
        answers=answers,
        guards=outcome.guards.facts,
        verdict=outcome.verdict,
        sentence=outcome.sentence if answers else with_last_word(outcome.sentence, stderr.decode("utf-8", "replace")),
        left_behind=len(proctree.carriers(token)) if token else 0,
        said=said,
        kept=len(stdout) + len(stderr),
    )


def _hurry(running: Running) -> None:
    """Grants no time to what the script left behind: that it is ended is what is to be seen."""
    if running.phase is Phase.LEAVING:
        running.hurry()


def _text() -> bytes:
    with open(acts.__file__, "rb") as file:
        return file.read()


def _aim(bait: Bait, asked: tuple[str, ...]) -> dict[str, Any]:
    return {
        **bait.aim,
        "acts": asked,
        "memory": LIMITS.memory,
        "processes": LIMITS.processes,
        "open_files": LIMITS.open_files,
        "output": LIMITS.output,
        "files": LIMITS.files,
        "chatter": _CHATTER,
    }


def read_answers(stdout: bytes) -> dict[str, Answer]:
    """Reads the lines of the acts (pure); what is none is left out, and an act that answered twice was not stopped."""
    found: dict[str, Answer] = {}
    for line in stdout.split(b"\n")[:_MOST_LINES]:
        text = line[:_LONGEST_LINE].decode("utf-8", "replace")
        if not text.startswith(acts.MARK):
            continue
        try:
            name, stopped, how = json.loads(text[len(acts.MARK) :])
        except (ValueError, TypeError, RecursionError):
            continue
        if not isinstance(name, str) or name not in acts.ACTS or not isinstance(stopped, bool):
            continue
        answer = Answer(stopped, shown(str(how)))
        found[name] = Answer(stopped=False, how="answered twice") if name in found else answer
    return found
