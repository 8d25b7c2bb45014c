"""A simulated shepherd: holds the lock of an RB, drives a box, commits and promotes, each call of the store a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor import answers
from tests.fleet.sim.store import Lock, Outcome

if TYPE_CHECKING:
    from tests.fleet.sim.clock import Steps
    from tests.fleet.sim.fleet import Fleet, Host
    from tests.fleet.sim.store import Rb

#: Tries again of a condition of the site before it is an error.
_CAP = 3


class LostLock(Exception):
    """The lock's own descriptor refused a beat."""


class Shepherd:
    """One shepherd and its box."""

    def __init__(self, fleet: Fleet, host: Host, rb: Rb, lock: Lock, job: str, n: int, errand: str) -> None:
        self._fleet = fleet
        self._store = fleet.store
        self.host = host
        self.rb = rb
        self.lock = lock
        self.job = fleet.store.jobs[job]
        self.n = n
        self.errand = errand
        self.number = fleet.next_number()
        self.last_beat = fleet.clock.now
        #: Frozen since its last beat: what is left of its run may still compute (DESIGN §1).
        self.exempt = False
        self.box = False
        self.ends_at = 0.0
        self.killed = ""
        self.decided = False
        self.process = fleet.clock.start(host, self._life())

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return self.process.alive

    def die(self) -> None:
        """SIGKILL: its box goes with it, and the lock if the host is there to close it."""
        self.process.end()
        self.end_box("its shepherd died")
        if self.host.up:
            self._store.close(self.rb, self.lock)
        self.host.shepherds.pop(self.number, None)

    def end_box(self, why: str) -> None:
        """End the box, if it runs."""
        if self.box:
            self.box = False
            self.killed = why
            self._fleet.say("box of %s epoch %d ends: %s", self.rb.name, self.n, why)

    def _life(self) -> Steps:
        yield 0.05
        try:
            if self.errand == "run":
                yield from self._run()
            else:
                yield from self._beat()
                yield from self._promote()
        except LostLock:
            self.end_box("lost lock")
            if self.errand == "run":
                yield from self._link(Outcome("revoked", by="self"))
        self.process.end()
        self._store.close(self.rb, self.lock)
        self.host.shepherds.pop(self.number, None)

    def _beat(self) -> Steps:
        yield self.host.call()
        if self.lock.lost:
            raise LostLock
        self._store.calls += 1
        self.rb.counter = (self.n, self.rb.counter[1] + 1)
        self.last_beat = self._fleet.clock.now
        self.exempt = False

    def _link(self, outcome: Outcome) -> Steps:
        yield self.host.call()
        self._store.overwrites = outcome.kind == "committed" and self._fleet.mutant == "commit-without-the-cell"
        won = self._store.link_outcome(self.rb, self.n, outcome)
        self._store.overwrites = False
        self.decided = True
        self._fleet.say(
            "%s: %s epoch %d %s %s%s", self.host, self.rb.name, self.n, outcome.kind, outcome.verdict,
            "" if won else " (too late)",
        )  # fmt: skip
        if won and outcome.kind == "committed":
            yield from self._promote()
        elif outcome.kind == "committed":
            self.rb.staging.pop(self.n, None)

    def _run(self) -> Steps:
        fleet, clock = self._fleet, self._fleet.clock
        yield from self._beat()
        careless = fleet.mutant == "no-look-before-the-start"
        yield self.host.call()
        if self.n in self.rb.outcomes and not careless:
            return
        yield self.host.call()
        self.rb.runs[self.n] = self.number
        self.job.attempts.append(self.n)
        message = fleet.messages[self.job.run]
        attempt = len(self.job.attempts) - 1
        fate = message.fates[attempt] if attempt < len(message.fates) else ""
        yield self.host.call()
        if self.job.cancel is not None:
            yield from self._link(Outcome("committed", verdict="cancelled"))
            return
        if fate == "retry":
            yield from self._retry()
            return
        yield self.host.call()
        if self.job.started is None:
            self.job.started = self._store.mark(self.host.number)
        yield self.host.call()
        if self.n in self.rb.outcomes and not careless:
            return
        self.box = True
        self.ends_at = clock.now + message.service
        fleet.box_started(self)
        if clock.now >= self.last_beat + fleet.self_kill_after:
            self.end_box("self-kill")  # the main thread looks at the last beat in the turn in which it lets the box go
        if fate == "crash":
            clock.at(clock.now + message.service / 2, self._crash)
        yield from self._tend()
        yield from self._finish()

    def _crash(self) -> None:
        if self.box and self.host.up and not self.host.frozen:
            self.die()

    def _tend(self) -> Steps:
        clock, beat = self._fleet.clock, self._fleet.beat
        while self.box:
            if clock.now >= self.ends_at:
                self.end_box("")
                return
            if clock.now >= self.last_beat + beat:
                yield from self._beat()
                if self.job.cancel is not None:
                    self.end_box("cancelled")
                continue
            yield max(0.001, min(self.ends_at, self.last_beat + beat) - clock.now)

    def _finish(self) -> Steps:
        if self.killed == "self-kill":
            raise LostLock
        verdict = "cancelled" if self.killed == "cancelled" else "completed"
        yield self.host.call()
        if verdict == "completed" and self.n not in self.rb.outcomes:
            self.rb.staging[self.n] = 0
        if self._fleet.clock.now >= self.last_beat + self._fleet.beat:
            yield from self._beat()
        yield from self._link(Outcome("committed", verdict=verdict))

    def _retry(self) -> Steps:
        tries = sum(self.rb.outcomes[n].kind == "retry" for n in self.job.attempts if n in self.rb.outcomes)
        if tries >= _CAP:
            yield from self._link(Outcome("committed", verdict="unavailable"))
            return
        facts = {"longest": 60.0, "first": 5.0, "count": tries, "jitter": 0.2, "luck": self._fleet.luck.random()}
        self.job.not_before = self._fleet.clock.now + answers.retry_delay(facts)
        yield from self._link(Outcome("retry"))

    def _promote(self) -> Steps:
        rb, n, store, early = self.rb, self.n, self._store, self._fleet.mutant == "promoted-before-placed"
        yield self.host.call()
        store.link_final(self.job, n, self.host.number)
        outcome = rb.outcomes[n]
        if outcome.verdict == "completed" and not early:
            rb.takes += 1
            k = rb.takes
            while rb.target < n:
                yield from self._beat()
                if n in rb.promoted:
                    return
                yield self.host.call()
                if n in rb.staging and rb.staging[n] < k:
                    rb.staging[n] = k  # the fence: every earlier promoter's rename finds nothing from now on
                elif rb.target < n and rb.staging.get(n) != k:
                    return  # nothing is seen, nothing is concluded
                yield self.host.call()
                store.place(rb, n, k)
        yield self.host.call()
        store.link_promoted(rb, n, self.host.number)
        self._fleet.say("%s: %s epoch %d promoted", self.host, rb.name, n)
