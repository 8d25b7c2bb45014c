"""The history of usage in the store: one instrument's decided runs, read one after another and summed up.

Jobs that are kept whole are measured by their `exit.json`; of pruned ones a count remains. The index `by-run` names the
jobs of an instrument by run, so that a run that was killed and later completed is seen as one story. Nothing but sums
and plain numbers is kept of a run that was read: some 40 bytes.
"""

from __future__ import annotations

import heapq
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sandbox.limits import GiB
from sandbox.verdict import Verdict
from supervisor import durable, names, pastrun, records, tombstones
from supervisor.cells import read_final
from supervisor.pastrun import KEYS, PastRun
from supervisor.percentiles import Spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from supervisor.layout import Layout

#: Runs that are named as examples.
_NAMED: Final = 5
#: Runs that are kept as they are, the newest, for a report.
LATEST: Final = 200


@dataclass(slots=True)
class Kills:
    """The runs that one limit ended."""

    #: How many at which limit; runs that stood still are not among them.
    at: Counter[float] = field(default_factory=Counter)
    #: What runs needed that were killed here, and completed later under a higher limit: the largest.
    known_need: float = 0.0
    #: How many of the killed completed later.
    saved: int = 0
    #: How many stood still when their time was over.
    stood_still: int = 0
    #: Some of them by number.
    runs: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Killed runs that a higher limit may have saved."""
        return self.at.total()


@dataclass(slots=True)
class InstrumentHistory:
    """What the decided runs of one instrument used; bytes, seconds, counts."""

    instrument: str
    verdicts: Counter[str] = field(default_factory=Counter)
    completed: dict[str, Spread] = field(default_factory=lambda: {key: Spread() for key in KEYS})
    #: Limits that runs had, by the name of the limit: how often each.
    limits: dict[str, Counter[float | None]] = field(default_factory=lambda: {key: Counter() for key in KEYS})
    kills: dict[str, Kills] = field(default_factory=lambda: {key: Kills() for key in KEYS})
    #: Memory times wall time, GiB times hours: what the limits kept for runs, and what they used at their peak.
    reserved: float = 0.0
    used: float = 0.0
    #: When the first and the last of them were decided, seconds since 1970; 0: none.
    first: float = 0.0
    last: float = 0.0
    #: Jobs that were pruned, of which nothing is measured, and records that could not be read.
    pruned: int = 0
    unreadable: int = 0
    _latest: list[tuple[float, str, PastRun]] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """Runs that were read."""
        return self.verdicts.total()

    @property
    def latest(self) -> list[PastRun]:
        """The newest `LATEST` of them, the newest first."""
        return [run for _, _, run in sorted(self._latest, key=lambda kept: kept[:2], reverse=True)]

    def add(self, of_one_run: Iterable[PastRun]) -> None:
        """Add the jobs of one run."""
        jobs = sorted(of_one_run, key=lambda job: job.ended)
        for job in jobs:
            self._count(job)
        for n, job in enumerate(jobs):
            if job.killed_at:
                self._note_kill(job, [later for later in jobs[n + 1 :] if later.verdict == Verdict.completed])

    def _count(self, job: PastRun) -> None:
        self.verdicts[job.verdict] += 1
        keep = heapq.heappush if len(self._latest) < LATEST else heapq.heappushpop
        keep(self._latest, (job.ended, f"{job.job}/{self.runs}", job))
        self.first = min(self.first or job.ended, job.ended)
        self.last = max(self.last, job.ended)
        memory, wall, limit = job.used.get("memory"), job.used.get("wall"), job.limits.get("memory")
        if memory is not None and wall is not None and limit:
            self.reserved += limit / GiB * wall / 3600
            self.used += memory / GiB * wall / 3600
        for key in KEYS:
            if wall is not None:  # it ran
                self.limits[key][job.limits.get(key)] += 1
            if job.verdict == Verdict.completed and key in job.used:
                self.completed[key].add(job.used[key])

    def _note_kill(self, job: PastRun, later: list[PastRun]) -> None:
        key, kills = job.killed_at, self.kills[job.killed_at]
        limit = job.limits.get(key)
        if limit is None:
            return  # ended by a limit that it did not have: nothing to raise
        if job.stood_still:
            kills.stood_still += 1
            return
        kills.at[limit] += 1
        needs = [of.used[key] for of in later if key in of.used]
        if needs:
            kills.saved += 1
            kills.known_need = max(kills.known_need, *needs)
        if job.run not in kills.runs and len(kills.runs) < _NAMED:
            kills.runs.append(job.run)


def instruments(layout: Layout) -> list[str]:
    """Return the instruments that the store has jobs of, in order."""
    found = []
    for component in durable.listing(layout.path("by-run")):
        try:
            found.append(names.decode(component))
        except ValueError:
            continue  # not ours
    return sorted(name for name in found if names.is_instrument(name))


def read(layout: Layout, instrument: str, since: float) -> InstrumentHistory:
    """Return what the decided runs of an instrument used.

    Args:
        layout: the store.
        instrument: its name, upper case.
        since: runs that were decided before are left out, seconds since 1970.
    """
    history = InstrumentHistory(instrument=instrument)
    folder = layout.path("by-run", names.encode(instrument))
    for run in durable.listing(folder):  # in order: the examples are the same each time
        history.add(_jobs_of_run(layout, os.path.join(folder, run), since, history))
    history.pruned = _pruned(layout, instrument, since)
    return history


def _jobs_of_run(layout: Layout, folder: str, since: float, history: InstrumentHistory) -> Iterator[PastRun]:
    run = _text_of(os.path.basename(folder))
    for job in durable.listing(folder):
        place = layout.job_component(job)
        try:
            at = durable.made_at(place.final)
            if at is None or at < since:
                continue
            final = read_final(place)
            data = None if final is None else durable.read(place.exit(final.n))
            ended = {} if data is None else records.unpack(place.root, data).get("outcome")
        except records.CorruptRecord:
            history.unreadable += 1
            continue
        if isinstance(ended, dict) and ended.get("verdict"):
            yield pastrun.of_exit(ended, job=job, run=run, at=at)


def _text_of(component: str) -> str:
    try:
        return names.decode(component)
    except ValueError:
        return component  # a digest, or not ours


def _pruned(layout: Layout, instrument: str, since: float) -> int:
    """Tombstones of an instrument, by months: a month that ended before `since` is left out."""
    begins = names.part_of(instrument) + "."
    months = [month for month in tombstones.months(layout) if tombstones.after_month(month) > since]
    return sum(
        name.startswith(begins) for month in months for name in durable.names(tombstones.index_folder(layout, month))
    )
