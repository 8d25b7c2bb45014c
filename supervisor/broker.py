"""The words between the supervisor and its broker link: what the link is told, and the events it tells.

The link itself is `supervisor.brokerlink`; these are plain values, so the loop and its tests need no broker library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: These end a STOMP header line or a frame; in a CONNECT frame STOMP 1.2 knows no escape for them.
_FORBIDDEN = frozenset("\r\n\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """Where the broker is, who we are there, and how long the link believes in silence.

    Raises:
        ValueError: A value cannot work; the sentence names the field and the remedy, never the password.
    """

    #: Brokers in fail-over order: (host, port, TLS or not).
    hosts: tuple[tuple[str, int, bool], ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    #: Heart-beat wanted in both directions, in milliseconds. Never 0: without beats a frozen peer keeps our messages.
    heartbeat_ms: int = 10_000
    #: Messages that the broker may hand out unacknowledged, for each queue.
    prefetch: int = 10
    #: Bound in seconds for the TCP connect, for the TLS handshake, and again for the broker's CONNECTED.
    connect_timeout: float = 10.0
    #: A frame whose RECEIPT is missing for so many seconds has an unknown outcome, and the connection is given up.
    receipt_timeout: float = 30.0
    #: PEM file with the authorities to trust; None takes those of the system. Read for TLS hosts only.
    ca_file: str | None = None
    #: PEM files of the client's certificate and key, if the broker asks for one.
    cert_file: str | None = None
    key_file: str | None = None
    #: Value of the CONNECT `host` header; None sends the host name.
    vhost: str | None = None
    #: Send without `content-length`: ActiveMQ then stores a TextMessage, which the Java consumers expect.
    text_messages: bool = True
    #: The kind of broker, a name of `brokerkinds.KINDS`; "auto" goes by how it introduces itself.
    kind: str = "auto"
    #: Nothing received for so many heart-beat intervals ends the connection.
    silence_factor: float = 2.5

    def __post_init__(self) -> None:
        if not self.hosts:
            raise ValueError("broker hosts are empty; name at least one (host, port, tls)")
        for host, port, _tls in self.hosts:
            if not host or not 0 < port < 65536:
                raise ValueError(f'broker host "{host}" port {port} cannot be dialled; the port lies in 1..65535')
        if self.heartbeat_ms < 100:
            raise ValueError(f"broker heartbeat_ms {self.heartbeat_ms} is below 100; beats cannot be switched off")
        if self.prefetch < 1:
            raise ValueError(f"broker prefetch {self.prefetch} must be at least 1")
        if self.connect_timeout <= 0 or self.receipt_timeout <= 0:
            raise ValueError("broker connect_timeout and receipt_timeout must be above 0 s")
        if self.silence_factor < 1.5:
            raise ValueError(f"broker silence_factor {self.silence_factor} must be at least 1.5, or beats race it")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("broker key_file is set without cert_file; set both or neither")
        for name in ("user", "password", "vhost"):
            value = getattr(self, name)
            if value is not None and _FORBIDDEN & set(value):
                raise ValueError(f"broker {name} holds a line end or NUL, which a STOMP header cannot carry")

    def redact(self, text: str) -> str:
        """Return the text without the password, for words that come from the broker or a library."""
        return text.replace(self.password, "********") if self.password else text


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryToken:
    """The right to acknowledge one delivery; worth nothing on any other connection than its own."""

    #: Number of the connection that delivered it.
    generation: int
    #: The MESSAGE frame's `ack` header.
    ack_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """What `status` shows of the link."""

    connected: bool
    #: "host:port" in use, or tried last; None before the first try.
    host: str | None
    #: Reading of the link's clock when it was last connected or disconnected.
    since: float
    #: Why the last try or connection ended; None if none did.
    last_error: str | None
    #: Tries in a row without a connection; 0 while connected.
    attempts: int
    #: Deliveries of this connection without a confirmed ACK.
    unacked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The broker took the CONNECT and confirmed every subscription."""

    gen: int
    #: The broker's own name for itself, such as "ActiveMQ/5.17.2"; may be empty.
    server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """A connection that had been announced is gone; every send and ack on it has had its event before this one."""

    gen: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A message arrived; it stays the broker's until its ACK is confirmed."""

    token: DeliveryToken
    #: The queue as it was subscribed.
    queue: str
    headers: Mapping[str, str]
    #: The bytes as they came: strict UTF-8 is the decoder's business.
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The broker has the message: its RECEIPT came."""

    key: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The connection ended, or the RECEIPT did not come in time: the broker may have the message or not. Send again."""

    key: object
    why: str
    #: False: the frame never left this process, so the broker has it not.
    written: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The message itself was turned down, or stands under suspicion."""

    key: object
    why: str
    #: True: nothing named it, but it was the only unanswered send when the broker sent ERROR or closed. The broker may
    #: even have it; a second and third time speak against it.
    suspect: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Acked:
    """The broker confirmed the ACK; the message will not come again."""

    key: object


@dataclass(frozen=True, slots=True, kw_only=True)
class AckLost:
    """The ACK was not confirmed; the message comes again unless the broker had read the ACK."""

    key: object
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something for the operator's eyes: a try that failed, a broker that does not keep its word."""

    text: str


Event = Connected | Disconnected | Delivered | Sent | Unknown | Refused | Acked | AckLost | Trouble
