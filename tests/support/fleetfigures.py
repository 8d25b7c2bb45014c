"""How well a fleet was used, from its history: slot-seconds, and the time in which an RB's lock lay idle."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from history import History, SeenEpoch, SeenJob


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """From one run of an RB to the next, which was waiting already."""

    rb: str
    #: Another host than before.
    across: bool
    #: Between the end of the promotion and the next epoch, seconds.
    lock_idle: float
    #: Between the end of the one script and the beginning of the next, seconds.
    scripts_apart: float


def end_of(epoch: SeenEpoch) -> float:
    """When a slot and the RB were free again after an epoch."""
    return max(epoch.promoted_at, epoch.outcome.time if epoch.outcome is not None else epoch.at)


def slot_use(history: History, slots: dict[str, int]) -> float:
    """The share of slot-seconds with an eligible head that were used.

    At each moment a slot is used from the claim to the end of the promotion. Of the free ones as many are lost as there
    are RBs in which a job waits and none is claimed. Only hosts that are well throughout may be in `history`.

    Args:
        history: a quiet one.
        slots: of each host.
    """
    taken = [
        (epoch.at, end_of(epoch)) for epochs in history.epochs.values() for epoch in epochs if epoch.ran is not None
    ]
    eligible = [span for rb in history.epochs for span in _waits(history, rb)]
    moments = sorted({moment for span in (*taken, *eligible) for moment in span})
    used = lost = 0.0
    for begin, end in itertools.pairwise(moments):
        busy = sum(a <= begin < b for a, b in taken)
        heads = sum(a <= begin < b for a, b in eligible)
        used += busy * (end - begin)
        lost += min(max(0, sum(slots.values()) - busy), heads) * (end - begin)
    return used / (used + lost) if used else 0.0


def _waits(history: History, rb: str) -> Iterator[tuple[float, float]]:
    """The spans in which a job of an RB waited while none was claimed."""
    epochs = history.epochs[rb]
    arrivals = sorted(job.journaled for job in history.jobs.values() if job.rb == rb)
    before, done = 0.0, 0
    for epoch in epochs:
        # Behind `done` decided jobs the next one waits from its arrival on.
        begin = max(before, arrivals[done] if done < len(arrivals) else epoch.at)
        if begin < epoch.at:
            yield begin, epoch.at
        before = end_of(epoch)
        done += epoch.committed


def hand_overs(history: History) -> list[HandOver]:
    """Every hand-over from one completed run of an RB to the next one, where that was journaled already."""
    scripts = {(run.job, run.host): run for run in history.runs}
    found = []
    for rb, epochs in history.epochs.items():
        for before, after in itertools.pairwise([epoch for epoch in epochs if epoch.ran is not None]):
            one, other = scripts.get((before.job, before.host)), scripts.get((after.job, after.host))
            if one is None or other is None or not _was_waiting(history.jobs[after.job], before):
                continue
            found.append(
                HandOver(
                    rb=rb,
                    across=before.host != after.host,
                    lock_idle=after.at - end_of(before),
                    scripts_apart=other.begin - one.last,
                )
            )
    return found


def _was_waiting(job: SeenJob, before: SeenEpoch) -> bool:
    return before.committed and job.journaled < end_of(before)


def spread(values: list[float]) -> str:
    """Count, median, 90th part and longest of some times, in words."""
    if not values:
        return "none"
    ordered = sorted(values)
    ninth = ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]
    return f"{len(ordered)}: median {statistics.median(ordered):.2f} s, p90 {ninth:.2f} s, longest {ordered[-1]:.2f} s"
