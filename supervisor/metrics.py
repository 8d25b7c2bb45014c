"""The numbers of a service for Prometheus; the only module that imports prometheus_client.

It is imported only where `metrics.listen` is set. All numbers stand in a registry of their own, without the library's
default collectors. The loop writes to it and never waits: the library holds its locks for a copy of values, never while
it talks to a client. What comes from messages is a label in two places, and bounded in both: instruments by their
number, verdicts and kinds by closed lists.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from sandbox.verdict import Verdict
from supervisor import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervisor.polled import ActiveRun, Inspected

#: Instruments that are told apart; a facility has fewer, so that only made-up names go beyond it.
INSTRUMENTS = 64
#: What stands for all that is not told apart.
OTHER = "other"
#: Longest label, characters.
_LONGEST = 60
#: Seconds. A run takes from a moment to days (docs/explanation/tuning.md).
_WALL = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400)
#: Seconds. A free host begins within a look at the store; a full fleet may take a night.
_WAIT = (0.5, 1, 2, 5, 15, 60, 300, 900, 3600, 14400, 43200, 86400)
_MESSAGES = ("new", "duplicate", "cancel", "poison")
_REPLIES = ("started", "terminal", "poison")
_AGAIN = ("retry", "released", "revoked", "undecided")

# The library adds a time of creation to each series, which doubles what is scraped; start_time_seconds tells it once.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Names:
    """Labels that strangers choose: made printable, and no more than `most` of them told apart."""

    def __init__(self, most: int = INSTRUMENTS) -> None:
        """Tell the first `most` names apart."""
        self._most = most
        self._known: set[str] = set()

    def label(self, name: str) -> str:
        """Return the label of a name: itself, or "other" for a new one beyond the most; "none" for an empty one."""
        text = shown.line(name, _LONGEST) or "none"
        if text in self._known:
            return text
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(text)
        return text


def one_of(known: tuple[str, ...], text: str) -> str:
    """Return `text` where it is one of a closed list, else "other" (pure)."""
    return text if text in known else OTHER


class Metrics:
    """The registry, as a `supervisor.meter.Meter`."""

    def __init__(self, version: str, *, now: Callable[[], float] = time.time) -> None:
        """Count from here on.

        Args:
            version: of the code that serves.
            now: seconds since 1970; asked at each scrape too.
        """
        self.registry = CollectorRegistry(auto_describe=False)
        self._now = now
        self._names = Names()
        #: Since when the store is in trouble, seconds since 1970; None while it is well.
        self._trouble_since: float | None = None
        self._ended = self._counter("runs_ended", "Runs that ended here.", "verdict", "instrument")
        self._again = self._counter("runs_again", "Runs that left this host and run again.", "kind")
        self._began = self._counter("runs_begun", "Runs that began here.", "instrument")
        self._taken = self._counter("messages_taken", "Messages that were taken from the broker.", "what")
        self._told = self._counter("replies_sent", "Replies that the broker has confirmed.", "reply")
        self._waiting = self._gauge("waiting_jobs", "Jobs that wait in the store, in the whole fleet.")
        self._running = self._gauge("running_runs", "Runs under way on this host.")
        self._slots = self._gauge("slots", "Runs that may go at one time on this host.")
        self._connected = self._gauge("broker_connected", "1 while the broker is connected, else 0.")
        self._trouble = self._gauge("store_trouble", "1 while the store cannot be used or hangs, else 0.")
        lasted = self._gauge("store_trouble_seconds", "Seconds since the trouble of the store began, 0 without any.")
        lasted.set_function(self._trouble_seconds)
        self._gauge("start_time_seconds", "When this service was started, seconds since 1970.").set(now())
        self._gauge("build_info", "Always 1; the label is the version.", "version").labels(version).set(1)
        self._wall = self._histogram("run_wall_seconds", "Time of a run by the clock, of those that ended.", _WALL)
        self._wait = self._histogram("queue_wait_seconds", "Time from taking a message to the begin of its run.", _WAIT)
        for values, series in ((_MESSAGES, self._taken), (_REPLIES, self._told), (_AGAIN, self._again)):
            for value in values:
                series.labels(value)  # so that each is there, as 0, before the first event

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"autoreduce_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"autoreduce_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"autoreduce_{name}", text, buckets=buckets, registry=self.registry)

    # --- what the loop tells ------------------------------------------------------------------------------------

    def taken(self, what: str) -> None:
        """Count a message."""
        self._taken.labels(one_of(_MESSAGES, what)).inc()

    def told(self, reply: str) -> None:
        """Count a reply."""
        self._told.labels(one_of(_REPLIES, reply)).inc()

    def began(self, run: ActiveRun) -> None:
        """Count a run that began here, and its wait; one that outlived the last supervisor began before our time."""
        if run.errand == "run" and run.waited is not None:
            self._began.labels(self._names.label(run.instrument)).inc()
            self._wait.observe(run.waited)

    def inspected(self, event: Inspected) -> None:
        """Count what became of a run."""
        if event.run.errand != "run":
            return
        if event.kind != "committed":
            self._again.labels(one_of(_AGAIN, event.kind or "undecided")).inc()
            return
        self.ended(event.run.instrument, event.verdict)
        if event.wall is not None:
            self._wall.observe(event.wall)

    def ended(self, instrument: str, verdict: str) -> None:
        """Count a job that ended."""
        self._ended.labels(one_of(tuple(Verdict), verdict), self._names.label(instrument)).inc()

    def state(self, state: Mapping[str, object]) -> None:
        """Take over what `status` shows."""
        running, store, since = state["running"], state["store"], state["store_since"]
        self._waiting.set(_number(state["waiting"]))
        self._slots.set(_number(state["slots"]))
        self._running.set(len(running) if isinstance(running, list) else 0)
        self._connected.set(state["broker"] == "connected")
        self._trouble.set(store != "well")
        self._trouble_since = None if store == "well" else _number(since if since is not None else self._now())

    def _trouble_seconds(self) -> float:
        since = self._trouble_since
        return 0.0 if since is None else max(0.0, self._now() - since)

    # --- what is scraped ----------------------------------------------------------------------------------------

    def text(self, accept: str) -> tuple[str, bytes]:
        """Return the content type and the text of a scrape, in the format that `accept` asks for; any thread may."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self.registry)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
