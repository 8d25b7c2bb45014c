"""Telling: what producers of the jobs of this host are still to be told, each reply until its receipt (DESIGN §5).

A look at the store finds what was never told, so nothing here has to outlive the process. The loop hands in the link of
each turn; without a broker nobody is told, and the store is the reply.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from supervisor import polled
from supervisor.publication import Phase, Publication

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervisor.broker import DeliveryToken
    from supervisor.brokerlink import BrokerLink
    from supervisor.intake import Poison
    from supervisor.meter import Meter

log = logging.getLogger(__name__)

#: Of a job that is told: its mark is not durable yet, so that a look at the store would have it told again.
_UNMARKED: Final = -1


class Telling:
    """The replies that have no receipt yet, in the order of each job; a part of the loop, which owns it."""

    def __init__(self, order: Callable[[polled.Command], None], meter: Meter) -> None:
        """Nothing is to be told.

        Args:
            order: has the poller write a mark.
            meter: is told of receipts.
        """
        self._order = order
        self._meter = meter
        self._publications: dict[str, Publication] = {}
        #: Jobs told to the end, and after how many scans their mark is seen: an older scan may still show them. As long
        #: as the mark cannot be written (`_UNMARKED`) they are not told again.
        self._told: dict[str, int] = {}
        #: Deliveries that are acknowledged when their error reply has its receipt, by the key of their publication.
        self._poison: dict[str, list[DeliveryToken]] = {}
        #: Runs told to the end, and replies that the broker will not have, since the start.
        self.published = 0
        self.undeliverable = 0

    @property
    def is_clear(self) -> bool:
        """Whether nothing is to be told, and every mark of what was told has been seen."""
        return not (self._publications or self._told)

    def begin(self, job: str, reply: dict[str, object]) -> None:
        """The started reply of a job is frozen."""
        self._publication(f"job {job}").begin(reply)

    def scanned(self, finished: Iterable[polled.Finished]) -> None:
        """A look at the store has found jobs that are decided and not marked as told."""
        for done in finished:
            if f"job {done.job}" in self._told:
                continue
            publication = self._publication(f"job {done.job}")
            if done.started is not None and not done.started_sent:
                publication.begin(done.started)
            publication.finish(done.terminal)
            publication.stands_in = done.stands_in
        self._told = {
            job: left if left == _UNMARKED else left - 1 for job, left in self._told.items() if left not in (0, 1)
        }

    def marked(self, job: str, *, scanning: bool) -> None:
        """The mark of a told job is durable: the next look at the store shows it, or the one after that under way."""
        if f"job {job}" in self._told:
            self._told[f"job {job}"] = 2 if scanning else 1

    def poisoned(self, poison: Poison, token: DeliveryToken) -> None:
        """A message could be nothing: it is acknowledged when its sender has been told so."""
        key = f"poison {poison.digest}"
        # The same one may come twice before its reply is told.
        self._poison.setdefault(key, []).append(token)
        self._publication(key).finish(poison.reply.to_json())

    def disconnected(self) -> None:
        """The broker is away: what it handed over and was not acknowledged comes again."""
        self._poison.clear()

    def sent(self, key: object, now: float) -> None:
        """A reply has its receipt; `now` is monotonic seconds."""
        publication = self._publications.get(str(key))
        if publication is not None:
            mark = publication.received(now)
            if mark:
                self._meter.told(_reply_of(mark, publication.key))
            if mark == "started":
                self._order(polled.Mark(what=mark, job=publication.name))

    def unsure(self, key: object, why: str, *, suspect: bool, certain: bool = False) -> None:
        """The outcome of a send is not known, or the broker will not have the reply; see `Publication.unsure`."""
        publication = self._publications.get(str(key))
        if publication is not None:
            publication.unsure(suspect=suspect, certain=certain)
            if publication.undeliverable:
                self.undeliverable += 1
                log.error("A reply of %s is undeliverable: %s. It stays in the store.", key, why)

    def tell(self, link: BrokerLink | None, now: float, gap: float) -> bool:
        """Send what is due, and mark what is told.

        Args:
            link: to the broker; None where nobody is told.
            now: monotonic seconds.
            gap: seconds between the receipt of a started reply and the terminal one.

        Returns:
            Whether a job was told to the end.
        """
        before = self.published
        may_send = link is None or link.connected
        gap = 0.0 if link is None else gap
        for publication in list(self._publications.values()):
            while may_send and (reply := publication.due(now, gap)) is not None:
                if link is not None:
                    _send(link, publication.key, reply)
                elif publication.received(now) == "started":
                    self._order(polled.Mark(what="started", job=publication.name))
            if publication.phase is Phase.TOLD:
                self._told_all(publication, link)
        return self.published > before

    def wakes_at(self, gap: float) -> float | None:
        """Return when `tell` has to be called without an event, monotonic seconds; None where nothing waits so."""
        times = (one.wakes_at(gap) for one in self._publications.values())
        return min((at for at in times if at is not None), default=None)

    def stand_in_no_more(self) -> bool:
        """Forget the replies of silent hosts that wait for a broker: meanwhile these may be back, and send them too.

        A scan finds those again whose host is still silent. What the broker may have closed on is kept with its count.

        Returns:
            Whether there were any, so that a scan is called for.
        """
        stood = [
            key
            for key, one in self._publications.items()
            if one.stands_in and not one.suspicions and one.phase is not Phase.TOLD
        ]
        for key in stood:
            del self._publications[key]
        return bool(stood)

    def _publication(self, key: str) -> Publication:
        return self._publications.setdefault(key, Publication(key=key))

    def _told_all(self, publication: Publication, link: BrokerLink | None) -> None:
        """Every reply has its receipt, or is parked: mark it; a poison message is acknowledged now."""
        key = publication.key
        poison = key.startswith("poison ")
        self._order(polled.Mark(what="told" if poison else "published", job=publication.name))
        for token in self._poison.pop(key, ()):
            if link is not None:
                link.ack(token, token)
        del self._publications[key]
        if not poison:
            self.published += 1
            self._told[key] = _UNMARKED


def _send(link: BrokerLink, key: str, reply: dict[str, object]) -> None:
    headers = reply["headers"]
    assert isinstance(headers, dict)
    link.send(key, str(reply["queue"]), str(reply["body"]), headers)


def _reply_of(mark: str, key: str) -> str:
    """Return what kind of reply has its receipt, by what is marked and the key of its publication (pure)."""
    return "poison" if key.startswith("poison ") else "terminal" if mark == "published" else mark
