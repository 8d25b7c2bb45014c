"""Searching schedules for a violation, shrinking what was found, and saying how to see it again."""

from __future__ import annotations

from dataclasses import dataclass
from pprint import pformat
from typing import TYPE_CHECKING

from tests.fleet.sim.fleet import Fleet
from tests.fleet.sim.schedule import Schedule, draw, shrink
from tests.fleet.sim.store import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Lines of a trace that are shown of what was found; --seed --trace shows all.
_LINES = 80


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one schedule."""

    violation: str
    lines: tuple[str, ...]


def play(schedule: Schedule, *, mutant: str = "", trace: bool = False) -> Result:
    """Run a schedule to its end, or to its violation."""
    fleet = Fleet(schedule, mutant=mutant, trace=trace)
    violation = ""
    try:
        fleet.run()
    except Violation as broken:
        violation = f"{broken} (at {fleet.clock.now:.2f} s)"
    return Result(violation, tuple(fleet.lines or ()))


def attempt(seed: int, *, mutant: str = "", trace: bool = False) -> Result:
    """Run the schedule of a seed."""
    return play(draw(seed), mutant=mutant, trace=trace)


def search(seeds: Iterable[int], *, mutant: str = "") -> tuple[int | None, str]:
    """Return the first seed whose schedule breaks an invariant, and how; None and "" where none does."""
    for seed in seeds:
        result = attempt(seed, mutant=mutant)
        if result.violation:
            return seed, result.violation
    return None, ""


def smallest(seed: int, *, mutant: str = "") -> Schedule:
    """Shrink the schedule of a seed, keeping the invariant that it breaks."""
    invariant = attempt(seed, mutant=mutant).violation.partition(" ")[0]
    return shrink(draw(seed), lambda smaller: play(smaller, mutant=mutant).violation.partition(" ")[0] == invariant)


def found(seed: int, *, mutant: str = "") -> str:
    """Describe a violation: the shrunk schedule, its trace, and the command that replays it."""
    schedule = smallest(seed, mutant=mutant)
    result = play(schedule, mutant=mutant, trace=True)
    of = f" --mutant {mutant}" if mutant else ""
    return "\n".join(
        [
            f"replay the whole: python -m tests.fleet.sim --seed {seed} --trace{of}",
            "shrunk to:",
            pformat(schedule, width=110),
            *_short(result.lines),
            f"seed {seed}: {result.violation}",
        ]
    )


def _short(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out the middle of a long trace."""
    return lines if len(lines) <= _LINES else (*lines[: _LINES // 2], "...", *lines[-_LINES // 4 :])
