"""Order: which job of an RB comes first, and which RBs get the free slots (DESIGN §5, pure).

Inside an RB: priority, then broker time, producer sequence, job id; the head is the first that may run now. Between
RBs: priority with aging, and round-robin among equals, so that two hundred runs of one busy RB never starve another.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from supervisor.admission import Wants
from supervisor.waiting import IN_ORDER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from supervisor.waiting import Entry

Key: TypeAlias = "tuple[int, float, Entry]"

#: A head gains one level of priority for each of these many seconds that it has waited.
AGE_STEP = 600.0
#: Hosts with free slots that look as often as they are told.
_RIVALS_AT_FULL_PACE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first job of an RB that may run now, or something of an RB that needs no slot."""

    entry: Entry
    rb: str
    job: str
    #: Ends without a run, or a promotion or repair to be done: needs no slot, goes first (DESIGN §5).
    slotless: bool = False
    #: The job is decided; a promotion or a take is left undone.
    tidy: bool = False
    #: What its run reserves of a host.
    wants: Wants = field(default_factory=Wants)


def by_rb(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Group the entries by RB, each group in its order."""
    groups: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=IN_ORDER):
        groups.setdefault(entry.rb, []).append(entry)
    return groups


def aged(entry: Entry, now: float) -> float:
    """The priority of a head at `now` (seconds since 1970), raised by its time of waiting."""
    return entry.priority + max(0.0, now - entry.time_ms / 1000.0) / AGE_STEP


def key(entry: Entry, served: Mapping[str, float], now: float) -> Key:
    """Return by what RBs are put in order, best first, each by its first job that may run.

    Args:
        entry: that job.
        served: when each RB was last served here, by any clock; missing means never.
        now: seconds since 1970.
    """
    return (-int(aged(entry, now)), served.get(entry.rb, float("-inf")), entry)


class Ranking:
    """RBs from the best to the last, each by the first of its jobs that was not stepped over.

    A job that may not run now gives its RB the place of the next one: nothing behind the heads that are wanted is
    looked at, however many wait.
    """

    def __init__(self, groups: Iterable[Sequence[Entry]], served: Mapping[str, float], now: float) -> None:
        """Rank `groups`, each the jobs of one RB in their order."""
        self._served = served
        self._now = now
        self._heap = [(key(group[0], served, now), 0, group) for group in groups if group]
        heapq.heapify(self._heap)

    def __bool__(self) -> bool:
        """Whether an RB is left."""
        return bool(self._heap)

    def pop(self) -> tuple[Sequence[Entry], int]:
        """Take the best RB out: its jobs, and which of them is to be looked at."""
        _, position, group = heapq.heappop(self._heap)
        return group, position

    def step_over(self, group: Sequence[Entry], position: int) -> None:
        """Put an RB back whose job at `position` may not run now."""
        if position + 1 < len(group):
            heapq.heappush(self._heap, (key(group[position + 1], self._served, self._now), position + 1, group))


def choose(
    heads: Iterable[Head], *, free: int, busy: Collection[str], served: Mapping[str, float], now: float
) -> list[Head]:
    """Return the heads to claim now, best first.

    Args:
        heads: at most one for each RB that may start, and any number that need no slot.
        free: how many runs to return at most.
        busy: RBs that run here or cool down.
        served: when each RB was last served here, by any clock; missing means never.
        now: seconds since 1970.
    """
    idle = [head for head in heads if head.rb not in busy]
    slotless = [head for head in idle if head.slotless]
    runs = [head for head in idle if not head.slotless]
    runs.sort(key=lambda head: key(head.entry, served, now))
    return slotless + runs[: max(0, free)]


def stretch(rivals: int) -> float:
    """Return by how much a host looks more rarely than one that is alone.

    The hosts of a larger fleet look at different moments, so one of them still sees soon what waits, and the store is
    asked no more often (docs/explanation/scale.md).

    Args:
        rivals: hosts of the fleet with a free slot, this one among them.
    """
    return max(1.0, rivals / _RIVALS_AT_FULL_PACE)


def patience(poll: float, rivals: int) -> float:
    """Return for how many seconds a host leaves an RB alone whose lock another one holds.

    So that all together try each such lock about four times in `poll` seconds.
    """
    return poll * max(0.5, rivals / 4)
