"""The history of a fleet: everything that was seen of it from outside, as values.

The store after the fact, what scripts recorded of themselves, what the broker was sent, what the test did to whom. All
times are seconds since 1970 of one kernel's clock. `fleethistory` collects it; `violations` judges it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brokertrace import SeenReply
    from recordedruns import RecordedRun

    from supervisor.records import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenJob:
    """One job of the store."""

    job: str
    rb: str
    #: Its place in the order of its RB: rank, broker time, sequence, job id.
    order: tuple[int, int, int, str]
    #: When it was wholly journaled: its last entry, `by-run`, was made.
    journaled: float
    #: The hosts whose configuration takes its instrument; None for all.
    served_by: frozenset[str] | None = None
    #: When its cancel cell stood for certain; None without one.
    cancelled: float | None = None
    #: The epoch that `final` names.
    final: int | None = None
    #: The frozen started reply.
    started: dict[str, Any] | None = None
    published: bool = True
    waiting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEpoch:
    """One epoch of an RB and all that was decided of it."""

    n: int
    job: str
    host: str
    #: When it was claimed.
    at: float
    #: When its shepherd wrote `run.json`; None where none did.
    ran: float | None = None
    outcome: Outcome | None = None
    #: `done` or `failed`, and when; None while it is not promoted.
    promoted: str | None = None
    promoted_at: float = 0.0

    @property
    def committed(self) -> bool:
        """Whether it decided its job."""
        return self.outcome is not None and self.outcome.kind == "committed"

    @property
    def completed(self) -> bool:
        """Whether it made a result."""
        return self.committed and self.outcome is not None and self.outcome.verdict == "completed"

    @property
    def lost(self) -> bool:
        """Whether it counts as poison: it ran, and was revoked for no reason of ours."""
        return self.ran is not None and (
            self.outcome is not None and self.outcome.kind == "revoked" and self.outcome.by != "self"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenResult:
    """One folder of results as it stands in the archive."""

    path: str
    #: What its `.run` says.
    rb: str
    job: str
    epoch: int
    #: What the script made, without logs and `.run`.
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """Something that the test did to a host, or to the broker."""

    #: `supervisor`, `nursery`, ... for a process that was killed or stopped; `die`, `freeze`, `thaw`, `lapse` for a host; `broker`;
    #: `connection` where a supervisor lost the broker, `serves` when one was up.
    what: str
    #: "" for the broker.
    host: str
    at: float


@dataclass(slots=True, kw_only=True)
class History:
    """All that was seen of a fleet that is quiet again."""

    #: Ids of the messages that producers had a receipt for.
    accepted: set[str] = field(default_factory=set)
    jobs: dict[str, SeenJob] = field(default_factory=dict)
    #: By RB, in the order of their numbers.
    epochs: dict[str, list[SeenEpoch]] = field(default_factory=dict)
    #: In wall time.
    runs: list[RecordedRun] = field(default_factory=list)
    #: What the broker was sent; None where there is no broker.
    replies: list[SeenReply] | None = None
    results: dict[str, SeenResult] = field(default_factory=dict)
    #: What each job's script makes.
    makes: dict[str, dict[str, bytes]] = field(default_factory=dict)
    disturbances: list[Disturbance] = field(default_factory=list)
    #: What should have gone: processes, locks, staging, temporary files.
    left: list[str] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    #: The fail-points that each host reached, in order, where a test had them traced.
    traces: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    max_attempts: int = 5
    self_kill_after: float = 6.0
    takeover_after: float = 12.0

    def epoch(self, rb: str, n: int | None) -> SeenEpoch | None:
        """Epoch `n` of an RB."""
        return next((epoch for epoch in self.epochs.get(rb, []) if epoch.n == n), None)

    def of_job(self, job: str) -> list[SeenEpoch]:
        """The epochs of a job."""
        seen = self.jobs.get(job)
        return [epoch for epoch in self.epochs.get(seen.rb, []) if epoch.job == job] if seen else []

    def silences(self, host: str) -> list[tuple[float, float]]:
        """When a host had no supervisor that could beat: from its end, or its freeze, until one served again."""
        spans: list[tuple[float, float]] = []
        for what in sorted(self.disturbances, key=lambda d: d.at):
            if what.host != host:
                continue
            if what.what in ("supervisor", "die", "freeze") and (not spans or spans[-1][1] < what.at):
                spans.append((what.at, float("inf")))
            elif what.what in ("serves", "thaw") and spans:
                spans[-1] = (spans[-1][0], min(spans[-1][1], what.at))
        return spans

    def frozen(self, host: str) -> list[tuple[float, float]]:
        """When a host stood still: from the freeze to the thaw, or for ever."""
        spans: list[tuple[float, float]] = []
        for what in sorted(self.disturbances, key=lambda d: d.at):
            if what.host == host and what.what == "freeze":
                spans.append((what.at, float("inf")))
            elif what.host == host and what.what == "thaw" and spans:
                spans[-1] = (spans[-1][0], what.at)
        return spans
