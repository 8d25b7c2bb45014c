"""One generation of the broker link: a wire, the frames under way on it, and what its end means for each of them.

Threads: the link's own thread opens the session and then turns frames into events (`open`, `run`, `settle`, in that
order); one writer thread makes every write after that, so a socket that is full blocks nobody else; one watchdog
thread severs a wire that is silent, shut by the peer, or owes a receipt for too long. A session is used once and
holds nothing afterwards: each `send` and `ack` has had exactly one event when `settle` returns.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from supervisor.broker import (
    Acked,
    AckLost,
    BrokerSettings,
    Delivered,
    DeliveryToken,
    Event,
    Refused,
    Sent,
    Trouble,
    Unknown,
)
from supervisor.brokerdial import explain_alert
from supervisor.brokerkinds import PORTABLE, BrokerKind, kind_of
from supervisor.brokerwire import FrameKind, Wire, WireFrame
from supervisor.brokerwords import denies_access, refusal, said, silence_seconds
from supervisor.failpoints import effect
from supervisor.receipts import Doubts, Kind, Operation, Receipts, settle

if TYPE_CHECKING:
    from collections.abc import Callable

#: The watchdog looks this often, in seconds; a peer's close wakes it at once.
_WATCH_SECONDS = 0.25

#: After the peer's close the io thread may read so long, in seconds, what was still in the socket. A TLS io thread
#: never ends by itself and spins meanwhile.
_DRAIN_SECONDS = 0.5

#: A severed writer ends within this, in seconds.
_THREAD_SECONDS = 5.0


class SessionRefused(Exception):
    """The session could not be opened; `slow` says that only a person can change that."""

    def __init__(self, why: str, *, slow: bool = False) -> None:
        super().__init__(why)
        self.slow = slow


class Session:
    """One connection, from CONNECT to its last event."""

    def __init__(
        self,
        wire: Wire,
        *,
        generation: int,
        host: str,
        settings: BrokerSettings,
        subscriptions: tuple[str, ...],
        emit: Callable[[Event], None],
        doubts: Doubts,
        clock: Callable[[], float],
    ) -> None:
        self.generation = generation
        #: What the broker is; known when `open` has returned.
        self.kind: BrokerKind = PORTABLE
        self._wire = wire
        self._host = host
        self._settings = settings
        self._queues = {str(number): name for number, name in enumerate(subscriptions)}
        self._emit = emit
        self._clock = clock
        self._turn = threading.Condition()
        self._receipts = Receipts(generation, doubts)
        self._sends: deque[Operation] = deque()
        self._acks: deque[Operation] = deque()
        self._held: dict[str, bool] = {}  # ack header -> an ACK is under way
        self._early: deque[WireFrame] = deque()
        self._ended = False
        self._leaving = False
        self._farewell = "stopped"
        self._fault: str | None = None
        self._blame = False  # the broker ended it, and named nothing
        self._named = False  # an ERROR named a frame, and no RECEIPT has come since
        self._silence_limit: float | None = None
        self._threads: list[threading.Thread] = []

    # -- the link's thread

    def open(self, destinations: tuple[str, ...]) -> str:
        """Connect and subscribe; return the broker's name for itself.

        Args:
            destinations: The STOMP destinations of the subscriptions, in their order.

        Raises:
            SessionRefused: The broker is mute, refuses, speaks no STOMP 1.2, or confirms no subscription.
        """
        self._start(self._watch, "watchdog")
        try:
            self._wire.connect()
        except Exception as error:  # the library lets through whatever the socket said
            raise SessionRefused(f"broker {self._host} closed during CONNECT{self._alert()}: {error}") from error
        server = self._await_connected().headers.get("server", "")
        self.kind = kind_of(server, self._settings.kind)
        if not self.kind.stable_ids:
            self._emit(Trouble(text=_unknown_kind(self._host, server)))
        for number, destination in enumerate(destinations):
            operation = Operation(kind=Kind.SUBSCRIBE, target=destination)
            with self._turn:
                receipt = self._receipts.begin(operation, self._clock())
            try:
                headers = self.kind.subscribe_headers(destination, self._settings.prefetch)
                self._wire.subscribe(destination, str(number), headers, receipt)
            except Exception as error:  # ditto
                raise SessionRefused(f"broker {self._host} closed during SUBSCRIBE: {error}") from error
        while self._receipts.waiting_for(Kind.SUBSCRIBE):
            frame = self._wire.next_frame()
            if frame.kind is FrameKind.MESSAGE:
                self._early.append(frame)
            elif not self._take(frame):
                raise SessionRefused(f"broker {self._host} did not confirm the subscriptions: {self.why()}")
        if self._fault is not None:
            raise SessionRefused(self._fault, slow=denies_access(self._fault))
        self._start(self._write, "writer")
        return server

    def run(self) -> None:
        """Turn frames into events until the wire is closed."""
        while self._early:
            self._take(self._early.popleft())
        while self._take(self._wire.next_frame()):
            continue

    def settle(self) -> None:
        """Close the wire, end the threads and give every open operation its event."""
        with self._turn:
            self._ended = True
            self._turn.notify_all()
        self._wire.close()
        for thread in self._threads:
            thread.join(_THREAD_SECONDS)
        with self._turn:
            written = self._receipts.abandon()
            unwritten = (*self._acks, *self._sends)
            self._acks.clear()
            self._sends.clear()
            self._held.clear()
        blame = self._blame and not self._named and not self._leaving
        for event in settle(written, unwritten, why=self.why(), blame_a_send=blame):
            self._emit(event)

    def why(self) -> str:
        """Say how the connection ended."""
        return self._fault or f"broker {self._host} closed the connection{self._alert()}"

    def _alert(self) -> str:
        alert = self._wire.alert
        return f": {explain_alert(alert, self._settings)}" if alert else ""

    def _await_connected(self) -> WireFrame:
        try:
            frame = self._wire.next_frame(self._settings.connect_timeout)
        except TimeoutError:
            waited = f"{self._settings.connect_timeout:g} s"
            raise SessionRefused(f"broker {self._host} took the connection but sent no CONNECTED in {waited}") from None
        if frame.kind is FrameKind.ERROR:
            why, slow = refusal(self._host, said(frame.headers, frame.body, self._settings), self._settings)
            raise SessionRefused(why, slow=slow)
        if frame.kind is not FrameKind.CONNECTED:
            closed = f"broker {self._host} closed the connection instead of CONNECTED{self._alert()}"
            raise SessionRefused(self._fault or closed)
        version = frame.headers.get("version", "1.0")
        if version != "1.2":
            raise SessionRefused(f"broker {self._host} speaks STOMP {version}, not 1.2", slow=True)
        self._silence_limit = silence_seconds(frame.headers.get("heart-beat", "0,0"), self._settings)
        if self._silence_limit is None:
            text = f"broker {self._host} offers no heart-beats; a dead connection shows only at the next receipt"
            self._emit(Trouble(text=text))
        return frame

    def _take(self, frame: WireFrame) -> bool:
        """React to one frame; return False when it was the last."""
        match frame.kind:
            case FrameKind.MESSAGE:
                self._on_message(frame)
            case FrameKind.RECEIPT:
                self._on_receipt(frame)
            case FrameKind.ERROR:
                self._on_error(frame)
            case FrameKind.CONNECTED:
                self._end(f"broker {self._host} sent CONNECTED twice")
            case FrameKind.CLOSED:
                with self._turn:
                    self._blame = self._blame or self._fault is None
                return False
        return True

    def _on_message(self, frame: WireFrame) -> None:
        name = self._queues.get(frame.headers.get("subscription", ""))
        ack_id = frame.headers.get("ack")
        if name is None or not ack_id:
            self._end(f"broker {self._host} sent a message without a subscription or ack header of ours")
            return
        with self._turn:
            if self._leaving:
                return  # it goes back to the queue with the connection
            self._held[ack_id] = False
        token = DeliveryToken(generation=self.generation, ack_id=ack_id)
        self._emit(Delivered(token=token, queue=name, headers=frame.headers, body=frame.body))

    def _on_receipt(self, frame: WireFrame) -> None:
        with self._turn:
            operation = self._receipts.answer(frame.headers.get("receipt-id", ""))
            self._named = False
            if operation is not None and operation.kind is Kind.ACK:
                self._held.pop(operation.target, None)
            self._turn.notify_all()
        if operation is None:
            return
        if operation.kind is Kind.SEND:
            with effect("broker.sent"):
                self._emit(Sent(key=operation.key))
        elif operation.kind is Kind.ACK:
            with effect("broker.acked"):
                self._emit(Acked(key=operation.key))
        elif operation.kind is Kind.DISCONNECT:
            self._end(self._farewell)

    def _on_error(self, frame: WireFrame) -> None:
        words = said(frame.headers, frame.body, self._settings)
        with self._turn:
            operation = self._receipts.answer(frame.headers.get("receipt-id", ""))
            self._named = self._named or operation is not None
            self._turn.notify_all()
        if operation is None:
            self._end(f"broker {self._host} sent ERROR: {words}", blame=True)
        elif operation.kind is Kind.SEND:
            # Classic keeps such a connection, others close it; either way the other frames have receipts of their own.
            self._emit(Refused(key=operation.key, why=f"broker {self._host} refused it: {words}", suspect=False))
        else:
            # An unacknowledged message comes again only on another connection, so this one must go.
            if operation.kind is Kind.ACK:
                self._emit(AckLost(key=operation.key, why=f"broker {self._host} refused the ACK: {words}"))
            self._end(f"broker {self._host} refused {operation.kind} {operation.target}: {words}")

    # -- any thread

    def send(self, operation: Operation) -> None:
        """Queue a SEND for the writer."""
        with self._turn:
            if not self._ended and not self._leaving:
                self._sends.append(operation)
                self._turn.notify_all()
                return
        self._emit(Unknown(key=operation.key, why=f"not sent: {self.why()}", written=False))

    def ack(self, token: DeliveryToken, key: object) -> None:
        """Queue an ACK for the writer, ahead of all sends."""
        with self._turn:
            under_way = self._held.get(token.ack_id)
            if under_way is False and not self._ended and not self._leaving:
                self._held[token.ack_id] = True
                self._acks.append(Operation(kind=Kind.ACK, key=key, target=token.ack_id))
                self._turn.notify_all()
                return
            over = self._ended or self._leaving
        self._emit(AckLost(key=key, why=f"not sent: {self.why()}" if over else "this delivery was acknowledged before"))

    def unacked(self) -> int:
        """Return how many deliveries have no confirmed ACK."""
        with self._turn:
            return len(self._held)

    def leave(self, why: str = "stopped") -> None:
        """Write what is queued, then DISCONNECT; the end follows its receipt, and bears the words of `why`."""
        with self._turn:
            self._leaving = True
            self._farewell = why
            self._turn.notify_all()

    def sever(self, why: str) -> None:
        """End the connection at once."""
        self._end(why)

    def _end(self, why: str, *, blame: bool = False) -> None:
        with self._turn:
            if self._fault is None:
                self._fault = why
                self._blame = blame
        self._wire.sever()

    # -- the session's own threads

    def _start(self, target: Callable[[], None], role: str) -> None:
        thread = threading.Thread(target=target, name=f"broker-{role}-{self.generation}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _write(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._ended or self._next() is not None)
                operation = None if self._ended else self._next()
                if operation is None:
                    return
                for line in (self._acks, self._sends):
                    if line and line[0] is operation:
                        line.popleft()
                receipt = self._receipts.begin(operation, self._clock())
            try:
                self._put(operation, receipt)
            except Exception as error:  # noqa: BLE001  # the socket's word through the library; all mean: gone
                # What the broker said before it closed explains more than our EPIPE; give the reader time to find it.
                self._wire.wait_closed(_DRAIN_SECONDS)
                self._end(f"broker {self._host} closed during {operation.kind}: {error}", blame=True)
                return
            if operation.kind is Kind.DISCONNECT:
                return

    def _next(self) -> Operation | None:
        if self._acks:
            return self._acks[0]
        if self._sends:
            return self._sends[0] if self._receipts.may_write(self._sends[0]) else None
        # Artemis confirms DISCONNECT, and closes, before it has confirmed the frames that it is still storing.
        return Operation(kind=Kind.DISCONNECT) if self._leaving and self._receipts.oldest() is None else None

    def _put(self, operation: Operation, receipt: str) -> None:
        if operation.kind is Kind.SEND:
            own = self.kind.send_headers(operation.target, operation.headers, operation.body)
            self._wire.send(operation.target, operation.body, {**operation.headers, **own}, receipt)
        elif operation.kind is Kind.ACK:
            self._wire.ack(operation.target, receipt)
        else:
            self._wire.disconnect(receipt)

    def _watch(self) -> None:
        while True:
            if self._wire.wait_hangup(_WATCH_SECONDS):
                self._wire.wait_closed(_DRAIN_SECONDS)
                self._wire.sever()
                return
            fault = self._overdue()
            if fault is not None:
                self._end(fault)

    def _overdue(self) -> str | None:
        now = self._clock()
        if self._wire.lost_frames:
            return f"a frame of broker {self._host} could not be kept (out of memory?)"
        silence = now - self._wire.received
        if self._silence_limit is not None and silence > self._silence_limit:
            return f"broker {self._host} was silent for {silence:.1f} s, beyond {self._settings.silence_factor:g} beats"
        with self._turn:
            oldest = self._receipts.oldest()
        if oldest is not None and now - oldest[1] > self._settings.receipt_timeout:
            waited = f"{self._settings.receipt_timeout:g} s"
            return f"broker {self._host} gave no receipt for {oldest[0].kind} in {waited}; the outcome is unknown"
        return None


def _unknown_kind(host: str, server: str) -> str:
    said = f'calls itself "{server}"' if server else "does not say what it is"
    return (
        f"broker {host} {said}: a message may come again under another message-id, so have producers send a job-id "
        "header, or name the broker by broker.kind"
    )
