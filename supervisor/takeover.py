"""Takeover: who may decide an epoch that its holder left undecided (DESIGN §5), as pure decisions.

Revoking and claiming both need the RB's flock; revoking also a proof. `Evidence` holds what was seen with the flock in
hand, `proof` says whether it suffices, `next_step` what the holder of the flock does next with an RB.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of the holder of an undecided epoch."""

    #: The epoch was claimed under our own host id, and in our boot.
    same_host: bool
    same_boot: bool
    #: `run.json` of the epoch exists.
    run_seen: bool = False
    #: The shepherd of `run.json` lives (pid, start time, pidfd).
    shepherd_alive: bool = False
    #: A process of its box lives.
    tree_alive: bool = False
    #: For how many seconds of our monotonic clock the counter of the host, and of the run, stood still.
    host_unmoved: float = 0.0
    run_unmoved: float = 0.0
    #: Seconds both must have stood still.
    takeover_after: float = 180.0
    #: Another host: the operator who declared this boot of it dead, "" for nobody.
    fenced_by: str = ""


def proof(evidence: Evidence) -> str | None:
    """Return why the holder can be taken for gone, or None.

    The caller holds the RB's flock, and `hosts/<id>.lock` of its own id.
    """
    if evidence.same_host and not evidence.same_boot:
        return "its host has rebooted"
    if evidence.same_host and not evidence.run_seen:
        return "no shepherd began it and its lock is free"
    if evidence.same_host:
        if evidence.shepherd_alive or evidence.tree_alive:
            return None
        return "its shepherd is gone and its box is empty"
    if evidence.fenced_by:
        return f"fenced by operator {evidence.fenced_by}"
    if min(evidence.host_unmoved, evidence.run_unmoved) >= evidence.takeover_after:
        return f"host and run stood still for {min(evidence.host_unmoved, evidence.run_unmoved):.0f} s"
    return None


class Step(StrEnum):
    """What the holder of the flock does next."""

    REVOKE = "revoke"
    LINK_FINAL = "link final"
    LINK_PROMOTED = "link promoted"
    PROMOTE = "promote"
    OPEN = "open the next epoch"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class RbState:
    """The newest epoch of an RB, read with the flock in hand."""

    last: int
    #: Kind of its outcome, "" while it is undecided.
    outcome: str = ""
    promoted: bool = False
    #: `final` of the job of a committed epoch is linked.
    final: bool = False
    #: The committed epoch has targets to promote.
    targets: bool = False
    proof: str | None = None


def next_step(state: RbState) -> Step:
    """Decide: epoch n-1 is decided, `final` linked and promoted before epoch n may be opened (model C1)."""
    if state.last == 0:
        return Step.OPEN
    if not state.outcome:
        return Step.REVOKE if state.proof else Step.LEAVE
    if state.outcome != "committed":
        return Step.OPEN
    if not state.final:
        return Step.LINK_FINAL
    if not state.promoted:
        return Step.PROMOTE if state.targets else Step.LINK_PROMOTED
    return Step.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """What decides whether a job may run now; read again after its epoch is linked (model C5, M2, M7)."""

    final: bool = False
    waiting: bool = True
    cancelled: bool = False
    #: Seconds since 1970.
    not_before: float = 0.0
    enabled: bool = True
    #: Attempts that ended revoked while running, with no reason of ours (poison).
    lost_attempts: int = 0
    max_attempts: int = 3
    #: For `unplaceable_after` no host that was ever seen could take it.
    unplaceable: bool = False
    #: This host cannot take it, and another that lives can.
    elsewhere: bool = False
    #: Another job of the RB comes first.
    overtaken: bool = False


class Ruling(StrEnum):
    """What becomes of a job whose epoch is linked, or that is looked at as head of its RB."""

    RUN = "run"
    #: Ends as cancelled, without a run.
    CANCEL = "cancel"
    #: Ends as gave_up, without a run.
    GIVE_UP = "give up"
    #: Ends as refused, without a run.
    REFUSE = "refuse"
    #: May run now, but not on this host; it stays the first of its RB.
    ELSEWHERE = "elsewhere"
    #: Not now: stepped over, or released if its epoch was linked.
    NOT_NOW = "not now"
    #: Finished with.
    FINISHED = "finished"


def rule(facts: JobFacts, now: float) -> Ruling:
    """Decide what may become of a job at `now` (seconds since 1970)."""
    if facts.final or not facts.waiting:
        return Ruling.FINISHED
    if facts.cancelled:
        return Ruling.CANCEL
    if facts.lost_attempts >= facts.max_attempts:
        return Ruling.GIVE_UP
    if facts.unplaceable:
        return Ruling.REFUSE
    if facts.not_before > now or not facts.enabled or facts.overtaken:
        return Ruling.NOT_NOW
    return Ruling.ELSEWHERE if facts.elsewhere else Ruling.RUN


#: Rulings by which a job ends without a run.
ENDS: Final = frozenset({Ruling.CANCEL, Ruling.GIVE_UP, Ruling.REFUSE})


class Watch:
    """Since when each counter stands still, by our own monotonic clock; one per supervisor."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[object, float]] = {}

    def unmoved(self, key: str, value: object, monotonic: float) -> float:
        """Record that `key` shows `value` at `monotonic`; return for how many seconds it has."""
        known = self._seen.get(key)
        if known is None or known[0] != value:
            self._seen[key] = (value, monotonic)
            return 0.0
        return monotonic - known[1]


class MuteWatch:
    """Which shepherds of this host are mute: alive, but without a completed beat for too long.

    Only time in which this watch itself was looking counts: after an outage of the store, or a frozen host, every
    shepherd gets its full time again.
    """

    #: Longest time between two looks that counts, seconds.
    _LONGEST_STEP = 2.0

    def __init__(self, after: float) -> None:
        """Call a shepherd mute after `after` seconds."""
        self._after = after
        self._seen: dict[object, tuple[object, float, float]] = {}

    def is_mute(self, key: object, counter: object, monotonic: float) -> bool:
        """Look at the counter of a run at `monotonic`; say whether its shepherd is mute."""
        known = self._seen.get(key)
        if known is None or known[0] != counter:
            self._seen[key] = (counter, monotonic, 0.0)
            return False
        muted = known[2] + min(monotonic - known[1], self._LONGEST_STEP)
        self._seen[key] = (counter, monotonic, muted)
        return muted >= self._after

    def forget(self, key: object) -> None:
        """The run is decided."""
        self._seen.pop(key, None)
