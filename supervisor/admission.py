"""Admission: whether a run may begin beside those that run, by what their limits reserve (pure; time is an argument).

A run may use all that its limits allow, so the sum of the limits of what runs, and not what they use at this moment,
has to fit the host: no run starts whose memory limit does not fit beside the running ones, and none is killed because
the host ran out. Processors are added up for runs that have a limit of them; slots bound the others.

A run that has waited for room for some time gets a reservation: from then on others begin only where they leave it
room beside all that began after the reservation. What ran before ends, by its wall limit at the latest, so that a big
run is not starved by small ones, and what it would not use anyway stays in use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sandbox.limits import format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandbox.capacity import Capacity
    from supervisor.hosting import Needs
    from supervisor.settings import Settings

#: Share of the host's memory that runs get where `host.memory` says nothing; the rest is for the system and for us.
SHARE = 0.9
#: RBs whose time of waiting is remembered.
_MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a host has for runs; 0 for no bound."""

    slots: int
    #: Bytes.
    memory: int = 0
    cpus: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """What a run reserves of its host by its limits."""

    #: Upper case; "" where nobody needs to know.
    instrument: str = ""
    #: Bytes; None: no limit, so that it may use all, and has the host to itself.
    memory: int | None = 0
    #: None: no limit, bound by the slots alone.
    cpus: float | None = None


@dataclass(frozen=True, slots=True)
class _Taken:
    wants: Wants
    #: When it began, by a monotonic clock.
    began: float


@dataclass(frozen=True, slots=True)
class _Reserved:
    rb: str
    job: str
    wants: Wants
    at: float


def room_of(settings: Settings, capacity: Capacity) -> Room:
    """Return what a host has for runs.

    Without `host.memory` a run with the limit of `[limits]` always fits: what the site gives every run must not keep a
    small host from taking any.

    Args:
        settings: the configuration in force.
        capacity: what the host has; what is not known bounds nothing.
    """
    host = settings.host
    memory = host.memory
    if not memory and capacity.memory:
        usual = settings.limits_for("").memory
        memory = max(int(capacity.memory * SHARE), usual or 0)
    return Room(
        slots=host.slot_count(max(1, capacity.cpus)), memory=memory, cpus=host.cpus or float(max(0, capacity.cpus))
    )


def wants_of_needs(needs: Needs) -> Wants:
    """Return what a run reserves, of what it needs of its host."""
    return Wants(instrument=needs.instrument, memory=needs.memory, cpus=needs.cpus)


def wants_of(settings: Settings, instrument: str, rb: str) -> Wants:
    """Return what a run of an instrument (upper case) and RB reserves."""
    limits = settings.limits_for(instrument, rb)
    return Wants(instrument=instrument, memory=limits.memory, cpus=limits.cpus)


class Admission:
    """What is reserved on one host, and who waits for room since when."""

    def __init__(self, room: Room, *, reserve_after: float) -> None:
        """Admit to `room`; a run that waited for `reserve_after` seconds gets a reservation."""
        self.room = room
        self._reserve_after = reserve_after
        self._taken: dict[str, _Taken] = {}
        #: Since when a run of an RB waits for room, by a monotonic clock.
        self._since: dict[str, float] = {}
        self._reserved: _Reserved | None = None

    def tune(self, room: Room, *, reserve_after: float) -> None:
        """Admit by another configuration from now on; what runs, runs on."""
        self.room = room
        self._reserve_after = reserve_after
        self._reserved = None

    @property
    def memory(self) -> int:
        """The memory that what runs has reserved, bytes; more than the room has where that was changed meanwhile."""
        return sum(self._memory(taken.wants) for taken in self._taken.values())

    @property
    def reserved(self) -> str:
        """The RB that has the reservation, "" for none."""
        return self._reserved.rb if self._reserved is not None else ""

    def take(self, rb: str, wants: Wants, now: float) -> None:
        """Reserve what a run of `rb` wants, whatever there is: it was admitted, or it runs already."""
        began = self._taken[rb].began if rb in self._taken else now
        self._taken[rb] = _Taken(wants, began)
        self.forget(rb)

    def free(self, rb: str) -> None:
        """The run of `rb` has ended, or was not begun."""
        self._taken.pop(rb, None)

    def forget(self, rb: str) -> None:
        """No run of `rb` waits here any more."""
        self._since.pop(rb, None)
        if self.reserved == rb:
            self._reserved = None

    def ask(self, rb: str, job: str, wants: Wants, now: float, *, most: int | None = None) -> str:
        """Take room for a run, and return ""; or return why it has to wait.

        Args:
            rb: its RB; one run of an RB runs at a time.
            job: its id, for people.
            wants: what its limits reserve.
            now: seconds by a monotonic clock.
            most: runs of its instrument that may go here at a time; None for any number.
        """
        crowded = self._crowded(wants.instrument, most)
        if crowded:
            return crowded
        short = self._short(wants, self._taken.values())
        held = self._reserved
        if not short and held is not None and held.rb != rb:
            # What began before the reservation ends without anybody's doing; what begins after it has to leave room.
            since = [taken for taken in self._taken.values() if taken.began >= held.at]
            if self._short(held.wants, [*since, _Taken(wants, now)], slots=True):
                return f"leaves room for job {held.job}, which {self._needs(held.wants)} and has waited longer"
        if short:
            self._wait(rb, job, wants, now)
            return short
        self.take(rb, wants, now)
        return ""

    def fits(self, wants: Wants, full: Mapping[str, int]) -> bool:
        """Say whether a run could begin now, for a look that wants no more than that.

        Args:
            wants: what it reserves.
            full: runs that may go here at a time, by instrument.
        """
        crowded = self._crowded(wants.instrument, full.get(wants.instrument))
        return not crowded and not self._short(wants, self._taken.values())

    def _wait(self, rb: str, job: str, wants: Wants, now: float) -> None:
        if len(self._since) >= _MOST and rb not in self._since:
            return
        since = self._since.setdefault(rb, now)
        if self._reserved is None and now - since >= self._reserve_after and not self._short(wants, ()):
            self._reserved = _Reserved(rb, job, wants, now)

    def _crowded(self, instrument: str, most: int | None) -> str:
        count = sum(taken.wants.instrument == instrument for taken in self._taken.values())
        if most is None or count < most:
            return ""
        runs = "a run" if count == 1 else f"{count} runs"
        return f"{runs} of {instrument} under way here; instrument.{instrument}.concurrency is {most}"

    def _memory(self, wants: Wants) -> int:
        return self.room.memory if wants.memory is None else wants.memory

    def _needs(self, wants: Wants) -> str:
        return "needs all memory (it has no limit)" if wants.memory is None else f"needs {format_size(wants.memory)}"

    def _short(self, wants: Wants, beside: Iterable[_Taken], *, slots: bool = False) -> str:
        """Return what a run lacks beside others, "" where it fits."""
        room, others = self.room, [taken.wants for taken in beside]
        used = sum(self._memory(other) for other in others)
        if room.memory and self._memory(wants) > room.memory - used and self._memory(wants):
            return (
                f"{self._needs(wants)} beside {format_size(used)} of running limits; this host has "
                f"{format_size(room.memory)}"
            )
        busy = sum(other.cpus or 0.0 for other in others)
        if room.cpus and wants.cpus is not None and wants.cpus > room.cpus - busy + 1e-9:
            return f"needs {wants.cpus:g} processors beside {busy:g} of running limits; this host has {room.cpus:g}"
        return "needs a slot" if slots and len(others) >= room.slots else ""


def full_instruments(settings: Settings) -> dict[str, int]:
    """Return how many runs of an instrument may go on this host at a time, for those that have a bound."""
    return {name: own.concurrency for name, own in settings.instrument.items() if own.concurrency}


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupied:
    """A still copy of what is reserved, for the thread that looks at what waits."""

    admission: Admission
    full: Mapping[str, int]

    def fits(self, wants: Wants) -> bool:
        """Say whether a run could begin beside what ran when the copy was made."""
        return self.admission.fits(wants, self.full)


def occupied(admission: Admission, settings: Settings) -> Occupied:
    """Return a still copy of what is reserved."""
    still = Admission(replace(admission.room), reserve_after=0.0)
    for rb, taken in admission._taken.items():  # noqa: SLF001  # of this very class
        still.take(rb, taken.wants, taken.began)
    return Occupied(admission=still, full=full_instruments(settings))
