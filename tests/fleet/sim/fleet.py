"""One simulated fleet: hosts, faults, and the invariants that are looked at with every step (DESIGN §5)."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from supervisor.takeover import JobFacts, Ruling, rule
from tests.fleet.sim.broker import Broker
from tests.fleet.sim.clock import Clock, Site
from tests.fleet.sim.store import Job, Rb, Store, Violation
from tests.fleet.sim.supervising import MAX_ATTEMPTS, Supervisor

if TYPE_CHECKING:
    from typing import Any

    from tests.fleet.sim.clock import Steps
    from tests.fleet.sim.schedule import Fault, Schedule
    from tests.fleet.sim.shepherding import Shepherd

#: Defaults of the product, seconds.
BEAT, SELF_KILL_AFTER, TAKEOVER_AFTER = 10.0, 60.0, 180.0
#: I7: a head that may run waits no longer while a healthy host has had a free slot all the time.
_LONGEST_IDLE = 120.0
_LOOK = 20.0
#: A host that is down for longer does not come back, if another is left.
_FOR_EVER = 250.0
#: A fleet that has not ended everything so long after its last fault is stuck.
_PATIENCE = 6000.0
#: Broker heart-beat and its tolerance: a consumer silent for so long has lost its connection.
_SILENT = 8.0


class Host(Site):
    """One machine."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        super().__init__()
        self._fleet = fleet
        self.number = number
        self.boot = 1
        self.up = True
        self.supervisor: Supervisor | None = None
        self.shepherds: dict[int, Shepherd] = {}
        self.frozen_at = 0.0
        #: Since when nothing has been wrong with it.
        self.well_since = 0.0
        #: When it last thawed, saw the store again, or booted.
        self.recovered = 0.0

    def __str__(self) -> str:
        return f"host{self.number}"

    @property
    def listens(self) -> bool:
        """Whether the broker has a consumer here."""
        return self.up and not self.frozen and self.supervisor is not None and self.supervisor.alive

    def call(self) -> float:
        """How long a call of the store takes; now and then one is slow."""
        luck = self._fleet.luck.random()
        return -(0.02 if luck < 0.9 else (luck - 0.9) * 30.0)


class Fleet:
    """A schedule that runs."""

    def __init__(self, schedule: Schedule, *, mutant: str = "", trace: bool = False) -> None:
        """Prepare `schedule`; `mutant` breaks one rule, `trace` keeps what happened as lines."""
        self.schedule = schedule
        self.mutant = mutant
        self.lines: list[str] | None = [] if trace else None
        self.clock = Clock()
        self.luck = random.Random(schedule.seed + 1)
        self.store = Store(self.clock, schedule.stale)
        self.broker = Broker(self)
        self.slots = schedule.slots
        self.beat, self.takeover_after = BEAT, TAKEOVER_AFTER
        self.self_kill_after = 600.0 if mutant == "self-kill-later-than-takeover" else SELF_KILL_AFTER
        self.poll = schedule.poll
        self.messages = {message.job: message for message in schedule.messages}
        self.replies: dict[str, tuple[str, int]] = {}
        self._number = 0
        self._idle: dict[str, float] = {}
        self._boxes: dict[str, list[Shepherd]] = {}
        self._down: set[int] = set()
        self.hosts = [Host(self, number) for number in range(schedule.hosts)]
        for host in self.hosts:
            host.supervisor = Supervisor(self, host)
        for sequence, message in enumerate(schedule.messages):
            self.broker.publish(message, sequence)
        for fault in schedule.faults:
            self.clock.at(fault.at, partial(self._begin, fault))
        self._watcher = self.clock.start(Site(), self._watch())
        self._faults_left = len(schedule.faults)
        times = [fault.at + fault.lasts for fault in schedule.faults]
        times += [message.at + message.delay + message.service for message in schedule.messages]
        self._patience = max(times, default=0.0) + _PATIENCE

    def say(self, text: str, *facts: object) -> None:
        """Note a line of the trace."""
        if self.lines is not None:
            self.lines.append(f"{self.clock.now:9.2f}  {text % facts}")

    def next_number(self) -> int:
        """A number that no other process has."""
        self._number += 1
        return self._number

    def run(self) -> None:
        """Run to the end.

        Raises:
            Violation: an invariant does not hold.
        """
        while not self._ended():
            for _ in range(50):
                self.clock.turn()
            if self.clock.now > self._patience:
                self._stuck()

    # --- the end ------------------------------------------------------------------------------------------------

    def _ended(self) -> bool:
        if self._faults_left or self.broker.held:
            return False
        if any(host.shepherds for host in self.hosts):
            return False
        jobs = self.store.jobs
        return len(jobs) == len(self.messages) and all(job.waiting is None and job.published for job in jobs.values())

    def _stuck(self) -> None:
        for name in self.messages:
            job = self.store.jobs.get(name)
            if job is None:
                raise Violation(
                    f"I1 message of {name} is lost" if not self.broker.held else f"I1 {name} never journaled"
                )
            if job.final is None:
                raise Violation(f"I1 job {name} never has an outcome")
            if not job.published or name not in self.replies:
                raise Violation(f"I1 the outcome of job {name} is never told")
            if job.waiting is not None:
                raise Violation(f"I1 job {name} is told and waits for ever")
        if self.broker.held:
            raise Violation("I1 a message is never acknowledged")

    # --- what is looked at with every step ----------------------------------------------------------------------

    def box_started(self, shepherd: Shepherd) -> None:
        """I2: no two boxes of an RB; I8: none after a cancel; I9: none after the last attempt."""
        rb, n, job = shepherd.rb, shepherd.n, shepherd.job
        self.say("%s: box of %s epoch %d begins (%s)", shepherd.host, rb.name, n, job.run)
        running = self._boxes.setdefault(rb.name, [])
        running[:] = [other for other in running if other.box and other is not shepherd]
        for other in running:
            if not other.exempt:
                raise Violation(f"I2 boxes of epochs {other.n} and {n} of {rb.name} overlap")
        running.append(shepherd)
        if n in rb.outcomes and not shepherd.exempt:
            raise Violation(f"I2 box of epoch {n} of {rb.name} begins though it is {rb.outcomes[n].kind}")
        remembered = self.store.cancels.get(job.run)
        cancel = job.cancel or (remembered[1] if remembered is not None else None)
        if cancel is not None and cancel.at <= rb.epochs[n].at:
            raise Violation(f"I8 job {job.run} begins though its cancel was durable before epoch {n}")
        if self.store.lost_attempts(job) >= MAX_ATTEMPTS:
            raise Violation(f"I9 job {job.run} begins after {self.store.lost_attempts(job)} lost attempts")

    def order_kept(self, rb: Rb, job: Job, n: int) -> None:
        """I6: of the jobs of an RB that may run now the first by priority, then by time, is the one that runs."""
        for other in self.store.jobs.values():
            if other.rb == rb.name and other.entry < job.entry and self._may_run(other):
                raise Violation(f"I6 epoch {n} of {rb.name} runs {job.run} before {other.run}")

    def revoking(self, rb: Rb, n: int) -> None:
        """I11: a run whose host never stopped is not revoked."""
        holder = rb.epochs[n]
        host = self.hosts[holder.host]
        shepherd = host.shepherds.get(rb.runs.get(n, -1))
        stops = host.frozen or host.cut or host.boot != holder.boot or shepherd is None or not shepherd.alive
        if n not in rb.outcomes and not stops and self.clock.now - host.recovered > self.takeover_after:
            raise Violation(f"I11 epoch {n} of {rb.name} revoked while its shepherd lives on a host that never stopped")

    def reply(self, host: Host, name: str, reply: dict[str, Any]) -> None:
        """I4: a terminal reply says the committed outcome, after its promotion, and always the same."""
        self.say("%s: reply for %s: %s", host, name, reply)
        if reply["kind"] == "started":
            return
        job = self.store.jobs[name]
        rb = self.store.rb(job.rb)
        n = reply["epoch"]
        outcome = rb.outcomes.get(n)
        if outcome is None or outcome.kind != "committed" or outcome.verdict != reply["kind"]:
            raise Violation(f"I4 reply {reply} of {name} is not what was committed")
        if n not in rb.promoted:
            raise Violation(f"I4 reply {reply} of {name} before its promotion")
        if self.replies.setdefault(name, (reply["kind"], n)) != (reply["kind"], n):
            raise Violation(f"I4 job {name} is told two outcomes: {self.replies[name]} and {reply}")

    def _may_run(self, job: Job) -> bool:
        facts = JobFacts(
            final=job.final is not None,
            waiting=job.waiting is not None,
            cancelled=job.cancel is not None,
            not_before=job.not_before,
            lost_attempts=self.store.lost_attempts(job),
            max_attempts=MAX_ATTEMPTS,
        )
        return rule(facts, self.clock.now) is Ruling.RUN

    def _watch(self) -> Steps:
        """I7: no RB that may run waits for long while a healthy host has a free slot."""
        while True:
            yield _LOOK
            served = any(
                host.listens and not host.cut and self.clock.now - host.well_since > _LOOK and host.supervisor.free > 0
                for host in self.hosts
                if host.supervisor is not None
            )
            waiting = {job.rb for job in self.store.jobs.values() if self._may_run(job)}
            for name in waiting:
                if not served or not self._is_idle(self.store.rb(name)):
                    self._idle.pop(name, None)
                    continue
                since = self._idle.setdefault(name, self.clock.now)
                if self.clock.now - since > _LONGEST_IDLE:
                    raise Violation(f"I7 {name} waits since {since:.0f} s while a healthy host has a free slot")
            for name in set(self._idle) - waiting:
                del self._idle[name]

    @staticmethod
    def _is_idle(rb: Rb) -> bool:
        last = rb.outcomes.get(rb.last)
        return rb.lock is None and (
            rb.last == 0 or (last is not None and (last.kind != "committed" or rb.last in rb.promoted))
        )

    # --- faults -------------------------------------------------------------------------------------------------

    def _begin(self, fault: Fault) -> None:
        self._faults_left -= 1
        host = self.hosts[fault.host]
        self.say("FAULT %s %s for %.1f s, lease %.1f s", fault.kind, host, fault.lasts, fault.lease)
        if fault.kind == "broker":
            if self.broker.connected:
                self.broker.down()
                self._later(fault.lasts, self.broker.up)
            return
        if fault.kind == "forget":
            self.store.forget()
            return
        if not host.up or host.frozen or host.cut:
            return
        host.well_since = float("inf")
        if fault.kind == "supervisor":
            self._end_supervisor(host)
            self._later(fault.lasts, lambda: self._restart(host))
        elif fault.kind == "shepherd":
            for shepherd in list(host.shepherds.values())[:1]:
                shepherd.die()
            host.well_since = self.clock.now
        elif fault.kind == "host":
            self._fall(host, fault)
        elif fault.kind == "freeze":
            self._freeze(host, fault)
        else:
            self._cut(host, fault)

    def _later(self, seconds: float, do: Any) -> None:
        """Something that a fault promises; nothing is over before it."""
        self._faults_left += 1

        def act() -> None:
            self._faults_left -= 1
            do()

        self.clock.at(self.clock.now + seconds, act)

    def _end_supervisor(self, host: Host) -> None:
        if host.supervisor is not None and host.supervisor.alive:
            host.supervisor.die()

    def _restart(self, host: Host) -> None:
        if not host.up or host.frozen:
            return  # it starts when the host is back
        if host.supervisor is None or not host.supervisor.alive:
            self.say("%s: supervisor starts", host)
            host.supervisor = Supervisor(self, host)
        if not host.cut:
            host.well_since = self.clock.now

    def _fall(self, host: Host, fault: Fault) -> None:
        """A dead machine closes nothing: its locks stand until their lease is over, or it is back."""
        for_ever = fault.lasts > _FOR_EVER and len(self._down) < len(self.hosts) - 1
        if for_ever:
            self._down.add(host.number)
        host.up = False
        self._end_supervisor(host)
        for shepherd in list(host.shepherds.values()):
            shepherd.die()
        host.parked.clear()
        self._later(fault.lease, lambda: self.store.expire(host.number) if not host.up else None)
        if not for_ever:
            self._later(fault.lasts, lambda: self._boot(host))

    def _boot(self, host: Host) -> None:
        host.boot += 1
        host.up = True
        host.recovered = self.clock.now
        self.store.expire(host.number)  # the server knows the client by its new verifier
        self.say("%s: boots", host)
        self._restart(host)

    def _freeze(self, host: Host, fault: Fault) -> None:
        host.frozen = True
        host.frozen_at = self.clock.now
        for shepherd in host.shepherds.values():
            shepherd.exempt = True
        self._later(_SILENT, lambda: self.broker.gone(host) if host.frozen else None)
        self._later(fault.lease, lambda: self.store.expire(host.number) if host.frozen else None)
        self._later(fault.lasts, lambda: self._thaw(host))

    def _thaw(self, host: Host) -> None:
        host.frozen = False
        host.recovered = self.clock.now
        self.say("%s: thaws", host)
        for shepherd in host.shepherds.values():
            shepherd.ends_at += self.clock.now - host.frozen_at
            self._self_kill_later(shepherd)
        host.release(self.clock)
        self._restart(host)

    def _cut(self, host: Host, fault: Fault) -> None:
        host.cut = True
        for shepherd in host.shepherds.values():
            self._self_kill_later(shepherd)
        self._later(fault.lease, lambda: self.store.expire(host.number) if host.cut else None)
        self._later(fault.lasts, lambda: self._heal(host))

    def _heal(self, host: Host) -> None:
        host.cut = False
        host.recovered = self.clock.now
        self.say("%s: sees the store again", host)
        host.release(self.clock)
        self._restart(host)

    def _self_kill_later(self, shepherd: Shepherd) -> None:
        """The main thread's own timer: it needs no store (DESIGN §3)."""

        def look() -> None:
            if not shepherd.box or not shepherd.alive or shepherd.host.frozen:
                return
            due = shepherd.last_beat + self.self_kill_after
            if self.clock.now >= due - 1e-6:
                shepherd.end_box("self-kill")
            elif shepherd.host.cut:
                self.clock.at(due, look)

        self.clock.at(max(self.clock.now, shepherd.last_beat + self.self_kill_after), look)
