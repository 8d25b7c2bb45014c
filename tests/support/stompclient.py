"""A plain STOMP 1.2 producer and consumer for tests, on a bare socket: it shares no code with the link it judges."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import time
import uuid
from dataclasses import dataclass
from typing import Self

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c"}
_UNESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\c": ":"}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame as it came."""

    command: str
    headers: dict[str, str]
    body: bytes


class StompClient:
    """A connection that waits for a receipt after everything it does; use it as a context manager."""

    def __init__(self, port: int, *, user: str | None = None, password: str | None = None, timeout: float = 30.0):
        self.port = port
        self._timeout = timeout
        self._buffer = b""
        #: The broker has closed the connection.
        self.closed = False
        self._answers = ""
        self._numbers = itertools.count(1)
        self._stray: list[Frame] = []
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        try:
            self._connect(user, password)
        except BaseException:
            self._socket.close()
            raise

    def _connect(self, user: str | None, password: str | None) -> None:
        headers = {"accept-version": "1.2", "host": "test"}
        if user is not None:
            headers |= {"login": user, "passcode": password or ""}
        self.write("CONNECT", headers, escape=False)
        answer = self.read()
        assert answer is not None, "the broker did not answer CONNECT"
        assert answer.command == "CONNECTED", f"the broker refused the test client: {answer}"
        self._artemis = answer.headers.get("server", "").startswith("ActiveMQ-Artemis/")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close without DISCONNECT; unacknowledged messages go back to their queue."""
        self._socket.close()

    def send(self, queue: str, body: str | bytes, headers: dict[str, str] | None = None) -> None:
        """Store a persistent message and wait for its receipt; text goes without content-length, bytes with."""
        all_headers = {"destination": destination(queue), "persistent": "true"} | (headers or {})
        data = body.encode() if isinstance(body, str) else body
        if isinstance(body, bytes):
            all_headers["content-length"] = str(len(data))
        self._confirmed("SEND", all_headers, data)

    def receive(self, queue: str, timeout: float = 30.0) -> Frame | None:
        """Take one message off the queue (acknowledged, with receipt); None when none came in time."""
        number = str(next(self._numbers))
        window = {"ack": "client-individual", "activemq.prefetchSize": "1"}
        self._confirmed("SUBSCRIBE", {"destination": destination(queue), "id": number} | window)
        message = self._next("MESSAGE", timeout, subscription=number)
        if message is not None:
            self._confirmed("ACK", {"id": message.headers["ack"]})
        self._confirmed("UNSUBSCRIBE", {"id": number})
        self._stray.clear()  # handed out in the meantime, and given back by the UNSUBSCRIBE
        return message

    def receive_all(self, queue: str, count: int, timeout: float = 60.0) -> list[Frame]:
        """Take exactly `count` messages, in the order of delivery."""
        found = []
        for number in range(count):
            message = self.receive(queue, timeout)
            assert message is not None, f"only {number} of {count} messages came from {queue}"
            found.append(message)
        return found

    def browse(self, queue: str) -> list[Frame]:
        """Return what lies in the queue, and leave it there; on Classic with what a consumer holds."""
        number = str(next(self._numbers))
        headers = {"destination": destination(queue), "id": number, "browser": "true", "ack": "auto"}
        if self._artemis:
            return self._browse_artemis(queue, headers)
        self.write("SUBSCRIBE", headers)
        found = []
        while True:
            message = self._next("MESSAGE", self._timeout, subscription=number)
            assert message is not None, f"browsing {queue} did not end"
            if message.headers.get("browser") == "end":
                return found
            found.append(message)

    def count(self, queue: str) -> int:
        """Return how many messages lie in the queue, held ones included."""
        return self._attribute(queue, "messageCount") if self._artemis else len(self.browse(queue))

    def write(self, command: str, headers: dict[str, str], body: bytes = b"", *, escape: bool = True) -> None:
        """Write any frame."""
        lines = [command]
        for key, value in headers.items():
            lines.append(f"{key}:{''.join(_ESCAPES.get(c, c) for c in value) if escape else value}")
        self._socket.sendall("\n".join(lines).encode() + b"\n\n" + body + b"\0")

    def read(self, timeout: float | None = None) -> Frame | None:
        """Return the next frame; None when none came in time or the broker closed."""
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        while True:
            frame = self._cut()
            if frame is not None:
                return frame
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                chunk = self._socket.recv(65536)
                if not chunk:
                    self.closed = True
                    return None
                self._buffer += chunk

    def _cut(self) -> Frame | None:
        self._buffer = self._buffer.lstrip(b"\r\n")
        head, found, rest = self._buffer.partition(b"\n\n")
        if not found:
            return None
        lines = head.decode().replace("\r", "").split("\n")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            key, _, value = line.partition(":")
            headers.setdefault(key, re.sub(r"\\.", lambda found: _UNESCAPES[found.group()], value))
        if "content-length" in headers:
            end = int(headers["content-length"])
            if len(rest) <= end:
                return None
        else:
            end = rest.find(b"\0")
            if end < 0:
                return None
        self._buffer = rest[end + 1 :]
        return Frame(command=lines[0], headers=headers, body=rest[:end])

    def _browse_artemis(self, queue: str, headers: dict[str, str]) -> list[Frame]:
        """Browse a queue of Artemis; its management tells how many there are, since it does not say where a queue ends.

        Not with "ack:auto" as elsewhere: there it takes what it shows out of the queue.
        """
        count = self._attribute(queue, "messageCount") - self._attribute(queue, "deliveringCount")
        found: list[Frame] = []
        if count:
            self._confirmed("SUBSCRIBE", {**headers, "ack": "client-individual", "consumer-window-size": "-1"})
            while len(found) < count:
                message = self._next("MESSAGE", self._timeout, subscription=headers["id"])
                assert message is not None, f"browsing {queue} ended after {len(found)} of {count} messages"
                found.append(message)
            self._confirmed("UNSUBSCRIBE", {"id": headers["id"]})
        return found

    def _attribute(self, queue: str, name: str) -> int:
        """Return a number that the management of Artemis has of a queue; 0 for a queue that is not there."""
        if not self._answers:
            self._answers = f"management.{uuid.uuid4().hex}"
            self._confirmed("SUBSCRIBE", {"destination": destination(self._answers), "id": "management", "ack": "auto"})
        resource = f"queue.{queue.removeprefix('/queue/')}"
        question = {"_AMQ_ResourceName": resource, "_AMQ_Attribute": name, "reply-to": destination(self._answers)}
        self._confirmed("SEND", {"destination": "activemq.management", **question})
        answer = self._next("MESSAGE", self._timeout, subscription="management")
        assert answer is not None, f"Artemis did not say the {name} of {queue}"
        return int(answer.body.strip(b"[]")) if answer.headers["_AMQ_OperationSucceeded"] == "true" else 0

    def _next(self, command: str, timeout: float, *, subscription: str | None = None) -> Frame | None:
        """Return the next frame of this kind, and of this subscription.

        A message of an earlier subscription may come after the receipt of its UNSUBSCRIBE; the broker has taken it
        back and ignores its ACK.
        """

        def is_it(frame: Frame) -> bool:
            return frame.command == command and subscription in (None, frame.headers.get("subscription"))

        for index, frame in enumerate(self._stray):
            if is_it(frame):
                return self._stray.pop(index)
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            frame = self.read(left)
            if frame is None:
                return None
            if is_it(frame):
                return frame
            assert frame.command != "ERROR", f"the broker sent ERROR to the test client: {frame}"
            self._stray.append(frame)
        return None

    def _confirmed(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        receipt = f"test-{next(self._numbers)}"
        self.write(command, headers | {"receipt": receipt}, body)
        answer = self._next("RECEIPT", self._timeout)
        assert answer is not None, f"no receipt for {command}"
        assert answer.headers["receipt-id"] == receipt


def destination(queue: str) -> str:
    """Return the STOMP destination of a bare name or a whole destination."""
    return queue if queue.startswith("/") else f"/queue/{queue}"
