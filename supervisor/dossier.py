"""All that the store says of one job, read for `why`: a record that cannot be read is told, and hides no other."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from supervisor import durable, journal, names, records, usagecurve
from supervisor.attempts import read_not_before, run_record
from supervisor.cells import RbCells, read_final
from supervisor.promoting import targets_of
from supervisor.promotion import failed_name
from supervisor.records import Cancel, CorruptRecord
from supervisor.runkey import run_value
from supervisor.usagecurve import UsageCurve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from supervisor.layout import JobPlace, Layout
    from supervisor.records import Epoch, Outcome, Promoted, Request, RunRecord, Target

T = TypeVar("T")

#: Newest epochs of an RB that are looked at for attempts that ended before they left anything in the job's folder.
_EPOCHS = 100
#: Poison records that are looked at for a job id.
_POISON = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One epoch in which the job was taken."""

    n: int
    epoch: Epoch | None = None
    #: None: no shepherd began it.
    run: RunRecord | None = None
    #: None: not decided.
    outcome: Outcome | None = None
    #: The outcome of the box as `exit.json` holds it, and the ends of the logs by name; what a box made is in there.
    exit: dict[str, Any] = field(default_factory=dict)
    tails: dict[str, str] = field(default_factory=dict)
    #: Usage over time, of the box's own samples or of the beats.
    curve: UsageCurve = field(default_factory=UsageCurve)
    #: When `exit.json` was written, by the clock of the file system, seconds since 1970; None: it was not.
    exited: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a result, or the logs of a run that did not complete, were to be put."""

    #: The folder, and where the result stands if it could not be put there.
    path: str
    kept: str
    #: `replace`, `merge` or `logs`.
    mode: str
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """What is known of a job."""

    request: Request
    #: `waiting`, `running`, `promoting` or `ended`.
    state: str
    attempts: tuple[Attempt, ...] = ()
    #: The attempt whose outcome is the job's.
    decided: Attempt | None = None
    places: tuple[Place, ...] = ()
    promoted: Promoted | None = None
    later: Promoted | None = None
    cancel: Cancel | None = None
    #: The message was delivered more than once; it ran once.
    redelivered: bool = False
    not_before: float = 0.0
    #: Frozen, and answered by a receipt.
    started: bool = False
    started_sent: bool = False
    published: bool = False
    #: When, by the clock of the file system, seconds since 1970.
    published_at: float | None = None
    #: Digests of messages with this id that were refused, and other jobs of the same run.
    refused: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


def running_epoch(cells: RbCells, job: str) -> int | None:
    """Return the undecided epoch in which `job` is under way, or None."""
    last = cells.last()
    epoch = cells.epoch(last) if last else None
    return last if epoch is not None and epoch.job == job and cells.outcome(last) is None else None


def jobs_of_run(layout: Layout, run: str, instrument: str | None) -> dict[str, list[Request]]:
    """Return the jobs of a run by instrument, in the order of their time.

    Raises:
        CorruptRecord: a request cannot be read.
    """
    by_run = layout.path("by-run")
    found: dict[str, list[Request]] = {}
    for component in [names.encode(instrument)] if instrument else durable.listing(by_run):
        for job in durable.listing(os.path.join(by_run, component, names.encode(run_value(run)))):
            request = journal.read_request(layout.job_component(job))
            if request is not None:
                found.setdefault(request.instrument, []).append(request)
    return {name: sorted(of, key=lambda r: (r.time_ms, r.sequence, r.job)) for name, of in sorted(found.items())}


def poison_of(layout: Layout, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every refused message with the digest `what`, or whose job or message id it is.

    Raises:
        CorruptRecord: the record with this digest cannot be read.
    """
    folder = layout.path("poison")
    listed = [name for name in durable.listing(folder) if not name.endswith(".told")]
    if what in listed:
        yield what, records.unpack(layout.poison(what), durable.read(layout.poison(what)) or b"")
        return
    for name in listed[:_POISON]:
        try:
            record = records.unpack(name, durable.read(layout.poison(name)) or b"")
        except CorruptRecord:
            continue  # asked for by its digest, it is told
        headers = record.get("headers")
        if isinstance(headers, dict) and what in (headers.get("job-id"), headers.get("message-id")):
            yield name, record


class Reader:
    """Reads a dossier and keeps what could not be read."""

    def __init__(self, layout: Layout) -> None:
        """Read in the store of `layout`."""
        self._layout = layout
        self._unreadable: list[str] = []

    def _try(self, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except CorruptRecord as corrupt:
            if str(corrupt) not in self._unreadable:
                self._unreadable.append(str(corrupt))
            return otherwise

    def read(self, request: Request, siblings: tuple[str, ...] = ()) -> Dossier:
        """Return all that is known of the job of `request`."""
        layout = self._layout
        place = layout.job(request.job)
        cells = RbCells(layout.rb(request.rb))
        final = self._try(lambda: read_final(place), None)
        attempts = tuple(self._attempt(place, cells, n) for n in self._epochs(place, cells, request.job))
        decided = next((a for a in attempts if a.outcome is not None and a.outcome.kind == "committed"), None)
        if final is not None:
            decided = next((attempt for attempt in attempts if attempt.n == final.n), None)
        promoted = self._try(lambda: cells.promoted(decided.n), None) if decided is not None else None
        if decided is not None:
            state = "ended" if promoted is not None else "promoting"
        else:
            state = "running" if self._try(lambda: running_epoch(cells, request.job), None) else "waiting"
        return Dossier(
            request=request,
            state=state,
            attempts=attempts,
            decided=decided,
            places=self._places(decided),
            promoted=promoted,
            later=self._try(lambda: cells.later(decided.n), None) if decided is not None else None,
            cancel=self._try(lambda: _cancel(place), None),
            redelivered=self._try(lambda: durable.exists(place.redelivered), False),  # the value where it fails
            not_before=self._try(lambda: read_not_before(place), 0.0),
            started=durable.exists(place.started),
            started_sent=durable.exists(place.started_sent),
            published=durable.exists(place.published),
            published_at=durable.made_at(place.published),
            refused=tuple(digest for digest, _ in poison_of(layout, request.job)),
            siblings=siblings,
            unreadable=tuple(self._unreadable),
        )

    def _epochs(self, place: JobPlace, cells: RbCells, job: str) -> list[int]:
        """The epochs of the job: those with an attempt's folder, and the newest of the RB that name it."""
        found = {int(name) for name in durable.listing(place.attempts) if name.isdigit()}
        for name in durable.listing(cells.place.folder("epochs"))[-_EPOCHS:]:
            if name.isdigit() and int(name) not in found:
                epoch = self._try(lambda n=int(name): cells.epoch(n), None)  # type: ignore[misc]
                found |= {int(name)} if epoch is not None and epoch.job == job else set()
        return sorted(found)

    def _attempt(self, place: JobPlace, cells: RbCells, n: int) -> Attempt:
        nothing: dict[str, Any] = {}
        ended = self._try(lambda: _exit(place, n), nothing)
        outcome, tails = ended.get("outcome"), ended.get("log_tails")
        curve = usagecurve.of_exit(outcome) if isinstance(outcome, dict) else UsageCurve()
        if not curve.samples:
            curve = usagecurve.of_beats(durable.tail(place.usage(n), usagecurve.TAIL))
        return Attempt(
            n=n,
            epoch=self._try(lambda: cells.epoch(n), None),
            run=self._try(lambda: run_record(place, n), None),
            outcome=self._try(lambda: cells.outcome(n), None),
            exit=outcome if isinstance(outcome, dict) else {},
            tails={name: str(text) for name, text in tails.items()} if isinstance(tails, dict) else {},
            curve=curve,
            exited=durable.made_at(place.exit(n)),
        )

    def _places(self, decided: Attempt | None) -> tuple[Place, ...]:
        if decided is None or decided.outcome is None:
            return ()
        committed = decided.outcome
        nothing: list[Target] = []
        targets = self._try(lambda: targets_of(committed), nothing)
        return tuple(
            Place(path=target.path, kept=failed_name(target, decided.n), mode=target.mode, files=target.files)
            for target in targets
        )


def _cancel(place: JobPlace) -> Cancel | None:
    data = durable.read(place.cancel)
    return None if data is None else records.from_record(Cancel, place.cancel, data)


def _exit(place: JobPlace, n: int) -> dict[str, Any]:
    data = durable.read(place.exit(n))
    return {} if data is None else records.unpack(place.exit(n), data)
