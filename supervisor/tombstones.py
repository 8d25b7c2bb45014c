"""Tombstones: what is kept of a job that was pruned, so that its message still runs no second time (DESIGN §4).

`tombstones/<yyyy-mm>/<job>` is a small record, linked before anything of the job is removed; `by.run` beside it holds
an empty file for each, named after instrument, run and job, so that `why 75513` is one listing a month. Where the
folder of a job is moved to be emptied stands below `tombstones/pruning`.
"""

from __future__ import annotations

import calendar
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import durable, names, records
from supervisor.records import Request
from supervisor.runkey import run_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisor.layout import Layout

#: Folder of the index in a month; no job id is encoded to a name with a dot.
INDEX = "by.run"
_PRUNING = "pruning"
_MONTH_LENGTH = len("2026-01")
_SEPARATOR = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """What is kept of a pruned job; times in seconds since 1970."""

    job: str
    #: Of the message, so that the same id with another body is told from a redelivery.
    digest: str
    rb: str
    instrument: str
    run: str
    version: int
    #: The epoch that decided it.
    n: int
    verdict: str
    sentence: str
    #: `done` or `failed`: whether its result was put into place.
    promoted: str
    resubmit_of: str = ""
    host: str = ""
    #: When the message was sent (ms), journaled, decided, published and pruned.
    time_ms: int = 0
    journaled: float = 0.0
    decided: float = 0.0
    published: float = 0.0
    pruned: float = 0.0


def month_of(at: float) -> str:
    """Return the folder of a time, in UTC."""
    return time.strftime("%Y-%m", time.gmtime(at))


def after_month(month: str) -> float:
    """Return when a month was over everywhere, seconds since 1970.

    Raises:
        ValueError: it is no month.
    """
    year, number = int(month[:4]), int(month[5:])
    later = f"{year + number // 12:04d}-{number % 12 + 1:02d}-01"
    return float(calendar.timegm(time.strptime(later, "%Y-%m-%d")))


def months(layout: Layout) -> list[str]:
    """Return the months in which something was pruned, newest first."""
    listed = durable.listing(layout.path("tombstones"))
    return sorted((name for name in listed if is_month(name)), reverse=True)


def is_month(name: str) -> bool:
    """Say whether a name of `tombstones/` is that of a month."""
    try:
        return len(name) == _MONTH_LENGTH and bool(time.strptime(name, "%Y-%m"))
    except ValueError:
        return False


def path_of(layout: Layout, month: str, job: str) -> str:
    """Where the tombstone of a job stands."""
    return layout.path("tombstones", month, names.encode(job))


def index_folder(layout: Layout, month: str) -> str:
    """Where the index of a month stands."""
    return layout.path("tombstones", month, INDEX)


def pruning(layout: Layout) -> str:
    """The folder to which the folders of pruned jobs are moved, to be emptied."""
    return layout.path("tombstones", _PRUNING)


def find(layout: Layout, job: str) -> Tombstone | None:
    """Return the tombstone of a job by a fresh look, or None: it was not pruned, or is forgotten."""
    for month in months(layout):
        path = path_of(layout, month, job)
        data = durable.read(path)
        if data is not None:
            return records.from_record(Tombstone, path, data)
    return None


def find_component(layout: Layout, part: str) -> bool:
    """Say whether a job has a tombstone whose part of a `waiting` name this is."""
    if not names.is_digest(part):
        return any(durable.exists(layout.path("tombstones", month, part)) for month in months(layout))
    return any(
        names.shorten(component) == part
        for month in months(layout)
        for component in durable.listing(layout.path("tombstones", month))
    )


def make(layout: Layout, stone: Tombstone) -> None:
    """Link a tombstone and its entry in the index; where another host was faster, its stands."""
    month = layout.path("tombstones", month_of(stone.pruned))
    durable.make_folder(index_folder(layout, month_of(stone.pruned)), "tombstones")
    durable.link_new(os.path.join(month, names.encode(stone.job)), records.to_record(stone), "tombstone")
    index(layout, month_of(stone.pruned), stone)


def index(layout: Layout, month: str, stone: Tombstone) -> None:
    """Make the entry of a tombstone in the index of its month."""
    durable.touch(os.path.join(index_folder(layout, month), index_name(stone)), "tombstone-index")


def index_name(stone: Tombstone) -> str:
    """Return the name of a tombstone in the index (pure)."""
    parts = (stone.instrument, run_value(stone.run), stone.job)
    return _SEPARATOR.join(names.part_of(part) for part in parts)


def of_run(layout: Layout, run: str, instrument: str | None) -> Iterator[Tombstone]:
    """Yield the tombstones of a run, of one instrument or of each, the month pruned last first."""
    wanted = names.part_of(run_value(run))
    first = None if instrument is None else names.part_of(instrument)
    for month in months(layout):
        for name in durable.listing(index_folder(layout, month)):
            parts = name.split(_SEPARATOR)
            if len(parts) != 3 or parts[1] != wanted or first not in (None, parts[0]):
                continue
            stone = _of_part(layout, month, parts[2])
            if stone is not None:
                yield stone


def _of_part(layout: Layout, month: str, part: str) -> Tombstone | None:
    folder = layout.path("tombstones", month)
    component: str | None = part
    if names.is_digest(part):
        component = next((name for name in durable.listing(folder) if names.shorten(name) == part), None)
    if component is None:
        return None
    path = os.path.join(folder, component)
    data = durable.read(path)
    return None if data is None else records.from_record(Tombstone, path, data)


def stand_in(stone: Tombstone) -> Request:
    """Return a request that says of the job what its tombstone does: for lists, never to be run (pure)."""
    return Request(
        job=stone.job,
        body="",
        digest=stone.digest,
        headers={},
        family="",
        instrument=stone.instrument,
        facility="",
        rb=stone.rb,
        run=stone.run,
        run_raw=stone.run,
        version=stone.version,
        data=[],
        priority=0,
        time_ms=stone.time_ms,
        sequence=0,
        journaled=stone.journaled,
        host=stone.host,
        resubmit_of=stone.resubmit_of,
    )
