"""What waits and why not now, what is under way, and what has lately finished: looks only, nothing is changed.

One listing of `waiting/` is the base (DESIGN §4). No request is read but of the jobs that are shown, and of those that
stand before them in their RB until one may run: ten thousand waiting jobs cost a listing, not ten thousand records.
"""

from __future__ import annotations

import heapq
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from supervisor import durable, journal, names, order, tombstones, waiting
from supervisor.attempts import history, read_not_before
from supervisor.cells import RbCells
from supervisor.layout import RbPlace
from supervisor.records import CorruptRecord
from supervisor.takeover import JobFacts, Ruling, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from supervisor.layout import Layout
    from supervisor.records import Epoch, Outcome, Promoted, Request
    from supervisor.waiting import Entry

T = TypeVar("T")

#: Jobs of one RB that are looked at in search of its head; and outcomes in search of those of one instrument.
_DEEP = 50
_OUTCOMES = 500
#: Seconds by which the clock of the file server, which dates folders, may be behind that of a host.
_CLOCKS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One waiting job, looked at."""

    entry: Entry
    request: Request | None
    #: None: it cannot be told, its records are not visible or not readable.
    ruling: Ruling | None
    not_before: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """The newest epoch of an RB, not decided or not brought into place yet."""

    n: int
    epoch: Epoch
    #: `running`, or `promoting` where the job is decided.
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A job that was decided."""

    n: int
    epoch: Epoch
    outcome: Outcome
    #: None while its result is being put into place.
    promoted: Promoted | None
    #: Its result was put into place, at once or later.
    stands: bool
    request: Request


@dataclass(slots=True)
class Waitlist:
    """The jobs that are not finished with, as one listing showed them."""

    layout: Layout
    #: Why no host takes runs of an instrument, a software and an RB; "" where one does.
    why_not: Callable[[str, str, str], str]
    max_attempts: int
    #: Seconds since 1970.
    now: float
    #: Whether any host of the fleet is heard of.
    served: bool = True
    #: Why jobs wait for room on a host, by job.
    rooms: Mapping[str, str] = field(default_factory=dict)
    #: Records that could not be read, as sentences.
    troubles: list[str] = field(default_factory=list)
    groups: dict[str, list[Entry]] = field(default_factory=dict)
    #: The search for finished jobs was ended before it had seen all of them.
    cut: bool = False
    _under_way: dict[str, UnderWay | None] = field(default_factory=dict)
    _looks: dict[str, Look] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """List `waiting/` once."""
        found = (waiting.parse(name) for name in durable.names(self.layout.waiting))
        self.groups = order.by_rb(entry for entry in found if entry is not None)

    def entries(self) -> list[Entry]:
        """Every entry, in order."""
        return sorted((entry for group in self.groups.values() for entry in group), key=waiting.IN_ORDER)

    def look(self, entry: Entry) -> Look:
        """Look at one job."""
        known = self._looks.get(entry.job)
        if known is None:
            known = self._readable(lambda: self._look(entry), Look(entry=entry, request=None, ruling=None))
            self._looks[entry.job] = known
        return known

    def _readable(self, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except CorruptRecord as corrupt:
            if str(corrupt) not in self.troubles:
                self.troubles.append(str(corrupt))
            return otherwise

    def _look(self, entry: Entry) -> Look:
        place = journal.find_job(self.layout, entry.job)
        request = journal.read_request(place) if place is not None else None
        if place is None or request is None:
            return Look(entry=entry, request=None, ruling=None)
        marks = set(durable.listing(place.root))
        not_before = read_not_before(place) if "not_before" in marks else 0.0
        past = history(place, RbCells(self.layout.rb(request.rb))).lost if "attempts" in marks else 0
        facts = JobFacts(
            final="final" in marks,
            cancelled="cancel" in marks,
            not_before=not_before,
            enabled=not self.why_not(request.instrument, request.software, request.rb),
            lost_attempts=past,
            max_attempts=self.max_attempts,
        )
        return Look(entry=entry, request=request, ruling=rule(facts, self.now), not_before=not_before)

    def under_way(self, part: str) -> UnderWay | None:
        """Return what is under way in the RB of a `waiting` part."""
        if part not in self._under_way:
            self._under_way[part] = self._readable(lambda: self._newest(part), None)
        return self._under_way[part]

    def rb_of(self, part: str) -> str | None:
        """Return the RB of a `waiting` part; None where neither its name nor a request of its jobs tells it."""
        if names.is_digest(part):  # a long name: only a request of the RB tells it whole
            request = next((r for e in self.groups.get(part, [])[:_DEEP] if (r := self.look(e).request)), None)
            return None if request is None else request.rb
        try:
            return names.decode(part)
        except ValueError:
            return None

    def cells_of(self, part: str) -> RbCells | None:
        """Return the cells of the RB of a `waiting` part; None where its name cannot be told."""
        component: str | None = part
        if names.is_digest(part):
            rb = self.rb_of(part)
            component = None if rb is None else names.encode(rb)
        if component is None:
            return None
        return RbCells(RbPlace(self.layout.path("rb", names.shard(component), component)))

    def _newest(self, part: str) -> UnderWay | None:
        cells = self.cells_of(part)
        n = cells.last() if cells is not None else 0
        if cells is None or not n:
            return None
        if durable.exists(cells.place.promoted(n)):
            return None  # the common case costs one look and no reading
        outcome = cells.outcome(n)
        if outcome is not None and outcome.kind != "committed":
            return None
        epoch = cells.epoch(n)
        return None if epoch is None else UnderWay(n=n, epoch=epoch, what="promoting" if outcome else "running")

    def why_not_now(self, look: Look) -> str:
        """Say why a waiting job does not run now."""
        if look.request is None or look.ruling is None:
            return "its request cannot be read"
        busy = self.under_way(look.entry.rb)
        if look.ruling is Ruling.CANCEL:
            return "cancelling"
        if look.ruling is Ruling.GIVE_UP:
            return "gives up: its shepherds died again and again"
        unserved = self.why_not(look.request.instrument, look.request.software, look.request.rb)
        if unserved:
            return unserved
        if look.not_before > self.now:
            return "tried again later"
        if busy is not None:
            doing = "runs" if busy.what == "running" else "is being put into place"
            return f"job {busy.epoch.job} of its RB {doing}"
        first = self._head(look.entry.rb)
        if first is not None and first.entry != look.entry and first.request is not None:
            return f"job {first.request.job} of its RB comes first"
        if look.request.job in self.rooms:
            return self.rooms[look.request.job]
        return "waits for a free slot" if self.served else "no supervisor is heard of"

    def why_of(self, request: Request) -> str:
        """Say why the waiting job of `request` does not run now."""
        entry = waiting.entry_of(request)
        listed = entry in self.groups.get(entry.rb, [])
        return self.why_not_now(self.look(entry)) if listed else "its entry in waiting/ is missing: send it again"

    def _head(self, part: str) -> Look | None:
        looks = (self.look(entry) for entry in self.groups[part][:_DEEP])
        return next((look for look in looks if look.ruling is Ruling.RUN), None)

    # --- what has finished ------------------------------------------------------------------------------------

    def finished(
        self, rb: str | None, wanted: Callable[[Request, Outcome], bool], limit: int, *, picky: bool, since: float = 0.0
    ) -> list[Done]:
        """Return the `limit` jobs decided last, newest first, of one RB or of all.

        Args:
            rb: only this RB.
            wanted: whether a job is listed.
            limit: how many are listed at the most.
            picky: `wanted` may refuse some, so more RBs are looked into than are listed.
            since: only those decided since then (seconds since 1970); the search goes back as far as that.
        """
        deep = None if since else _OUTCOMES
        among = deep if picky else limit
        places = [self.layout.rb(rb)] if rb is not None else self._lively(since - _CLOCKS)
        self.cut = picky and among is not None and len(places) > among
        places = places[:among]
        found: list[Done] = []
        # Newest outcome of each RB first; behind it the one before it takes its place.
        streams = [self._outcomes(RbCells(place)) for place in places]
        merged = heapq.merge(*streams, key=lambda item: -item[2].time)
        for looked, (cells, n, outcome) in enumerate(merged):
            if len(found) >= limit or outcome.time < since:
                break
            if looked == deep:
                self.cut = True
                break
            done = self._readable(lambda c=cells, k=n, o=outcome: self._done(c, k, o), None)  # type: ignore[misc]
            if done is not None and wanted(done.request, done.outcome):
                found.append(done)
        return sorted(found, key=lambda done: -done.outcome.time)

    def _outcomes(self, cells: RbCells) -> Iterator[tuple[RbCells, int, Outcome]]:
        for name in reversed(durable.listing(cells.place.folder("outcomes"))):
            outcome = self._readable(lambda n=int(name): cells.outcome(n), None) if name.isdigit() else None  # type: ignore[misc]
            if outcome is not None and outcome.kind == "committed":
                yield cells, int(name), outcome

    def _done(self, cells: RbCells, n: int, outcome: Outcome) -> Done | None:
        epoch = cells.epoch(n)
        if epoch is None:
            return None
        request = journal.read_request(self.layout.job(epoch.job))
        if request is None:  # it was pruned
            stone = tombstones.find(self.layout, epoch.job)
            if stone is None:
                return None
            request = tombstones.stand_in(stone)
        return Done(
            n=n, epoch=epoch, outcome=outcome, promoted=cells.promoted(n), stands=cells.stands(n), request=request
        )

    def _lively(self, since: float) -> list[RbPlace]:
        """The RBs with a decision since then, the last first: the time of a folder is that of its newest name."""
        found: list[tuple[float, str]] = []
        root = self.layout.path("rb")
        for shard in durable.listing(root):
            for component in durable.listing(os.path.join(root, shard)):
                place = RbPlace(os.path.join(root, shard, component))
                try:
                    decided = os.stat(place.folder("outcomes")).st_mtime
                except OSError:
                    continue  # claimed for the first time just now
                if decided >= since:
                    found.append((decided, place.root))
        return [RbPlace(path) for _, path in sorted(found, reverse=True)]
