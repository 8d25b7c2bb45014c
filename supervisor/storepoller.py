"""The store poller: the one thread of a supervisor that makes file-system calls (DESIGN §3).

The loop owns all state and may never hang; this thread may. It takes commands, does them in order, and tells what it
found. Trouble of the store is told, never raised: a message that could not be journaled is tried again until the store
takes it, and is not acknowledged before. A defect ends the thread and, through the loop, the process.
"""

from __future__ import annotations

import os
import queue
import random
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor import durable, fences, hosting, intake, journal, order, paths, plans, records, request, scanning
from supervisor.activeruns import ActiveRuns, active_run
from supervisor.cells import RbCells
from supervisor.claim import Claimed, Claimer, Ended, Left, Surroundings
from supervisor.ends import ending_of
from supervisor.fleet import Fleet
from supervisor.hosting import Place
from supervisor.hosts import HostBeat, live, live_on, pulse, readable_beat, write_beat
from supervisor.leftovers import end_box, is_alive
from supervisor.nurserylink import NurseryGone
from supervisor.polled import (
    Claim,
    Command,
    Damaged,
    Defect,
    Describe,
    Fenced,
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
from supervisor.takeover import Ruling, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.hosting import Needs
    from supervisor.layout import Layout
    from supervisor.nurserylink import NurseryLink
    from supervisor.offers import Offers
    from supervisor.order import Head
    from supervisor.records import Epoch, Request
    from supervisor.runplan import RunPlan
    from supervisor.scanning import Card
    from supervisor.settings import Settings

#: Pauses of the poller, seconds: while a lock is handed over, while runs are active, else.
_QUICK = 0.01
_ACTIVE = 0.25
_IDLE = 2.0
#: Seconds before an RB whose lock was not won is tried again, and before a store in trouble is.
_COOL = 1.0
_DAMAGED = 60.0
#: Longest time, seconds, for which an RB is left alone whose lock another host holds.
_LONGEST = 120.0
#: Needs of runs that are kept.
_NEEDS = 20_000


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
        #: An operator has declared this boot dead.
        self._fenced = False
        self._since = time.time()
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
            ending=lambda of, n, ruling: ending_of(
                of, n, ruling, settings, facts, why=self._unplaceable(of) if ruling is Ruling.REFUSE else ""
            ),
            refuses=self._refuses,
        )
        self._claimer = Claimer(layout, around)
        self._runs = ActiveRuns(settings, layout, facts, self._claimer, tell)
        own = HostBeat(
            host=facts.host,
            boot=facts.boot,
            counter=0,
            slots=0,
            running=0,
            version=facts.code_version,
            level=offers.level,
            roots=list(settings.paths.data_roots),
            result_roots=list(settings.paths.result_roots),
            interpreters=sorted(offers.working),
            failing=dict(offers.failing),
        )
        self._fleet = Fleet(
            layout, own, beat=settings.lock.beat, takeover_after=settings.lock.takeover_after, monotonic=time.monotonic
        )
        #: What runs need, by instrument and software, and by job where roots matter.
        self._needs: dict[tuple[str, ...], Needs] = {}
        self._scanner = Scanner(
            layout,
            place=self._place,
            unplaceable=self._unplaceable,
            unplaceable_after=settings.publish.unplaceable_after,
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
            IdentityTaken, HostFenced, UnknownStore, OSError: this host may not serve.
        """
        journal.open_store(self._layout, create=True)
        fence = fences.read_fence(self._layout, self._facts.host, self._facts.boot)
        if fence is not None:
            raise fences.refusal(fence)
        self._life = live(self._layout, self._facts.host, self._facts.boot)
        known = readable_beat(self._layout, self._facts.host)
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
        if self._fenced and isinstance(command, Take | Scan | Claim):
            return  # not acknowledged, so the broker gives it to another host; what was journaled is theirs as well
        match command:
            case Take():
                self._take(command)
            case Scan():
                self._scan(command)
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

    def _scan(self, command: Scan) -> None:
        self._fleet.look()
        scanner = self._scanner
        heads, finished, count = scanner.scan(most=command.most, busy=command.busy, served=command.served)
        stuck = next(iter(scanner.nowhere.values()), None)
        self._tell(
            Scanned(
                heads=tuple(heads),
                finished=tuple(finished),
                waiting=count,
                stretch=order.stretch(self._fleet.rivals),
                due_in=scanner.due_in(),
                more=scanner.more,
                nowhere=len(scanner.nowhere),
                why_nowhere="" if stuck is None else hosting.why_not(self._fleet.own, self._needs_of(stuck)),
            )
        )

    # --- messages ---------------------------------------------------------------------------------------------

    def _take(self, command: Take) -> None:
        facts = self._facts
        what = intake.examine(
            command.body,
            command.headers,
            self._settings,
            host=facts.host,
            hostname=facts.hostname,
            now=time.time(),
            fleet=self._fleet.known,
        )
        if isinstance(what, intake.Run):
            taken = journal.journal(self._layout, what.request)
            if taken is not journal.Taken.CONFLICT:
                self._tell(Taken(key=command.key, what=taken.value))
                return
            what = intake.conflict(what.request, self._settings, hostname=facts.hostname)
        if isinstance(what, intake.CancelRun):
            cancelled = journal.cancel_run(self._layout, what.cancel)
            for job in cancelled:
                self._scanner.follow(scanning.part_of(job))
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
        self._scanner.follow(head.entry.job)
        if wanted is None:
            self._tell(NotClaimed(rb_part=head.rb, why="its request cannot be seen", cool_down=_COOL))
            return
        result = self._claimer.claim(wanted, tidy=head.tidy, overtaken=lambda: self._is_overtaken(head))
        if isinstance(result, Ended):
            self._tell(NotClaimed(rb_part=head.rb, why="ended without a run", cool_down=0.0))
        elif isinstance(result, Left):
            if result.fenced:
                self._next_beat = 0.0
            self._tell(NotClaimed(rb_part=head.rb, why=result.why, cool_down=self._cool_down(result)))
        else:
            self._have_forked(result, head)

    def _cool_down(self, left: Left) -> float:
        """Return for how many seconds an RB is left alone: a fleet shares the tries of a lock that one of it holds."""
        if left.cool_down:
            return _COOL
        patience = order.patience(self._settings.store.poll, self._fleet.rivals)
        return min(_LONGEST, patience) * random.uniform(0.5, 1.5)

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

    def _place(self, card: Card | Request) -> Place:
        """Where a job can run."""
        if not self._settings.instrument_for(card.instrument).enabled:
            return Place.DISABLED
        return hosting.place(self._needs_of(card), self._fleet.own, self._fleet.living)

    def _needs_of(self, card: Card | Request) -> Needs:
        key: tuple[str, ...] = (card.instrument, card.software)
        needs = self._needs.get(key)
        if needs is None:
            if len(self._needs) >= _NEEDS:
                self._needs.clear()
            needs = self._needs[key] = hosting.needs_of(self._settings, card.instrument, card.software)
        if not self._fleet.uneven:
            return needs
        whole = self._needs.get((card.job,))
        if whole is None:
            of = journal.read_request(self._layout.job(card.job))
            whole = needs if of is None else hosting.with_paths(needs, of, self._settings.paths.rules())
            self._needs[card.job,] = whole
        return whole

    def _unplaceable(self, card: Card | Request) -> str:
        """Why no host that was ever seen can take a job; "" where one can."""
        return hosting.unplaceable(self._needs_of(card), self._fleet.known)

    def _refuses(self, of: Request) -> bool:
        """Look again, after the epoch is linked, whether a job is to be refused for want of a host."""
        since = scanning.read_unplaceable(self._layout.job(of.job))
        if since is None or self._place(of) is not Place.NOWHERE or not self._unplaceable(of):
            return False
        return time.time() - since >= self._settings.publish.unplaceable_after

    def _may_publish(self, epoch: Epoch) -> bool:
        """Only the claiming host sends, while its heartbeat moves and nobody has fenced it."""
        if epoch.host == self._facts.host or fences.read_fence(self._layout, epoch.host, epoch.boot) is not None:
            return True
        still = self._watch.unmoved(epoch.host, pulse(self._layout, epoch.host), time.monotonic())
        return still >= self._settings.lock.takeover_after

    def _beat_host(self) -> None:
        now = time.monotonic()
        if now < self._next_beat or self._fenced:
            return
        self._next_beat = now + self._settings.lock.beat
        fence = fences.read_fence(self._layout, self._facts.host, self._facts.boot)
        if fence is not None:
            self._fenced = True
            self._tell(Fenced(why=str(fences.refusal(fence))))
        self._counter += 1
        self._life = live_on(self._layout, self._facts.host, self._facts.boot, self._life)
        said = self._described
        write_beat(
            self._layout,
            replace(
                self._fleet.own,
                counter=self._counter,
                slots=said.slots,
                running=said.running,
                time=time.time(),
                state="stopped" if self._fenced else said.state,
                pid=os.getpid(),
                since=self._since,
                hostname=self._facts.hostname,
                unproven=self._facts.unproven,
            ),
        )
