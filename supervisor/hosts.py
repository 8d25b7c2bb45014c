"""A host of the fleet: its id, the lock it holds for life, and its heartbeat (DESIGN §4)."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from supervisor import durable, names, records
from supervisor.flock import acquire

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
    #: Archive roots it offers.
    roots: list[str] = field(default_factory=list)
    #: Names of the interpreter profiles that work there, and of those that do not, each with why.
    interpreters: list[str] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    #: Seconds since 1970, for people only.
    time: float = 0.0
    state: str = "running"
    pid: int = 0
    #: Formats of the store that it can read; a host of before there were two says nothing and reads the first.
    reads: list[int] = field(default_factory=lambda: [1])
    #: What kept the store from being used, as `storehealth.Trouble`: what lasts, else what was last; {} for nothing.
    trouble: dict[str, Any] = field(default_factory=dict)


def default_id() -> str:
    """The id of this host when config gives none: machine id and name (machine-id(5))."""
    name = os.uname().nodename
    try:
        with open("/etc/machine-id", encoding="ascii", errors="replace") as file:
            machine = file.read().strip()
    except OSError:
        machine = ""
    return f"{name}-{machine[:12]}" if machine else name


def live(layout: Layout, host: str) -> RbLock:
    """Take the lock of the host id for life.

    Raises:
        IdentityTaken: a second supervisor of this id lives, here or on a cloned machine.
    """
    lock = acquire(layout.host_lock(host))
    if lock is None:
        seen = read_beat(layout, host)
        who = f" (pid {seen.pid}, boot {seen.boot[:8]})" if seen else ""
        raise IdentityTaken(
            f'host id "{host}" is in use by another supervisor{who}; stop that one, or set host.id to a name of its own'
        )
    return lock


def write_beat(layout: Layout, beat: HostBeat) -> None:
    """Replace the heartbeat of this host."""
    durable.replace(layout.host_beat(beat.host), records.pack(asdict(beat)), "host-beat")


def read_beat(layout: Layout, host: str) -> HostBeat | None:
    """The heartbeat of `host` by a fresh look, or None where it never had one."""
    path = layout.host_beat(host)
    data = durable.read(path)
    return None if data is None else records.from_record(HostBeat, path, data)


def all_beats(layout: Layout) -> list[HostBeat]:
    """The heartbeats of every host ever seen."""
    found = []
    for name in durable.listing(layout.path("hosts")):
        if name.endswith(".json"):
            beat = read_beat(layout, names.decode(name.removesuffix(".json")))
            if beat is not None:
                found.append(beat)
    return found
