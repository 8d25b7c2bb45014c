"""Scanning: one listing of `waiting/` is the poll, the recovery scan and `runs` (DESIGN §4).

Only as many jobs are looked at as can begin here: RBs are ranked by the names of their first jobs alone, and a job that
may not run now gives its RB the place of the next. What this host has begun or cancelled is followed to its end, and a
bounded number of all others is looked at in rotation, so that a job which ended without a run, or was finished by a
host that died, is found too. The first scan looks at everything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from supervisor import durable, journal, order, records, tombstones
from supervisor.admission import Wants
from supervisor.attempts import history, read_not_before
from supervisor.cells import RbCells, read_final
from supervisor.entries import Entries
from supervisor.hosting import Place
from supervisor.order import Head
from supervisor.polled import Finished
from supervisor.takeover import ENDS, JobFacts, Ruling, rule
from supervisor.waiting import IN_ORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from supervisor.layout import JobPlace, Layout
    from supervisor.waiting import Entry

#: Jobs beside those that are wanted that one scan looks at: as many as show all in so many scans, at least and at most.
_ROUNDS = 60
_ROTATION_LEAST = 10
_ROTATION = 40
#: Jobs of this host's doing that one scan looks at.
_FOLLOWED = 200
#: Cards kept in memory.
_CARDS = 20_000
#: Heads without room that one scan looks at.
_UNFIT = 32
#: Seconds for which an RB without a job that may run here is left alone, unless something comes or goes in it.
_QUIET: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a scan keeps of a request: never its body."""

    job: str
    rb: str
    instrument: str
    software: str
    run: str


class _Sight(Enum):
    """What a look at a job came to."""

    #: It is the first of its RB that may run, and may do so here.
    HEAD = auto()
    #: It is the first of its RB that may run, on another host.
    ELSEWHERE = auto()
    #: Those behind it may come first.
    STEPPED_OVER = auto()
    #: So may they here; its request cannot be seen yet, which the next look may change.
    UNSEEN = auto()


class Scanner:
    """Looks at everything that waits, for one host."""

    def __init__(
        self,
        layout: Layout,
        *,
        place: Callable[[Card], Place],
        unplaceable: Callable[[Card], str],
        unplaceable_after: float,
        max_attempts: int,
        host: str,
        may_publish: Callable[[records.Epoch], bool],
        has_left_take: Callable[[RbCells], bool],
        now: Callable[[], float],
        wants: Callable[[Card], Wants] = lambda _card: Wants(),
    ) -> None:
        """Scan the store of `layout`.

        Args:
            layout: the store.
            place: where a job can run.
            unplaceable: why no host that was ever seen can take a job; "" where one can.
            unplaceable_after: seconds after which such a job is refused.
            max_attempts: poison limit.
            host: this one's id.
            may_publish: whether this host sends the replies of an epoch (its own, or of a host that is silent).
            has_left_take: whether a promoter of this host died in this RB.
            now: seconds since 1970.
            wants: what a run of the job reserves of its host.
        """
        self._layout = layout
        self._wants = wants
        self._place = place
        self._unplaceable = unplaceable
        self._unplaceable_after = unplaceable_after
        self._max_attempts = max_attempts
        self._host = host
        self._may_publish = may_publish
        self._has_left_take = has_left_take
        self._now = now
        self._entries = Entries(layout)
        self._cards: dict[str, Card] = {}
        self._turn = 0
        self._scanned = False
        #: Jobs of this host's doing, looked at in each scan until their entry is gone.
        self._followed: dict[str, None] = {}
        #: When a job may run that is tried again later, seconds since 1970.
        self._due: dict[str, float] = {}
        #: Until when an RB needs no look for a head, seconds since 1970.
        self._quiet: dict[str, float] = {}
        #: Jobs, by the parts of their names, that no living host takes.
        self.nowhere: dict[str, Card] = {}
        #: What could not be read, by job; told once each.
        self.damage: dict[str, str] = {}
        #: There may be more heads than the last scan was asked for.
        self.more = False

    def entries(self) -> list[Entry]:
        """Every entry of `waiting/` by a fresh listing, in order."""
        self._refresh(fresh=True)
        return sorted(self._entries.all, key=IN_ORDER)

    def tune(self, *, unplaceable_after: float, max_attempts: int) -> None:
        """Judge by another configuration from now on: every job may have another place now."""
        self._unplaceable_after = unplaceable_after
        self._max_attempts = max_attempts
        self.look_again()

    def look_again(self) -> None:
        """Leave no RB alone at the next scan: what kept its jobs from running may have changed."""
        self._quiet.clear()

    def follow(self, part: str) -> None:
        """Look at the job of this part of a `waiting` name in each scan from now on."""
        self._followed[part] = None

    def due_in(self) -> float | None:
        """Return in how many seconds the next job may run that is tried again later; None where none is."""
        now = self._now()
        return min((at - now for at in self._due.values() if at > now), default=None)

    def oldest(self, busy: Collection[str]) -> float:
        """Return when the first job of an RB that is not `busy` was sent, seconds since 1970; 0 where none waits."""
        groups = self._entries.groups
        return min((group[0].time_ms for part, group in groups.items() if part not in busy), default=0) / 1000.0

    def scan(
        self,
        *,
        most: int | None = None,
        busy: Collection[str] = (),
        served: Mapping[str, float] | None = None,
        fits: Callable[[Wants], bool] = lambda _wants: True,
        first: str = "",
    ) -> tuple[list[Head], list[Finished], int]:
        """Return the heads to claim, the jobs to publish, and how many wait.

        Args:
            most: runs to be found at most; None for one of each RB.
            busy: RBs that run here or cool down: nothing of theirs can begin.
            served: when each RB was last served here; see `order.key`.
            fits: whether there is room for a run; those without are found as well, some of them, and do not count.
            first: an RB that is looked at before all others.
        """
        self._refresh()
        heads: list[Head] = []
        finished: list[Finished] = []
        looked: set[str] = set()
        groups = {part: group for part, group in self._entries.groups.items() if part not in busy}
        if first in groups and most != 0:
            self._find_heads({first: groups.pop(first)}, heads, finished, looked, None, {}, fits)
        self._find_heads(groups, heads, finished, looked, most, served or {}, fits)
        for entry in self._others(looked):
            self._look_safely(entry, heads, finished, behind=True)
        self._scanned = True
        return heads, finished, len(self._entries.all)

    def _refresh(self, *, fresh: bool = False) -> None:
        changed, went = self._entries.refresh(fresh=fresh)
        for part in changed:
            self._quiet.pop(part, None)
        for entry in went:
            self._followed.pop(entry.job, None)
            self._due.pop(entry.job, None)
            self.nowhere.pop(entry.job, None)

    def _find_heads(
        self,
        groups: Mapping[str, list[Entry]],
        heads: list[Head],
        finished: list[Finished],
        looked: set[str],
        most: int | None,
        served: Mapping[str, float],
        fits: Callable[[Wants], bool],
    ) -> None:
        now = self._now()
        ranking = order.Ranking((group for part, group in groups.items() if not self._is_quiet(part, now)), served, now)
        found = unfit = 0
        while ranking and (most is None or found < most):
            group, position = ranking.pop()
            # Thousands of a disabled instrument are passed over here, and not one by one in the order of all RBs.
            served_at = next((n for n in range(position, len(group)) if not self._is_unserved(group[n])), len(group))
            if served_at == len(group):
                self._be_quiet(group, now)
                continue
            if served_at > position:
                ranking.step_over(group, served_at - 1)
                continue
            entry = group[position]
            if unfit >= _UNFIT and (card := self._cards.get(entry.job)) is not None and not fits(self._wants(card)):
                continue  # known to find no room: not looked at, so that those behind it cost no more for it
            sight = _Sight.STEPPED_OVER
            if self._due.get(entry.job, 0.0) <= now:
                looked.add(entry.job)
                sight = self._look_safely(entry, heads, finished, behind=False)
            if sight is _Sight.HEAD:
                has_room = fits(heads[-1].wants)
                found, unfit = found + has_room, unfit + (not has_room)
            elif sight is not _Sight.ELSEWHERE and position + 1 < len(group):
                ranking.step_over(group, position)
            elif sight is not _Sight.UNSEEN:
                self._be_quiet(group, now)
        self.more = bool(ranking)

    def _be_quiet(self, group: Sequence[Entry], now: float) -> None:
        """Leave an RB alone in which nothing may run here, until one of its jobs is due at the latest."""
        due = min((at for one in group if (at := self._due.get(one.job, 0.0)) > now), default=now + _QUIET)
        self._quiet[group[0].rb] = min(due, now + _QUIET)

    def _is_quiet(self, part: str, now: float) -> bool:
        # A clock that was set back makes no RB wait for longer.
        return 0.0 < self._quiet.get(part, 0.0) - now <= _QUIET

    def _is_unserved(self, entry: Entry) -> bool:
        """Say whether it is known to be no head on any host; what else became of such a job is found in rotation."""
        card = self._cards.get(entry.job)
        return card is not None and self._place(card) in (Place.NOWHERE, Place.DISABLED)

    def head_of(self, rb_part: str) -> Head | None:
        """Return the first job of one RB that may run now, here or elsewhere, by a fresh listing."""
        self._refresh(fresh=True)
        for entry in self._entries.groups.get(rb_part, []):
            heads: list[Head] = []
            if self._look_safely(entry, heads, [], behind=False) in (_Sight.HEAD, _Sight.ELSEWHERE):
                return heads[-1] if heads else Head(entry=entry, rb=entry.rb, job=self._cards[entry.job].job)
        return None

    def _others(self, looked: set[str]) -> list[Entry]:
        """Return what is looked at beside the heads: what is followed, and some of the rest in rotation."""
        everything = self._entries.all
        if not self._scanned:
            return [entry for entry in everything if entry.job not in looked]
        followed = list(self._followed)[:_FOLLOWED]
        for part in followed:  # to the end of the line
            self._followed[part] = self._followed.pop(part)
        wanted = set(followed) - looked
        others = [entry for entry in everything if entry.job in wanted] if wanted else []
        size = min(_ROTATION, max(_ROTATION_LEAST, len(everything) // _ROUNDS))
        start = self._turn % max(1, len(everything))
        passed = taken = 0
        while taken < size and passed < len(everything):
            entry = everything[(start + passed) % len(everything)]
            passed += 1
            if entry.job not in looked and entry.job not in wanted:
                others.append(entry)
                taken += 1
        self._turn = start + passed
        return others

    def _look_safely(self, entry: Entry, heads: list[Head], finished: list[Finished], *, behind: bool) -> _Sight:
        """Look at one job; a record that cannot be read is noted and keeps only this job from going on."""
        try:
            return self._look(entry, heads, finished, behind=behind)
        except records.CorruptRecord as damage:
            self.damage[entry.job] = str(damage)
            return _Sight.STEPPED_OVER

    def _look(self, entry: Entry, heads: list[Head], finished: list[Finished], *, behind: bool) -> _Sight:
        """Look at one job; say whether it is the one of its RB that may run now."""
        place = journal.find_job(self._layout, entry.job)
        card = self.card(entry, place) if place is not None else None
        if place is None or card is None:
            # Its request is not visible here yet; or never again: a redelivery was frozen while its job was pruned.
            if tombstones.find_component(self._layout, entry.job):
                durable.remove(self._layout.path("waiting", entry.name), "waiting")
            return _Sight.UNSEEN
        try:
            marks = set(os.listdir(place.root))
        except FileNotFoundError:
            return _Sight.UNSEEN
        if "final" in marks:
            self._finished(entry, card, place, marks, heads, finished)
            return _Sight.STEPPED_OVER
        not_before = read_not_before(place) if "not_before" in marks else 0.0
        self._due[entry.job] = not_before
        where = self._place(card)
        if where is Place.NOWHERE:
            self.nowhere[entry.job] = card
        else:
            self.nowhere.pop(entry.job, None)
        ruling = rule(
            JobFacts(
                cancelled="cancel" in marks,
                not_before=not_before,
                enabled=where in (Place.HERE, Place.ELSEWHERE),
                lost_attempts=history(place, RbCells(self._layout.rb(card.rb))).lost if "attempts" in marks else 0,
                max_attempts=self._max_attempts,
                unplaceable=self._is_refused(card, place, marks, where),
                elsewhere=where is Place.ELSEWHERE,
            ),
            self._now(),
        )
        if ruling in ENDS:
            heads.append(Head(entry=entry, rb=entry.rb, job=card.job, slotless=True))
            return _Sight.STEPPED_OVER
        if ruling is Ruling.RUN and not behind:
            heads.append(Head(entry=entry, rb=entry.rb, job=card.job, wants=self._wants(card)))
            return _Sight.HEAD
        return _Sight.ELSEWHERE if ruling is Ruling.ELSEWHERE else _Sight.STEPPED_OVER

    def _is_refused(self, card: Card, place: JobPlace, marks: set[str], where: Place) -> bool:
        """Note since when no host that was ever seen can take a job; say whether that is long enough to refuse it."""
        if where is not Place.NOWHERE or not self._unplaceable(card):
            if "unplaceable" in marks:
                durable.remove(place.unplaceable, "unplaceable")
            return False
        since = read_unplaceable(place) if "unplaceable" in marks else None
        if since is None:
            durable.link_new(place.unplaceable, records.pack({"time": self._now()}), "unplaceable")
            return False
        return self._now() - since >= self._unplaceable_after

    def _finished(
        self, entry: Entry, card: Card, place: JobPlace, marks: set[str], heads: list[Head], finished: list[Finished]
    ) -> None:
        cells = RbCells(self._layout.rb(card.rb))
        final = read_final(place)
        if final is None:
            return
        epoch = cells.epoch(final.n)
        promoted = cells.promoted(final.n)
        if promoted is None or self._has_left_take(cells):
            heads.append(Head(entry=entry, rb=entry.rb, job=card.job, slotless=True, tidy=True))
        if promoted is None or epoch is None:
            return
        if "published" in marks:
            self._gone(entry, cells, final.n)
            return
        if not self._may_publish(epoch):
            return
        outcome = cells.outcome(final.n)
        answers = outcome.replies if outcome is not None else {}
        started = durable.read(place.started) if "started" in marks else None
        finished.append(
            Finished(
                job=card.job,
                rb_part=entry.rb,
                started=None if started is None else records.unpack(place.started, started),
                started_sent="started.sent" in marks,
                terminal=answers.get("done" if promoted.kind == "done" else "failed"),
                stands_in=epoch.host != self._host,
            )
        )

    def _gone(self, entry: Entry, cells: RbCells, n: int) -> None:
        """Remove the entry of a published job, by any host that sees it, unless a promoter may still be renaming."""
        if not any(epoch == n for epoch, _ in cells.takes()):
            durable.remove(self._layout.path("waiting", entry.name), "waiting")

    def card(self, entry: Entry, place: JobPlace) -> Card | None:
        """What is kept of the request of an entry; None while it cannot be seen."""
        card = self._cards.get(entry.job)
        if card is None:
            request = journal.read_request(place)
            if request is None:
                return None
            card = Card(
                job=request.job,
                rb=request.rb,
                instrument=request.instrument,
                software=request.software,
                run=request.run,
            )
            if len(self._cards) >= _CARDS:
                self._cards.clear()
            self._cards[entry.job] = card
        return card

    def rbs(self) -> dict[str, str]:
        """Every RB that has something waiting: its part in the `waiting` names, and its text."""
        found: dict[str, str] = {}
        for entry in self.entries():
            if entry.rb not in found:
                try:
                    place = journal.find_job(self._layout, entry.job)
                    card = self.card(entry, place) if place is not None else None
                except records.CorruptRecord as damage:
                    self.damage[entry.job] = str(damage)
                    continue
                if card is not None:
                    found[entry.rb] = card.rb
        return found


def read_unplaceable(place: JobPlace) -> float | None:
    """Return since when no host can take the job, seconds since 1970; None where nothing is said.

    Raises:
        CorruptRecord: the record says no time.
    """
    data = durable.read(place.unplaceable)
    if data is None:
        return None
    since = records.unpack(place.unplaceable, data).get("time")
    if not isinstance(since, int | float):
        raise records.CorruptRecord(place.unplaceable, "its time is no number")
    return float(since)
