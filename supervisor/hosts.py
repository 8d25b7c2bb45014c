"""A host of the fleet: its id, the lock it holds for life, and its heartbeat (DESIGN §4)."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from supervisor import durable, names, records, utc
from supervisor.flock import acquire
from supervisor.rblock import LostLock

if TYPE_CHECKING:
    from supervisor.layout import Layout
    from supervisor.rblock import RbLock


class IdentityTaken(Exception):
    """Another supervisor, or a cloned machine, lives under this host id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostBeat:
    """`hosts/<id>.json`: what a host says of itself; `counter` moves with each beat while it lives."""

    host: str
    boot: str
    counter: int
    slots: int
    running: int
    version: str
    #: Highest isolation level this host proves.
    level: str
    #: Archive roots it offers for data, and for results.
    roots: list[str] = field(default_factory=list)
    result_roots: list[str] = field(default_factory=list)
    #: Names of the interpreter profiles that work there, and of those that do not, each with why.
    interpreters: list[str] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    #: Seconds since 1970, for people only.
    time: float = 0.0
    state: str = "running"
    #: The supervisor: its process, since when it serves, and how its machine is called.
    pid: int = 0
    since: float = 0.0
    hostname: str = ""
    #: Why locks between hosts are not proven here, "" where they are or need not be.
    unproven: str = ""
    #: Formats of the store that it can read; a host of before there were two says nothing and reads the first.
    reads: list[int] = field(default_factory=lambda: [1])
    #: What runs may reserve by their limits, bytes and processors; 0: it does not say, or has no bound.
    memory: int = 0
    cpus: float = 0.0
    #: What those under way have reserved, bytes; and why jobs that could run there wait for room, some of them.
    memory_taken: int = 0
    waits: dict[str, str] = field(default_factory=dict)
    #: What kept the store from being used, as `storehealth.Trouble`: what lasts, else what was last; {} for nothing.
    trouble: dict[str, Any] = field(default_factory=dict)


#: A host that is silent for this many beats is not heard of; its time is another clock's, which may differ so much, s.
HEARD_BEATS = 3
_SKEW = 30.0


def heard_within(beat: float) -> float:
    """Return how old the time of a heartbeat may be, seconds, for its host to be heard of; `beat` is the pause."""
    return HEARD_BEATS * beat + _SKEW


def default_id() -> str:
    """The id of this host when config gives none: machine id and name (machine-id(5))."""
    name = os.uname().nodename
    try:
        with open("/etc/machine-id", encoding="ascii", errors="replace") as file:
            machine = file.read().strip()
    except OSError:
        machine = ""
    return f"{name}-{machine[:12]}" if machine else name


def live(layout: Layout, host: str, boot: str) -> RbLock:
    """Take the lock of the host id for life.

    Args:
        layout: the store.
        host: the id.
        boot: boot id of this machine, which tells a second supervisor here from one on a cloned machine.

    Raises:
        IdentityTaken: a second supervisor of this id lives, here or on a cloned machine.
    """
    lock = acquire(layout.host_lock(host))
    if lock is None:
        raise IdentityTaken(_taken(host, readable_beat(layout, host), boot))
    return lock


def _taken(host: str, seen: HostBeat | None, boot: str) -> str:
    if seen is None:
        return f'host id "{host}" is in use by another supervisor; stop that one, or set host.id to a name of its own'
    since = utc.iso(seen.since or seen.time)
    who = f"pid {seen.pid}, boot {seen.boot[:8]}, since {since}"
    if seen.boot == boot:
        return (
            f'host id "{host}" is in use by another supervisor of this machine ({who}); stop that one, or set host.id '
            "to a name of its own"
        )
    return (
        f'host id "{host}" is in use by a supervisor of another machine ({seen.hostname or "unnamed"}, {who}); where '
        "one was cloned from the other, set host.id to a name of its own or give it a machine id of its own "
        "(systemd-machine-id-setup)"
    )


def live_on(layout: Layout, host: str, boot: str, life: RbLock) -> RbLock:
    """Prove the lock of the host id by a beat through it; return it, or a new one where it was lost.

    A server that has not heard of this host for its lease lets the lock go, and only the descriptor tells.

    Raises:
        IdentityTaken: another supervisor lives under this id now.
        OSError: the store cannot be used now; call again.
    """
    try:
        life.beat(0)
    except LostLock:
        life.close()
        return live(layout, host, boot)
    return life


def write_beat(layout: Layout, beat: HostBeat) -> None:
    """Replace the heartbeat of this host."""
    durable.replace(layout.host_beat(beat.host), records.pack(asdict(beat)), "host-beat")


def read_beat(layout: Layout, host: str) -> HostBeat | None:
    """The heartbeat of `host` by a fresh look, or None where it never had one."""
    path = layout.host_beat(host)
    data = durable.read(path)
    return None if data is None else records.from_record(HostBeat, path, data)


def readable_beat(layout: Layout, host: str) -> HostBeat | None:
    """The heartbeat of `host`; None also where it cannot be read, or is of a version that is not known here."""
    try:
        return read_beat(layout, host)
    except records.CorruptRecord:
        return None


def pulse(layout: Layout, host: str) -> bytes | None:
    """What moves while `host` lives: its heartbeat as it stands there, by a fresh look; None where it has none.

    The bytes, not the counter in them: a record that cannot be read here, or of a later version, moves as well.
    """
    return durable.read(layout.host_beat(host))


def all_hosts(layout: Layout) -> list[str]:
    """The id of every host that ever served, by the lock or the heartbeat it has left."""
    found = set()
    for name in durable.listing(layout.path("hosts")):
        component, _, kind = name.partition(".")  # `names.encode` leaves no dot in a component
        if kind in ("json", "lock") and not names.is_digest(component):
            found.add(names.decode(component))
    return sorted(found)


def all_beats(layout: Layout) -> list[HostBeat]:
    """The heartbeat of every host ever seen; one that cannot be read says nothing, and keeps no other from speaking."""
    return [beat for host in all_hosts(layout) if (beat := readable_beat(layout, host)) is not None]
