"""A TCP relay between a client and a broker on loopback, which remembers, spoils or stops what passes.

It forwards bytes; for receipts it knows where STOMP frames end. A `Fault` changes what it does with the connections
there are and those to come, until it is `mended`.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

#: A slow line passes so many bytes in each direction at once, and then rests.
_TRICKLE_BYTES = 40
_TRICKLE_SECONDS = 0.01
#: Bytes that the relay itself holds of one direction, and records of a client.
_BOUND = 65536


class Fault(StrEnum):
    """What is wrong with the line."""

    NONE = "none"
    #: Every connection is reset, and no new one is taken.
    CUT = "cut"
    #: No byte passes either way; connections stay open, new ones are taken and lead nowhere.
    HALF_OPEN = "half-open"
    #: Nothing comes back from the broker, which still hears everything.
    MUTE = "mute"
    #: Bytes pass in small lots.
    SLOW = "slow"
    #: The broker does everything, and its RECEIPT frames get lost.
    NO_RECEIPTS = "no receipts"


@dataclass
class _Line:
    """One connection through the relay."""

    client: socket.socket
    broker: socket.socket
    #: What the client has sent, from its first byte on, up to a bound.
    record: bytearray = field(default_factory=bytearray)
    #: Bytes on their way to the broker, and back.
    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)
    #: What came from the broker and is not yet a whole frame.
    part: bytearray = field(default_factory=bytearray)
    client_closed: bool = False
    broker_closed: bool = False


class Relay:
    """Listens on a port of its own for connections to `target`; a context manager.

    Args:
        target: The port of the broker.
        stomp: Whether frames pass, whole ones only; without it bytes do, and no receipt can be told.
    """

    def __init__(self, target: int, *, stomp: bool = False) -> None:
        self._stomp = stomp
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.port: int = self._server.getsockname()[1]
        self._wake_r, self._wake_w = socket.socketpair()
        self._lock = threading.Lock()
        self._fault = Fault.NONE
        self._stopped = False
        self._lines: list[_Line] = []
        #: What each client has sent.
        self.sent: list[bytearray] = []
        #: Connections that clients have made or tried to make.
        self.tries = 0
        #: RECEIPT frames that got lost.
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"relay-{target}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._wake_w.send(b"w")
        self._thread.join(20)
        assert not self._thread.is_alive(), "the relay did not end"
        for line in self._lines:
            line.client.close()
            line.broker.close()
        for sock in (self._server, self._wake_r, self._wake_w):
            sock.close()

    def fail(self, fault: Fault) -> None:
        """Have the line fail from now on."""
        assert self._stomp or fault is not Fault.NO_RECEIPTS, "a relay of bytes knows no receipts"
        with self._lock:
            self._fault = fault
        self._wake_w.send(b"w")

    def mend(self) -> None:
        """Have the line work again: what was held back passes now, unless its connection is gone."""
        self.fail(Fault.NONE)

    @property
    def lines(self) -> int:
        """Connections that are open."""
        return len(self._lines)

    def beat(self, times: int) -> None:
        """Hold as many beats for each client as a broker sends in so many intervals; the line is mute."""
        assert self._fault is Fault.MUTE, "beats come between frames, which only a mute line keeps whole"
        for line in list(self._lines):
            line.down += b"\n" * times

    @property
    def held(self) -> int:
        """Bytes from the broker that have not been passed on."""
        return sum(len(line.down) for line in list(self._lines))

    # --- the relay's thread

    def _run(self) -> None:
        while not self._stopped:
            with self._lock:
                fault = self._fault
            if fault is Fault.CUT:
                for line in list(self._lines):
                    self._end(line, reset=True)
            for sock in self._readable(fault):
                if sock is self._wake_r:
                    self._wake_r.recv(4096)
                elif sock is self._server:
                    self._accept(fault)
                else:
                    self._read(sock, fault)
            for line in list(self._lines):
                self._pass(line, fault)
            if fault is Fault.SLOW and any(line.up or line.down for line in self._lines):
                time.sleep(_TRICKLE_SECONDS)

    def _readable(self, fault: Fault) -> list[socket.socket]:
        """Wait until something can be read, or something that is under way can be written; return what can be read."""
        with selectors.DefaultSelector() as selector:
            for sock in (self._wake_r, self._server):
                selector.register(sock, selectors.EVENT_READ)
            for line in self._lines if fault is not Fault.HALF_OPEN else ():
                _register(
                    selector, line.client, read=len(line.up) < _BOUND, write=line.down and fault is not Fault.MUTE
                )
                _register(selector, line.broker, read=len(line.down) < _BOUND, write=line.up)
            ready = selector.select(0.5)
            return [key.fileobj for key, events in ready if events & selectors.EVENT_READ]

    def _accept(self, fault: Fault) -> None:
        try:
            client, _ = self._server.accept()
        except OSError:
            return
        self.tries += 1
        if fault is Fault.CUT:
            _reset(client)
            return
        try:
            broker = socket.create_connection(("127.0.0.1", self._target), 20)
        except OSError:  # a broker that is dead refuses, and so does the relay
            _reset(client)
            return
        for sock in (client, broker):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = _Line(client, broker)
        self.sent.append(line.record)
        self._lines.append(line)

    def _read(self, sock: socket.socket, fault: Fault) -> None:
        line = next(line for line in self._lines if sock in (line.client, line.broker))
        try:
            data = sock.recv(_BOUND)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if sock is line.client:
            line.client_closed = line.client_closed or not data
            line.record += data[: _BOUND - len(line.record)]
            line.up += data
            return
        line.broker_closed = line.broker_closed or not data
        line.part += data
        if self._stomp:
            line.down += self._frames(line.part, drop=fault is Fault.NO_RECEIPTS)
        if not self._stomp or not data:
            line.down += line.part
            line.part.clear()

    def _frames(self, buffer: bytearray, *, drop: bool) -> bytes:
        """Take the whole frames out of a buffer and return them, or all but the receipts."""
        kept = b""
        while buffer:
            # Beats are single line ends between frames.
            end = 1 if buffer[:1] in (b"\n", b"\r") else _end_of_frame(buffer)
            if end is None:
                break
            if drop and buffer.startswith(b"RECEIPT"):
                self.dropped += 1
            else:
                kept += bytes(buffer[:end])
            del buffer[:end]
        return kept

    def _pass(self, line: _Line, fault: Fault) -> None:
        if fault is Fault.HALF_OPEN:
            return
        lot = _TRICKLE_BYTES if fault is Fault.SLOW else _BOUND
        try:
            _send(line.broker, line.up, lot)
            if fault is not Fault.MUTE:
                _send(line.client, line.down, lot)
        except OSError:
            self._end(line, reset=False)
            return
        if (line.client_closed and not line.up) or (line.broker_closed and not line.down):
            self._end(line, reset=False)

    def _end(self, line: _Line, *, reset: bool) -> None:
        self._lines.remove(line)
        for sock in (line.client, line.broker):
            if reset:
                _reset(sock)
            else:
                sock.close()


def _register(selector: selectors.BaseSelector, sock: socket.socket, *, read: object, write: object) -> None:
    events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
    if events:
        selector.register(sock, events)


def _reset(sock: socket.socket) -> None:
    """Close with RST instead of FIN (socket(7), SO_LINGER)."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def _send(sock: socket.socket, data: bytearray, lot: int) -> None:
    if data:
        with contextlib.suppress(BlockingIOError):
            del data[: sock.send(data[:lot])]


def _end_of_frame(buffer: bytearray) -> int | None:
    """Return where the first frame of a buffer ends, its NUL included; None for half a frame (STOMP 1.2, "Frames")."""
    head = buffer.find(b"\n\n")
    if head < 0:
        return None
    for name, _, value in (row.partition(b":") for row in bytes(buffer[:head]).split(b"\n")[1:]):
        if name == b"content-length":
            end = head + 2 + int(value) + 1
            return end if len(buffer) >= end else None
    end = buffer.find(b"\0", head + 2)
    return end + 1 if end >= 0 else None
