"""The loop: owns all state of a supervisor, and never waits for a file system or a broker (DESIGN §3).

Events come from the broker link, the store poller, signals and the pidfds of shepherds; each turn then reconciles what
is wanted with what is, so that a lost event costs one turn and not a job.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import signal
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.capacity import Capacity
from supervisor import admission, broker, heartbeat, order, polled
from supervisor.admission import Admission
from supervisor.leftovers import is_alive, signal_exactly
from supervisor.meter import UNMETERED
from supervisor.runend import RunEnd
from supervisor.standdown import StandDown
from supervisor.storeformat import UnknownStore
from supervisor.storehealth import HANGING_BEATS
from supervisor.telling import Telling
from supervisor.watchdog import Watchdog

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from supervisor.brokerlink import BrokerLink
    from supervisor.drains import Drain
    from supervisor.meter import Meter
    from supervisor.order import Head
    from supervisor.settings import Settings
    from supervisor.storepoller import Poller

log = logging.getLogger(__name__)

#: Longest wait of a turn, seconds.
_TURN = 1.0
#: Messages that are at the poller at one time; what comes beyond them, and while the broker comes and goes, is held.
_TAKES = 64
#: Scans without a free slot are rarer by this factor.
_SLOW = 5.0
#: Shares of `store.poll` between which a pause is drawn.
_JITTER = (0.5, 1.0)
#: Heads that a scan finds beyond twice the free slots: others may hold their locks.
_SPARE = 8
#: RBs of which it is remembered when they were served last.
_SERVED = 4096
#: Jobs of which it is told why they wait for room.
_WAITS = 20
#: Longest pause between two errands of one RB, seconds.
_LONGEST_COOL = 60.0


class DefectMet(Exception):
    """A thread of ours met a defect; the process ends, restart is the recovery."""


class Loop:
    """One supervisor's state and decisions."""

    def __init__(
        self,
        settings: Settings,
        slots: int,
        failing: Mapping[str, str],
        *,
        on_state: Callable[[dict[str, object]], None],
        luck: random.Random,
        capacity: Capacity | None = None,
        on_reload: Callable[[], None] = lambda: None,
        own: Mapping[str, object] | None = None,
        on_alive: Callable[[float], None] = lambda _now: None,
        meter: Meter = UNMETERED,
    ) -> None:
        """Decide for `slots` runs at a time.

        Args:
            settings: the configuration in force.
            slots: runs at one time.
            failing: profiles that do not work here, each with why.
            on_state: is told what `status` shows.
            luck: the dice of the pauses.
            capacity: what this host has for runs; None bounds nothing but the slots.
            on_reload: has the configuration read again; returns at once.
            own: what heartbeats tell of this host that does not change.
            on_alive: is told in each turn, with monotonic seconds, that no restart is called for.
            meter: is told what is to be counted.
        """
        self._settings = settings
        self._slots = slots
        self._capacity = capacity or Capacity()
        room = replace(admission.room_of(settings, self._capacity), slots=slots)
        self._admission = Admission(room, reserve_after=settings.host.reserve_after)
        #: Why jobs that could run here wait for room, as of the last look.
        self._waits: dict[str, str] = {}
        self._on_reload = on_reload
        self._meter = meter
        self._reload_asked = False
        self._on_state = on_state
        self._failing = failing
        self._luck = luck
        self._on_alive = on_alive
        self._watchdog = Watchdog()
        self._events: queue.SimpleQueue[broker.Event | polled.Found] = queue.SimpleQueue()
        self._wake_r, self._wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._link: BrokerLink | None = None
        self._poller: Poller | None = None
        self._runs: dict[tuple[str, int], polled.ActiveRun] = {}
        self._decided: set[tuple[str, int]] = set()
        self._pidfds: dict[int, tuple[str, int]] = {}
        self._claiming: set[str] = set()
        #: Heads of the last scan that have not been tried, best first: a lock that another host holds costs no place.
        self._candidates: deque[Head] = deque()
        #: There may be more of them than were asked for.
        self._more = False
        self._cool: dict[str, float] = {}
        self._served: dict[str, float] = {}
        #: Errands in a row that an RB has had.
        self._errands: dict[str, int] = {}
        self._telling = Telling(self._order, meter)
        #: Deliveries that are at the poller, by their key; and those held back while too much waits
        #: (`store.max_waiting`) or the store takes none: the window of the broker bounds them.
        self._taking: set[object] = set()
        self._held: list[broker.Delivered] = []
        self._next_scan = 0.0
        self._scanning = False
        self._store_trouble = ""
        self._store_since: float | None = None
        self._told_hanging = False
        self._hangs_since = 0.0
        self._waiting = 0
        #: How many jobs no living host takes, and why one of them.
        self._nowhere = (0, "")
        #: Why runs of an instrument wait in the whole fleet, by instrument.
        self._disabled: Mapping[str, str] = {}
        self._stopping = False
        #: An operator has declared this boot dead.
        self._stand_down: StandDown | None = None
        #: An operator wants nothing new taken here.
        self._drain: Drain | None = None
        self._said: tuple[object, ...] = ()
        #: What `status` shows, and monitors are told.
        self._state: dict[str, object] = {}
        self._own = dict(own or {})
        queues = settings.queues
        self._signs = heartbeat.Signs(queue=queues.heartbeat, every=queues.heartbeat_every, forbidden=queues.names)
        #: When the first that waits here was sent, and since when the broker is as it is, seconds since 1970.
        self._oldest = 0.0
        self._broker_since = time.time()

    # --- what other threads call --------------------------------------------------------------------------------

    def tell(self, event: broker.Event | polled.Found) -> None:
        """Hand over an event; any thread may call this."""
        self._events.put(event)
        self.wake()

    def wake(self) -> None:
        """Have the loop take a turn; also what signals write to."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_w, b"w")

    @property
    def fenced(self) -> str:
        """Why this boot may not serve any more, "" while it may."""
        return self._stand_down.why if self._stand_down is not None else ""

    @property
    def wake_fd(self) -> int:
        """For `signal.set_wakeup_fd`."""
        return self._wake_w

    def stop(self) -> None:
        """Stop intake and end; shepherds run on."""
        self._stopping = True

    def reload(self) -> None:
        """Have the configuration read again; a signal may call this."""
        self._reload_asked = True

    # --- the loop ---------------------------------------------------------------------------------------------------

    def run(self, poller: Poller, link: BrokerLink | None) -> None:
        """Decide until `stop`.

        Raises:
            DefectMet: a thread of ours met a defect.
        """
        self._poller = poller
        self._link = link
        self._poll.register(self._wake_r, select.POLLIN)
        while not self._stopping:
            ready = {fd for fd, _ in self._poll.poll(int(self._wait() * 1000) + 1)}
            with contextlib.suppress(BlockingIOError):
                while os.read(self._wake_r, 4096):
                    continue
            for fd in ready & set(self._pidfds):
                self._shepherd_gone(fd)
            while not self._events.empty():
                self._take(self._events.get())
            self._reconcile()
            now = time.monotonic()
            if self._watchdog.lives(now, poller.last_turn, poller.waits_for):
                self._on_alive(now)
        for fd in self._pidfds:
            os.close(fd)

    def _wait(self) -> float:
        now = time.monotonic()
        if self._stand_down is not None:
            return _TURN
        times = [self._next_scan] if not self._scanning else []
        if self._link is None or self._link.connected:  # else nothing can be sent: the gap's end would make us spin
            gap_ends = self._telling.wakes_at(self._settings.replies.gap)
            times += [gap_ends] if gap_ends is not None else []
        return min(_TURN, max(0.0, min(times, default=now + _TURN) - now))

    def _order(self, command: polled.Command) -> None:
        assert self._poller is not None
        self._poller.order(command)

    def _scan_soon(self) -> None:
        self._next_scan = 0.0

    def _take(self, event: broker.Event | polled.Found) -> None:
        match event:
            case broker.Delivered():
                self._delivered(event)
            case broker.Sent(key=heartbeat.Sign()):
                self._signs.accepted()
            case broker.Unknown(key=heartbeat.Sign()):
                return  # the next one says more
            case broker.Refused(key=heartbeat.Sign() as sign):
                if self._signs.refused(suspect=event.suspect):
                    log.error("The broker takes no heartbeat on %s: %s. None is sent any more.", sign.queue, event.why)
            case broker.Sent():
                self._telling.sent(event.key, time.monotonic())
            case broker.Unknown():
                self._telling.unsure(event.key, event.why, suspect=False)
            case broker.Refused():
                self._telling.unsure(event.key, event.why, suspect=event.suspect, certain=not event.suspect)
            case broker.Connected():
                log.info("Connected to the broker %s.", event.server)
                self._broker_since = time.time()
                if self._telling.stand_in_no_more():
                    self._scan_soon()
            case broker.Disconnected():
                log.warning("The broker is away: %s.", event.why)
                self._broker_since = time.time()
                self._telling.disconnected()
                self._held.clear()  # these messages come again
            case broker.Trouble():
                log.warning("Broker: %s", event.text)
            case broker.Acked() | broker.AckLost():
                return
            case _:
                self._found(event)

    def _found(self, event: polled.Found) -> None:
        match event:
            case polled.Taken():
                self._taken(event)
            case polled.NotTaken():
                self._release(event.key)
            case polled.Poisoned():
                self._poisoned(event)
            case polled.Scanned():
                self._scanned(event)
            case polled.NotScanned():
                self._scanning = False
                self._next_scan = time.monotonic() + event.pause
            case polled.Marked():
                if event.what == "published":
                    self._telling.marked(event.job, scanning=self._scanning)
            case polled.Started():
                self._started(event.run)
            case polled.StartedReply():
                self._telling.begin(event.job, event.reply)
            case polled.Decided():
                self._decided.add((event.run.rb, event.run.n))
                self._admission.free(event.run.rb_part)
                self._scan_soon()
            case polled.NotClaimed():
                if event.verdict:
                    self._meter.ended(event.instrument, event.verdict)
                self._claiming.discard(event.rb_part)
                self._admission.free(event.rb_part)
                self._cool[event.rb_part] = time.monotonic() + event.cool_down
                self._claim_next()
                if event.cool_down == 0 or (self._more and not self._candidates):
                    self._scan_soon()
            case polled.Inspected():
                self._inspected(event)
            case polled.Adopted():
                self._adopted(event.command)
            case polled.Restated():
                self._said = ()
            case polled.Fenced():
                self._stand_down = StandDown(
                    event.why,
                    patience_seconds=self._settings.lock.self_kill_after,
                    now=time.monotonic(),
                    send=signal_exactly,
                )
            case polled.Drained():
                self._drained(event.drain)
            case polled.Damaged():
                log.error("A record of the store is damaged: %s.", event.why)
            case polled.StoreTrouble():
                if event.why != self._store_trouble:
                    log.error("The store cannot be used: %s. Messages stay with the broker until it can.", event.why)
                self._store_trouble = event.why
                self._store_since = event.since
            case polled.StoreWell():
                log.warning("The store answers again.")
                self._store_trouble = ""
                self._store_since = None
                self._scan_soon()
            case polled.Outgrown():
                raise UnknownStore(event.why)
            case polled.Defect():
                raise DefectMet("the store poller met a defect") from event.error

    # --- messages -----------------------------------------------------------------------------------------------------

    def _taken(self, event: polled.Taken) -> None:
        self._meter.taken(event.what)
        self._release(event.key)
        if self._link is not None and isinstance(event.key, broker.DeliveryToken):
            self._link.ack(event.key, event.key)
        for run in self._runs.values():
            if run.job in event.cancelled:
                signal_exactly(run.shepherd, signal.SIGUSR1)
        if event.what != "duplicate":
            self._scan_soon()

    def _delivered(self, event: broker.Delivered) -> None:
        """Journal a message, unless too much waits: then the window fills, and the broker keeps the rest.

        The same bounds what piles up while the store takes nothing: a broker that comes and goes meanwhile delivers its
        window again each time.
        """
        if event.queue == self._settings.queues.ping:
            self._pinged(event)
            return
        if self._stand_down is not None or self._drain is not None:
            return  # not acknowledged: another host gets it
        full = self._waiting >= self._settings.store.max_waiting
        if full and not self._held:
            log.warning("%d jobs wait: no more are taken until there are fewer.", self._waiting)
        if full or len(self._taking) >= _TAKES:
            self._held.append(event)
            return
        self._taking.add(event.token)
        headers = dict(event.headers)
        self._order(polled.Take(key=event.token, body=event.body, headers=headers, received=time.time()))

    def _drained(self, drain: Drain | None) -> None:
        """Take nothing new, or take it again.

        Messages that the broker has handed over go back with the connection: held here, they would wait for `resume`
        while other hosts are idle. What is at the poller is journaled and runs elsewhere; its copy is a duplicate.
        """
        self._drain = drain
        self._candidates.clear()
        self._held.clear()
        if self._link is not None:
            self._link.take_messages(drain is None)
        if drain is None:
            log.info("Resumed: runs and messages are taken again.")
        else:
            why = f" ({drain.why})" if drain.why else ""
            log.warning("Drained by %s%s: no new runs and messages are taken; runs go on.", drain.who, why)
        self._scan_soon()

    def _release(self, key: object = None) -> None:
        """The poller is done with the message `key`: hand over what was held back, as far as there is room."""
        self._taking.discard(key)
        if self._waiting >= self._settings.store.max_waiting:
            return
        held, self._held = self._held, []
        for delivery in held:
            self._delivered(delivery)

    def _poisoned(self, event: polled.Poisoned) -> None:
        self._meter.taken("poison")
        self._release(event.key)
        poison = event.poison
        log.warning("A message was refused (%s): %s", poison.key, poison.text, extra={"facts": {"action": "poison"}})
        if self._link is None or not isinstance(event.key, broker.DeliveryToken):
            return
        if event.told:
            self._link.ack(event.key, event.key)
        else:
            self._telling.poisoned(poison, event.key)

    # --- monitors ---------------------------------------------------------------------------------------------------

    def _content(self) -> dict[str, object]:
        facts = heartbeat.facts(
            self._own, self._state, oldest=self._oldest, now=time.time(), published=self._telling.published
        )
        return heartbeat.body(str(self._own.get("hostname", "")), os.getpid(), facts)

    def _beat(self, now: float) -> None:
        if self._link is not None and self._link.connected and self._signs.due(now):
            self._give(self._signs.sign(self._content(), time.time()))

    def _pinged(self, event: broker.Delivered) -> None:
        assert self._link is not None
        self._link.ack(event.token, event.token)
        try:
            sign = self._signs.answer(event.body, self._content(), now=time.monotonic(), wall=time.time())
        except heartbeat.BadPing as bad:
            log.debug("A ping was not answered: %s.", bad)
            return
        self._give(sign)

    def _give(self, sign: heartbeat.Sign) -> None:
        """Send once; whatever comes of it, it is not sent again."""
        assert self._link is not None
        self._link.send(sign, sign.queue, sign.body, sign.headers)

    # --- runs ---------------------------------------------------------------------------------------------------------

    def _scanned(self, event: polled.Scanned) -> None:
        if self._stand_down is not None:
            return
        self._scanning = False
        self._waiting = event.waiting
        self._nowhere = (event.nowhere, event.why_nowhere)
        self._oldest = event.oldest
        if event.disabled != self._disabled:
            self._disabled, self._said = event.disabled, ()
        self._release()
        now = time.monotonic()
        self._next_scan = now + self._pause(event)
        self._telling.scanned(event.finished)
        self._more = event.more
        self._waits = {}
        held = self._admission.reserved
        if held and self._free() > 0 and not any(head.rb == held for head in event.heads):
            self._admission.forget(held)  # it was looked at first, and may not begin now
        self._candidates = deque(
            order.choose(event.heads, free=len(event.heads), busy=self._busy(now), served=self._served, now=time.time())
        )
        self._claim_next()

    def _pause(self, event: polled.Scanned) -> float:
        """Return the seconds until the next scan; each host of a fleet looks at moments of its own."""
        pause = self._settings.store.poll * event.stretch * self._luck.uniform(*_JITTER)
        if not self._room():
            pause *= _SLOW
        return pause if event.due_in is None else min(pause, event.due_in)

    def _busy(self, now: float) -> frozenset[str]:
        """RBs of which nothing can begin here now."""
        cooling = (part for part, until in self._cool.items() if until > now)
        return frozenset((*self._claiming, *(run.rb_part for run in self._runs.values()), *cooling))

    def _claim_next(self) -> None:
        """Claim the best of what the last scan found, as far as slots are free; what needs no slot always."""
        left: deque[Head] = deque()
        busy = self._busy(time.monotonic())
        while self._candidates:
            head = self._candidates.popleft()
            if head.rb in busy or head.rb in self._claiming:
                continue
            if not head.slotless and len(self._claiming) >= self._room():
                left.append(head)
                continue
            if not head.slotless and not self._is_admitted(head):
                continue  # the next look finds it again: whatever ends here brings one about
            self._claiming.add(head.rb)
            self._serve(head.rb)
            self._claim(head)
        self._candidates = left

    def _is_admitted(self, head: Head) -> bool:
        """Take room for a run, or note why it has to wait."""
        most = self._settings.instrument_for(head.wants.instrument).concurrency or None
        why = self._admission.ask(head.rb, head.job, head.wants, time.monotonic(), most=most)
        if why and len(self._waits) < _WAITS:
            self._waits[head.job] = why
        return not why

    def _serve(self, rb_part: str) -> None:
        """Note that an RB is served now; of very many, those served longest ago count as never served."""
        self._served.pop(rb_part, None)
        self._served[rb_part] = time.monotonic()
        if len(self._served) > _SERVED:
            del self._served[next(iter(self._served))]

    def _claim(self, head: Head) -> None:
        log.debug("Claiming RB of job %s.", head.job)
        self._order(polled.Claim(head=head))

    def _free(self) -> int:
        used = sum(1 for key, run in self._runs.items() if run.errand == "run" and key not in self._decided)
        return self._slots - used

    def _room(self) -> int:
        """Return how many runs may begin here."""
        return 0 if self._drain is not None else self._free()

    def _started(self, run: polled.ActiveRun) -> None:
        self._meter.began(run)
        self._claiming.discard(run.rb_part)
        key = (run.rb, run.n)
        self._runs[key] = run
        if run.errand == "run":
            self._admission.take(run.rb_part, run.wants, time.monotonic())
        try:
            fd = os.pidfd_open(run.shepherd.pid)
        except ProcessLookupError:
            self._order(polled.Inspect(run=run))
            return
        if not is_alive(run.shepherd):  # gone before the open: the number may be another's by now
            os.close(fd)
            self._order(polled.Inspect(run=run))
            return
        self._pidfds[fd] = key
        self._poll.register(fd, select.POLLIN)
        self._claim_next()
        if run.errand == "run":
            log.info(
                "Run %s of %s (RB %s) begins as job %s in epoch %d.", run.run, run.instrument, run.rb, run.job, run.n
            )

    def _shepherd_gone(self, fd: int) -> None:
        key = self._pidfds.pop(fd)
        self._poll.unregister(fd)  # before the close: the number may be another pidfd's in this very turn
        os.close(fd)
        if key in self._runs:
            self._order(polled.Inspect(run=self._runs[key]))

    def _inspected(self, event: polled.Inspected) -> None:
        self._meter.inspected(event)
        run = event.run
        if self._runs.pop((run.rb, run.n), None) is not None and (run.rb, run.n) not in self._decided:
            self._admission.free(run.rb_part)
        self._decided.discard((run.rb, run.n))
        self._scan_soon()
        if run.errand != "run":
            # An archive that this host cannot see leaves nothing to conclude: look again, ever more rarely.
            tries = self._errands[run.rb_part] = self._errands.get(run.rb_part, -1) + 1
            self._cool[run.rb_part] = time.monotonic() + min(_LONGEST_COOL, 0.1 * 2.0 ** min(tries, 20))
            return
        self._errands.pop(run.rb_part, None)
        end = event.end or RunEnd(
            job=run.job,
            instrument=run.instrument,
            rb=run.rb,
            run=run.run,
            epoch=run.n,
            kind=event.kind,
            verdict=event.verdict,
            sentence=event.sentence,
        )
        log.info("Run ended", extra={"facts": end.facts()})

    def _adopted(self, command: polled.Adopt) -> None:
        """Decide by another configuration from now on; runs under way keep their plan."""
        self._settings = command.settings
        room = admission.room_of(command.settings, self._capacity)
        self._slots = room.slots
        self._admission.tune(room, reserve_after=command.settings.host.reserve_after)
        self._failing = command.offers.failing
        self._candidates.clear()  # they were found by the old one
        self._said = ()
        self._scan_soon()
        command.done()

    # --- each turn ----------------------------------------------------------------------------------------------------

    def _reconcile(self) -> None:
        now = time.monotonic()
        if self._reload_asked:
            self._reload_asked = False
            self._on_reload()
        if self._stand_down is not None:
            self._stopping = self._stopping or self._stand_down.is_done(self._runs, self._decided, now)
            self._describe(now)
            return
        if self._telling.tell(self._link, now, self._settings.replies.gap):
            self._scan_soon()
        self._beat(now)
        if now >= self._next_scan and not self._scanning:
            self._scanning = True
            wanted = _SPARE + 2 * self._free() if self._room() > 0 else 0
            self._order(
                polled.Scan(
                    most=wanted,
                    busy=self._busy(now),
                    served=dict(self._served),
                    occupied=admission.occupied(self._admission, self._settings),
                    first=self._admission.reserved,
                )
            )
        self._cool = {part: until for part, until in self._cool.items() if until > now}
        self._describe(now)

    def _describe(self, now: float) -> None:
        assert self._poller is not None
        store, since = self._store(now)
        # What is held back is told with trouble alone: else each message would be a new state.
        held = 0 if store == "well" and self._waiting < self._settings.store.max_waiting else self._untaken
        connected = self._link is None or self._link.connected
        drain = self._drain
        drained = {} if drain is None else {"by": drain.who, "since": drain.time, "why": drain.why}
        waits = tuple(self._waits.items())
        said: tuple[object, ...] = (len(self._runs), self._waiting, self._nowhere, store, held, connected, waits)
        said += (self._oldest, self._telling.undeliverable, drain)
        if said == self._said:
            return
        self._said = said
        running = self._slots - self._free()
        self._order(
            polled.Describe(
                slots=self._slots,
                running=running,
                state="running",
                memory_taken=self._admission.memory,
                waits=dict(self._waits),
            )
        )
        self._show(
            {
                "slots": self._slots,
                "running": [
                    {"job": r.job, "rb": r.rb, "run": r.run, "instrument": r.instrument, "since": r.since, "epoch": r.n}
                    for r in self._runs.values()
                    if r.errand == "run"
                ],
                "memory": {"limits": self._admission.memory, "room": self._admission.room.memory},
                "waits": dict(self._waits),
                "waiting": self._waiting,
                "nowhere": {"jobs": self._nowhere[0], "why": self._nowhere[1]},
                "failing": dict(self._failing),
                "disabled": dict(self._disabled),
                "store": store,
                "store_since": since,
                "held": held,
                "drained": drained,
                "broker": "none" if self._link is None else ("connected" if connected else "away"),
                "broker_since": self._broker_since,
                "oldest": self._oldest,
                "undeliverable": self._telling.undeliverable,
                "published": self._telling.published,
            }
        )

    def _show(self, state: dict[str, object]) -> None:
        self._state = state
        self._on_state(state)

    @property
    def _untaken(self) -> int:
        """Messages that were delivered here and are not durable, so that the broker has them still."""
        return len(self._taking) + len(self._held)

    def _store(self, now: float) -> tuple[str, float | None]:
        """Return how the store does, and since when where it is not well (seconds since 1970)."""
        assert self._poller is not None
        silence = now - self._poller.last_turn
        if silence <= HANGING_BEATS * self._settings.lock.beat:
            self._told_hanging = False
            return self._store_trouble or "well", self._store_since
        call = self._poller.waits_for or "a call"  # it may have come back at this moment
        since = self._hangs_since if self._told_hanging else time.time() - silence
        if not self._told_hanging:
            self._told_hanging, self._hangs_since = True, since
            log.error("The store hangs: no answer for %.1f s to %s.", silence, call)
        return f"hanging: no answer to {call}", since
