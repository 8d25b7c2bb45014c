"""Pruning: jobs that were published long ago become tombstones, and what nobody asks for any more goes (DESIGN §4).

Any host may prune, several may at once, and each may die at any point: every step can be repeated, and the next round
of any host goes on where the last one ended. The order that makes it safe against a redelivery of the same message:

1. The tombstone is linked, durably, before anything goes.
2. The folder of the job is renamed away whole, so that nobody sees a job without its `final`, which would run again.
   `journal` looks for a tombstone after it has linked `request.json` and before it makes anything else: a link that
   comes before the rename finds the old job, one that comes after it finds the tombstone.
3. The index entry and the cells go, then the folder; its request tells a second pruner what is left to do.

Cells of an RB go only below its newest epoch, which stays for ever, as the lock does: epoch numbers never start again.
The cell of an epoch that another decided stays as long as its holder may only be frozen: it is what keeps a shepherd
that thaws after a month from committing. All times are those of the store's own clock, where they can be had.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import durable, journal, names, tombstones, waiting
from supervisor.cells import RbCells, read_final
from supervisor.hosts import read_beat
from supervisor.layout import JobPlace
from supervisor.records import CorruptRecord
from supervisor.tombstones import Tombstone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from supervisor.layout import Layout
    from supervisor.records import Epoch, Outcome, Promoted, Request

#: Seconds of work in one turn, the pause between two turns while there is work, and the longest between two rounds.
_BUDGET = 0.1
_PAUSE = 0.25
_REST = 600.0
#: Epochs below that of a pruned job which are looked at with it.
_EPOCHS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochFacts:
    """What decides whether the cells of an epoch may go."""

    #: It is the newest of its RB.
    newest: bool
    #: A promoter's take stands.
    taken: bool
    epoch: Epoch | None
    outcome: Outcome | None
    promoted: Promoted | None
    #: The folder of its job stands.
    job_stands: bool
    #: The boot id that the heartbeat of its host shows now; None where it has none.
    boot_now: str | None


def may_go(facts: EpochFacts) -> bool:
    """Decide whether the cells of an epoch may be removed (pure)."""
    if facts.newest or facts.taken:
        return False
    if facts.epoch is None:
        return True  # a pruner died in the middle of it: the token goes first
    if facts.job_stands or facts.outcome is None:
        return False
    if facts.outcome.kind == "committed":
        return facts.promoted is not None
    if facts.outcome.by in ("shepherd", "self") or facts.outcome.kind == "retry":
        return True  # its holder said so itself
    return facts.boot_now is not None and facts.boot_now != facts.epoch.boot


class Pruner:
    """Prunes one store, a little in each turn; used by the poller's thread alone."""

    def __init__(
        self, layout: Layout, *, keep: float, remember: float, host: str, now: Callable[[], float] = time.time
    ) -> None:
        """Prune the store of `layout`.

        Args:
            layout: the store.
            keep: seconds for which a published job is kept whole.
            remember: seconds for which a tombstone is kept.
            host: id of this host; the time of its heartbeat is that of the store's clock.
            now: seconds since 1970.
        """
        self._layout = layout
        self._keep = keep
        self._remember = remember
        self._host = host
        self._wall = now
        self._round: Iterator[None] | None = None
        #: When a shard is to be looked at again, and which one was looked at last.
        self._next_look: dict[str, float] = {}
        self._last_shard = ""
        #: When the next turn is due, by the monotonic clock.
        self.due_at = 0.0

    def tune(self, *, keep: float, remember: float) -> None:
        """Keep jobs and tombstones for other times (seconds) from now on."""
        self._keep = keep
        self._remember = remember

    def turn(self) -> None:
        """Do some of what is to be done, if it is time.

        Raises:
            OSError: the store cannot be used now; what was begun is gone on with in a later turn.
        """
        began = time.monotonic()
        if began < self.due_at:
            return
        work = self._round if self._round is not None else self._work()
        self._round = None  # a round that fails begins anew, behind the shard where it failed
        while time.monotonic() - began < _BUDGET:
            try:
                next(work)
            except StopIteration:
                self.due_at = time.monotonic() + min(_REST, max(_PAUSE, self._keep / 4))
                return
        self._round = work
        self.due_at = time.monotonic() + _PAUSE

    def whole_round(self) -> None:
        """Do all that is to be done now."""
        for _ in self._work():
            continue

    def _now(self) -> float:
        """The time by this host's clock or the store's, whichever is behind: a wrong clock forgets nothing."""
        beaten = durable.made_at(self._layout.host_beat(self._host))
        return self._wall() if beaten is None else min(self._wall(), beaten)

    def _work(self) -> Iterator[None]:
        now = self._now()
        for component in durable.listing(tombstones.pruning(self._layout)):
            self.finish(component)
            yield
        shards = durable.listing(self._layout.path("jobs"))
        behind = [shard for shard in shards if shard > self._last_shard]
        for shard in behind + shards[: len(shards) - len(behind)]:
            self._last_shard = shard
            if self._next_look.get(shard, 0.0) <= now:
                yield from self._jobs(shard, now)
        yield from self._poison(now)
        yield from self._beats(now)
        yield from self._months(now)

    # --- jobs -------------------------------------------------------------------------------------------------

    def _jobs(self, shard: str, now: float) -> Iterator[None]:
        next_look = now + self._keep
        for component in durable.listing(self._layout.path("jobs", shard)):
            published = durable.made_at(self._layout.job_component(component).published)
            yield
            if published is None:
                continue
            if now - published < self._keep:
                next_look = min(next_look, published + self._keep)
            elif not self._prune(component, published, now):
                next_look = min(next_look, now + _REST)
            yield
        self._next_look[shard] = next_look

    def _prune(self, component: str, published: float, now: float) -> bool:
        """Make a tombstone of a job that was published long ago; False where it has to be kept still."""
        place = self._layout.job_component(component)
        try:
            request = journal.read_request(place)
            if request is None:
                return False
            stone = tombstones.find(self._layout, request.job)
            if stone is None:
                stone = self._stone(place, request, published, now)
                if stone is None:
                    return False
                tombstones.make(self._layout, stone)
            else:
                tombstones.index(self._layout, tombstones.month_of(stone.pruned), stone)
        except CorruptRecord:
            return False  # an operator is to look at it; `why` names it
        durable.make_folder(tombstones.pruning(self._layout), "tombstones")
        durable.move_folder(place.root, os.path.join(tombstones.pruning(self._layout), component), "job")
        self.finish(component)
        return True

    def _stone(self, place: JobPlace, request: Request, published: float, now: float) -> Tombstone | None:
        """What is to be kept of a job; None where it may not go yet."""
        final = read_final(place)
        if final is None or durable.exists(self._layout.path("waiting", waiting.entry_of(request).name)):
            return None
        cells = RbCells(self._layout.rb(request.rb))
        outcome, promoted = cells.outcome(final.n), cells.promoted(final.n)
        if outcome is None or promoted is None:
            return None
        own = _epochs_of(place) | {final.n}
        if any(n in own for n, _ in cells.takes()):
            return None
        if not cells.stands(final.n) and now - published < self._remember:
            return None  # `promote` may still bring its result into place
        return Tombstone(
            job=request.job,
            digest=request.digest,
            rb=request.rb,
            instrument=request.instrument,
            run=request.run,
            version=request.version,
            n=final.n,
            verdict=outcome.verdict,
            sentence=outcome.sentence,
            promoted="done" if cells.stands(final.n) else "failed",
            resubmit_of=request.resubmit_of,
            host=outcome.host,
            time_ms=request.time_ms,
            journaled=request.journaled,
            decided=outcome.time,
            published=published,
            pruned=now,
        )

    def finish(self, component: str) -> None:
        """Remove all that is left of a job whose folder was moved away."""
        doomed = JobPlace(os.path.join(tombstones.pruning(self._layout), component))
        try:
            request = journal.read_request(doomed)
        except CorruptRecord:
            request = None
        if request is not None:
            by_run = self._layout.by_run(request.instrument, request.run)
            durable.remove(os.path.join(by_run, names.encode(request.job)), "by-run")
            durable.remove_folder(by_run, "by-run")
            with contextlib.suppress(CorruptRecord):  # the cells of this RB stay: an operator is to look at them
                self._thin(request.rb, _epochs_of(doomed))
        durable.remove_tree(doomed.root, "job")

    def _thin(self, rb: str, own: set[int]) -> None:
        """Remove the cells of a pruned job's epochs, and of those below them whose jobs are pruned as well."""
        cells = RbCells(self._layout.rb(rb))
        last = cells.last()
        taken = {n for n, _ in cells.takes()}
        kinds = ("epochs", "outcomes", "promoted")
        listed = {name.partition(".")[0] for kind in kinds for name in durable.listing(cells.place.folder(kind))}
        known = sorted(
            (int(name) for name in listed if name.isdigit() and int(name) <= max(own, default=0)), reverse=True
        )
        for n in known[:_EPOCHS]:
            if may_go(self._facts(cells, n, newest=n >= last, taken=n in taken)):
                durable.remove(cells.place.epoch(n), "epoch")
                durable.remove(cells.place.promoted(n), "promoted")
                durable.remove(cells.place.later(n), "promoted")
                durable.remove(cells.place.outcome(n), "outcome")

    def _facts(self, cells: RbCells, n: int, *, newest: bool, taken: bool) -> EpochFacts:
        epoch = cells.epoch(n)
        beat = read_beat(self._layout, epoch.host) if epoch is not None else None
        return EpochFacts(
            newest=newest,
            taken=taken,
            epoch=epoch,
            outcome=cells.outcome(n),
            promoted=cells.promoted(n),
            job_stands=epoch is not None and durable.exists(self._layout.job(epoch.job).request),
            boot_now=beat.boot if beat is not None else None,
        )

    # --- the rest ---------------------------------------------------------------------------------------------

    def _poison(self, now: float) -> Iterator[None]:
        """Remove refused messages whose reply was told long ago, and those without a reply that are very old."""
        for name in durable.listing(self._layout.path("poison")):
            digest = name.removesuffix(".told")
            told = durable.made_at(self._layout.poison_told(digest))
            if digest != name:  # the mark goes last: without it a redelivery would be answered again
                old = told is not None and now - told >= self._keep
                if old and not durable.exists(self._layout.poison(digest)):
                    durable.remove(self._layout.poison_told(digest), "poison")
            else:
                since = told if told is not None else durable.made_at(self._layout.poison(digest))
                if since is not None and now - since >= (self._keep if told is not None else self._remember):
                    durable.remove(self._layout.poison(digest), "poison")
            yield

    def _beats(self, now: float) -> Iterator[None]:
        """Remove the heartbeats of hosts that were silent for very long."""
        for name in durable.listing(self._layout.path("hosts")):
            path = self._layout.path("hosts", name)
            beaten = durable.made_at(path) if name.endswith(".json") else None
            if beaten is not None and now - beaten >= self._remember:
                durable.remove(path, "host-beat")
            yield

    def _months(self, now: float) -> Iterator[None]:
        """Forget the tombstones of months that are over for long enough."""
        for month in tombstones.months(self._layout):
            if now - tombstones.after_month(month) < self._remember:
                continue
            for folder in (tombstones.index_folder(self._layout, month), self._layout.path("tombstones", month)):
                for name in durable.listing(folder):
                    if folder != self._layout.path("tombstones", month) or name != tombstones.INDEX:
                        durable.remove(os.path.join(folder, name), "tombstone")
                    yield
                durable.remove_folder(folder, "tombstone")


def _epochs_of(place: JobPlace) -> set[int]:
    """The epochs in which an attempt of the job began."""
    final = read_final(place)
    began = {int(name) for name in durable.listing(place.attempts) if name.isdigit()}
    return began if final is None else began | {final.n}
