"""A simulated supervisor: the decisions are the product's own, what is around them is an adapter to the virtual store.

Order, takeover, rulings and publications come from `supervisor.order`, `.takeover`, `.waiting` and `.publication`; this
module does in steps what `claim`, `scanning`, `loop` and `storepoller` do with files, threads and processes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from supervisor import order
from supervisor.order import Head
from supervisor.publication import Phase, Publication
from supervisor.takeover import Evidence, JobFacts, RbState, Ruling, Step, Watch, next_step, proof, rule
from tests.fleet.sim.shepherding import Shepherd
from tests.fleet.sim.store import Epoch, Job, Lock, Outcome, Rb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fleet.sim.broker import Delivery
    from tests.fleet.sim.clock import Steps
    from tests.fleet.sim.fleet import Fleet, Host

#: As `storepoller`: seconds before an RB is tried again whose lock another holds, and whose holder is not proven gone.
BUSY, COOL = 0.5, 1.0
MAX_ATTEMPTS = 3
_GAP = 0.2
#: Longest pause of a turn, seconds.
_TURN = 2.0


class Supervisor:
    """The supervisor of one host, from its start to its end."""

    def __init__(self, fleet: Fleet, host: Host) -> None:
        self._fleet = fleet
        self._store = fleet.store
        self._host = host
        self._watch = Watch()
        self._cool: dict[str, float] = {}
        self._served: dict[str, float] = {}
        self._publications: dict[str, Publication] = {}
        self._told: set[str] = set()
        self._held: tuple[Rb, Lock] | None = None
        self.inbox: deque[Delivery] = deque()
        #: Receipts (True) and sends of unknown outcome (False), by the key of their publication.
        self.receipts: deque[tuple[str, bool]] = deque()
        self.since = fleet.clock.now
        self.process = fleet.clock.start(host, self._life())

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return self.process.alive

    def die(self) -> None:
        """SIGKILL: the locks that only it held are free."""
        self.process.end()
        if self._held is not None and self._host.up:
            self._store.close(*self._held)
        self._fleet.broker.gone(self._host)

    @property
    def free(self) -> int:
        """Free slots of its host."""
        return self._fleet.slots - sum(s.errand == "run" and not s.decided for s in self._host.shepherds.values())

    @property
    def _now(self) -> float:
        return self._fleet.clock.now

    def _life(self) -> Steps:
        fleet, host = self._fleet, self._host
        yield fleet.luck.uniform(0.1, 2.0)
        next_scan = next_beat = 0.0
        counter = self._store.beats.get(host.number, (0, 0))[1]
        while True:
            while self.inbox:
                yield from self._take(self.inbox.popleft())
            if self._now >= next_beat:
                next_beat = self._now + fleet.beat
                yield host.call()
                counter += 1
                self._store.beats[host.number] = (host.boot, counter)
            yield from self._publish()
            if self._now >= next_scan:
                yield from self._scan()
                next_scan = self._now + fleet.poll * fleet.luck.uniform(0.5, 1.5)
            yield max(0.05, min(_TURN, next_scan - self._now, next_beat - self._now))

    # --- messages -----------------------------------------------------------------------------------------------

    def _take(self, delivery: Delivery) -> Steps:
        store, message = self._store, delivery.message
        if self._fleet.mutant == "ack-before-journal":
            self._fleet.broker.ack(delivery)
        yield self._host.call()
        if delivery.cancels:
            yield from self._cancel(message.job, delivery.sent)
        else:
            if self._fleet.mutant == "redelivery-runs-again" and message.job in store.jobs:
                store.jobs[message.job].final = None
            job = store.journal(
                self._host.number, message.job, message.rb, message.priority, message.at, delivery.sequence
            )
            yield self._host.call()
            self._match(job)  # whoever writes by-run looks in cancels/ afterwards
        self._fleet.broker.ack(delivery)

    def _cancel(self, run: str, sent: float) -> Steps:
        store, me = self._store, self._host.number
        job = store.jobs.get(run)
        if job is None:
            store.cancels[run] = (sent, store.mark(me))
            self._fleet.say("%s: cancel of %s remembered", self._host, run)
            yield self._host.call()
            job = store.jobs.get(run)
        if job is not None:
            store.cancels.pop(run, None)
            if job.final is None and job.cancel is None:
                job.cancel = store.mark(me)
                self._fleet.say("%s: cancel cell of %s", self._host, run)

    def _match(self, job: Job) -> None:
        known = self._store.cancels.get(job.run)
        if known is not None and job.entry.time_ms <= known[0] * 1000:
            if job.cancel is None:
                job.cancel = self._store.mark(self._host.number)
            self._store.cancels.pop(job.run, None)

    # --- scans --------------------------------------------------------------------------------------------------

    def _scan(self) -> Steps:
        store, me = self._store, self._host.number
        yield self._host.call()
        heads: list[Head] = []
        entries = [job.entry for job in store.jobs.values() if store.seen(job.waiting, me)]
        for group in order.by_rb(entries).values():
            behind = False
            for entry in group:
                behind = self._look(store.jobs[entry.job], heads, behind=behind) or behind
        for run in list(store.cancels):
            if run in store.jobs:
                self._match(store.jobs[run])
        busy = {part for part, until in self._cool.items() if until > self._now}
        busy |= {shepherd.rb.name for shepherd in self._host.shepherds.values()}
        places = self.free if self._fleet.mutant == "lost-lock-uses-a-place" else len(heads)
        for head in order.choose(heads, free=places, busy=busy, served=self._served, now=self._now):
            if head.slotless or self.free > 0:  # a lock that another holds costs no place
                self._served[head.rb] = self._now
                yield from self._claim(head)

    def _look(self, job: Job, heads: list[Head], *, behind: bool) -> bool:
        """Look at one job as `Scanner` does, through what this host has cached; say whether it may run now."""
        store, me = self._store, self._host.number
        rb = store.rb(job.rb)
        if store.seen(job.final, me):
            promoted = store.seen(rb.promoted.get(job.final_epoch), me)
            if not promoted:
                heads.append(Head(entry=job.entry, rb=job.rb, job=job.run, slotless=True, tidy=True))
            if store.seen(job.published, me):
                job.waiting = None
            elif promoted or self._fleet.mutant == "published-before-promoted":
                self._finished(job, rb)
            return False
        ruling = rule(
            JobFacts(
                cancelled=store.seen(job.cancel, me),
                not_before=job.not_before,
                lost_attempts=self._lost(job),
                max_attempts=MAX_ATTEMPTS,
            ),
            self._now,
        )
        if ruling in (Ruling.CANCEL, Ruling.GIVE_UP):
            heads.append(Head(entry=job.entry, rb=job.rb, job=job.run, slotless=True))
        elif ruling is Ruling.RUN and not behind:
            heads.append(Head(entry=job.entry, rb=job.rb, job=job.run))
            return self._fleet.mutant != "arrival-before-priority" or self._first(job, heads)
        return False

    def _first(self, job: Job, heads: list[Head]) -> bool:
        """The mutant: of the heads of an RB the one that was sent first stays."""
        mine = [head for head in heads if head.rb == job.rb and not head.slotless]
        best = min(mine, key=lambda head: head.entry.time_ms)
        heads[:] = [head for head in heads if head not in mine or head is best]
        return False

    def _lost(self, job: Job) -> int:
        return 0 if self._fleet.mutant == "attempts-not-counted" else self._store.lost_attempts(job)

    # --- replies ------------------------------------------------------------------------------------------------

    def _finished(self, job: Job, rb: Rb) -> None:
        epoch = rb.epochs[job.final_epoch]
        if job.run in self._told or not self._may_publish(epoch):
            return
        publication = self._publications.setdefault(job.run, Publication(key=f"job {job.run}"))
        if job.started is not None and not job.started_sent:
            publication.begin({"kind": "started"})
        outcome = rb.outcomes[job.final_epoch]
        publication.finish({"kind": outcome.verdict, "epoch": job.final_epoch})

    def _may_publish(self, epoch: Epoch) -> bool:
        if epoch.host == self._host.number:
            return True
        if self._fleet.mutant == "dead-host-never-published-for":
            return False
        still = self._watch.unmoved(f"p{epoch.host}", self._store.beats.get(epoch.host), self._now)
        return still >= self._fleet.takeover_after

    def _publish(self) -> Steps:
        broker = self._fleet.broker
        while self.receipts:
            key, certain = self.receipts.popleft()
            publication = self._publications.get(key)
            if publication is None:
                continue
            if not certain:
                publication.unsure(suspect=False)
            elif publication.received(self._now) == "started":
                yield self._host.call()
                self._store.jobs[key].started_sent = True
        for key, publication in list(self._publications.items()):
            reply: dict[str, Any] | None
            while broker.connected and (reply := publication.due(self._now, _GAP)) is not None:
                self._fleet.reply(self._host, key, reply)
                broker.send(self, key)
            if publication.phase is Phase.TOLD:
                yield self._host.call()
                self._store.jobs[key].published = self._store.mark(self._host.number)
                del self._publications[key]
                self._told.add(key)

    # --- claims -------------------------------------------------------------------------------------------------

    def _claim(self, head: Head) -> Steps:
        yield self._host.call()
        rb = self._store.rb(head.rb)
        lock = self._store.flock(rb, self._host.number)
        if lock is None:
            self._cool[head.rb] = self._now + BUSY
            return
        self._held = (rb, lock)
        yield from self._hold(rb, lock, head)
        if self._held is not None:
            self._store.close(rb, lock)
            self._held = None

    def _fork(self, rb: Rb, lock: Lock, job: str, n: int, errand: str) -> None:
        self._held = None
        shepherd = Shepherd(self._fleet, self._host, rb, lock, job, n, errand)
        self._host.shepherds[shepherd.number] = shepherd
        self._fleet.say("%s: %s epoch %d: %s %s", self._host, rb.name, n, errand, job)

    def _hold(self, rb: Rb, lock: Lock, head: Head) -> Steps:
        store, me = self._store, self._host.number
        while True:
            last = rb.last
            state = self._state(rb, last)
            step = next_step(state)
            if step is Step.LEAVE:
                self._cool[head.rb] = self._now + COOL
                return
            if step is Step.OPEN:
                break
            holder = rb.epochs[last]
            if step is Step.PROMOTE:
                self._fork(rb, lock, holder.job, last, "promote")
                return
            yield self._host.call()
            if step is Step.REVOKE:
                self._fleet.revoking(rb, last)
                if store.link_outcome(rb, last, Outcome("revoked", by="supervisor")):
                    self._fleet.say("%s: %s epoch %d revoked: %s", self._host, rb.name, last, state.proof)
            elif step is Step.LINK_FINAL:
                store.link_final(store.jobs[holder.job], last, me)
            else:
                store.link_promoted(rb, last, me)
        if not head.tidy:
            yield from self._open(rb, lock, head)

    def _state(self, rb: Rb, last: int) -> RbState:
        if last == 0:
            return RbState(last=0)
        outcome = rb.outcomes.get(last)
        if outcome is None:
            return RbState(last=last, proof=self._proof(rb, last))
        return RbState(
            last=last,
            outcome=outcome.kind,
            promoted=last in rb.promoted,
            final=self._store.jobs[rb.epochs[last].job].final is not None
            or self._fleet.mutant == "final-not-linked-by-the-claimer",
            targets=outcome.verdict == "completed",
        )

    def _proof(self, rb: Rb, n: int) -> str | None:
        holder, fleet = rb.epochs[n], self._fleet
        if fleet.mutant == "takeover-by-the-lock-alone":
            return "its lock is free"
        if holder.host == self._host.number:
            shepherd = self._host.shepherds.get(rb.runs.get(n, -1))
            if fleet.mutant == "no-proof-after-a-reboot" and holder.boot != self._host.boot:
                return None
            return proof(
                Evidence(
                    same_host=True,
                    same_boot=holder.boot == self._host.boot,
                    run_seen=n in rb.runs,
                    shepherd_alive=shepherd is not None and shepherd.alive,
                    tree_alive=shepherd is not None and shepherd.box,
                )
            )
        host = self._watch.unmoved(f"h{holder.host}", self._store.beats.get(holder.host), self._now)
        run = self._watch.unmoved(rb.name, (n, rb.counter), self._now)
        return proof(
            Evidence(
                same_host=False,
                same_boot=False,
                host_unmoved=host,
                run_unmoved=host if fleet.mutant == "takeover-on-one-heartbeat" else run,
                takeover_after=fleet.takeover_after,
            )
        )

    def _open(self, rb: Rb, lock: Lock, head: Head) -> Steps:
        store, n, job = self._store, rb.last + 1, self._store.jobs[head.job]
        before = self._facts(head, job)
        yield self._host.call()
        if not store.link_epoch(rb, n, Epoch(self._host.number, self._host.boot, head.job, self._now)):
            return
        yield self._host.call()
        fleet = self._fleet
        facts = before if fleet.mutant == "no-reread-after-the-epoch" else self._facts(head, job)
        ruling = rule(facts, self._now)
        if ruling is Ruling.RUN:
            fleet.order_kept(rb, job, n)
            self._fork(rb, lock, head.job, n, "run")
        elif ruling in (Ruling.CANCEL, Ruling.GIVE_UP):
            yield self._host.call()
            verdict = "cancelled" if ruling is Ruling.CANCEL else "gave_up"
            if store.link_outcome(rb, n, Outcome("committed", verdict=verdict)):
                fleet.say("%s: %s epoch %d: %s %s without a run", self._host, rb.name, n, head.job, verdict)
                yield self._host.call()
                store.link_final(job, n, self._host.number)
                yield self._host.call()
                store.link_promoted(rb, n, self._host.number)
        else:
            yield self._host.call()
            store.link_outcome(rb, n, Outcome("released", by="supervisor"))

    def _facts(self, head: Head, job: Job) -> JobFacts:
        """All that decides whether the job may run now, by fresh looks; the mutant looks through its cache."""
        store = self._store
        cached = self._host.number if self._fleet.mutant == "stale-reread" else None
        self._match(job)
        first = next(self._eligible(job.rb, cached), None)
        return JobFacts(
            final=store.seen(job.final, cached),
            waiting=job.waiting is not None,
            cancelled=store.seen(job.cancel, cached),
            not_before=job.not_before,
            lost_attempts=self._lost(job),
            max_attempts=MAX_ATTEMPTS,
            overtaken=not head.slotless and first is not job and self._fleet.mutant != "arrival-before-priority",
        )

    def _eligible(self, rb: str, cached: int | None) -> Iterator[Job]:
        """The jobs of an RB that may run now, in their order."""
        store = self._store
        of_rb = [job for job in store.jobs.values() if job.rb == rb and store.seen(job.waiting, cached)]
        for job in sorted(of_rb, key=lambda job: job.entry):
            facts = JobFacts(
                final=store.seen(job.final, cached),
                cancelled=store.seen(job.cancel, cached),
                not_before=job.not_before,
                lost_attempts=self._lost(job),
                max_attempts=MAX_ATTEMPTS,
            )
            if rule(facts, self._now) is Ruling.RUN:
                yield job
