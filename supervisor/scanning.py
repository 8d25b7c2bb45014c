"""Scanning: one listing of `waiting/` is the poll, the recovery scan and `runs` (DESIGN §4).

For each RB the entries are looked at in order until the first that may run now; behind it a bounded number of others
is looked at in rotation, so that a job which ended without a run, or was finished by a host that died, is found too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import durable, journal, names, order, records, tombstones, waiting
from supervisor.attempts import history, read_not_before
from supervisor.cells import RbCells, read_final
from supervisor.order import Head
from supervisor.polled import Finished
from supervisor.takeover import JobFacts, Ruling, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from supervisor.layout import JobPlace, Layout
    from supervisor.waiting import Entry

#: Jobs behind a head that one scan looks at.
_ROTATION = 200
#: Cards kept in memory.
_CARDS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a scan keeps of a request: never its body."""

    job: str
    rb: str
    instrument: str
    software: str
    run: str


class Scanner:
    """Looks at everything that waits, for one host."""

    def __init__(
        self,
        layout: Layout,
        *,
        serves: Callable[[str, str], bool],
        max_attempts: int,
        may_publish: Callable[[records.Epoch], bool],
        has_left_take: Callable[[RbCells], bool],
        now: Callable[[], float],
    ) -> None:
        """Scan the store of `layout`.

        Args:
            layout: the store.
            serves: whether this host takes runs of an instrument that ask for a software.
            max_attempts: poison limit.
            may_publish: whether this host sends the replies of an epoch (its own, or of a host that is silent).
            has_left_take: whether a promoter of this host died in this RB.
            now: seconds since 1970.
        """
        self._layout = layout
        self._serves = serves
        self._max_attempts = max_attempts
        self._may_publish = may_publish
        self._has_left_take = has_left_take
        self._now = now
        self._cards: dict[str, Card] = {}
        self._turn = 0
        #: What could not be read, by job; told once each.
        self.damage: dict[str, str] = {}

    def entries(self) -> list[Entry]:
        """Every entry of `waiting/`, in order."""
        found = (waiting.parse(name) for name in durable.listing(self._layout.waiting))
        return sorted(entry for entry in found if entry is not None)

    def scan(self) -> tuple[list[Head], list[Finished], int]:
        """Return the heads to claim, the jobs to publish, and how many wait."""
        entries = self.entries()
        heads: list[Head] = []
        finished: list[Finished] = []
        rest: list[Entry] = []
        for group in order.by_rb(entries).values():
            queue = iter(group)
            self._heads_of(queue, heads, finished)
            rest += queue
        for entry in self._rotated(rest):
            self._look_safely(entry, heads, finished, behind=True)
        return heads, finished, len(entries)

    def head_of(self, rb_part: str) -> Head | None:
        """Return the first job of one RB that may run now, by a fresh listing."""
        heads: list[Head] = []
        self._heads_of(iter([entry for entry in self.entries() if entry.rb == rb_part]), heads, [])
        return next((head for head in heads if not head.slotless), None)

    def _rotated(self, rest: list[Entry]) -> list[Entry]:
        start = self._turn * _ROTATION % max(1, len(rest))
        self._turn += 1
        return (rest[start:] + rest[:start])[:_ROTATION]

    def _heads_of(self, queue: Iterator[Entry], heads: list[Head], finished: list[Finished]) -> None:
        for entry in queue:
            if self._look_safely(entry, heads, finished, behind=False):
                return

    def _look_safely(self, entry: Entry, heads: list[Head], finished: list[Finished], *, behind: bool) -> bool:
        """Look at one job; a record that cannot be read is noted and keeps only this job from going on."""
        try:
            return self._look(entry, heads, finished, behind=behind)
        except records.CorruptRecord as damage:
            self.damage[entry.job] = str(damage)
            return False

    def _look(self, entry: Entry, heads: list[Head], finished: list[Finished], *, behind: bool) -> bool:
        """Look at one job; say whether it is the one that may run now."""
        place = journal.find_job(self._layout, entry.job)
        card = self.card(entry, place) if place is not None else None
        if place is None or card is None:
            # Its request is not visible here yet; or never again: a redelivery was frozen while its job was pruned.
            if tombstones.find_component(self._layout, entry.job):
                durable.remove(self._layout.path("waiting", entry.name), "waiting")
            return False
        try:
            marks = set(os.listdir(place.root))
        except FileNotFoundError:
            return False
        if "final" in marks:
            self._finished(entry, card, place, marks, heads, finished)
            return False
        ruling = rule(
            JobFacts(
                cancelled="cancel" in marks,
                not_before=read_not_before(place) if "not_before" in marks else 0.0,
                enabled=self._serves(card.instrument, card.software),
                lost_attempts=history(place, RbCells(self._layout.rb(card.rb))).lost if "attempts" in marks else 0,
                max_attempts=self._max_attempts,
            ),
            self._now(),
        )
        if ruling in (Ruling.CANCEL, Ruling.GIVE_UP):
            heads.append(Head(entry=entry, rb=entry.rb, job=card.job, slotless=True))
            return False
        if ruling is Ruling.RUN and not behind:
            heads.append(Head(entry=entry, rb=entry.rb, job=card.job))
            return True
        return False

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


def part_of(rb: str) -> str:
    """The RB as the `waiting` names have it."""
    return names.shorten(names.encode(rb))
