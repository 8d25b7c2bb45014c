"""The link to the broker: one connection after the other, for as long as the supervisor lives.

Theory of operation. One thread makes connections in fail-over order, each of them a fresh `Session` with its own
number, the generation. All it hears becomes events for the supervisor's loop, through one callable. The link holds
nothing across connections: when a connection ends, each send and ack on it has had its event before `Disconnected`,
and the caller, who has everything in the store, sends again after the next `Connected`. So there is no second queue
that could disagree with the store, and nothing to lose when this process is killed.

What it promises: a `Sent` or `Acked` is the broker's own RECEIPT. What it cannot promise: that an `Unknown` was not
stored. Replies are at least once for that reason.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor.backoff import Backoff
from supervisor.broker import (
    AckLost,
    BrokerSettings,
    Connected,
    DeliveryToken,
    Disconnected,
    Event,
    LinkState,
    Refused,
    Trouble,
    Unknown,
)
from supervisor.brokerdial import DialError, dial
from supervisor.brokersession import Session, SessionRefused
from supervisor.brokerwire import Wire
from supervisor.receipts import Doubts, Kind, Operation
from supervisor.stompframe import FrameError, destination, send_headers, text_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

log = logging.getLogger(__name__)

#: After the deadline of `stop` the link severs what is left and waits so long, in seconds, for its thread.
_SEVER_SECONDS = 2.0
#: Why a connection ends that is to take messages, or none, from now on.
_CHANGED = "connecting anew, since what is taken from the queues has changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """How one try to have a connection went."""

    why: str
    #: How long it was connected, in seconds; None if it never was.
    lived: float | None = None
    #: Only a person can change the cause, so there is no hurry.
    slow: bool = False


class BrokerLink:
    """The supervisor's only way to the broker. All methods may be called from any thread and never wait for the broker.

    Args:
        settings: Where and how.
        subscriptions: Queues to consume, each acknowledged message by message.
        emit: Receives each event, mostly on the link's thread but also on the caller's; it must only pass it on.
        rng: The dice of the back-off.
        clock: Monotonic seconds.
        backoff: The waiting times between rounds of tries.
        pause: Waits so many seconds between rounds, or until `stop`; tests give one without a clock.

    Raises:
        FrameError: A subscription is no plain queue name.
        ValueError: A queue is subscribed twice.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        subscriptions: tuple[str, ...],
        emit: Callable[[Event], None],
        *,
        rng: Random,
        clock: Callable[[], float] = time.monotonic,
        backoff: Backoff | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._settings = settings
        self._subscriptions = subscriptions
        self._destinations = tuple(destination(name) for name in subscriptions)
        if len(set(self._destinations)) != len(self._destinations):
            raise ValueError(f"a queue is subscribed twice in {', '.join(subscriptions)}; name each once")
        self._sink = emit
        self._rng = rng
        self._clock = clock
        self._backoff = backoff if backoff is not None else Backoff()
        self._doubts = Doubts()
        self._stopping = threading.Event()
        self._pause = pause if pause is not None else self._stopping.wait
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        # Under the lock:
        self._generation = 0
        self._session: Session | None = None
        self._connected = False
        self._host: str | None = None
        self._since = clock()
        self._last_error: str | None = None
        self._attempts = 0
        self._takes = True

    # -- the supervisor's side

    def start(self) -> None:
        """Begin to connect, and to reconnect, until `stop`; what happens comes as events."""
        if self._thread is not None or self._stopping.is_set():
            raise RuntimeError("a broker link is started once; make a new one")
        self._thread = threading.Thread(target=self._run, name="broker-link", daemon=True)
        self._thread.start()

    def stop(self, deadline_seconds: float) -> None:
        """Write what is queued, disconnect with a receipt, and end the threads, within the deadline and 2 s.

        There is no UNSUBSCRIBE: the broker would hand held messages to another host while their ACKs are on the way.
        """
        self._stopping.set()
        with self._lock:
            session, connected = self._session, self._connected
        if session is not None:
            if connected:
                session.leave()
            else:
                session.sever("stopped")
        thread = self._thread
        if thread is None:
            return
        thread.join(max(0.0, deadline_seconds))
        if thread.is_alive():
            with self._lock:
                session = self._session
            if session is not None:
                session.sever(f"stopped; the broker did not confirm within {deadline_seconds:g} s")
            thread.join(_SEVER_SECONDS)

    def take_messages(self, wanted: bool) -> None:
        """Consume the queues, or none of them, from now on; replies are sent in either case.

        It takes another connection: at the end of one the broker hands what was not acknowledged to other hosts, while
        UNSUBSCRIBE would leave open whose the messages are. What is queued is written first.
        """
        with self._lock:
            if wanted == self._takes:
                return
            self._takes = wanted
            session, connected = self._session, self._connected
        if session is not None and connected:
            session.leave(_CHANGED)
        elif session is not None:
            session.sever(_CHANGED)

    def send(self, reply_key: object, queue: str, body: str, headers: Mapping[str, str]) -> None:
        """Send a persistent message; exactly one `Sent`, `Unknown` or `Refused` with this key follows.

        Without a connection the answer is `Unknown` at once: send again after `Connected`.

        Args:
            reply_key: The caller's name for the message; hashable, and the same when it is sent again.
            queue: A bare queue name, or "/queue/..." or "/topic/...".
            body: Text without NUL.
            headers: Text by text, one line each, below 8 kB together.
        """
        try:
            operation = Operation(
                kind=Kind.SEND,
                key=reply_key,
                target=destination(queue),
                body=text_body(body),
                headers=send_headers(headers),
            )
        except FrameError as error:
            self._emit(Refused(key=reply_key, why=str(error), suspect=False))
            return
        hash(reply_key)  # an unhashable key is a mistake of the caller's, told here and not on a thread of the link
        session = self._live()
        if session is None:
            self._emit(Unknown(key=reply_key, why="not sent: no broker is connected", written=False))
        else:
            session.send(operation)

    def ack(self, token: DeliveryToken, key: object) -> None:
        """Acknowledge a delivery; exactly one `Acked` or `AckLost` with this key follows."""
        session = self._live()
        if session is None or session.generation != token.generation:
            why = f"the delivery came on connection {token.generation}, which is gone; it will come again"
            self._emit(AckLost(key=key, why=why))
        else:
            session.ack(token, key)

    @property
    def connected(self) -> bool:
        """Whether there is a connection with all subscriptions confirmed."""
        return self._live() is not None

    def state(self) -> LinkState:
        """Return what `status` shows."""
        with self._lock:
            session = self._session if self._connected else None
            return LinkState(
                connected=self._connected,
                host=self._host,
                since=self._since,
                last_error=self._last_error,
                attempts=self._attempts,
                unacked=session.unacked() if session is not None else 0,
            )

    def _live(self) -> Session | None:
        with self._lock:
            return self._session if self._connected else None

    def _emit(self, event: Event) -> None:
        try:
            self._sink(event)
        except Exception:  # a fault of the receiver must not end the link's thread
            log.exception(f"An event of the broker link was lost: {type(event).__name__}")

    # -- the link's thread

    def _run(self) -> None:
        failures = 0
        turn = 0
        round_slow = False
        hosts = self._settings.hosts
        tried = 0
        while not self._stopping.is_set():
            result = self._try(*hosts[turn % len(hosts)])
            turn += 1
            tried += 1
            round_slow = round_slow or result.slow
            if result.lived is None and tried < len(hosts):
                continue  # the other brokers of the list first, without a pause
            failures = self._backoff.failures_after(failures, result.lived)
            jitter = self._rng.random()
            self._pause(self._backoff.slow_delay(jitter) if round_slow else self._backoff.delay(failures, jitter))
            tried = 0
            round_slow = False

    def _try(self, host: str, port: int, tls: bool) -> _Try:
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        with self._lock:
            self._generation += 1
            self._attempts += 1
            self._host = name
            generation = self._generation
        try:
            result = self._connection(host, port, name, generation, tls=tls)
        except Exception as error:  # a fault of ours: without this the link would be dead, and nobody would know
            log.exception(f"The try to reach broker {name} failed in an unforeseen way; it will be made again")
            result = _Try(why=f"unforeseen {type(error).__name__} at broker {name}: {error}")
        why = self._settings.redact(result.why)
        with self._lock:
            self._session = None
            self._last_error = why
            if self._connected:
                self._connected = False
                self._since = self._clock()
        if result.lived is not None:
            self._emit(Disconnected(gen=generation, why=why))
        elif not self._stopping.is_set():
            self._emit(Trouble(text=why))
        return result

    def _connection(self, host: str, port: int, name: str, generation: int, *, tls: bool) -> _Try:
        try:
            sock = dial(host, port, tls=tls, settings=self._settings)
        except DialError as error:
            return _Try(why=str(error))
        try:
            wire = Wire(sock, host, port, self._settings, self._clock)
        except OSError:  # out of descriptors
            sock.close()
            raise
        with self._lock:
            takes = self._takes
        session = Session(
            wire,
            generation=generation,
            host=name,
            settings=self._settings,
            subscriptions=self._subscriptions if takes else (),
            emit=self._emit,
            doubts=self._doubts,
            clock=self._clock,
        )
        with self._lock:
            self._session = session
        began: float | None = None
        slow = False
        try:
            if self._stopping.is_set():  # `stop` came before the session was there to be severed
                session.sever("stopped")
            server = session.open(self._destinations if takes else ())
            began = self._announce(generation, server)
            if self._stopping.is_set():  # ditto, before it was there to leave
                session.leave()
            elif self._takes != takes:
                session.leave(_CHANGED)
            session.run()
            why = session.why()
        except SessionRefused as error:
            why, slow = str(error), error.slow
        finally:
            with self._lock:
                if self._connected:
                    self._connected = False
                    self._since = self._clock()
            session.settle()
        return _Try(why=why, lived=None if began is None else self._clock() - began, slow=slow)

    def _announce(self, generation: int, server: str) -> float:
        now = self._clock()
        with self._lock:
            self._connected = True
            self._since = now
            self._attempts = 0
        self._emit(Connected(gen=generation, server=server))
        return now
