"""Every frame that came to some queues: a consumer that never stops listening, through deaths of the broker as well.

A frame is kept before it is acknowledged, and told from a redelivery by its message-id: two frames with different
message-ids were sent twice, two with the same one were delivered twice.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from stompclient import StompClient, destination
from waiting import wait_until

if TYPE_CHECKING:
    from stompclient import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenReply:
    """One reply as the broker took it."""

    #: `started`, `complete`, `error`, `skipped`: the key of its queue.
    kind: str
    body: bytes
    headers: dict[str, str]

    @property
    def event(self) -> str:
        """The event-id, the same for every copy of one reply."""
        return self.headers.get("event-id", "")

    @property
    def job(self) -> str:
        """The job that it is about."""
        return self.event.rsplit(":", 2)[0]

    @property
    def at(self) -> float:
        """When the broker took it, seconds since 1970."""
        return int(self.headers.get("timestamp", "0")) / 1000.0


class BrokerTrace(threading.Thread):
    """Listens to queues from its start to its end; a context manager."""

    def __init__(self, port: int, queues: dict[str, str]) -> None:
        """Listen on loopback `port` to `queues`, by their keys."""
        super().__init__(daemon=True)
        self._port = port
        self._queues = queues
        self._enough = threading.Event()
        self._lock = threading.Lock()
        self._seen: dict[str, SeenReply] = {}
        #: Why it stopped listening, when that was no death of the broker.
        self._wrong: list[BaseException] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join(30.0)

    @property
    def replies(self) -> list[SeenReply]:
        """Every reply so far, in the order in which they came, each once."""
        assert not self._wrong, f"the trace of the broker broke off: {self._wrong[0]!r}"
        with self._lock:
            return list(self._seen.values())

    def wait(self, jobs: set[str], timeout: float = 60.0) -> None:
        """Wait until every one of `jobs` has a terminal reply."""

        def missing() -> set[str]:
            return jobs - {reply.job for reply in self.replies if reply.kind != "started"}

        try:
            wait_until(lambda: not missing(), timeout, "terminal replies")
        except AssertionError as error:
            left = missing()
            raise AssertionError(f"{error}: {len(left)} have none, among them {sorted(left)[:5]}") from None

    def run(self) -> None:
        """Listen, and connect again whenever the broker has died."""
        while not self._enough.is_set():
            try:
                with StompClient(self._port, timeout=10.0) as client:
                    self._listen(client)
            except (OSError, AssertionError):
                self._enough.wait(0.2)  # no broker, or none that answers yet
            except BaseException as error:  # noqa: BLE001  # told by `replies`, else the trace would be silently short
                self._wrong.append(error)
                return

    def _listen(self, client: StompClient) -> None:
        kinds = {}
        for number, (kind, queue) in enumerate(self._queues.items()):
            kinds[str(number)] = kind
            window = {"ack": "client-individual", "activemq.prefetchSize": "500"}
            client.write("SUBSCRIBE", {"destination": destination(queue), "id": str(number)} | window)
        while not self._enough.is_set():
            frame = client.read(0.2)
            if frame is None:
                if client.closed:
                    return
                continue
            if frame.command == "MESSAGE":
                self._keep(kinds[frame.headers["subscription"]], frame)
                client.write("ACK", {"id": frame.headers["ack"]})

    def _keep(self, kind: str, frame: Frame) -> None:
        with self._lock:
            self._seen.setdefault(
                frame.headers["message-id"], SeenReply(kind=kind, body=frame.body, headers=frame.headers)
            )
