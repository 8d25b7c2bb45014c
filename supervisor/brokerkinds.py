"""What each kind of broker does with the same STOMP frames: the capability table. Pure.

The portable core, SEND, SUBSCRIBE (client-individual) and ACK, each with a receipt, is all that the link needs; what is
told here are the headers that make a kind of broker keep its word. They were measured on ActiveMQ Classic 5.17 and
Apache Artemis 2.44 (`tests/contract/test_broker.py` holds both to it; `docs/reference/brokers.md` shows the table).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How `broker.kind` names them in the configuration.
KindName = Literal["auto", "classic", "artemis", "portable"]

#: Bytes that a message counts at least in the window of Artemis: its smallest frames were counted with 256.
SMALLEST_MESSAGE: Final = 256

#: Artemis writes "<number of the subscription>,<number of the message>"; the first is another one in each delivery.
_ARTEMIS_ID = re.compile(r"[0-9]{1,19},([0-9]{1,19})", re.ASCII)


class Window(StrEnum):
    """What the window of a subscription counts."""

    MESSAGES = "messages"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerKind:
    """What one kind of broker does; a row of the table."""

    #: As `broker.kind` names it.
    name: str
    #: As a person names it.
    title: str
    #: The header of SUBSCRIBE that bounds what is under way without an ACK, and what its number counts.
    window_header: str
    window: Window
    #: Whether a destination that nobody has declared becomes a queue only if the frame says so.
    names_routing: bool
    #: The header of SEND by which the broker drops a second copy; "" where it has none.
    dedupe_header: str
    #: Whether a message that comes again bears an id that tells so (`stable_id`).
    stable_ids: bool
    #: Deliveries that end without an ACK until the broker, as it comes, gives up on a message; 0 for never.
    gives_up_after: int

    def subscribe_headers(self, destination: str, prefetch: int) -> dict[str, str]:
        """Return the headers of a SUBSCRIBE after which never more than `prefetch` messages are under way."""
        headers = {self.window_header: str(self._window(prefetch))}
        if self.names_routing:
            headers["subscription-type"] = _routing(destination)
        return headers

    def send_headers(self, destination: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        """Return the headers of a SEND beside those of the caller, the same for each copy of the same message.

        Only copies with the same `event-id` and the same body are copies: a store that was made anew may count anew.
        """
        own: dict[str, str] = {}
        if self.names_routing:
            own["destination-type"] = _routing(destination)
        event = headers.get("event-id", "")
        if self.dedupe_header and event:
            own[self.dedupe_header] = f"{event}:{hashlib.sha256(body).hexdigest()[:16]}"
        return own

    def describe(self, prefetch: int) -> str:
        """Return what a person should know of it, in words."""
        if self.window is Window.MESSAGES:
            words = f"{self.title}, a window of {prefetch} messages"
        else:
            words = f"{self.title}, a window of {self._window(prefetch)} bytes, never more than {prefetch} messages"
        if self.gives_up_after:
            words += (
                f"; unless max-delivery-attempts is -1 it gives a message up after {self.gives_up_after} deliveries"
            )
        return words

    def _window(self, prefetch: int) -> int:
        if self.window is Window.MESSAGES:
            return prefetch
        # One more is handed over while a byte of the window is free, so the last message may stand outside of it.
        return (prefetch - 1) * SMALLEST_MESSAGE + 1


CLASSIC: Final = BrokerKind(
    name="classic",
    title="ActiveMQ Classic",
    window_header="activemq.prefetchSize",
    window=Window.MESSAGES,
    names_routing=False,
    dedupe_header="",
    stable_ids=True,
    gives_up_after=0,
)
ARTEMIS: Final = BrokerKind(
    name="artemis",
    title="Apache Artemis",
    window_header="consumer-window-size",
    window=Window.BYTES,
    names_routing=True,
    dedupe_header="_AMQ_DUPL_ID",
    stable_ids=True,
    gives_up_after=10,
)
#: What is asked of a broker that nobody knows: Classic counts this window in messages and Artemis in bytes, and a
#: broker that knows no such header leaves it alone, so it is bounded where it can be.
PORTABLE: Final = BrokerKind(
    name="portable",
    title="a broker of an unknown kind",
    window_header="activemq.prefetchSize",
    window=Window.MESSAGES,
    names_routing=False,
    dedupe_header="",
    stable_ids=False,
    gives_up_after=0,
)
KINDS: Final = (CLASSIC, ARTEMIS, PORTABLE)


def kind_of(server: str, wanted: str = "auto") -> BrokerKind:
    """Return the kind of a broker.

    Args:
        server: The `server` header of its CONNECTED; "" where it hides it, as Artemis can.
        wanted: What `broker.kind` says; "auto" goes by `server`.
    """
    for kind in KINDS:
        if kind.name == wanted:
            return kind
    if server.startswith("ActiveMQ-Artemis/"):
        return ARTEMIS
    return CLASSIC if server.startswith("ActiveMQ/") else PORTABLE


def stable_id(message_id: str, timestamp: str) -> str:
    """Return what names a message whenever it is delivered, of its `message-id` and `timestamp` headers.

    Classic's ids do that. Of Artemis's only the number of the message does, which a journal that was made anew, or the
    next broker of the list, counts from the beginning; the broker's time, which stays with the message, keeps these
    apart.
    """
    found = _ARTEMIS_ID.fullmatch(message_id)
    return message_id if found is None else f"{found[1]}@{timestamp or '0'}"


def message_number(message_id: str) -> str:
    """Return the part of a `message-id` that counts messages."""
    found = _ARTEMIS_ID.fullmatch(message_id)
    return message_id if found is None else found[1]


def _routing(destination: str) -> str:
    return "MULTICAST" if destination.startswith("/topic/") else "ANYCAST"
