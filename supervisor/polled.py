"""The words between the loop and the store poller: what is to be done, and what was found (plain values)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from supervisor.admission import Wants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervisor.admission import Occupied
    from supervisor.drains import Drain
    from supervisor.intake import Poison
    from supervisor.offers import Offers
    from supervisor.order import Head
    from supervisor.records import Identity
    from supervisor.runend import RunEnd
    from supervisor.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Journal a message; `key` comes back with what became of it."""

    key: object
    body: bytes
    headers: dict[str, str]
    #: When it came, seconds since 1970; a repetition after trouble of the store makes the same record.
    received: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Look at what waits, the best first."""

    #: Runs to be found at most: what has a free slot, and some more, since others may hold their locks. None for all.
    most: int | None = None
    #: RBs that need no look: they run here, or cool down.
    busy: frozenset[str] = frozenset()
    #: When each RB was last served here, by a monotonic clock.
    served: Mapping[str, float] = field(default_factory=dict)
    #: What is reserved here; None where nothing keeps a run from beginning.
    occupied: Occupied | None = None
    #: An RB that is looked at before all others: its run has waited for room.
    first: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Get the head of an RB to run, or to end."""

    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspect:
    """A shepherd has gone: see what it decided."""

    run: ActiveRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A reply has its receipt: `started`, `published`, or `told` (poison)."""

    what: str
    #: The job id, or the digest of a poison message.
    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """What the heartbeat says from now on."""

    slots: int
    running: int
    state: str
    #: What runs have reserved, bytes, and why some jobs wait for room here.
    memory_taken: int = 0
    waits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """Use another configuration for what is claimed from now on."""

    settings: Settings
    #: What this host offers under it.
    offers: Offers
    #: Called when all of the supervisor uses it.
    done: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End the poller after a last heartbeat."""


Command = Take | Scan | Claim | Inspect | Mark | Describe | Adopt | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRun:
    """A shepherd of this host: a run, or an errand that needs no slot."""

    job: str
    rb: str
    #: The RB as the `waiting` names have it.
    rb_part: str
    n: int
    errand: str
    shepherd: Identity
    instrument: str = ""
    run: str = ""
    #: Seconds since 1970.
    since: float = 0.0
    #: Seconds from its journal to its begin; None where it was begun by an earlier supervisor.
    waited: float | None = None
    #: What its limits reserve.
    wants: Wants = field(default_factory=Wants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message is durable: it may be acknowledged."""

    key: object
    what: str
    #: Jobs that a cancel meant.
    cancelled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTaken:
    """A message cannot be taken, since a record that it meets cannot be read: the broker keeps it."""

    key: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisoned:
    """A message can be nothing: it is kept; it may be acknowledged when its reply has its receipt."""

    key: object
    poison: Poison
    told: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A job has its outcome and its promotion ended: its replies are to be sent."""

    job: str
    rb_part: str
    started: dict[str, Any] | None
    started_sent: bool
    terminal: dict[str, Any] | None
    #: They are the replies of another host, which was silent when this was looked at.
    stands_in: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What waits: heads to claim, and jobs whose replies are to be sent."""

    heads: tuple[Head, ...]
    finished: tuple[Finished, ...]
    waiting: int
    #: By how much a host of this fleet looks more rarely than one that is alone.
    stretch: float = 1.0
    #: Seconds until a job may run that may not yet; None where there is none.
    due_in: float | None = None
    #: There may be more runs than were asked for.
    more: bool = False
    #: How many jobs no living host takes, as far as they were looked at, and why one of them.
    nowhere: int = 0
    #: Why runs of an instrument wait in the whole fleet, by instrument.
    disabled: Mapping[str, str] = field(default_factory=dict)
    why_nowhere: str = ""
    #: When the first of the RBs that could begin here was sent, seconds since 1970; 0 where nothing waits.
    oldest: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NotScanned:
    """What waits cannot be told now; `pause` seconds pass before the next look."""

    pause: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A mark is durable: from now on a look at the store shows it."""

    what: str
    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A shepherd lives."""

    run: ActiveRun


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedReply:
    """The started reply of a running job is frozen."""

    job: str
    reply: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A run is decided: its slot is free, though its shepherd may still promote."""

    run: ActiveRun


@dataclass(frozen=True, slots=True, kw_only=True)
class NotClaimed:
    """A head was not claimed, and why; `cool_down` seconds pass before the next try."""

    rb_part: str
    why: str
    cool_down: float
    #: Of a job that ended without a run: its instrument and verdict.
    instrument: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What became of a run whose shepherd has gone."""

    run: ActiveRun
    #: Kind of the outcome; "" when the shepherd died undecided.
    kind: str
    verdict: str
    sentence: str
    #: A run in figures; None for an errand.
    end: RunEnd | None = None
    #: Seconds from its begin to its outcome; None where it has none.
    wall: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """Another configuration is in force."""

    command: Adopt


@dataclass(frozen=True, slots=True, kw_only=True)
class Restated:
    """Something that `status` shows beside the loop's own state has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fenced:
    """An operator has declared this boot of this host dead: nothing more is claimed or sent, and the process ends."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """An operator wants nothing new taken here, or (None) wants it taken again."""

    drain: Drain | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A record of the store cannot be read; what it belongs to stands still until an operator has looked at it."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTrouble:
    """The store cannot be used now: which call failed on which path with what, since when (seconds since 1970)."""

    why: str
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreWell:
    """The store answers again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgrown:
    """The store has a format that this version cannot read: the supervisor ends."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """The poller met a defect and has ended."""

    error: BaseException


Found = (
    Taken
    | NotTaken
    | Poisoned
    | Scanned
    | NotScanned
    | Marked
    | Started
    | StartedReply
    | Decided
    | NotClaimed
    | Inspected
    | Adopted
    | Restated
    | Fenced
    | Drained
    | Damaged
    | StoreTrouble
    | StoreWell
    | Outgrown
    | Defect
)
