"""One STOMP 1.2 connection, used once; the only module that imports stomp.

Theory of operation. stomp.py gets a socket that is connected, and for TLS already verified, instead of dialling
itself: its own dialling tells no cause, loops for ever on a missing CA file, falls back to plain TCP when a TLS host
is spelled differently, and closes TLS by a handshake that a frozen peer never answers (messaging-locking §1.3, and
`stomp.transport.Transport.attempt_connection`, which leaves a socket alone that is already there). From there on its
two threads run the connection: the io thread reads frames and, for TLS, writes them; the heart-beat thread beats.

Its callbacks do one thing, put a copy of the frame on a queue. A `Wire` decides nothing: whoever reads the queue does,
and a watchdog calls `sever`, which is safe from any thread and frees a writer that is stuck in a full socket. For that
the wire keeps a duplicate of the descriptor, because the library sets its own to None in several threads.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import selectors
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from supervisor.failpoints import effect
from supervisor.stompbeats import Beats

# Without this, importing stomp asks the resolver for our own name, and a slow resolver stalls every start.
os.environ.setdefault("STOMP_SKIP_HOSTNAME_SCAN", "1")

import stomp
from stomp.utils import PollableQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stomp.utils import Frame

    from supervisor.broker import BrokerSettings
    from supervisor.brokerdial import PlainSocket, TlsSocket

#: The library's own silence limit, in heart-beat intervals. Ours (`silence_factor`) is the one that acts; this is only
#: there to be later than any sensible setting of it.
_LIBRARY_SILENCE_FACTOR = 20.0

#: The io thread needs this long at most, in seconds, to see that its socket was shut.
_IO_THREAD_SECONDS = 5.0

#: A reader of frames looks this often, in seconds, whether the wire still lives.
_IDLE_SECONDS = 1.0

#: `poll` flag: the peer shut its side (poll(2)); without it a TLS end of file is not noticed before the next beat.
_PEER_CLOSED = select.POLLRDHUP


class _NoFrames(logging.Filter):
    """Drops the library's debug records: they show whole frames, a CONNECT with its passcode and strangers' scripts.

    (Its own masking expects a blank after "passcode:", which no frame has.) What it warns of reaches the operator as
    events of the link, so that is shown at debug level only.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep nothing below INFO, and lower the rest to DEBUG."""
        if record.levelno < logging.INFO:
            return False
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        record.exc_info = None
        return logging.getLogger().isEnabledFor(logging.DEBUG)


_library_log = logging.getLogger("stomp.py")
if not any(isinstance(known, _NoFrames) for known in _library_log.filters):
    _library_log.addFilter(_NoFrames())


class FrameKind(StrEnum):
    """What can arrive on a wire; CLOSED is its end and arrives once or more."""

    CONNECTED = "CONNECTED"
    MESSAGE = "MESSAGE"
    RECEIPT = "RECEIPT"
    ERROR = "ERROR"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireFrame:
    """A copy of one received frame; header escapes are undone, the body is as it came."""

    kind: FrameKind
    headers: Mapping[str, str]
    body: bytes


class _Listener(stomp.ConnectionListener):
    """Copies each frame to the queue. An exception here would close the socket and drop frames, so none leaves."""

    def __init__(self, frames: queue.SimpleQueue[WireFrame], clock: Callable[[], float]) -> None:
        self._frames = frames
        self._clock = clock
        self.received = clock()
        self.lost = 0
        self.closed = threading.Event()

    def on_connected(self, frame: Frame) -> None:
        self._put(FrameKind.CONNECTED, frame)

    def on_message(self, frame: Frame) -> None:
        self._put(FrameKind.MESSAGE, frame)

    def on_receipt(self, frame: Frame) -> None:
        self._put(FrameKind.RECEIPT, frame)

    def on_error(self, frame: Frame) -> None:
        self._put(FrameKind.ERROR, frame)

    def on_heartbeat(self) -> None:
        self.received = self._clock()

    def on_disconnected(self) -> None:
        self._put(FrameKind.CLOSED, None)
        self.closed.set()

    def _put(self, kind: FrameKind, frame: Frame | None) -> None:
        try:
            self.received = self._clock()
            headers = dict(frame.headers) if frame is not None else {}
            body = bytes(frame.body or b"") if frame is not None else b""
            self._frames.put(WireFrame(kind=kind, headers=headers, body=body))
        except BaseException:  # noqa: BLE001  # whatever it is (no memory, most likely), the watchdog ends the wire
            self.lost += 1


def _ears(listener: _Listener) -> Callable[[bytes], bytes]:
    beats = Beats()

    def heard(data: bytes) -> bytes:
        # A large frame on a slow line is a sign of life before it is whole.
        listener.on_heartbeat()
        return beats.taken_from(data)

    return heard


class Wire:
    """One connection from its CONNECT to its end; make it around a fresh socket, close it once."""

    def __init__(
        self, sock: PlainSocket | TlsSocket, host: str, port: int, settings: BrokerSettings, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._frames: queue.SimpleQueue[WireFrame] = queue.SimpleQueue()
        self._listener = _Listener(self._frames, clock)
        self._socket = sock
        sock.heard = _ears(self._listener)
        self._handle = socket.socket(fileno=os.dup(sock.fileno()))
        self._connection = stomp.Connection12(
            [(host, port)],
            prefer_localhost=False,
            try_loopback_connect=False,
            reconnect_attempts_max=1,
            timeout=None,
            heartbeats=(settings.heartbeat_ms, settings.heartbeat_ms),
            vhost=settings.vhost,
            auto_decode=False,
            auto_content_length=not settings.text_messages,
            heart_beat_receive_scale=_LIBRARY_SILENCE_FACTOR,
        )
        # After "protocol-listener" in the library's sorted order: its beats are set up when we hear of CONNECTED.
        self._connection.set_listener("wire", self._listener)
        transport = self._connection.transport
        transport.socket = sock
        transport.current_host_and_port = (host, port)
        if isinstance(sock, ssl.SSLSocket):
            # As the library's own dialling leaves it: only the io thread touches a TLS socket.
            transport.send_queue = PollableQueue()
            transport.sel = selectors.DefaultSelector()
            transport.sel.register(transport.send_queue, selectors.EVENT_READ)
            transport.sel.register(sock, selectors.EVENT_READ)
            transport.blocking = False

    def next_frame(self, seconds: float | None = None) -> WireFrame:
        """Return the next frame, in the order of arrival; CLOSED for ever once the io thread is gone.

        Raises:
            TimeoutError: `seconds` were given and have passed.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = _IDLE_SECONDS if deadline is None else min(_IDLE_SECONDS, deadline - time.monotonic())
            try:
                return self._frames.get(timeout=max(0.0, left))
            except queue.Empty:
                # The CLOSED frame itself may be what could not be queued.
                if self._listener.closed.is_set() and self._frames.empty():
                    return WireFrame(kind=FrameKind.CLOSED, headers={}, body=b"")
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError

    @property
    def received(self) -> float:
        """Reading of the clock when the last byte came."""
        return self._listener.received

    @property
    def alert(self) -> str:
        """By which alert the peer ended TLS, as far as one was read; "" for none."""
        return self._socket.alert

    @property
    def lost_frames(self) -> int:
        """Frames that could not be queued; the connection is worthless then."""
        return self._listener.lost

    def connect(self) -> None:
        """Start the library's threads and write CONNECT; the answer comes as a frame.

        Raises:
            Exception: The frame could not be written, in the library's words.
        """
        with effect("broker.connect"):
            self._connection.connect(
                self._settings.user, self._settings.password, wait=False, with_connect_command=True
            )

    def subscribe(self, destination: str, subscription: str, headers: Mapping[str, str], receipt: str) -> None:
        """Write SUBSCRIBE, client-individual, with the headers that this kind of broker needs."""
        with effect("broker.subscribe"):
            self._connection.subscribe(
                destination, subscription, ack="client-individual", headers={**headers, "receipt": receipt}
            )

    def send(self, destination: str, body: bytes, headers: Mapping[str, str], receipt: str) -> None:
        """Write SEND; on plain TCP this blocks while the peer does not read."""
        with effect("broker.send"):
            self._connection.send(destination, body, headers={**headers, "receipt": receipt})

    def ack(self, ack_id: str, receipt: str) -> None:
        """Write ACK for the delivery with this `ack` header."""
        with effect("broker.ack"):
            self._connection.ack(ack_id, receipt=receipt)

    def disconnect(self, receipt: str) -> None:
        """Write DISCONNECT; every frame before it has its own receipt by then."""
        # Not the library's own disconnect(): that waits without bound for its io thread.
        with effect("broker.disconnect"):
            self._connection.send_frame("DISCONNECT", {"receipt": receipt})

    def wait_hangup(self, seconds: float) -> bool:
        """Wait until the peer shut its side or the wire was severed; return whether it did."""
        poll = select.poll()
        try:
            poll.register(self._handle, _PEER_CLOSED)
            return bool(poll.poll(seconds * 1000))
        except (OSError, ValueError):  # closed meanwhile: register of a descriptor -1
            return True

    def wait_closed(self, seconds: float) -> bool:
        """Wait until the io thread has read all there was and ended; return whether it did."""
        return self._listener.closed.wait(seconds)

    def sever(self) -> None:
        """Shut the connection down at once, from any thread; CLOSED follows, and a blocked writer gets an error."""
        # First the flag: on a TLS socket the library takes the end of file for "no data yet" and would spin.
        self._connection.transport.running = False
        with contextlib.suppress(OSError):  # shut already, by the peer or by us
            self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Sever, wait for the io thread (bounded) and give back every descriptor."""
        self.sever()
        transport = self._connection.transport
        if transport.io_thread is not None:
            transport.io_thread.join(_IO_THREAD_SECONDS)
        # The io thread closes these itself unless it never ran or two library threads closed at once.
        left, waiting, selector = transport.socket, transport.send_queue, transport.sel
        if left is not None:
            left.close()
        if waiting is not None:
            waiting.shutdown()
        if selector is not None:
            selector.close()
        self._handle.close()
