"""A stage for the store protocol: the real code on real folders, its processes played by threads that stand still.

Supervisors and shepherds of several hosts are actors. Each stands at every fail-point (and, if wanted, at every look)
until it is given a turn, so that a schedule is a list of choices and runs the same each time. Hosts freeze, thaw, are
robbed of their locks, crash and reboot. After each step the invariants of the protocol are looked at from outside.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from protocolview import ProtocolView, Violation, forget_records, is_completed, record_at

from sandbox.copyout import inspect
from sandbox.limits import Limits
from sandbox.linux import proctree
from sandbox.outcome import Guards, Usage, decode_status
from sandbox.outcome import Outcome as BoxOutcome
from sandbox.verdict import KillReason, Verdict
from supervisor import (
    archive,
    cells,
    claim,
    durable,
    failpoints,
    fences,
    flock,
    hosts,
    journal,
    order,
    promoting,
    rblock,
    records,
)
from supervisor import storehand as storehand_module
from supervisor.claim import Claimed, Claimer, Surroundings
from supervisor.hosting import Place
from supervisor.layout import Layout
from supervisor.promotion import staging_name
from supervisor.rblock import RbLock
from supervisor.records import Epoch, Final, Identity, Outcome, Request, Target
from supervisor.runplan import RunPlan
from supervisor.scanning import Scanner
from supervisor.storehand import BoxIdentity, StoreHand
from supervisor.takeover import Ruling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

#: Longer than any step; only a defect of the stage itself reaches it.
_PATIENCE = 60.0
#: `takeover_after`, and what passes when time passes.
_TAKEOVER = 180.0
INSTRUMENT = "ENGINX"


class Crash(BaseException):
    """The process of this actor was killed where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What a shepherd was forked for; RBs and jobs of the stage have names that stand for themselves."""

    rb: str
    job: str
    n: int


class Actor:
    """One process: a thread that goes on only when it is given a turn."""

    def __init__(self, stage: Stage, name: str, host: Host, body: Callable[[], None]) -> None:
        self._stage = stage
        self.name = name
        self.host = host
        self.pid = stage.next_pid()
        self.identity = Identity(pid=self.pid, start=1, boot=host.boot)
        self.at = "start"
        self.ended = False
        self.doomed = False
        #: Whether its renames at the archive fail from now on.
        self.archive_fails = False
        self.locks: list[RbLock] = []
        #: Descriptors of locks that were won, before anybody wraps them.
        self.locked: set[int] = set()
        #: Frozen since its last completed beat: its box may compute until the next one (DESIGN §1).
        self.stale = False
        #: The epoch whose box runs under this shepherd.
        self.box: tuple[str, int] | None = None
        self.error: BaseException | None = None
        self.errand: Errand | None = None
        self._body = body
        self._go = threading.Lock()
        self._back = threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self.doomed:
                self._body()
        except Crash:
            pass
        except BaseException as error:  # noqa: BLE001  # told by `turn`, in the thread of the test
            self.error = error
        finally:
            for lock in self.locks:
                lock.close()
            self.box = None
            self._stage.forget_thread()
            self.ended = True
            self.at = ""
            self._back.release()

    def stand(self, label: str) -> None:
        """Called in the actor's own thread: stand at `label` until there is a turn."""
        if not self.doomed:
            self.at = label
            self._back.release()
            self._go.acquire()
        if self.doomed:
            raise Crash

    def turn(self) -> None:
        """Let it go on to the next point."""
        self._go.release()
        if not self._back.acquire(timeout=_PATIENCE):
            raise AssertionError(f"{self.name} does not come back from {self.at!r}")
        if isinstance(self.error, Violation):
            raise self.error
        if self.error is not None and not self.doomed:
            raise AssertionError(f"{self.name} met a defect") from self.error


class Host:
    """One host of the fleet."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.boots = 1
        #: `up`, `frozen` or `dead`.
        self.state = "up"
        self.counter = 0
        self.supervisor: Actor | None = None
        self.shepherds: list[Actor] = []

    @property
    def boot(self) -> str:
        return f"{self.id}-boot-{self.boots}"

    def actors(self) -> list[Actor]:
        found = [self.supervisor] if self.supervisor is not None else []
        return [actor for actor in found + self.shepherds if not actor.ended]


class Stage(ProtocolView):
    """The store, the archive, the hosts, and the hand that gives the turns."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, *, host_names: str = "h0 h1", looks: bool = True) -> None:
        super().__init__(Layout(str(root / "store")))
        self.root = root
        self.patch = patch
        self.archive = root / "archive"
        self.archive.mkdir()
        self.data = root / "data.nxs"
        self.data.write_bytes(b"counts")
        self.clock = 1000.0
        self.wall = 1_700_000_000.0
        self.give_up = 86400.0
        self.extra_target = False
        self.hosts = {name: Host(name) for name in host_names.split()}
        self.actors: list[Actor] = []
        self.schedule: list[str] = []
        self.verdict = Verdict.completed
        #: Jobs that were told to be cancelled before their epoch was linked.
        self.cancelled_before: set[tuple[str, int]] = set()
        self.started: list[tuple[str, int]] = []
        self._pids = 1000
        self._by_thread: dict[int, Actor] = {}
        self._lost: set[int] = set()
        self.checking = True
        journal.open_store(self.layout, create=True)
        for host in self.hosts.values():
            self._beat_host(host)
        self._patch_effects(looks=looks)

    # --- the seams --------------------------------------------------------------------------------------------

    def _patch_effects(self, *, looks: bool) -> None:
        patch = self.patch
        failpoints.set_hook(self._hook)
        patch.setattr(os, "fsync", lambda fd: None)
        patch.setattr(os, "fdatasync", lambda fd: None)
        pwrite, close, acquire, rename = os.pwrite, RbLock.close, claim.acquire, archive.rename
        lock_descriptor = flock.filelock.lock_descriptor

        def pwrite_or_lost(fd: int, data: bytes, offset: int) -> int:
            if fd in self._lost:
                raise OSError(errno.EIO, "the lock is gone")
            actor = self._me()
            if actor is not None:
                actor.stale = False
            return pwrite(fd, data, offset)

        def close_lock(lock: RbLock) -> None:
            self._lost.discard(lock.fileno())
            close(lock)

        def acquire_for_actor(path: str) -> RbLock | None:
            lock = acquire(path)
            actor = self._me()
            if actor is not None:
                if lock is not None:
                    actor.locks.append(lock)
                actor.locked.clear()
            return lock

        def lock_for_actor(fd: int, *, blocking: bool) -> bool:
            held = bool(lock_descriptor(fd, blocking=blocking))
            actor = self._me()
            if held and actor is not None:
                actor.locked.add(fd)
            return held

        def rename_or_fail(source: str, target: str, what: str) -> bool:
            actor = self._me()
            if actor is not None and actor.archive_fails and what in ("aside", "in"):
                failpoints.point(f"archive.rename {what} fails")
                raise OSError(errno.EACCES, "the archive does not take it")
            return rename(source, target, what)

        patch.setattr(os, "pwrite", pwrite_or_lost)
        patch.setattr(RbLock, "close", close_lock)
        patch.setattr(claim, "acquire", acquire_for_actor)
        patch.setattr(flock.filelock, "lock_descriptor", lock_for_actor)
        patch.setattr(archive, "rename", rename_or_fail)
        patch.setattr(proctree, "alive", lambda who: self._lives(who.pid))
        patch.setattr(
            promoting, "time", SimpleNamespace(sleep=_pause, time=lambda: self.wall, monotonic=lambda: self.clock)
        )
        # A retry counts from the wall clock that the supervisors see, or its job would never be due.
        patch.setattr(
            storehand_module,
            "time",
            SimpleNamespace(sleep=time.sleep, time=lambda: self.wall, monotonic=time.monotonic),
        )
        patch.setattr(storehand_module.answers, "started", lambda plan: {"started": plan.job})
        patch.setattr(
            storehand_module.answers, "terminal", lambda plan, *rest, **more: {"done": {"n": plan.n}, "failed": {}}
        )
        if looks:
            for module, name in ((archive, "look"), (archive, "listing"), (durable, "exists"), (cells, "_read")):
                patch.setattr(module, name, _with_point(getattr(module, name), f"look {name}"))

    def _hook(self, label: str) -> None:
        actor = self._me()
        if actor is not None:
            actor.stand(label)

    def _me(self) -> Actor | None:
        return self._by_thread.get(threading.get_ident())

    def forget_thread(self) -> None:
        """The calling actor has ended: its thread's number may be another's soon."""
        self._by_thread.pop(threading.get_ident(), None)

    def _lives(self, pid: int) -> bool:
        return any(actor.pid == pid and not actor.ended for actor in self.actors)

    def next_pid(self) -> int:
        self._pids += 1
        return self._pids

    def close(self) -> None:
        """End every actor; for the end of a test."""
        self.checking = False
        forget_records()
        for actor in self.actors:
            self._kill(actor)
        failpoints.set_hook(None)

    # --- turns ------------------------------------------------------------------------------------------------

    def step(self, actor: Actor) -> None:
        """Give one turn and look at the invariants."""
        assert not actor.ended, f"{actor.name} has ended"
        assert actor.host.state == "up", f"{actor.host.id} is {actor.host.state}"
        self.schedule.append(actor.name)
        mutates = actor.at.endswith("before")
        actor.turn()
        if mutates and self.checking:
            self.check()

    def until(self, actor: Actor, label: str, *, limit: int = 4000) -> None:
        """Give turns until the actor stands at `label`."""
        for _ in range(limit):
            if actor.at == label:
                return
            assert not actor.ended, f"{actor.name} ended before {label!r}"
            self.step(actor)
        raise AssertionError(f"{actor.name} does not reach {label!r}; it stands at {actor.at!r}")

    def after(self, actor: Actor, label: str) -> None:
        """Give turns until the actor has done the effect `label`."""
        self.until(actor, f"{label} before")
        self.until(actor, f"{label} after")

    def finish(self, actor: Actor, *, limit: int = 6000) -> None:
        """Give turns until the actor has ended."""
        for _ in range(limit):
            if actor.ended:
                return
            self.step(actor)
        raise Violation(f"{actor.name} does not end; it stands at {actor.at!r}")

    def poll(self, host: Host, *, limit: int = 6000) -> None:
        """Let the supervisor of a host make one whole turn."""
        actor = self.supervisor(host)
        self.step(actor)
        for _ in range(limit):
            if actor.at == "idle":
                return
            self.step(actor)
        raise Violation(f"{actor.name} does not come to the end of a turn")

    # --- faults -----------------------------------------------------------------------------------------------

    def crash(self, actor: Actor) -> None:
        """Kill the process where it stands; its locks are free."""
        self.schedule.append(f"crash {actor.name}")
        self._kill(actor)
        if self.checking:
            self.check()

    def _kill(self, actor: Actor) -> None:
        if not actor.ended:
            actor.doomed = True
            actor.turn()
            assert actor.ended, f"{actor.name} outlived its end"

    def freeze(self, host: Host, *, lease_ends: bool = True) -> None:
        """Stop every process of a host; its locks pass to whoever comes, and its descriptors answer EIO."""
        self.schedule.append(f"freeze {host.id}")
        host.state = "frozen"
        for actor in host.actors():
            actor.stale = True
        if lease_ends:
            self.lease_ends(host)

    def lease_ends(self, host: Host) -> None:
        for actor in host.actors():
            for fd in {lock.fileno() for lock in actor.locks if lock.fileno() >= 0} | actor.locked:
                fcntl.flock(fd, fcntl.LOCK_UN)
                self._lost.add(fd)

    def thaw(self, host: Host) -> None:
        self.schedule.append(f"thaw {host.id}")
        host.state = "up"

    def die(self, host: Host) -> None:
        """The machine is gone, with everything on it."""
        self.schedule.append(f"die {host.id}")
        for actor in host.actors():
            self._kill(actor)
        host.state = "dead"
        host.supervisor = None
        self.check()

    def reboot(self, host: Host) -> None:
        self.schedule.append(f"reboot {host.id}")
        host.boots += 1
        host.state = "up"

    def fence(self, host: Host) -> None:
        """An operator says that the host is dead in its boot of now."""
        self.schedule.append(f"fence {host.id}")
        assert fences.link_fence(self.layout, fences.Fence(host=host.id, boot=host.boot, who="anna"))

    def is_fenced(self, host: Host) -> bool:
        """Whether the boot of now is fenced; looked up without a turn."""
        return os.path.exists(self.layout.fence(host.id, host.boot))

    def pass_time(self) -> None:
        """`takeover_after` passes: whoever lives has moved its counter meanwhile."""
        self.clock += _TAKEOVER + 1
        self.wall += _TAKEOVER + 1
        for host in self.hosts.values():
            if host.state == "up":
                self._beat_host(host)

    def _beat_host(self, host: Host) -> None:
        host.counter += 1
        hosts.write_beat(
            self.layout,
            hosts.HostBeat(
                host=host.id, boot=host.boot, counter=host.counter, slots=1, running=0, version="1", level="none"
            ),
        )

    # --- what actors do ---------------------------------------------------------------------------------------

    def _spawn(self, name: str, host: Host, body: Callable[[Actor], None]) -> Actor:
        ready = threading.Event()
        holder: list[Actor] = []

        def enter() -> None:
            ready.wait(_PATIENCE)
            self._by_thread[threading.get_ident()] = holder[0]
            body(holder[0])

        actor = Actor(self, name, host, enter)
        holder.append(actor)
        self.actors.append(actor)
        ready.set()
        return actor

    def supervisor(self, host: Host) -> Actor:
        """The supervisor of a host, started if there is none."""
        actor = host.supervisor
        if actor is None or actor.ended:
            claimer = Claimer(self.layout, self._surroundings(host))
            scanner = Scanner(
                self.layout,
                place=lambda _: Place.HERE,
                unplaceable=lambda _: "",
                unplaceable_after=1e9,
                max_attempts=3,
                host=host.id,
                may_publish=lambda epoch: (
                    epoch.host == host.id
                    or self.hosts[epoch.host].state != "up"
                    or fences.read_fence(self.layout, epoch.host, epoch.boot) is not None
                ),
                has_left_take=lambda rb_cells: claimer.left_take(rb_cells) is not None,
                now=lambda: self.wall,
            )
            actor = self._spawn(f"sup:{host.id}", host, lambda me: self._supervise(host, claimer, scanner, me))
            host.supervisor = actor
        return actor

    def _surroundings(self, host: Host) -> Surroundings:
        return Surroundings(
            host=host.id,
            boot=host.boot,
            takeover_after=_TAKEOVER,
            max_attempts=3,
            now=lambda: self.wall,
            monotonic=lambda: self.clock,
            is_alive=lambda who: who.boot == host.boot and self._lives(who.pid),
            end_box=lambda run: True,
            serves=lambda *_: True,
            ending=_ending,
        )

    def _supervise(self, host: Host, claimer: Claimer, scanner: Scanner, me: Actor) -> None:
        known = [
            (actor, actor.errand.rb)
            for actor in host.shepherds
            if actor.errand is not None and os.path.exists(self.layout.job(actor.errand.job).run(actor.errand.n))
        ]  # adopted by run.json; of one that has none yet a new supervisor knows nothing
        while True:
            if fences.read_fence(self.layout, host.id, host.boot) is not None:
                failpoints.point("idle")  # it has stood down
                continue
            heads, finished, _ = scanner.scan()
            journal.match_remembered(self.layout, self.wall)
            for done in finished:
                durable.touch(self.layout.job(done.job).published, "published")
            running = {rb_part for actor, rb_part in known if not actor.ended}
            chosen = order.choose(heads, free=1 - len(running), busy=running, served={}, now=self.wall)
            for head in chosen:
                place = journal.find_job(self.layout, head.entry.job)
                request = journal.read_request(place) if place is not None else None
                if request is None:
                    continue
                result = claimer.claim(
                    request, tidy=head.tidy, overtaken=lambda head=head: _is_overtaken(scanner, head)
                )
                if isinstance(result, Claimed):
                    known.append((self._fork(host, result), head.rb))
            me.locks = [lock for lock in me.locks if lock.fileno() >= 0]
            failpoints.point("idle")

    def _fork(self, host: Host, claimed: Claimed) -> Actor:
        lock = RbLock(os.dup(claimed.lock.fileno()))
        if claimed.lock.fileno() in self._lost:
            self._lost.add(lock.fileno())
        actor = self._spawn(
            f"shep:{host.id}:{claimed.errand}:{claimed.n}", host, lambda me: self._shepherd(claimed, lock, me)
        )
        actor.locks.append(lock)
        actor.errand = Errand(rb=claimed.rb, job=claimed.request.job, n=claimed.n)
        host.shepherds.append(actor)
        claimed.lock.close()
        return actor

    def _shepherd(self, claimed: Claimed, lock: RbLock, me: Actor) -> None:
        plan = self.plan(
            me.host, claimed.request, claimed.n, errand=claimed.errand, sweep=list(claimed.history.abandoned)
        )
        hand = Hand(self, plan, lock, me)
        try:
            hand.run()
        finally:
            hand.close()
        if hand.defect is not None:
            raise hand.defect

    def plan(self, host: Host, request: Request, n: int, *, errand: str, sweep: list[int] | None = None) -> RunPlan:
        return RunPlan(
            errand=errand,
            store=self.layout.root,
            rb=request.rb,
            n=n,
            job=request.job,
            host=host.id,
            boot=host.boot,
            hostname=host.id,
            code_version="1",
            instrument=request.instrument,
            run=request.run,
            box={"interpreter": [], "env": {}, "input_files": [str(self.data)], "spool": str(self.root)},
            target={"path": self.target_of(request.rb), "layout": "replace"},
            log_names=["script.log", "framework.log"],
            attempt_log_names=[f"script-{n}.log", f"framework-{n}.log"],
            beat=0.0,
            give_up=self.give_up,
            retry={
                "by": "supervisor",
                "count": 0,
                "cap": 3,
                "first": 60.0,
                "longest": 600.0,
                "jitter": 0.0,
                "luck": 0.0,
            },
            sweep=sweep or [],
        )

    # --- what is there ----------------------------------------------------------------------------------------

    def target_of(self, rb: str) -> str:
        return self.rbs.get(rb) or str(self.archive / f"rb{rb}")

    def add_job(self, job: str, *, rb: str = "1", old: bool = True) -> Request:
        """Journal a job, by hand of nobody; its target holds an older good result."""
        request = Request(
            job=job,
            body="{}",
            digest="d",
            headers={},
            family="isis2016",
            instrument=INSTRUMENT,
            facility="ISIS",
            rb=rb,
            run=job,
            run_raw=job,
            version=0,
            data=[str(self.data)],
            priority=4,
            time_ms=1000 + len(os.listdir(self.layout.waiting)),
            sequence=0,
        )
        self.rbs.setdefault(rb, str(self.archive / f"rb{rb}"))
        journal.journal(self.layout, request)
        target = self.target_of(rb)
        if old and not os.path.exists(target):
            os.mkdir(target)
            _write(os.path.join(target, "old.txt"), "old")
        return request

    def commit(self, request: Request, host: Host) -> int:
        """Make the next epoch of the RB, committed with a complete staging, as a shepherd leaves it at its commit."""
        rb_cells = cells.RbCells(self.layout.rb(request.rb))
        rb_cells.make(request.rb)
        n = rb_cells.last() + 1
        rb_cells.link_epoch(n, Epoch(host=host.id, boot=host.boot, job=request.job, time=0.0))
        path = self.target_of(request.rb)
        prefix = os.path.join(os.path.dirname(path), f".autoreduce-{request.job}-0")
        target = Target(path=path, staging=prefix, mode="replace", run=request.run)
        record = {"rb": request.rb, "job": request.job, "epoch": n, "run": request.run}
        folder = staging_name(target, n, 0)
        archive.make_staging(folder, record)
        fill_result(folder, request.rb, n)
        outcome = Outcome(
            kind="committed",
            by="shepherd",
            verdict="completed",
            replies={"done": {"n": n}, "failed": {}},
            targets=[records.target_record(target)],
        )
        rb_cells.link_outcome(n, outcome)
        cells.link_final(self.layout.job(request.job), Final(rb=request.rb, n=n))
        return n

    def promoter(self, host: Host, request: Request, n: int, *, owns_lock: bool = True) -> Actor:
        """A shepherd that has just committed epoch n and promotes it, still under the lock."""
        plan = self.plan(host, request, n, errand="promote")
        lock = claim.acquire(self.layout.rb(request.rb).lock) if owns_lock else None

        def body(me: Actor) -> None:
            beat = (lambda: lock.beat(n)) if lock is not None else (lambda: None)
            rb_cells = cells.RbCells(self.layout.rb(request.rb))
            try:
                promoting.promote_until_done(rb_cells, plan, me.identity, beat)
            except rblock.LostLock:
                return

        actor = self._spawn(f"promoter:{host.id}:{n}", host, body)
        if lock is not None:
            actor.locks.append(lock)
        host.shepherds.append(actor)
        return actor

    def repairer(self, host: Host, request: Request, n: int) -> Actor:
        """A shepherd with the errand to look after the takes of epoch n."""
        plan = self.plan(host, request, n, errand="repair")
        rb_cells = cells.RbCells(self.layout.rb(request.rb))
        actor = self._spawn(
            f"repair:{host.id}:{n}", host, lambda me: promoting.repair_takes(rb_cells, plan, me.identity)
        )
        host.shepherds.append(actor)
        return actor

    # --- the invariants ---------------------------------------------------------------------------------------

    def check(self) -> None:
        """Look at everything that must hold at each moment."""
        running = (actor for actor in self.actors if actor.host.state == "up" and not actor.stale)
        boxes = [actor.box[0] for actor in running if actor.box is not None]
        if len(boxes) != len(set(boxes)):
            self.violates("OVERLAP", f"{boxes}")
        self.check_now()

    def box_starts(self, actor: Actor, plan: RunPlan) -> None:
        """A box is let go: nothing may have been decided, and nothing told before the epoch forbids it."""
        self.started.append((plan.rb, plan.n))
        outcome = record_at(self.layout.rb(plan.rb).outcome(plan.n))
        if outcome is not None:
            self.violates("START-AFTER-REVOKED", f"epoch {plan.n}: {outcome['kind']}")
        if (plan.job, plan.n) in self.cancelled_before:
            self.violates("START-AFTER-CANCEL", plan.job)
        actor.box = (plan.rb, plan.n)

    # --- liveness ---------------------------------------------------------------------------------------------

    def settle(self, *, rounds: int = 40) -> None:
        """Without thaw, reboot or fault everything comes to its end on the hosts that are up."""
        for host in self.hosts.values():
            if host.state != "up":
                self.lease_ends(host)
        trouble = ""
        for turn in range(rounds):
            if turn % 4 == 0:
                self.pass_time()
            for host in self.hosts.values():
                if host.state == "up":
                    self._finish_shepherds(host)
                    self.poll(host)
                    self._finish_shepherds(host)
            trouble = self.unfinished()
            if not trouble:
                self.check()
                return
        raise Violation(f"STUCK: {trouble}\n{self.describe()}")

    def _finish_shepherds(self, host: Host) -> None:
        for actor in host.shepherds:
            actor.archive_fails = actor.archive_fails and self.give_up == 0.0  # else the archive is back by now
            if not actor.ended:
                self.finish(actor)

    def unfinished(self) -> str:
        """What is still to be done, or ""."""
        silent = {host.id for host in self.hosts.values() if host.state != "up" and not self.is_fenced(host)}
        standing = {
            rb: {
                record_at(os.path.join(self.layout.rb(rb).folder("promoting"), take))["host"] for take in self.takes(rb)
            }
            for rb in self.rbs
        }
        left = [
            name
            for name in os.listdir(self.layout.waiting)
            if not (
                standing.get(name.split(".")[2], set()) & silent
                and os.path.exists(self.layout.job(name.split(".")[3]).published)
            )
        ]
        if left:
            return f"waiting: {left}"
        for rb in self.rbs:
            for take in self.takes(rb):
                record = record_at(os.path.join(self.layout.rb(rb).folder("promoting"), take)) or {}
                maker = next(actor for actor in self.actors if actor.pid == record["pid"])
                if self.is_fenced(maker.host):
                    return f"the take {take} of the fenced {maker.host.id}"
                if maker.host.id not in silent and not maker.doomed:
                    return f"the take {take} of {maker.name}, which ended by itself"
            if sum(1 for other in self.rbs if self.target_of(other) == self.target_of(rb)) > 1:
                continue
            done = [
                c["n"] for c in self.cells_of(rb) if is_completed(c) and (c["promoted"] or {}).get("kind") == "done"
            ]
            there = self.content(self.target_of(rb))
            want = max(done, default=0)
            if there is None or there[0] != want:
                return f"target of {rb} holds {there}, not {want}"
            if any(host.state == "frozen" for host in self.hosts.values()):
                continue
            asides, staging, _ = self.beside(rb)
            committed = {c["n"] for c in self.cells_of(rb) if (c["outcome"] or {}).get("kind") == "committed"}
            if asides or committed.intersection(staging.values()):  # the staging of revoked epochs is left to `sweep`
                return f"left beside the target of {rb}: {asides} {staging}"
        return ""

    def describe(self) -> str:
        """The schedule and the state, for people."""
        lines = [f"schedule ({len(self.schedule)} steps): {_runs(self.schedule)}"]
        lines += [
            f"{actor.name} ({actor.host.state}) stands at {actor.at!r}" for actor in self.actors if not actor.ended
        ]
        lines.append(super().describe())
        return "\n".join(lines)


class Hand(StoreHand):
    """The real store hand of a shepherd, with a box that takes no time."""

    def __init__(self, stage: Stage, plan: RunPlan, lock: RbLock, me: Actor) -> None:
        box = BoxIdentity(builder=me.identity, token=f"t{plan.n}", scratch="/nowhere")
        super().__init__(plan, lock, me.identity, Limits(), box if plan.errand == "run" else None, None)
        self._stage = stage
        self._actor = me
        self.defect: BaseException | None = None
        self._box_turns = _BoxTurns(stage, plan, me)
        self._orders = self._box_turns  # type: ignore[assignment]

    def _say(self, word: str, fact: Any) -> None:
        if word == "go":
            self._stage.box_starts(self._actor, self._plan)
        elif word == "stop":
            self._box_turns.reason = fact
        elif word == "defect" and not isinstance(fact, Crash):
            self.defect = fact

    def close(self) -> None:
        os.close(self.wake_r)
        os.close(self._wake_w)
        self._box_turns.close()


class _BoxTurns:
    """What the main thread of a shepherd says: one turn for beat and cancel, then the box has ended."""

    def __init__(self, stage: Stage, plan: RunPlan, me: Actor) -> None:
        self._stage = stage
        self._plan = plan
        self._me = me
        self._turns = 0
        self.reason: KillReason | None = None
        self.stale = ""
        self.out_fd = -1
        self.manifest = None
        self.logs = SimpleNamespace(
            stdout=SimpleNamespace(text=lambda: b"out"), stderr=SimpleNamespace(text=lambda: b"err")
        )

    def get(self, timeout: float = 0.0) -> tuple[str, Any]:
        failpoints.point("box turn")
        self._turns += 1
        if self._turns == 1 and self.reason is None:
            return "look", None
        self._me.box = None  # proven empty: that is what the word means
        return "ended", self

    def outcome(self) -> BoxOutcome:
        verdict: Verdict | None = self._stage.verdict
        if self.reason is KillReason.cancelled:
            verdict = Verdict.cancelled
        elif self.reason is not None:
            verdict = None
        if verdict is Verdict.completed:
            folder = self._stage.root / f"out-{self._plan.rb}-{self._plan.n}-{self._me.pid}"
            folder.mkdir()
            fill_result(str(folder), self._plan.rb, self._plan.n)
            self.out_fd = durable.open_folder(str(folder))
            self.manifest = inspect(self.out_fd, Limits())
        return BoxOutcome(
            verdict=verdict,
            sentence=str(verdict),
            exit=decode_status(0),
            usage=Usage(),
            limits=Limits(),
            guards=Guards(),
        )

    def close(self) -> None:
        if self.out_fd >= 0:
            os.close(self.out_fd)


def fill_result(folder: str, rb: str, n: int) -> None:
    """Write the two files of a result, which say whose they are: a mixture shows."""
    for name in ("a.txt", "b.txt"):
        _write(os.path.join(folder, name), f"{rb} {n}")


def _is_overtaken(scanner: Scanner, head: order.Head) -> bool:
    if head.slotless:
        return False
    first = scanner.head_of(head.rb)
    return first is None or first.job != head.job


def _ending(request: Request, n: int, ruling: Ruling) -> Outcome:
    verdict = "cancelled" if ruling is Ruling.CANCEL else "gave_up"
    return Outcome(kind="committed", by="supervisor", verdict=verdict, replies={"done": {"n": n}, "failed": {}})


def _pause(_seconds: float) -> None:
    failpoints.point("pause")


def _with_point(call: Callable[..., Any], label: str) -> Callable[..., Any]:
    def stand_then_call(*args: Any, **kwargs: Any) -> Any:
        failpoints.point(label)
        return call(*args, **kwargs)

    return stand_then_call


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _runs(schedule: list[str]) -> str:
    """The schedule with repetitions counted."""
    told: list[str] = []
    count = 0
    for index, name in enumerate(schedule):
        count += 1
        if index + 1 == len(schedule) or schedule[index + 1] != name:
            told.append(f"{name} x{count}" if count > 1 else name)
            count = 0
    return ", ".join(told)


__all__ = ["INSTRUMENT", "Actor", "Crash", "Hand", "Host", "Stage", "Violation", "fill_result"]
