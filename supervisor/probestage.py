"""What a step of a probe works with, and what it is: an act of each side, and a judgement of what both have seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from supervisor.checkup import Finding, caution, failed, passed

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from supervisor.meeting import Meeting
    from supervisor.mountrules import LockTimes
    from supervisor.probetools import Clock, Tools

#: Area of the findings of a probe.
AREA: Final = "peer"
#: What mends a file system whose promises do not hold.
MOUNT: Final = "mount the store on both hosts as docs/how-to/shared-store.md says, then say the command again on both"


class Offset(NamedTuple):
    """How many seconds the clock of side b is ahead of that of side a, at least and at most."""

    least: float
    most: float

    @property
    def middle(self) -> float:
        """The best guess."""
        return (self.least + self.most) / 2

    @property
    def error(self) -> float:
        """How far it may be wrong, seconds."""
        return max(0.0, (self.most - self.least) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How much is tried, and what the configuration says of time."""

    times: LockTimes
    #: Cells that both race for.
    cells: int
    #: Locks that each side takes.
    holds: int = 100
    #: Names, heartbeats and counters that each side waits for.
    rounds: int = 10
    #: Durable records that each side times.
    writes: int = 100
    #: Seconds for what is to happen at once.
    bound: float = 60.0
    #: Seconds for which a name is looked for through a folder that is kept open.
    cached: float = 10.0


@dataclass(frozen=True, slots=True)
class Stage:
    """What a step works with."""

    meeting: Meeting
    tools: Tools
    terms: Terms
    rng: random.Random

    @property
    def clock(self) -> Clock:
        """The clock of this side."""
        return self.meeting.clock

    @property
    def side(self) -> str:
        """The side this is: "a" or "b"."""
        return self.meeting.side


@dataclass(frozen=True, slots=True)
class Pair:
    """What both sides have seen in one step, and what is needed to judge it."""

    a: dict[str, Any]
    b: dict[str, Any]
    #: Names of the hosts of sides a and b.
    hosts: dict[str, str]
    offset: Offset
    terms: Terms

    def of(self, side: str) -> dict[str, Any]:
        """What one side has seen."""
        return self.a if side == "a" else self.b

    def later(self, begin: float, begun_by: str, end: float) -> float:
        """Return the seconds from what one side did to what the other saw, on one clock; never negative."""
        ahead = self.offset.middle if begun_by == "a" else -self.offset.middle
        return max(0.0, end - begin - ahead)


class Step(NamedTuple):
    """One step of a probe."""

    name: str
    #: Done on both sides at once; returns what this side has seen, as plain JSON.
    act: Callable[[Stage], dict[str, Any]]
    #: Pure; says what both have seen.
    judge: Callable[[Pair], Iterable[Finding]]


#: The sides in the order in which each does what the other watches.
SIDES: Final = ("a", "b")


def other(side: str) -> str:
    """Return the other side."""
    return "b" if side == "a" else "a"


def good(name: str, text: str) -> Finding:
    """Return that a step is passed."""
    return passed(AREA, name, text)


def odd(name: str, text: str, remedy: str = "") -> Finding:
    """Return that a step is passed, and something should be known."""
    return caution(AREA, name, text, remedy)


def bad(name: str, text: str, remedy: str = MOUNT) -> Finding:
    """Return that a step has failed."""
    return failed(AREA, name, text, remedy)
