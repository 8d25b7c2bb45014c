"""A broker that does what a test's script says: for faults that a healthy broker never shows."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

from stompclient import Frame

if TYPE_CHECKING:
    from collections.abc import Callable


class Conversation:
    """One accepted connection, seen from the broker's side."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        #: 1 for the first connection that was accepted.
        self.number = number
        self._buffer = b""

    def read(self, command: str | None = None) -> Frame:
        """Return the next frame (the next with this command), past beats; ConnectionError when the client is gone."""
        while True:
            self._buffer = self._buffer.lstrip(b"\n")
            raw, found, rest = self._buffer.partition(b"\0")
            if not found:
                chunk = self.sock.recv(65536)
                if not chunk:
                    raise ConnectionError("the client closed")
                self._buffer += chunk
                continue
            self._buffer = rest
            head, _, body = raw.partition(b"\n\n")
            name, *lines = head.decode().split("\n")
            headers = dict(line.split(":", 1) for line in lines)
            if command in (None, name):
                return Frame(command=name, headers=headers, body=body)

    def write(self, command: str, body: bytes = b"", **headers: str) -> None:
        """Write a frame; an underscore in a header name stands for a hyphen."""
        lines = [command.encode(), *(f"{k.replace('_', '-')}:{v}".encode() for k, v in headers.items())]
        self.sock.sendall(b"\n".join(lines) + b"\n\n" + body + b"\0")

    def confirm(self, frame: Frame) -> None:
        """Write the receipt that the frame asks for."""
        self.write("RECEIPT", receipt_id=frame.headers["receipt"])

    def welcome(self, beats: str = "0,0", subscriptions: int = 0) -> None:
        """Read CONNECT and the subscriptions, and confirm them."""
        self.read("CONNECT")
        self.write("CONNECTED", version="1.2", heart_beat=beats, server="scripted/1")
        for _ in range(subscriptions):
            self.confirm(self.read("SUBSCRIBE"))

    def until_closed(self) -> None:
        """Read and forget until the client is gone."""
        while self.sock.recv(65536):
            continue


class ScriptedBroker:
    """Listens on a loopback port and runs `script` on a thread for each connection; a context manager."""

    def __init__(self, script: Callable[[Conversation], None]) -> None:
        self._script = script
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.errors: list[BaseException] = []
        #: Connections accepted so far.
        self.accepted = 0

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(10)
        for sock in self._open:
            sock.close()
        assert not self.errors, self.errors

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self.accepted += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(Conversation(sock, self.accepted),), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, conversation: Conversation) -> None:
        try:
            self._script(conversation)
        except OSError:  # the client, or the end of the test, closed the connection
            return
        except BaseException as error:  # noqa: BLE001  # a script's fault fails the test, in __exit__
            self.errors.append(error)
        finally:
            with contextlib.suppress(OSError):
                conversation.sock.shutdown(socket.SHUT_RDWR)
