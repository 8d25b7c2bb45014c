"""What a broker link said, in order, to wait for: the test's stand-in for the supervisor's loop."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, TypeVar

from waiting import wait_until

from supervisor.backoff import Backoff
from supervisor.broker import BrokerSettings, Delivered, Event, Refused, Sent, Unknown
from supervisor.brokerlink import BrokerLink

if TYPE_CHECKING:
    from collections.abc import Callable

E = TypeVar("E")

#: Quick enough for tests, and still growing.
QUICK = Backoff(base_seconds=0.05, cap_seconds=1.0, stable_seconds=60.0)


class Heard:
    """Collects events; a link's `emit`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[Event] = []

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)

    def all(self) -> list[Event]:
        with self._lock:
            return list(self._events)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.all() if isinstance(event, kind)]

    def wait(self, kind: type[E], count: int = 1, timeout: float = 60.0) -> list[E]:
        """Wait until `count` events of a kind were heard, and return all of that kind."""
        wait_until(lambda: len(self.of(kind)) >= count, timeout, f"{count} {kind.__name__}")
        return self.of(kind)

    def delivered(self, count: int, queue: str | None = None, timeout: float = 60.0) -> list[Delivered]:
        def found() -> list[Delivered]:
            return [d for d in self.of(Delivered) if queue is None or d.queue == queue]

        wait_until(lambda: len(found()) >= count, timeout, f"{count} deliveries from {queue or 'any queue'}")
        return found()

    def answer(self, key: object, timeout: float = 60.0) -> Event:
        """Wait for the latest answer to a send with this key and return it."""
        return self.answers(key, 1, timeout)[-1]

    def answers(self, key: object, count: int, timeout: float = 60.0) -> list[Event]:
        def found() -> list[Event]:
            return [e for e in self.all() if isinstance(e, Sent | Unknown | Refused) and e.key == key]

        wait_until(lambda: len(found()) >= count, timeout, f"{count} answers for {key}")
        return found()


def make_link(
    heard: Heard,
    *ports: int,
    subscriptions: tuple[str, ...] = (),
    tls: bool = False,
    host: str = "127.0.0.1",
    backoff: Backoff = QUICK,
    pause: Callable[[float], object] | None = None,
    **settings: object,
) -> BrokerLink:
    """Return a link to loopback ports, not yet started."""
    defaults: dict[str, object] = {"heartbeat_ms": 2000, "connect_timeout": 10.0, "receipt_timeout": 20.0}
    wanted = BrokerSettings(hosts=tuple((host, port, tls) for port in ports), **{**defaults, **settings})
    return BrokerLink(wanted, subscriptions, heard, rng=random.Random(1), backoff=backoff, pause=pause)
