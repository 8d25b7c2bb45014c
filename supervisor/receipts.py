"""Frames written and not yet answered: what may be written next, what is overdue, and what a loss means for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from supervisor.broker import AckLost, Event, Refused, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Operations under way at once. More gain nothing (500 sends/s need a dozen), and stomp.py's TLS queue blocks its
#: writers at about 270 waiting frames (one byte of a socket pair's buffer each).
WINDOW = 128

#: Keys remembered as doubtful; the oldest are forgotten first, which costs one more round of isolation.
_MAX_DOUBTS = 4096


class Kind(StrEnum):
    """The client frames that carry a receipt."""

    SUBSCRIBE = "SUBSCRIBE"
    SEND = "SEND"
    ACK = "ACK"
    DISCONNECT = "DISCONNECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One frame that the broker shall confirm."""

    kind: Kind
    #: The caller's name for it, handed back in the event.
    key: object = None
    #: SEND and SUBSCRIBE: the destination. ACK: the `ack` header of the delivery.
    target: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Doubts:
    """Sends that were under way, among others, when a connection ended; it outlives connections.

    One of them may be what the broker closed on. Each goes out alone the next time, so that a second close names it.
    """

    def __init__(self) -> None:
        self._keys: dict[object, None] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def add(self, keys: Iterable[object]) -> None:
        """Doubt these keys."""
        for key in keys:
            self._keys[key] = None
        while len(self._keys) > _MAX_DOUBTS:
            del self._keys[next(iter(self._keys))]

    def clear(self, key: object) -> None:
        """Stop doubting the key: the broker answered for it."""
        self._keys.pop(key, None)


class Receipts:
    """The unanswered frames of one connection, oldest first. Not thread-safe: the session holds its lock."""

    def __init__(self, generation: int, doubts: Doubts) -> None:
        self._generation = generation
        self._doubts = doubts
        self._serial = 0
        self._open: dict[str, tuple[Operation, float]] = {}
        self._sends = 0
        self._alone = False

    def may_write(self, operation: Operation) -> bool:
        """Tell whether the operation may go out now: the window has room, and a doubtful send shares it with none."""
        if operation.kind is not Kind.SEND:
            return True
        if self._alone or len(self._open) >= WINDOW:
            return False
        return self._sends == 0 or operation.key not in self._doubts

    def begin(self, operation: Operation, now: float) -> str:
        """Note that the operation is about to be written, and return its receipt id."""
        self._serial += 1
        receipt = f"{operation.kind.lower()}-{self._generation}-{self._serial}"
        self._open[receipt] = (operation, now)
        if operation.kind is Kind.SEND:
            self._sends += 1
            self._alone = operation.key in self._doubts
        return receipt

    def answer(self, receipt: str) -> Operation | None:
        """Take the operation that the broker answered; None for a receipt that nobody waits for."""
        found = self._open.pop(receipt, None)
        if found is None:
            return None
        operation = found[0]
        if operation.kind is Kind.SEND:
            self._sends -= 1
            self._alone = False
            self._doubts.clear(operation.key)
        return operation

    def oldest(self) -> tuple[Operation, float] | None:
        """Return the operation that waits longest and the time its write began."""
        return next(iter(self._open.values()), None)

    def waiting_for(self, kind: Kind) -> int:
        """Return how many operations of a kind are unanswered."""
        return sum(operation.kind is kind for operation, _ in self._open.values())

    def abandon(self) -> tuple[Operation, ...]:
        """Take all unanswered operations, oldest first, because the connection is gone; its sends become doubtful."""
        operations = tuple(operation for operation, _ in self._open.values())
        self._doubts.add(operation.key for operation in operations if operation.kind is Kind.SEND)
        self._open.clear()
        self._sends = 0
        self._alone = False
        return operations


def settle(
    written: Iterable[Operation], unwritten: Iterable[Operation], *, why: str, blame_a_send: bool
) -> tuple[Event, ...]:
    """Return the events for all that a lost connection leaves open.

    Args:
        written: Operations whose frame was written, at least in part, and not answered.
        unwritten: Operations that were still queued.
        why: How the connection ended, for the operator.
        blame_a_send: The broker ended the connection and named nothing; if exactly one send was under way, it is the
            suspect. With more, nobody is: `Doubts` sends them one at a time from then on.
    """
    written = tuple(written)
    sends = sum(operation.kind is Kind.SEND for operation in written)
    events: list[Event] = []
    for operation in written:
        if operation.kind is Kind.ACK:
            events.append(AckLost(key=operation.key, why=why))
        elif operation.kind is Kind.SEND and blame_a_send and sends == 1:
            events.append(Refused(key=operation.key, why=why, suspect=True))
        elif operation.kind is Kind.SEND:
            events.append(Unknown(key=operation.key, why=why, written=True))
    for operation in unwritten:
        if operation.kind is Kind.ACK:
            events.append(AckLost(key=operation.key, why=f"not sent: {why}"))
        elif operation.kind is Kind.SEND:
            events.append(Unknown(key=operation.key, why=f"not sent: {why}", written=False))
    return tuple(events)
