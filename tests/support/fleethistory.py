"""Collecting the history of a fleet that is quiet: the store cell by cell, the archive, the spools, the logs."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import recordedruns
from fleetsite import tree
from history import Disturbance, History, SeenEpoch, SeenJob, SeenResult
from invariants import is_free, without_logs
from violations import copies, violations
from waiting import wait_until

from supervisor import durable, journal, records, waiting
from supervisor.cells import RbCells, read_final
from supervisor.layout import JobPlace, RbPlace

if TYPE_CHECKING:
    from brokertrace import BrokerTrace
    from fleetofhosts import Fleet


def checked(fleet: Fleet, trace: BrokerTrace | None = None) -> History:
    """Return the history of a fleet that is quiet, after every invariant was looked at; fail with what does not hold."""
    history = collect(fleet, trace)
    found = violations(history)
    if found:
        listed = "\n".join(found[:20])
        raise AssertionError(f"{len(found)} violations:\n{listed}\n{fleet.describe()}")
    return history


def figures(history: History) -> str:
    """What a report says of a history in one line."""
    epochs = [epoch for of_rb in history.epochs.values() for epoch in of_rb]
    kinds = {
        kind: sum(e.outcome is not None and e.outcome.kind == kind for e in epochs)
        for kind in ("committed", "revoked", "released", "retry")
    }
    told = ", ".join(f"{count} {what}" for what, count in sorted(copies(history).items()))
    done = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    return f"{len(history.jobs)} jobs, {len(epochs)} epochs ({done}); {told}"


def collect(fleet: Fleet, trace: BrokerTrace | None = None) -> History:
    """Look at everything of a quiet fleet."""
    layout = fleet.layout
    offset = recordedruns.to_wall()
    history = History(
        accepted=set(fleet.accepted),
        jobs={job.job: job for job in _jobs(fleet)},
        epochs=dict(_epochs(fleet, place) for place in _rbs(layout.path("rb"))),
        runs=[replace(run, begin=run.begin + offset, last=run.last + offset) for run in fleet.runs()],
        replies=trace.replies if trace is not None else None,
        makes=fleet.makes,
        disturbances=[*fleet.disturbances, *_logged(fleet)],
        logs={name: site.log() for name, site in fleet.hosts.items()},
        max_attempts=fleet.any.settings.publish.max_attempts,
        self_kill_after=fleet.any.settings.lock.self_kill_after,
        takeover_after=fleet.any.settings.lock.takeover_after,
    )
    for name, site in fleet.hosts.items():
        if (site.points / "trace").exists():
            history.traces[name] = site.traced()
    history.results = _results(fleet)
    history.left = _left(fleet)
    return history


#: What a supervisor logs, and what it means for the replies: a SEND without its receipt is sent again, and rightly so.
_SAID = {" WARNING The broker is away": "connection", " INFO Serving as host": "serves"}


def _logged(fleet: Fleet) -> list[Disturbance]:
    """When each supervisor lost its broker, and when it was up."""
    found = []
    for name, site in fleet.hosts.items():
        for line in site.log().splitlines():
            for words, what in _SAID.items():
                stamp, _, said = line.partition(words)
                if said:
                    at = datetime.fromisoformat(stamp).timestamp()
                    found.append(Disturbance(what=what, host=name, at=at))
    return found


def _record(path: str) -> dict[str, Any] | None:
    data = durable.read(path)
    return None if data is None else records.unpack(path, data)


def _jobs(fleet: Fleet) -> list[SeenJob]:
    layout = fleet.layout
    waits = set(durable.listing(layout.waiting))
    found = []
    for shard in durable.listing(layout.path("jobs")):
        for component in durable.listing(layout.path("jobs", shard)):
            place = JobPlace(layout.path("jobs", shard, component))
            request = journal.read_request(place)
            if request is None:
                continue
            entry = waiting.entry_of(request)
            by_run = os.path.join(layout.by_run(request.instrument, request.run), component)
            final = read_final(place)
            found.append(
                SeenJob(
                    job=request.job,
                    rb=request.rb,
                    order=(entry.rank, entry.time_ms, entry.sequence, entry.job),
                    journaled=os.stat(by_run).st_mtime,
                    served_by=frozenset(
                        name
                        for name, site in fleet.hosts.items()
                        if site.settings.instrument_for(request.instrument).enabled
                    ),
                    cancelled=os.stat(place.cancel).st_ctime if os.path.exists(place.cancel) else None,
                    final=final.n if final is not None else None,
                    started=_record(place.started),
                    published=os.path.exists(place.published),
                    waiting=entry.name in waits,
                )
            )
    return found


def _rbs(root: str) -> list[RbPlace]:
    shards = (os.path.join(root, shard) for shard in durable.listing(root))
    return [RbPlace(os.path.join(shard, component)) for shard in shards for component in durable.listing(shard)]


def _epochs(fleet: Fleet, place: RbPlace) -> tuple[str, list[SeenEpoch]]:
    cells = RbCells(place)
    name = _record(place.name)
    assert name is not None, f"{place.name} is missing"
    found = []
    for number in durable.listing(place.folder("epochs")):
        n = int(number)
        epoch, promoted = cells.epoch(n), cells.promoted(n)
        assert epoch is not None, f"epoch {n} of {place.root} is missing"
        ran = _record(fleet.layout.job(epoch.job).run(n))
        found.append(
            SeenEpoch(
                n=n,
                job=epoch.job,
                host=epoch.host,
                at=epoch.time,
                ran=ran["time"] if ran is not None else None,
                outcome=cells.outcome(n),
                promoted=promoted.kind if promoted is not None else None,
                promoted_at=promoted.time if promoted is not None else 0.0,
            )
        )
    return str(name["rb"]), found


def _results(fleet: Fleet) -> dict[str, SeenResult]:
    found = {}
    for folder, folders, names in os.walk(fleet.archive):
        folders[:] = [name for name in folders if not name.startswith(".autoreduce-")]
        if ".run" in names:
            everything = tree(folder)
            said, files = json.loads(everything[".run"]), without_logs(everything)
            found[folder] = SeenResult(path=folder, rb=said["rb"], job=said["job"], epoch=said["epoch"], files=files)
            folders.clear()
    return found


def _left(fleet: Fleet) -> list[str]:
    """What should have gone, after what goes by itself has had its time."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not _spools(fleet), 30.0)
    left = _spools(fleet)
    left += [f"job {name} waits" for name in durable.listing(fleet.layout.waiting)]
    for place in _rbs(fleet.layout.path("rb")):
        if not is_free(place.lock):
            left.append(f"the lock {place.lock} is held")
        left += [f"take {name} of {place.root} stands" for name in durable.listing(place.folder("promoting"))]
    left += [f"host {name} has {process}" for name in fleet.hosts for process in fleet.working(name)]
    for folder, folders, names in os.walk(fleet.archive):
        left += [os.path.join(folder, name) for name in (*folders, *names) if name.startswith(".autoreduce-")]
    return left


def _spools(fleet: Fleet) -> list[str]:
    return [str(path) for site in fleet.hosts.values() for path in (site.base / "spool").glob("*")]
