"""A simulated broker: at least once, to any host, in any order; what is not acknowledged comes again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fleet.sim.fleet import Fleet, Host
    from tests.fleet.sim.schedule import Message
    from tests.fleet.sim.supervising import Supervisor

_RECEIPT = 0.05
_AGAIN = 1.0


@dataclass(eq=False, slots=True)
class Delivery:
    """One message on its way to a host."""

    message: Message
    sequence: int
    #: When it was sent; a cancel is sent after its run.
    sent: float
    cancels: bool = False
    host: int = -1


class Broker:
    """Holds messages until they are acknowledged."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.connected = True
        self.held: set[Delivery] = set()
        self._unsure: list[tuple[Supervisor, str]] = []

    def publish(self, message: Message, sequence: int) -> None:
        """Take a message and all that the schedule says of it."""
        clock = self._fleet.clock
        first = Delivery(message, sequence, message.at)
        self.held.add(first)
        clock.at(message.at + message.delay, lambda: self._deliver(first))
        if message.again is not None:
            second = Delivery(message, sequence, message.at)
            self.held.add(second)
            clock.at(message.at + message.delay + message.again, lambda: self._deliver(second))
        if message.cancel is not None:
            cancel = Delivery(message, sequence, message.at + message.cancel, cancels=True)
            self.held.add(cancel)
            clock.at(cancel.sent + message.cancel_delay, lambda: self._deliver(cancel))

    def _deliver(self, delivery: Delivery) -> None:
        if delivery not in self.held:
            return
        there = [host for host in self._fleet.hosts if host.listens]
        if not self.connected or not there:
            self._fleet.clock.at(self._fleet.clock.now + _AGAIN, lambda: self._deliver(delivery))
            return
        host = self._fleet.luck.choice(there)
        delivery.host = host.number
        assert host.supervisor is not None
        host.supervisor.inbox.append(delivery)

    def ack(self, delivery: Delivery) -> None:
        """Forget a message: from now on only the store knows of it."""
        self.held.discard(delivery)

    def gone(self, host: Host) -> None:
        """A consumer is gone, or silent for too long: what it held goes to another."""
        for delivery in sorted(self.held, key=lambda each: (each.sequence, each.cancels, each.sent)):
            if delivery.host == host.number:
                delivery.host = -1
                clock = self._fleet.clock
                clock.at(clock.now + self._fleet.luck.uniform(0.1, _AGAIN), partial(self._deliver, delivery))

    def send(self, supervisor: Supervisor, key: str) -> None:
        """Take a reply; its receipt follows, unless the connection breaks before."""
        pair = (supervisor, key)
        self._unsure.append(pair)

        def receipt() -> None:
            if pair in self._unsure:
                self._unsure.remove(pair)
                supervisor.receipts.append((key, True))

        self._fleet.clock.at(self._fleet.clock.now + _RECEIPT, receipt)

    def down(self) -> None:
        """Every connection breaks: replies without a receipt are of unknown outcome, held messages come again."""
        self.connected = False
        for supervisor, key in self._unsure:
            supervisor.receipts.append((key, False))
        self._unsure.clear()
        for host in self._fleet.hosts:
            self.gone(host)

    def up(self) -> None:
        """It can be reached again."""
        self.connected = True
