"""Stores with finished jobs of long ago, a pruner that sees them so, and what must be true when it has died anywhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from storemaking import make_store, request

from supervisor import durable, journal, tombstones, waiting
from supervisor.cells import RbCells, link_final
from supervisor.pruning import Pruner
from supervisor.records import Epoch, Final, Outcome, Promoted

if TYPE_CHECKING:
    from pathlib import Path

    from supervisor.journal import Taken
    from supervisor.layout import Layout
    from supervisor.records import Request

DAY = 86400.0
#: What the tests take for now, seconds since 1970.
NOW = 1_900_000_000.0


def publish(layout: Layout, of: Request, *, days_ago: float, promoted: str = "done", lost: bool = False) -> int:
    """Run a journaled job to its end, so many days ago; return its epoch. `lost`: its first epoch was revoked."""
    cells = RbCells(layout.rb(of.rb))
    cells.make(of.rb)
    place = layout.job(of.job)
    if lost:
        n = cells.last() + 1
        cells.link_epoch(n, Epoch(host="gone", boot="boot", job=of.job, time=0.0))
        durable.make_folder(place.attempt(n), "attempt")
        cells.link_outcome(n, Outcome(kind="revoked", by="supervisor", why="host and run stood still"))
    n = cells.last() + 1
    cells.link_epoch(n, Epoch(host="h", boot="boot", job=of.job, time=0.0))
    durable.make_folder(place.attempt(n), "attempt")
    durable.replace(place.run(n), b"{}", "run")
    cells.link_outcome(n, Outcome(kind="committed", by="shepherd", verdict="completed", sentence="completed", host="h"))
    link_final(place, Final(rb=of.rb, n=n))
    cells.link_promoted(n, Promoted(kind=promoted))
    durable.touch(place.published, "published")
    durable.remove(layout.path("waiting", waiting.entry_of(of).name), "waiting")
    os.utime(place.published, (NOW - days_ago * DAY, NOW - days_ago * DAY))
    return n


def finished(tmp_path: Path, *jobs: str, days_ago: float = 40, rb: str = "1") -> Layout:
    """A store with finished jobs of one RB."""
    layout = make_store(tmp_path)
    for job in jobs:
        journal.journal(layout, request(job, rb=rb))
        publish(layout, request(job, rb=rb), days_ago=days_ago)
    return layout


def prune(layout: Layout, *, now: float = NOW) -> None:
    """One whole round, as any host does it: 30 days are kept, 365 remembered."""
    Pruner(layout, keep=30 * DAY, remember=365 * DAY, host="nobody", now=lambda: now).whole_round()


def redeliver(layout: Layout, job: str, **changes: object) -> Taken:
    """The message of a job comes again, later than the first time."""
    return journal.journal(layout, request(job, **{"journaled": NOW} | changes))


def names_of(layout: Layout) -> list[str]:
    """Every name in the store but the temporary ones, below its root."""
    found = []
    for folder, folders, files in os.walk(layout.root):
        found += [os.path.relpath(os.path.join(folder, name), layout.root) for name in (*folders, *files)]
    return sorted(name for name in found if durable.TEMPORARY not in name)


def check_pruned(layout: Layout, job: str, rb: str = "1") -> None:
    """What is left of a pruned job: a tombstone that says what became of it, and nothing that could run."""
    stone = tombstones.find(layout, job)
    assert stone is not None
    assert (stone.job, stone.rb, stone.verdict) == (job, rb, "completed")
    assert durable.listing(layout.waiting) == []
    left = [name for name in names_of(layout) if job in os.path.basename(name) and not name.startswith("tombstones/")]
    assert left == [], f"left of job {job}: {left}"
    assert durable.listing(tombstones.pruning(layout)) == []
    assert [of.job for of in tombstones.of_run(layout, stone.run, stone.instrument)] == [job]
