"""Waiting times without waiting: a link's pauses are counted up, and a span of hours is over in a second."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from brokerevents import Heard, make_link

from supervisor.backoff import Backoff
from supervisor.broker import Connected, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable


class CountedPauses:
    """A link's `pause`, which returns at once until `span` seconds were asked for, and then holds the link."""

    def __init__(self, span: float) -> None:
        self._span = span
        self._released = threading.Event()
        self.asked: list[float] = []
        self.over = threading.Event()

    def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        if sum(self.asked) >= self._span:
            self.over.set()
            self._released.wait(120)

    def release(self) -> None:
        """Let the link go on, so that it can be stopped."""
        self._released.set()


def troubles_in(
    span: float, *ports: int, check: Callable[[Heard], None] | None = None, **settings: object
) -> list[str]:
    """Return what a link with the real back-off says while it tries for `span` seconds, and never connects."""
    heard, pauses = Heard(), CountedPauses(span)
    link = make_link(heard, *ports, backoff=Backoff(), pause=pauses, **settings)
    link.start()
    try:
        assert pauses.over.wait(100), (
            f"the link gave up trying, or spins: {heard.all()[-3:]}, pauses {pauses.asked[-3:]}"
        )
        assert heard.of(Connected) == []
        if check is not None:
            check(heard)
        return [event.text for event in heard.of(Trouble)]
    finally:
        pauses.release()
        link.stop(5)
