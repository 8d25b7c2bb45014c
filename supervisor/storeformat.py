"""The format of the store: which there is, which this version can read, and when it may be raised (DESIGN §4).

FORMAT holds the number and, while it is being raised, the number that it is raised to. Raising is a handshake between
files that need no lock: who raises announces it in FORMAT first and looks at the heartbeats afterwards; a supervisor
beats first and looks at FORMAT afterwards. Whoever comes second sees the other, so that no host works in a store that
it cannot read. A host reads the newest format that it knows and the one before; a store is never brought back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from supervisor import durable, records

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from supervisor.hosts import HostBeat
    from supervisor.layout import Layout


class UnknownStore(Exception):
    """The folder is not a store of this version; the message says what to do."""


class Unraised(Exception):
    """The format cannot be raised now; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFormat:
    """What FORMAT says."""

    number: int
    #: What it is being raised to; 0 for nothing.
    raising: int = 0
    #: Fields of a newer version; they are kept.
    others: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the record; its own version stays 1, so that every version can read which format there is."""
        raising = {"raising": self.raising} if self.raising else {}
        return records.pack({**self.others, "format": self.number, **raising}, 1)


def read(layout: Layout) -> StoreFormat | None:
    """Return what FORMAT says, or None where there is none.

    Raises:
        CorruptRecord: it cannot be read.
        OSError: the store cannot be used now.
    """
    data = durable.read(layout.format)
    if data is None:
        return None
    record = records.unpack(layout.format, data, (1,))
    number, raising = record.get("format"), record.get("raising", 0)
    if not isinstance(number, int) or not isinstance(raising, int):
        raise records.CorruptRecord(layout.format, f"its format {number!r} is no number")
    others = {key: value for key, value in record.items() if key not in ("v", "format", "raising")}
    return StoreFormat(number=number, raising=raising, others=others)


def check(layout: Layout, reads: Collection[int] = records.READS) -> StoreFormat:
    """Return what FORMAT says of a store that a version which reads the formats `reads` may work in.

    Raises:
        UnknownStore: it cannot read what is written there, or what will be in a moment.
        CorruptRecord, OSError: FORMAT cannot be read.
    """
    found = read(layout)
    if found is None:
        raise UnknownStore(f'"{layout.root}" is not a store: it has no FORMAT; correct store.path')
    for number in (found.number, found.raising or found.number):
        if number not in reads:
            being = "is being raised to" if number == found.raising != found.number else "has"
            remedy = "upgrade this host" if number > max(reads) else "use an older version to raise it first"
            raise UnknownStore(
                f'the store "{layout.root}" {being} format {number}, and this version reads {_listed(reads)}; {remedy}'
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """One host of the fleet as two looks at its heartbeat, some beats apart, show it."""

    host: str
    #: `living` (its counter moved), `stopped` (it said so), `dead` (silent for long, or taken for dead), else `silent`.
    state: str
    reads: tuple[int, ...]
    #: Seconds since its heartbeat was written, by the clock of the store.
    age: float
    version: str = ""


def states(
    before: Mapping[str, HostBeat],
    after: Iterable[tuple[HostBeat, float]],
    *,
    dead_after: float,
    without: Collection[str],
) -> list[HostState]:
    """Return the state of every host (pure).

    Args:
        before: the heartbeats of the first look, by host.
        after: those of the second look, each with its age in seconds.
        dead_after: seconds of silence after which a host is dead.
        without: hosts that the operator knows to be dead.
    """
    found = []
    for beat, age in after:
        first = before.get(beat.host)
        moved = first is None or (first.boot, first.counter) != (beat.boot, beat.counter)
        if beat.state == "stopped":
            state = "stopped"
        elif moved:
            state = "living"
        else:
            state = "dead" if beat.host in without or age >= dead_after else "silent"
        found.append(HostState(host=beat.host, state=state, reads=tuple(beat.reads), age=age, version=beat.version))
    return found


def may_raise(current: StoreFormat, new: int, reads: Collection[int], hosts: Iterable[HostState]) -> None:
    """Decide whether the format may be raised to `new` by a version that reads `reads` (pure).

    Raises:
        Unraised: it may not; the message names who is in the way, and what to do.
    """
    if new < current.number:
        raise Unraised(f"the store has format {current.number}; it is never brought back to {new}")
    if new not in reads:
        raise Unraised(f"this version reads {_listed(reads)}, not {new}; install a newer one and say it there")
    if new > current.number + 1:
        raise Unraised(f"the store has format {current.number}; raise it to {current.number + 1} first")
    blocking = [host for host in hosts if host.state in ("living", "silent") and new not in host.reads]
    if blocking:
        told = [
            f"{host.host} ({host.state}, version {host.version or '?'}, reads {_listed(host.reads)})"
            for host in blocking
        ]
        remedy = (
            "stop or upgrade them"
            if all(host.state == "living" for host in blocking)
            else ("stop or upgrade them; of a silent host that you know to be dead say --without HOST")
        )
        raise Unraised(f"format {new} cannot be read by {', '.join(told)}; {remedy}")


def _listed(formats: Iterable[int]) -> str:
    return "format " + " and ".join(map(str, sorted(formats)))


def announce(layout: Layout, current: StoreFormat, new: int) -> None:
    """Announce that the format will be `new`; the heartbeats are to be looked at after this."""
    _write(layout, StoreFormat(number=current.number, raising=new, others=current.others))


def withdraw(layout: Layout, current: StoreFormat) -> None:
    """Take an announcement back."""
    _write(layout, StoreFormat(number=current.number, others=current.others))


def set_to(layout: Layout, current: StoreFormat, new: int) -> None:
    """Raise the format to `new`: from now on records of that version may be written."""
    _write(layout, StoreFormat(number=new, others=current.others))


def _write(layout: Layout, what: StoreFormat) -> None:
    durable.replace(layout.format, what.to_bytes(), "format")
