"""The simulated shared store: write-once cells, counters and locks with leases (DESIGN §4); it checks what is written.

What it keeps is the truth. A look is fresh unless a host is named: then a name that another host made is absent until
it is `stale` seconds old, as through a cached folder on NFS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from supervisor.waiting import Entry

if TYPE_CHECKING:
    from tests.fleet.sim.clock import Clock


class Violation(AssertionError):
    """An invariant does not hold; says which, and when."""


class Mark(NamedTuple):
    """A name in the store: when it was made, by which host, and what stands in it."""

    at: float
    host: int
    what: str = ""


@dataclass(slots=True)
class Lock:
    """A held flock: the open descriptor that processes of one host share."""

    host: int
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Epoch:
    """Who may act for an RB."""

    host: int
    boot: int
    job: str
    at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an epoch."""

    kind: str
    by: str = ""
    verdict: str = ""


@dataclass(slots=True)
class Rb:
    """The cells of an RB, and its result folder."""

    name: str
    lock: Lock | None = None
    counter: tuple[int, int] = (0, 0)
    epochs: dict[int, Epoch] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    promoted: dict[int, Mark] = field(default_factory=dict)
    #: run.json: the shepherd of an epoch, by its number.
    runs: dict[int, int] = field(default_factory=dict)
    #: Staging of an epoch, under the number of the promoter whose it is.
    staging: dict[int, int] = field(default_factory=dict)
    takes: int = 0
    #: The epoch whose result stands at the target.
    target: int = 0

    @property
    def last(self) -> int:
        """The newest epoch, 0 where there is none."""
        return len(self.epochs)


@dataclass(slots=True)
class Job:
    """The records of a job."""

    entry: Entry
    rb: str
    run: str
    request: Mark
    waiting: Mark | None = None
    cancel: Mark | None = None
    final: Mark | None = None
    final_epoch: int = 0
    started: Mark | None = None
    started_sent: bool = False
    published: Mark | None = None
    not_before: float = 0.0
    attempts: list[int] = field(default_factory=list)


class Store:
    """One store, and what must hold of it at each step (DESIGN §5, messaging-locking §5.5)."""

    def __init__(self, clock: Clock, stale: float) -> None:
        self._clock = clock
        self._stale = stale
        self.calls = 0
        self.jobs: dict[str, Job] = {}
        self.rbs: dict[str, Rb] = {}
        self.beats: dict[int, tuple[int, int]] = {}
        #: Cancels of runs that were not seen: run -> (sent, made).
        self.cancels: dict[str, tuple[float, Mark]] = {}
        #: A cell is written over instead of made once: the mutant of I3.
        self.overwrites = False

    def mark(self, host: int, what: str = "") -> Mark:
        """A name made now."""
        self.calls += 1
        return Mark(self._clock.now, host, what)

    def seen(self, mark: Mark | None, host: int | None) -> bool:
        """Say whether a name is there: by a fresh look, or through what `host` has cached."""
        if mark is None:
            return False
        return host is None or mark.host == host or self._clock.now - mark.at >= self._stale

    def rb(self, name: str) -> Rb:
        """The cells of an RB."""
        return self.rbs.setdefault(name, Rb(name))

    # --- journal ------------------------------------------------------------------------------------------------

    def journal(self, host: int, job: str, rb: str, priority: int, sent: float, sequence: int) -> Job:
        """Make a job durable, or find that it is; a redelivery makes its `waiting` entry again."""
        known = self.jobs.get(job)
        if known is None:
            entry = Entry(
                rank=9 - priority, time_ms=int(sent * 1000), sequence=sequence, job=job, instrument="I", rb=rb
            )
            known = self.jobs[job] = Job(entry=entry, rb=rb, run=job, request=self.mark(host))
        if known.final is None and known.waiting is None:
            known.waiting = self.mark(host)
        return known

    # --- locks --------------------------------------------------------------------------------------------------

    def flock(self, rb: Rb, host: int) -> Lock | None:
        """Take the lock without waiting; None when another holds it."""
        self.calls += 1
        if rb.lock is not None:
            return None
        rb.lock = Lock(host)
        return rb.lock

    def close(self, rb: Rb, lock: Lock) -> None:
        """Close the last descriptor of a lock."""
        if rb.lock is lock:
            rb.lock = None

    def expire(self, host: int) -> None:
        """The lease of a host is over: its locks are given away, and only their own descriptors will say so."""
        for rb in self.rbs.values():
            if rb.lock is not None and rb.lock.host == host:
                rb.lock.lost = True
                rb.lock = None

    def forget(self) -> None:
        """The server forgets every lock and tells nobody, as where a mount keeps locks to itself (`local_lock`)."""
        for rb in self.rbs.values():
            rb.lock = None

    # --- cells --------------------------------------------------------------------------------------------------

    def link_epoch(self, rb: Rb, n: int, epoch: Epoch) -> bool:
        """Open epoch n; I3: the one before is decided, and promoted where it committed."""
        self.calls += 1
        if n in rb.epochs:
            return False
        before = rb.outcomes.get(n - 1)
        if n > 1 and before is None:
            raise Violation(f"I3 epoch {n} of {rb.name} opened while {n - 1} is undecided")
        if before is not None and before.kind == "committed" and n - 1 not in rb.promoted:
            raise Violation(f"I3 epoch {n} of {rb.name} opened before {n - 1} was promoted")
        rb.epochs[n] = epoch
        return True

    def link_outcome(self, rb: Rb, n: int, outcome: Outcome) -> bool:
        """Decide an epoch; I3: once, and a job commits once."""
        self.calls += 1
        known = rb.outcomes.get(n)
        if known is not None:
            if not self.overwrites:
                return False
            if known != outcome:
                raise Violation(f"I3 outcome {n} of {rb.name} replaced: {known.kind} by {outcome.kind}")
        job = rb.epochs[n].job
        if outcome.kind == "committed":
            for other, decided in rb.outcomes.items():
                if other != n and decided.kind == "committed" and rb.epochs[other].job == job:
                    raise Violation(f"I3 job {job} committed in epochs {other} and {n} of {rb.name}")
        rb.outcomes[n] = outcome
        return True

    def link_final(self, job: Job, n: int, host: int) -> None:
        """Point a job at its outcome."""
        if job.final is None:
            job.final = self.mark(host)
            job.final_epoch = n

    def link_promoted(self, rb: Rb, n: int, host: int, kind: str = "done") -> None:
        """End the promotion of an epoch; it is in place, or newer is."""
        if n in rb.promoted:
            return
        outcome = rb.outcomes[n]
        if outcome.verdict == "completed" and rb.target < n:
            raise Violation(f"I1 epoch {n} of {rb.name} said promoted, but {rb.target} stands at its target")
        if self.jobs[rb.epochs[n].job].final is None:
            raise Violation(f"I1 epoch {n} of {rb.name} promoted before `final`")
        rb.promoted[n] = self.mark(host, kind)

    def place(self, rb: Rb, n: int, k: int) -> bool:
        """Rename the staging of promoter k to the target; I10: only what is committed, and never older over newer."""
        self.calls += 1
        if rb.staging.get(n) != k:
            return False
        if rb.target > n:
            raise Violation(f"I10 result {rb.target} of {rb.name} replaced by the older {n}")
        if rb.outcomes.get(n) is None or rb.outcomes[n].kind != "committed":
            raise Violation(f"I10 uncommitted result of epoch {n} put into place")
        del rb.staging[n]
        rb.target = n
        return True

    def lost_attempts(self, job: Job) -> int:
        """Attempts that began and were revoked with no reason of ours; see `attempts.history`."""
        rb = self.rb(job.rb)
        count = 0
        for n in job.attempts:
            outcome = rb.outcomes.get(n)
            count += outcome is not None and outcome.kind == "revoked" and outcome.by != "self" and n in rb.runs
        return count
