"""Order: which job of an RB comes first, and which RBs get the free slots (DESIGN §5, pure).

Inside an RB: priority, then broker time, producer sequence, job id; the head is the first that may run now. Between
RBs: priority with aging, and round-robin among equals, so that two hundred runs of one busy RB never starve another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from supervisor.waiting import Entry

#: A head gains one level of priority for each of these many seconds that it has waited.
AGE_STEP = 600.0


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


def by_rb(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Group the entries by RB, each group in its order."""
    groups: dict[str, list[Entry]] = {}
    for entry in sorted(entries):
        groups.setdefault(entry.rb, []).append(entry)
    return groups


def aged(entry: Entry, now: float) -> float:
    """The priority of a head at `now` (seconds since 1970), raised by its time of waiting."""
    return entry.priority + max(0.0, now - entry.time_ms / 1000.0) / AGE_STEP


def choose(
    heads: Iterable[Head], *, free: int, busy: Collection[str], served: Mapping[str, float], now: float
) -> list[Head]:
    """Return the heads to claim now, best first.

    Args:
        heads: at most one for each RB that may start, and any number that need no slot.
        free: free slots of this host.
        busy: RBs that run here or cool down.
        served: when each RB was last served here, by any clock; missing means never.
        now: seconds since 1970.
    """
    idle = [head for head in heads if head.rb not in busy]
    slotless = [head for head in idle if head.slotless]
    runs = [head for head in idle if not head.slotless]
    runs.sort(key=lambda head: (-int(aged(head.entry, now)), served.get(head.rb, float("-inf")), head.entry))
    return slotless + runs[: max(0, free)]
