"""The store poller: the one thread of a supervisor that makes file-system calls (DESIGN §3).

The loop owns all state and may never hang; this thread may. It takes commands, does them in order, and tells what it
found. Trouble of the store is told, never raised: a message that could not be journaled is tried again until the store
takes it, and is not acknowledged before. A defect ends the thread and, through the loop, the process.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from typing import TYPE_CHECKING

from supervisor import durable, intake, journal, paths, plans, records, request
from supervisor.activeruns import ActiveRuns, active_run
from supervisor.cells import RbCells
from supervisor.claim import Claimed, Claimer, Ended, Left, Surroundings
from supervisor.ends import ending_of
from supervisor.hosts import HostBeat, live, live_on, read_beat, write_beat
from supervisor.leftovers import end_box, is_alive
from supervisor.nurserylink import NurseryGone
from supervisor.polled import (
    Claim,
    Command,
    Damaged,
    Defect,
    Describe,
    Found,
    Inspect,
    Mark,
    NotClaimed,
    Poisoned,
    Scan,
    Scanned,
    Started,
    Stop,
    StoreTrouble,
    StoreWell,
    Take,
    Taken,
)
from supervisor.profiles import NoProfile
from supervisor.scanning import Scanner
from supervisor.takeover import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.layout import Layout
    from supervisor.nurserylink import NurseryLink
    from supervisor.offers import Offers
    from supervisor.order import Head
    from supervisor.records import Epoch
    from supervisor.runplan import RunPlan
    from supervisor.settings import Settings

#: Pauses of the poller, seconds: while a lock is handed over, while runs are active, else.
_QUICK = 0.01
_ACTIVE = 0.25
_IDLE = 2.0
#: Seconds before an RB whose lock was not won is tried again, and before a store in trouble is.
_COOL = 1.0
_DAMAGED = 60.0
_BUSY = 0.5


class Poller(threading.Thread):
    """Makes all file-system calls of one supervisor."""

    def __init__(
        self,
        settings: Settings,
        layout: Layout,
        facts: plans.HostFacts,
        nursery: NurseryLink,
        offers: Offers,
        tell: Callable[[Found], None],
    ) -> None:
        """Serve `layout` for the host of `facts`; what is found goes to `tell`."""
        super().__init__(name="store-poller", daemon=True)
        self._settings = settings
        self._layout = layout
        self._facts = facts
        self._nursery = nursery
        self._offers = offers
        self._tell = tell
        self._orders: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._postponed: list[Command] = []
        self._told_damage: set[str] = set()
        self._described = Describe(slots=settings.host.slot_count(1), running=0, state="starting")
        self._counter = 0
        self._next_beat = 0.0
        self._trouble = False
        self._ended = False
        self._watch = Watch()
        around = Surroundings(
            host=facts.host,
            boot=facts.boot,
            takeover_after=settings.lock.takeover_after,
            max_attempts=settings.publish.max_attempts,
            now=time.time,
            monotonic=time.monotonic,
            is_alive=is_alive,
            end_box=lambda run: end_box(run, settings.spool.path, settings.service.run_dir),
            serves=self._serves,
            ending=lambda of, n, ruling: ending_of(of, n, ruling, settings, facts),
        )
        self._claimer = Claimer(layout, around)
        self._runs = ActiveRuns(settings, layout, facts, self._claimer, tell)
        self._scanner = Scanner(
            layout,
            serves=self._serves,
            max_attempts=settings.publish.max_attempts,
            may_publish=self._may_publish,
            has_left_take=lambda cells: self._claimer.left_take(cells) is not None,
            now=time.time,
        )
        #: When the last turn began, by the monotonic clock: silence means that the store hangs.
        self.last_turn = time.monotonic()

    def order(self, command: Command) -> None:
        """Have `command` done; any thread may call this."""
        self._orders.put(command)

    def take_identity(self) -> None:
        """Open the store and take the lock of this host's id for life; before the thread is started.

        Raises:
            IdentityTaken, UnknownStore, OSError: this host may not serve.
        """
        journal.open_store(self._layout, create=True)
        self._life = live(self._layout, self._facts.host)
        known = read_beat(self._layout, self._facts.host)
        self._counter = known.counter if known is not None else 0

    def run(self) -> None:
        """Do what is ordered until told to stop."""
        try:
            try:
                self._runs.adopt(self._scanner.rbs())
            except OSError as error:
                self._in_trouble(error)
            while not self._ended:
                self.last_turn = time.monotonic()
                self._turn()
        except BaseException as error:  # noqa: BLE001  # a defect: the loop logs it and ends the process; restart is the recovery
            self._tell(Defect(error=error))

    def _turn(self) -> None:
        try:
            command = self._orders.get(timeout=self._pause())
        except queue.Empty:
            command = None
        self.last_turn = time.monotonic()
        if command is not None:
            self._attempt(command)
        elif self._postponed:
            again, self._postponed = self._postponed, []
            for postponed in again:
                self._attempt(postponed)
        try:
            self._runs.look()
            self._beat_host()
        except OSError as error:
            self._in_trouble(error)
            time.sleep(_COOL)  # the store is away; nothing tells when it is back

    def _pause(self) -> float:
        if self._runs.handing_over:
            return _QUICK
        if self._postponed:
            return _COOL
        until_beat = max(0.0, self._next_beat - time.monotonic())
        return min(_ACTIVE if self._runs.any else _IDLE, until_beat)

    def _attempt(self, command: Command) -> None:
        """Do a command; what fails for the store's sake is told and, where something would be lost, done again."""
        try:
            self._do(command)
        except OSError as error:
            self._in_trouble(error)
            if isinstance(command, Take | Mark | Inspect):
                self._postponed.append(command)
            elif isinstance(command, Claim):
                self._tell(NotClaimed(rb_part=command.head.rb, why=str(error), cool_down=_COOL))
            return
        except (records.CorruptRecord, request.BadRequest) as damage:
            # A record that cannot be read stops its RB, not the fleet; an operator has to look at it.
            self._tell(Damaged(why=str(damage)))
            if isinstance(command, Claim):
                self._tell(NotClaimed(rb_part=command.head.rb, why=str(damage), cool_down=_DAMAGED))
            return
        if self._trouble and not self._postponed:
            self._trouble = False
            self._tell(StoreWell())

    def _in_trouble(self, error: OSError) -> None:
        self._trouble = True
        self._tell(StoreTrouble(why=str(error)))

    def _do(self, command: Command) -> None:
        match command:
            case Take():
                self._take(command)
            case Scan():
                heads, finished, count = self._scanner.scan()
                self._tell(Scanned(heads=tuple(heads), finished=tuple(finished), waiting=count))
                for damage in set(self._scanner.damage.values()) - self._told_damage:
                    self._told_damage.add(damage)
                    self._tell(Damaged(why=damage))
                journal.match_remembered(self._layout, time.time())
            case Claim():
                self._claim(command.head)
            case Inspect():
                self._runs.inspect(command.run)
            case Mark():
                self._mark(command)
            case Describe():
                self._described = command
            case Stop():
                self._described = Describe(
                    slots=self._described.slots, running=self._described.running, state="stopped"
                )
                self._next_beat = 0.0
                self._beat_host()
                self._ended = True

    # --- messages ---------------------------------------------------------------------------------------------

    def _take(self, command: Take) -> None:
        facts = self._facts
        what = intake.examine(
            command.body, command.headers, self._settings, host=facts.host, hostname=facts.hostname, now=time.time()
        )
        if isinstance(what, intake.Run):
            taken = journal.journal(self._layout, what.request)
            if taken is not journal.Taken.CONFLICT:
                self._tell(Taken(key=command.key, what=taken.value))
                return
            what = intake.conflict(what.request, self._settings, hostname=facts.hostname)
        if isinstance(what, intake.CancelRun):
            cancelled = journal.cancel_run(self._layout, what.cancel)
            self._tell(Taken(key=command.key, what="cancel", cancelled=tuple(cancelled)))
            return
        record = {
            "key": what.key,
            "text": what.text,
            "body": what.body,
            "headers": what.headers,
            "reply": what.reply.to_json(),
            "time": time.time(),
        }
        durable.link_new(self._layout.poison(what.digest), records.pack(record), "poison")
        told = durable.exists(self._layout.poison_told(what.digest))
        self._tell(Poisoned(key=command.key, poison=what, told=told))

    def _mark(self, command: Mark) -> None:
        if command.what == "told":
            durable.touch(self._layout.poison_told(command.job), "told")
            return
        place = self._layout.job(command.job)
        durable.touch(place.started_sent if command.what == "started" else place.published, command.what)

    # --- claims and runs --------------------------------------------------------------------------------------

    def _claim(self, head: Head) -> None:
        place = journal.find_job(self._layout, head.entry.job)
        wanted = journal.read_request(place) if place is not None else None
        if wanted is None:
            self._tell(NotClaimed(rb_part=head.rb, why="its request cannot be seen", cool_down=_COOL))
            return
        result = self._claimer.claim(wanted, tidy=head.tidy, overtaken=lambda: self._is_overtaken(head))
        if isinstance(result, Ended):
            self._tell(NotClaimed(rb_part=head.rb, why="ended without a run", cool_down=0.0))
        elif isinstance(result, Left):
            self._tell(NotClaimed(rb_part=head.rb, why=result.why, cool_down=_COOL if result.cool_down else _BUSY))
        else:
            self._have_forked(result, head)

    def _is_overtaken(self, head: Head) -> bool:
        """Look again, after the epoch is linked, whether another job of the RB comes first."""
        if head.slotless:
            return False
        first = self._scanner.head_of(head.rb)
        return first is None or first.job != head.job

    def _have_forked(self, claimed: Claimed, head: Head) -> None:
        try:
            plan = self._plan(claimed)
        except (paths.BadPath, request.BadRequest, NoProfile) as bad:
            self._refuse(claimed, head, str(bad))
            return
        try:
            shepherd = self._nursery.fork(
                plan, claimed.lock.fileno(), self._layout.job(claimed.request.job).root, self._facts.boot
            )
        except NurseryGone as gone:
            if claimed.errand == "run":
                self._claimer.release(claimed.rb, claimed.n, f"nursery: {gone}")
            claimed.lock.close()
            self._tell(NotClaimed(rb_part=head.rb, why=str(gone), cool_down=_COOL))
            return
        run = active_run(claimed.request, head.rb, claimed.n, claimed.errand, shepherd)
        if claimed.errand == "run":
            self._runs.begin(claimed, run)
        else:
            claimed.lock.close()
        self._tell(Started(run=run))

    def _plan(self, claimed: Claimed) -> RunPlan:
        if claimed.errand != "run":
            return plans.errand(
                claimed.request, claimed.n, claimed.errand, self._settings, self._facts, claimed.history
            )
        return plans.run(claimed.request, claimed.n, claimed.history, self._settings, self._facts, luck=random.random())

    def _refuse(self, claimed: Claimed, head: Head, why: str) -> None:
        """End a job whose paths the settings of today do not allow."""
        outcome = ending_of(claimed.request, claimed.n, None, self._settings, self._facts, why=why)
        cells = RbCells(self._layout.rb(claimed.rb))
        try:
            self._claimer.end(claimed.request, cells, claimed.n, outcome)
        finally:
            claimed.lock.close()
        self._tell(NotClaimed(rb_part=head.rb, why=why, cool_down=0.0))

    # --- this host --------------------------------------------------------------------------------------------

    def _serves(self, instrument: str, software: str) -> bool:
        if not self._settings.instrument_for(instrument).enabled:
            return False
        return not self._offers.why_not(self._settings, instrument, software)

    def _may_publish(self, epoch: Epoch) -> bool:
        """Only the claiming host sends, while its heartbeat moves."""
        if epoch.host == self._facts.host:
            return True
        beat = read_beat(self._layout, epoch.host)
        still = self._watch.unmoved(epoch.host, beat and (beat.boot, beat.counter), time.monotonic())
        return still >= self._settings.lock.takeover_after

    def _beat_host(self) -> None:
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + self._settings.lock.beat
        self._counter += 1
        self._life = live_on(self._layout, self._facts.host, self._life)
        said = self._described
        write_beat(
            self._layout,
            HostBeat(
                host=self._facts.host,
                boot=self._facts.boot,
                counter=self._counter,
                slots=said.slots,
                running=said.running,
                version=self._facts.code_version,
                level=self._offers.level,
                roots=list(self._settings.paths.data_roots),
                interpreters=sorted(self._offers.working),
                failing=dict(self._offers.failing),
                time=time.time(),
                state=said.state,
            ),
        )
