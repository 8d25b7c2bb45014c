"""The store poller: the one thread of a supervisor that makes file-system calls (DESIGN §3).

The loop owns all state and may never hang; this thread may. It takes commands, does them in order, and tells what it
found. Trouble of the store is told, never raised: a message that could not be journaled is tried again until the store
takes it, and is not acknowledged before; each task that fails is left for a while, the others go on (`storehealth`). A
defect ends the thread and, through the loop, the process.
"""

from __future__ import annotations

import os
import queue
import random
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor import (
    drains,
    durable,
    fences,
    hosting,
    intake,
    journal,
    names,
    order,
    paths,
    plans,
    records,
    request,
    scanning,
    storecall,
    storeformat,
    storenotes,
)
from supervisor.activeruns import ActiveRuns, active_run
from supervisor.admission import room_of, wants_of_needs
from supervisor.cells import RbCells
from supervisor.claim import Claimed, Claimer, Ended, Left, Surroundings
from supervisor.disabling import DisabledInstruments, is_disabled
from supervisor.ends import ending_of
from supervisor.fleet import Fleet
from supervisor.hosting import Place
from supervisor.hosts import HostBeat, live, live_on, pulse, readable_beat, write_beat
from supervisor.leftovers import end_box, is_alive
from supervisor.nurserylink import NurseryGone
from supervisor.polled import (
    Adopt,
    Adopted,
    Claim,
    Command,
    Damaged,
    Defect,
    Describe,
    Drained,
    Fenced,
    Found,
    Inspect,
    Mark,
    Marked,
    NotClaimed,
    NotScanned,
    NotTaken,
    Outgrown,
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
from supervisor.pruning import Pruner
from supervisor.scanning import Scanner
from supervisor.storehealth import HANGING_BEATS, StoreHealth, Trouble
from supervisor.takeover import Ruling, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.hostfacts import HostFacts
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
#: Seconds before an RB whose lock was not won is tried again.
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
        facts: HostFacts,
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
        self._tell = tell
        self._orders: queue.SimpleQueue[Command] = queue.SimpleQueue()
        #: What failed and may not be lost, in order; the loop bounds how many messages it hands over at a time.
        self._postponed: list[Command] = []
        self._again_at = 0.0
        self._health = StoreHealth()
        self._told_trouble: Trouble | None = None
        self._told_damage: set[str] = set()
        self._adopted = False
        self._described = Describe(slots=settings.host.slot_count(1), running=0, state="starting")
        self._counter = 0
        self._next_beat = 0.0
        self._ended = False
        #: An operator has declared this boot dead.
        self._fenced = False
        #: An operator wants nothing new taken here.
        self._drain: drains.Drain | None = None
        self._since = time.time()
        self._watch = Watch()
        self._claimer = Claimer(layout, self._surroundings())
        self._runs = ActiveRuns(settings, layout, facts, self._claimer, tell)
        self._fleet = Fleet(
            layout,
            self._own_beat(offers),
            beat=settings.lock.beat,
            takeover_after=settings.lock.takeover_after,
            monotonic=time.monotonic,
        )
        #: What runs need, by instrument and software, and by job where roots matter.
        self._needs: dict[tuple[str, ...], Needs] = {}
        self._disabled = DisabledInstruments(layout)
        self._scanner = Scanner(
            layout,
            place=self._place,
            unplaceable=self._unplaceable,
            unplaceable_after=settings.publish.unplaceable_after,
            max_attempts=settings.publish.max_attempts,
            host=facts.host,
            may_publish=self._may_publish,
            has_left_take=lambda cells: self._claimer.left_take(cells) is not None,
            now=time.time,
            wants=lambda card: wants_of_needs(self._needs_here(card)),
        )
        self._pruner = Pruner(
            layout, keep=settings.store.keep, remember=settings.store.remember, host=facts.host, now=time.time
        )
        #: When the last turn began, by the monotonic clock: silence means that the store hangs.
        self.last_turn = time.monotonic()

    def _surroundings(self) -> Surroundings:
        """Return what a claim needs to know of this host, by the configuration in force."""
        settings, facts = self._settings, self._facts
        return Surroundings(
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

    def _own_beat(self, offers: Offers) -> HostBeat:
        """Return what the heartbeat says of this host as long as its configuration stays."""
        settings, facts = self._settings, self._facts
        room = room_of(settings, facts.capacity)
        return HostBeat(
            host=facts.host,
            boot=facts.boot,
            counter=0,
            slots=0,
            running=0,
            version=facts.code_version,
            level=offers.level,
            memory=room.memory,
            cpus=room.cpus,
            roots=list(settings.paths.data_roots),
            result_roots=list(settings.paths.result_roots),
            interpreters=sorted(offers.working),
            failing=dict(offers.failing),
        )

    def order(self, command: Command) -> None:
        """Have `command` done; any thread may call this."""
        if isinstance(command, Describe):
            self._described = command  # at once: while the store hangs, descriptions must not pile up
        else:
            self._orders.put(command)

    @property
    def waits_for(self) -> str:
        """The call that this thread has not come back from, or ""; any thread may ask."""
        return storecall.under_way(self.ident or 0)[0]

    @property
    def drained(self) -> bool:
        """Whether an operator wants nothing new taken here, as of the last beat."""
        return self._drain is not None

    def take_identity(self) -> None:
        """Open the store, take the lock of this host's id for life and beat once; before the thread is started.

        The format is looked at again after the beat: whoever raises it announces that first, and looks at the beats
        afterwards, so that one of the two sees the other (`storeformat`).

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
        self._beat_host()

    def run(self) -> None:
        """Do what is ordered until told to stop."""
        try:
            while not self._ended:
                self.last_turn = time.monotonic()
                self._turn()
        except storeformat.UnknownStore as unknown:
            self._tell(Outgrown(why=str(unknown)))
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
        if self._postponed and time.monotonic() >= self._again_at:
            self._try_again()
        self._look_after("runs", self._runs.look)
        if time.monotonic() >= self._next_beat:
            self._look_after("beat", self._beat_host)
        if command is None and not self._postponed and not self._runs.handing_over:
            self._look_after("prune", self._pruner.turn)
        self._health.forget(time.monotonic(), time.time())
        call, lasted = storecall.take_slowest()
        if lasted > HANGING_BEATS * self._settings.lock.beat:
            self._health.hung(call, lasted, time.time())
        self._tell_health()

    def _pause(self) -> float:
        now = time.monotonic()
        usual = _QUICK if self._runs.handing_over else _ACTIVE if self._runs.any else _IDLE
        wakes = [max(now + usual, self._health.due_at("runs")), max(self._next_beat, self._health.due_at("beat"))]
        if self._postponed:
            wakes.append(self._again_at)
        elif not self._runs.handing_over:
            wakes.append(max(self._pruner.due_at, self._health.due_at("prune")))
        return max(0.0, min(wakes) - now)

    def _attempt(self, command: Command) -> bool:
        """Do a command; what fails for the store's sake is told and, where something would be lost, done again."""
        task = f"claim {command.head.rb}" if isinstance(command, Claim) else type(command).__name__.lower()
        try:
            self._do(command)
        except OSError as error:
            self._failed(command, task, error)
            return False
        except (records.CorruptRecord, request.BadRequest) as damage:
            # A record that cannot be read stops its RB, not the fleet; an operator has to look at it.
            self._damaged(str(damage))
            if isinstance(command, Claim):
                self._tell(NotClaimed(rb_part=command.head.rb, why=str(damage), cool_down=_DAMAGED))
            elif isinstance(command, Scan):
                self._tell(NotScanned(pause=_COOL))
            elif isinstance(command, Take):
                self._tell(NotTaken(key=command.key))
        if not any(type(other) is type(command) for other in self._postponed):
            self._health.well(task, time.time())
        self._tell_health()
        return True

    def _failed(self, command: Command, task: str, error: OSError) -> None:
        now = time.monotonic()
        pause = self._health.failed(task, error, now, time.time())
        if isinstance(command, Take | Mark | Inspect):
            if command not in self._postponed:
                self._postponed.append(command)
            self._again_at = now + pause
        elif isinstance(command, Claim):
            self._tell(NotClaimed(rb_part=command.head.rb, why=storecall.reason(error), cool_down=pause))
        elif isinstance(command, Scan):
            self._tell(NotScanned(pause=pause))
        self._tell_health()

    def _try_again(self) -> None:
        """Do what was postponed, in order; the first that fails again goes to the end, and the rest waits with it.

        So a store that is away is asked once in each pause, however much waits for it, and one record that cannot be
        written keeps nothing else from being written.
        """
        waiting, self._postponed = self._postponed, []
        while waiting:
            command = waiting.pop(0)
            if not self._attempt(command):
                self._postponed = [other for other in waiting if other != command] + self._postponed
                return
            self.last_turn = time.monotonic()

    def _look_after(self, task: str, look: Callable[[], None]) -> None:
        """Do one of the tasks that nobody orders, unless it failed a moment ago."""
        if not self._health.is_due(task, time.monotonic()):
            return
        try:
            look()
        except OSError as error:
            self._health.failed(task, error, time.monotonic(), time.time())
            return
        except records.CorruptRecord as damage:
            self._damaged(str(damage))
        self._health.well(task, time.time())

    def _damaged(self, why: str) -> None:
        if why not in self._told_damage:
            self._told_damage.add(why)
            self._tell(Damaged(why=why))

    def _tell_health(self) -> None:
        trouble = self._health.trouble
        if trouble == self._told_trouble:
            return
        self._told_trouble = trouble
        self._tell(StoreWell() if trouble is None else StoreTrouble(why=trouble.why, since=trouble.since))

    def _do(self, command: Command) -> None:
        if self._fenced and isinstance(command, Take | Scan | Claim):
            return  # not acknowledged, so the broker gives it to another host; what was journaled is theirs as well
        match command:
            case Take():
                self._take(command)
            case Scan():
                self._scan(command)
            case Claim():
                self._claim(command.head)
            case Inspect():
                self._runs.inspect(command.run)
            case Mark():
                self._mark(command)
            case Adopt():
                self._adopt(command)
            case Stop():
                self._ended = True
                self._described = Describe(
                    slots=self._described.slots, running=self._described.running, state="stopped"
                )
                self._beat_host()

    def _adopt(self, command: Adopt) -> None:
        """Use another configuration from here on: for what is claimed, ended, scanned and pruned."""
        settings = self._settings = command.settings
        self._facts = replace(self._facts, closures=command.offers.closures)
        self._needs.clear()
        self._fleet.offer(self._own_beat(command.offers))
        self._claimer.tune(self._surroundings())
        self._scanner.tune(
            unplaceable_after=settings.publish.unplaceable_after, max_attempts=settings.publish.max_attempts
        )
        self._pruner.tune(keep=settings.store.keep, remember=settings.store.remember)
        self._next_beat = 0.0  # the fleet is told at once
        self._tell(Adopted(command=command))

    def _match_cancels(self) -> None:
        journal.match_remembered(self._layout, time.time())

    def _scan(self, command: Scan) -> None:
        if not self._adopted:
            self._runs.adopt(self._scanner.rbs())  # before anything is claimed: their slots are taken
            self._adopted = True
        self._fleet.look()
        scanner = self._scanner
        if self._disabled.look():
            scanner.look_again()
        heads, finished, count = scanner.scan(
            most=command.most,
            busy=command.busy,
            served=command.served,
            fits=command.occupied.fits if command.occupied is not None else lambda _: True,
            first=command.first,
        )
        stuck = next(iter(scanner.nowhere.values()), None)
        self._tell(
            Scanned(
                heads=tuple(heads),
                finished=tuple(finished),
                waiting=count,
                stretch=order.stretch(self._fleet.rivals),
                due_in=scanner.due_in(),
                more=scanner.more,
                disabled=self._disabled.sentences(),
                nowhere=len(scanner.nowhere),
                why_nowhere="" if stuck is None else hosting.why_not(self._fleet.own, self._needs_of(stuck)),
                oldest=scanner.oldest(command.busy),
            )
        )
        for damage in set(scanner.damage.values()):
            self._damaged(damage)
        self._look_after("cancels", self._match_cancels)

    # --- messages ---------------------------------------------------------------------------------------------

    def _take(self, command: Take) -> None:
        facts = self._facts
        what = intake.examine(
            command.body,
            command.headers,
            self._settings,
            host=facts.host,
            hostname=facts.hostname,
            now=command.received or time.time(),
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
                self._scanner.follow(names.part_of(job))
            self._tell(Taken(key=command.key, what="cancel", cancelled=tuple(cancelled)))
            return
        record = {
            "key": what.key,
            "text": what.text,
            "body": what.body,
            "headers": what.headers,
            "reply": what.reply.to_json(),
            "time": command.received or time.time(),
        }
        durable.link_new(self._layout.poison(what.digest), records.pack(record), "poison")
        told = durable.exists(self._layout.poison_told(what.digest))
        self._tell(Poisoned(key=command.key, poison=what, told=told))

    def _mark(self, command: Mark) -> None:
        if command.what == "told":
            durable.touch(self._layout.poison_told(command.job), "told")
        else:
            place = self._layout.job(command.job)
            try:
                durable.touch(place.started_sent if command.what == "started" else place.published, command.what)
            except FileNotFoundError:
                if durable.exists(place.request):
                    raise  # else the job was pruned meanwhile: it was published long ago
        self._tell(Marked(what=command.what, job=command.job))

    # --- claims and runs --------------------------------------------------------------------------------------

    def _claim(self, head: Head) -> None:
        if self._drain is not None and not head.slotless:  # it was ordered before the loop knew
            self._tell(NotClaimed(rb_part=head.rb, why="this host is drained", cool_down=_COOL))
            return
        place = journal.find_job(self._layout, head.entry.job)
        wanted = journal.read_request(place) if place is not None else None
        self._scanner.follow(head.entry.job)
        if wanted is None:
            self._tell(NotClaimed(rb_part=head.rb, why="its request cannot be seen", cool_down=_COOL))
            return
        if not head.slotless and wants_of_needs(self._needs_here(wanted)) != head.wants:
            # It was admitted by the limits of another configuration.
            self._tell(NotClaimed(rb_part=head.rb, why="its limits have changed since", cool_down=0.0))
            return
        result = self._claimer.claim(wanted, tidy=head.tidy, overtaken=lambda: self._is_overtaken(head))
        if isinstance(result, Ended):
            self._tell(_ended(result, head, "ended without a run"))
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
        """Have a shepherd forked for what was claimed; whatever keeps it from that, the lock is let go."""
        begun = False
        try:
            plan = self._plan(claimed)
            job = self._layout.job(claimed.request.job).root
            shepherd = self._nursery.fork(plan, claimed.lock.fileno(), job, self._facts.boot)
            run = active_run(claimed.request, head.rb, claimed.n, claimed.errand, shepherd, head.wants)
            if claimed.errand == "run":
                self._runs.begin(claimed, run)
                begun = True
            self._tell(Started(run=run))
        except (paths.BadPath, request.BadRequest, NoProfile) as bad:
            self._refuse(claimed, head, str(bad))
        except NurseryGone as gone:
            self._tell(NotClaimed(rb_part=head.rb, why=str(gone), cool_down=_COOL))
            if claimed.errand == "run":
                self._claimer.release(claimed.rb, claimed.n, f"nursery: {gone}")
        finally:
            if not begun:
                claimed.lock.close()

    def _plan(self, claimed: Claimed) -> RunPlan:
        if claimed.errand != "run":
            return plans.errand(
                claimed.request, claimed.n, claimed.errand, self._settings, self._facts, claimed.history
            )
        return plans.run(claimed.request, claimed.n, claimed.history, self._settings, self._facts, luck=random.random())

    def _refuse(self, claimed: Claimed, head: Head, why: str) -> None:
        """End a job whose paths the settings of today do not allow."""
        outcome = ending_of(claimed.request, claimed.n, None, self._settings, self._facts, why=why)
        result = self._claimer.end(claimed.request, RbCells(self._layout.rb(claimed.rb)), claimed.n, outcome)
        self._tell(_ended(result, head, why))

    # --- this host --------------------------------------------------------------------------------------------

    def _serves(self, of: Request) -> bool:
        """Look again, after the epoch is linked, whether a job can run here."""
        return self._place(of) is Place.HERE and not is_disabled(self._layout, of.instrument)

    def _place(self, card: Card | Request) -> Place:
        """Where a job can run."""
        if card.instrument in self._disabled or not self._settings.instrument_for(card.instrument).enabled:
            return Place.DISABLED
        return hosting.place(self._needs_of(card), self._fleet.own, self._fleet.living)

    def _needs_here(self, card: Card | Request) -> Needs:
        """What a job needs, but for the roots of its files."""
        # Few RBs have limits of their own: all others need what their instrument and software do.
        rb = card.rb if card.rb in self._settings.limits.rb else ""
        key: tuple[str, ...] = (card.instrument, card.software, rb)
        needs = self._needs.get(key)
        if needs is None:
            if len(self._needs) >= _NEEDS:
                self._needs.clear()
            needs = self._needs[key] = hosting.needs_of(self._settings, card.instrument, card.software, rb)
        return needs

    def _needs_of(self, card: Card | Request) -> Needs:
        needs = self._needs_here(card)
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
        """Beat, and look afterwards whether this version can still read the store.

        Raises:
            UnknownStore: it cannot; nothing more may be written here.
            OSError: the store cannot be used now.
        """
        if self._fenced:
            self._next_beat = time.monotonic() + self._settings.lock.beat
            return
        fence = fences.read_fence(self._layout, self._facts.host, self._facts.boot)
        if fence is not None:
            self._fenced = True
            self._tell(Fenced(why=str(fences.refusal(fence))))
        self._look_for_drain()
        self._counter += 1
        self._life = live_on(self._layout, self._facts.host, self._facts.boot, self._life)
        said = self._described
        trouble = self._health.trouble or storenotes.of_runs(self._settings.service.run_dir) or self._health.last
        write_beat(
            self._layout,
            replace(
                self._fleet.own,
                counter=self._counter,
                slots=said.slots,
                running=said.running,
                memory_taken=said.memory_taken,
                waits=dict(said.waits),
                time=time.time(),
                state=self._state(said.state),
                pid=os.getpid(),
                since=self._since,
                hostname=self._facts.hostname,
                unproven=self._facts.unproven,
                reads=list(records.READS),
                trouble=trouble.to_json() if trouble is not None else {},
            ),
        )
        self._next_beat = time.monotonic() + self._settings.lock.beat
        storeformat.check(self._layout)

    def _look_for_drain(self) -> None:
        drain = drains.read_drain(self._layout, self._facts.host)
        if drain != self._drain:
            self._drain = drain
            self._tell(Drained(drain=drain))

    def _state(self, said: str) -> str:
        """Return what the heartbeat says of this host, where the loop calls it `said`."""
        if self._fenced:
            return "stopped"
        return drains.DRAINED if self._drain is not None and said != "stopped" else said


def _ended(result: Ended | Left, head: Head, why: str) -> NotClaimed:
    """Return what is told of a job that was to end without a run."""
    told = NotClaimed(rb_part=head.rb, why=why, cool_down=0.0)
    if isinstance(result, Left):  # it was decided by another
        return told
    return replace(told, instrument=result.request.instrument, verdict=result.verdict)
