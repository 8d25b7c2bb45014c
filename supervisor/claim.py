"""Claiming an RB: flock, decide what is undecided, link the next epoch, read everything again (DESIGN §5).

Runs in the poller's thread, which makes all file-system calls of a supervisor. The supervisor never touches the
archive: where renames are due, the claim ends in an errand for a shepherd, which gets the lock's descriptor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from supervisor import durable, fences, hosts, journal, records, tombstones, waiting
from supervisor.attempts import History, history, read_not_before, run_record
from supervisor.cells import RbCells, link_final, read_final
from supervisor.flock import acquire
from supervisor.rblock import LostLock, RbLock, read_counter
from supervisor.records import Epoch, Final, Outcome, Promoted, Request, RunRecord
from supervisor.takeover import ENDS, Evidence, JobFacts, RbState, Ruling, Step, Watch, next_step, proof, rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The lock is held and work is to be done under it by a shepherd."""

    #: `run`, `promote` or `repair`.
    errand: str
    lock: RbLock
    rb: str
    #: The epoch to run in, or whose promotion is to be ended.
    n: int
    request: Request
    history: History


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Nothing to be done under this lock now, and why."""

    why: str
    #: The lock was won but nothing may be done with it: cool down (DESIGN §5).
    cool_down: bool = False
    #: An operator has declared this boot of this host dead.
    fenced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The job ended without a run."""

    request: Request
    n: int
    verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The facts of the host that a claim needs; effects on processes are handed in."""

    host: str
    boot: str
    takeover_after: float
    max_attempts: int
    now: Callable[[], float]
    monotonic: Callable[[], float]
    #: Whether the process of a `run.json` lives, and whether any process of its box does (ending what is left).
    is_alive: Callable[[records.Identity], bool]
    end_box: Callable[[RunRecord], bool]
    #: Whether a job can run on this host now, by fresh looks.
    serves: Callable[[Request], bool]
    #: The committed outcome of a job that ends without a run: (request, epoch, verdict, why).
    ending: Callable[[Request, int, Ruling], Outcome]
    #: Whether no host that was ever seen could take a job for long enough to refuse it.
    refuses: Callable[[Request], bool] = lambda _request: False


class Claimer:
    """Claims RBs for one host."""

    def __init__(self, layout: Layout, around: Surroundings) -> None:
        """Claim in the store of `layout`."""
        self._layout = layout
        self._around = around
        self._watch = Watch()
        #: When a repair was last begun for a take of a silent host, by the monotonic clock: it stays until that host
        #: is back or fenced, and must not keep the RB busy.
        self._looked_after: dict[tuple[str, int, int], float] = {}
        #: When the counters of a holder were last looked at from outside its lock, by the monotonic clock.
        self._looked_at: dict[str, float] = {}

    def tune(self, around: Surroundings) -> None:
        """Claim with other facts of the host from now on: its configuration has changed."""
        self._around = around

    def claim(
        self, request: Request, *, tidy: bool = False, overtaken: Callable[[], bool] = lambda: False
    ) -> Claimed | Left | Ended:
        """Try to get `request` to run, or to end, under its RB's lock.

        Args:
            request: the job that heads its RB.
            tidy: the job is decided; only what its epoch left undone is to be done.
            overtaken: looks again whether another job of the RB comes first.

        Raises:
            OSError: the store cannot be used now.
        """
        place = self._layout.rb(request.rb)
        lock = acquire(place.lock)
        if lock is None:
            self._watch_holder(RbCells(place))
            return Left(why="another run of this RB holds its lock")
        try:
            result = self._hold(request, lock, tidy, overtaken)
        except LostLock as lost:
            lock.close()
            return Left(why=f"the lock was lost: {lost}", cool_down=True)
        except BaseException:
            lock.close()
            raise
        if not isinstance(result, Claimed):
            lock.close()
        return result

    def _hold(
        self, request: Request, lock: RbLock, tidy: bool, overtaken: Callable[[], bool]
    ) -> Claimed | Left | Ended:
        cells = RbCells(self._layout.rb(request.rb))
        cells.make(request.rb)
        while True:
            last = cells.last()
            outcome = cells.outcome(last) if last else None
            holder = cells.epoch(last) if last else None
            state = self._state(cells, last, holder, outcome)
            step = next_step(state)
            if step is Step.LEAVE:
                return Left(why=f"epoch {last} is undecided and its holder is not proven gone", cool_down=True)
            if step is Step.REVOKE:
                self._revoke(cells, last, state.proof or "")
            elif step is Step.LINK_FINAL and holder is not None:
                link_final(self._layout.job(holder.job), Final(rb=request.rb, n=last))
            elif step is Step.LINK_PROMOTED:
                cells.link_promoted(last, Promoted(kind="done", time=self._around.now(), host=self._around.host))
            elif step is Step.PROMOTE and holder is not None:
                return self._errand("promote", lock, last, holder.job, cells)
            else:
                break
        taken = self.left_take(cells)
        if taken is not None and holder is not None:
            for n, k in cells.takes():
                if n == taken:
                    self._looked_after[cells.place.root, n, k] = self._around.monotonic()
            return self._errand("repair", lock, taken, self._job_of(cells, taken, holder.job), cells)
        if tidy:
            return Left(why="nothing is left undone")
        return self._open(request, lock, cells, last + 1, overtaken)

    def clear(self, rb: str, *, mute: bool = False) -> bool:
        """Decide the newest epoch of an RB that our own host left undecided, if it can be proven; open nothing.

        A host that comes up clears what its last supervisor left, without a slot: another host could not, since our
        heartbeat moves, and may serve the RB at once.

        Args:
            rb: the RB.
            mute: we killed its shepherd, which made no beat any more: no fault of the script, so that it does not
                count towards `max_attempts`.

        Returns:
            Whether the newest epoch is decided.

        Raises:
            OSError: the store cannot be used now.
        """
        cells = RbCells(self._layout.rb(rb))
        lock = acquire(cells.place.lock)
        if lock is None:
            return False
        try:
            last = cells.last()
            holder = cells.epoch(last) if last else None
            if holder is None or holder.host != self._around.host or cells.outcome(last) is not None:
                return True
            state = self._state(cells, last, holder, None)
            if next_step(state) is Step.REVOKE:
                by = "watch" if mute else "supervisor"
                self._revoke(cells, last, "its shepherd was mute and was killed" if mute else state.proof or "", by)
                return True
            return False
        finally:
            lock.close()

    def _job_of(self, cells: RbCells, n: int, default: str) -> str:
        epoch = cells.epoch(n)
        return epoch.job if epoch is not None else default

    def _errand(self, errand: str, lock: RbLock, n: int, job: str, cells: RbCells) -> Claimed | Left:
        request = journal.read_request(self._layout.job(job))
        if request is None:
            return Left(why=f"epoch {n} names the unknown job {job}", cool_down=True)
        return Claimed(
            errand=errand,
            lock=lock,
            rb=request.rb,
            n=n,
            request=request,
            history=history(self._layout.job(request.job), cells),
        )

    def _open(
        self, request: Request, lock: RbLock, cells: RbCells, n: int, overtaken: Callable[[], bool]
    ) -> Claimed | Left | Ended:
        around = self._around
        if self._is_over(request):
            # The head of a stale scan. Were we to die in an epoch of a finished job, nothing in `waiting/` would lead
            # anybody to it; and what is final stays so, but for a cached "absent", which the second look finds.
            return Left(why="its job is over")
        epoch = Epoch(host=around.host, boot=around.boot, job=request.job, time=around.now())
        if not cells.link_epoch(n, epoch):
            return Left(why=f"another host has linked epoch {n}")
        if fences.read_fence(self._layout, around.host, around.boot) is not None:
            # Linked after the fence: whoever fenced us may not have seen it. It is decided here, or by them.
            self._decide(cells, n, Outcome(kind="released", why="this host was fenced"))
            return Left(why="this host was fenced", fenced=True)
        if cells.last() != n:  # we were frozen so long that the cells of epochs from n on were pruned meanwhile
            self._decide(cells, n, Outcome(kind="released", why="a newer epoch exists"))
            return Left(why=f"a newer epoch than {n} exists")
        # Everything that was read before the lock was won is read again now: a cached "absent" decides nothing.
        past = history(self._layout.job(request.job), cells)
        ruling = rule(self.facts(request, past, overtaken=overtaken()), around.now())
        if ruling is Ruling.RUN:
            lock.beat(n)
            return Claimed(errand="run", lock=lock, rb=request.rb, n=n, request=request, history=past)
        if ruling in ENDS:
            ended = self.end(request, cells, n, around.ending(request, n, ruling))
            if isinstance(ended, Ended) and past.abandoned:  # a shepherd sweeps what earlier attempts have staged
                return Claimed(errand="repair", lock=lock, rb=request.rb, n=n, request=request, history=past)
            return ended
        self._decide(cells, n, Outcome(kind="released", why=f"facts changed: {ruling.value}"))
        return Left(why=f"facts changed after the claim: {ruling.value}")

    def end(self, request: Request, cells: RbCells, n: int, outcome: Outcome) -> Ended | Left:
        """Commit a job that ends without a run, in the epoch `n` we hold: outcome, final, promoted."""
        if not cells.link_outcome(n, outcome):
            return Left(why=f"epoch {n} was decided by another")
        link_final(self._layout.job(request.job), Final(rb=request.rb, n=n))
        cells.link_promoted(n, Promoted(kind="done", time=self._around.now(), host=self._around.host))
        return Ended(request=request, n=n, verdict=outcome.verdict)

    def _decide(self, cells: RbCells, n: int, outcome: Outcome) -> None:
        by = outcome.by or "supervisor"
        cells.link_outcome(n, replace(outcome, by=by, time=self._around.now(), host=self._around.host))

    def _revoke(self, cells: RbCells, n: int, why: str, by: str = "supervisor") -> None:
        self._decide(cells, n, Outcome(kind="revoked", why=why, by=by))

    def release(self, rb: str, n: int, why: str) -> bool:
        """Decide an epoch that no shepherd began: the job runs again; False when it is decided already."""
        cells = RbCells(self._layout.rb(rb))
        self._decide(cells, n, Outcome(kind="released", why=why))
        outcome = cells.outcome(n)
        return outcome is not None and outcome.kind == "released"

    def _state(self, cells: RbCells, last: int, holder: Epoch | None, outcome: Outcome | None) -> RbState:
        if last == 0 or holder is None:
            return RbState(last=0)
        if outcome is None:
            return RbState(last=last, proof=proof(self._evidence(last, holder, cells)))
        # `promoted` implies `final`, which is gone when the job was pruned; its newest epoch stays.
        promoted = cells.promoted(last) is not None
        return RbState(
            last=last,
            outcome=outcome.kind,
            promoted=promoted,
            final=promoted or durable.exists(self._layout.job(holder.job).final),
            targets=bool(outcome.targets),
        )

    def _evidence(self, n: int, holder: Epoch, cells: RbCells) -> Evidence:
        around = self._around
        if holder.host == around.host:
            run = run_record(self._layout.job(holder.job), n)
            alive = run is not None and holder.boot == around.boot and around.is_alive(run.shepherd)
            tree = run is not None and holder.boot == around.boot and not alive and not around.end_box(run)
            return Evidence(
                same_host=True,
                same_boot=holder.boot == around.boot,
                run_seen=run is not None,
                shepherd_alive=alive,
                tree_alive=tree,
            )
        fence = fences.read_fence(self._layout, holder.host, holder.boot)
        pulse = hosts.pulse(self._layout, holder.host)
        counter = read_counter(cells.place.lock)
        now = around.monotonic()
        return Evidence(
            same_host=False,
            same_boot=False,
            host_unmoved=self._watch.unmoved(f"host {holder.host}", pulse, now),
            run_unmoved=self._watch.unmoved(f"rb {cells.place.root}", (n, counter), now),
            takeover_after=around.takeover_after,
            fenced_by=fence.who if fence is not None else "",
        )

    def _watch_holder(self, cells: RbCells) -> None:
        """Look now and then at the counters of the host that holds the lock.

        A file server keeps the lock of a dead host for its lease: `takeover_after` counts from the last sign of life,
        and not from the end of that. The last look, on which the proof rests, is made with the lock in hand.
        """
        around, root = self._around, cells.place.root
        now = around.monotonic()
        if now - self._looked_at.get(root, -math.inf) < around.takeover_after / 10:
            return
        self._looked_at[root] = now
        last = cells.last()
        holder = cells.epoch(last) if last else None
        if holder is not None and holder.host != around.host:
            self._evidence(last, holder, cells)

    def left_take(self, cells: RbCells) -> int | None:
        """The epoch of a take that is work for a poll: its maker is gone, or its host is silent (DESIGN §5, 5).

        A take of a silent host is looked after once in each `takeover_after`, and stands until that host is back; one
        of a fenced boot is looked after and removed.
        """
        for (n, k), take in sorted(cells.takes().items(), key=lambda item: item[0]):
            if take.host == self._around.host:
                identity = records.Identity(pid=take.pid, start=take.start, boot=take.boot)
                left = take.boot != self._around.boot or not self._around.is_alive(identity)
            elif fences.read_fence(self._layout, take.host, take.boot) is not None:
                left = True
            else:
                left = self._is_silent(take.host) and self._is_due((cells.place.root, n, k))
            if left:
                return n
        return None

    def _is_silent(self, host: str) -> bool:
        pulse = hosts.pulse(self._layout, host)
        unmoved = self._watch.unmoved(f"host {host}", pulse, self._around.monotonic())
        return unmoved >= self._around.takeover_after

    def _is_due(self, take: tuple[str, int, int]) -> bool:
        last = self._looked_after.get(take)
        return last is None or self._around.monotonic() - last >= self._around.takeover_after

    def _is_over(self, request: Request) -> bool:
        final = read_final(self._layout.job(request.job))
        return final is not None or not durable.exists(self._entry_of(request))

    def _entry_of(self, request: Request) -> str:
        return self._layout.path("waiting", waiting.entry_of(request).name)

    def facts(self, request: Request, past: History, *, overtaken: bool) -> JobFacts:
        """Everything that decides whether the job may run now, by fresh looks."""
        place = self._layout.job(request.job)
        # Remembered cancels first: another host may be moving one from there to the job's cell at this moment.
        for _, cancel in journal.remembered(self._layout):
            if journal.means(cancel, request):
                journal.cancel_job(place, cancel)
        return JobFacts(
            final=read_final(place) is not None or tombstones.find(self._layout, request.job) is not None,
            waiting=durable.exists(self._entry_of(request)),
            cancelled=durable.exists(place.cancel),
            not_before=read_not_before(place),
            enabled=self._around.serves(request),
            lost_attempts=past.lost,
            max_attempts=self._around.max_attempts,
            unplaceable=self._around.refuses(request),
            overtaken=overtaken,
        )
