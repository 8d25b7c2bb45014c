"""What the store says of the whole fleet: its hosts by their heartbeats, what waits, and what operators have ordered.

Whether a host lives is told by what moves: with one look by the age of its heartbeat, for which the clocks of a fleet
may differ a little, and while it is watched by this host's own clock. Nothing is decided by it (DESIGN §5): it is what
people are shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.limits import format_duration, format_size
from supervisor import drains, durable, fences, hosts, shown
from supervisor.disabling import DisabledInstruments
from supervisor.storehealth import trouble_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from supervisor.hosts import HostBeat
    from supervisor.layout import Layout

#: Longest cell of the table, and longest sentence below it.
_CELL = 40
_SENTENCE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """One host of the fleet, for people and programs that watch."""

    host: str
    #: `running`, `drained` or `stopping`, as it says of itself; `stopped`; `silent`; `fenced`; `unreadable`.
    state: str
    #: Seconds since its heartbeat moved; None where there is none that can be read.
    silent: float | None = None
    slots: int = 0
    running: int = 0
    #: What limits may reserve on it, and have reserved, bytes; 0: it has no bound.
    memory: int = 0
    memory_taken: int = 0
    level: str = ""
    version: str = ""
    #: Jobs that wait for room there, some of them; interpreters that fail there; each with why.
    waits: Mapping[str, str] = field(default_factory=dict)
    failing: Mapping[str, str] = field(default_factory=dict)
    #: Why locks between hosts are not proven there, "" where they are.
    unproven: str = ""
    #: By whom it is drained or fenced, and why; "" where it is neither.
    word: str = ""
    #: What keeps it from the store now; {} where nothing does.
    trouble: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lives(self) -> bool:
        """Whether it was heard of lately."""
        return self.state not in ("stopped", "silent", "fenced", "unreadable")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatus:
    """The fleet at one look."""

    store: str
    hosts: Sequence[HostStatus]
    #: Jobs that are not finished with, those under way included.
    waiting: int
    #: Why the runs of an instrument wait, by instrument.
    disabled: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON; docs/reference/status.md says what each key means."""
        living = [host for host in self.hosts if host.lives]
        return {
            "store_path": self.store,
            "living": len(living),
            "slots": sum(host.slots for host in living),
            "running": sum(host.running for host in living),
            "waiting": self.waiting,
            "disabled": dict(self.disabled),
            "hosts": [
                {**asdict(host), "silent": None if host.silent is None else round(host.silent, 1)}
                for host in self.hosts
            ],
        }


class FleetWatch:
    """Looks at a fleet, once or again and again."""

    def __init__(self, layout: Layout, *, beat: float) -> None:
        """Look into `layout`, whose hosts move every `beat` seconds."""
        self._layout = layout
        self._beat = beat
        #: What moves of each host, and when that was new, by the monotonic clock; None: it was there at the first look.
        self._seen: dict[str, tuple[tuple[str, int], float | None]] = {}
        self._disabled = DisabledInstruments(layout)

    def look(self, *, now: float, monotonic: float) -> FleetStatus:
        """Look once.

        Args:
            now: seconds since 1970.
            monotonic: seconds of this host's own clock.

        Raises:
            OSError: the store cannot be used.
        """
        self._disabled.look()
        return FleetStatus(
            store=self._layout.root,
            hosts=[self._host(name, now, monotonic) for name in hosts.all_hosts(self._layout)],
            waiting=len(durable.listing(self._layout.waiting)),
            disabled=self._disabled.sentences(),
        )

    def _host(self, name: str, now: float, monotonic: float) -> HostStatus:
        beat = hosts.readable_beat(self._layout, name)
        if beat is None:
            return HostStatus(host=name, state="unreadable")
        silent, limit = self._silence(beat, now, monotonic)
        fence = fences.read_fence(self._layout, name, beat.boot)
        drain = drains.read_drain(self._layout, name)
        return status_of(
            beat,
            silent=silent,
            is_silent=silent > limit,
            fenced="" if fence is None else f"by {fence.who}",
            drained="" if drain is None else f"by {drain.who}" + (f": {drain.why}" if drain.why else ""),
        )

    def _silence(self, beat: HostBeat, now: float, monotonic: float) -> tuple[float, float]:
        """Return for how long a heartbeat has not moved, and how long it may not."""
        moves = (beat.boot, beat.counter)
        known = self._seen.get(beat.host)
        if known is None or known[0] != moves:
            known = (moves, None if known is None else monotonic)
            self._seen[beat.host] = known
        if known[1] is not None:
            return monotonic - known[1], hosts.HEARD_BEATS * self._beat
        return max(0.0, now - beat.time), hosts.heard_within(self._beat)


def status_of(beat: HostBeat, *, silent: float, is_silent: bool, fenced: str, drained: str) -> HostStatus:
    """Return what a heartbeat and an operator's word come to (pure); a word that does not stand is ""."""
    state = "fenced" if fenced else "stopped" if beat.state == "stopped" else "silent" if is_silent else beat.state
    if drained and state == "running":
        state = "drained"  # it was said, and its next beat says the same
    trouble = trouble_of(beat.trouble)
    return HostStatus(
        host=beat.host,
        state=state,
        silent=silent,
        slots=beat.slots,
        running=beat.running,
        memory=beat.memory,
        memory_taken=beat.memory_taken,
        level=beat.level,
        version=beat.version,
        waits=beat.waits,
        failing=beat.failing,
        unproven=beat.unproven,
        word=fenced or drained,
        trouble=trouble.to_json() if trouble is not None and not trouble.until else {},
    )


def text(fleet: FleetStatus, now: float) -> list[str]:
    """Return a fleet as lines for people (pure)."""
    told = fleet.to_json()
    slots = f"{told['running']} of {told['slots']} slots busy"
    rows = [
        f"fleet:   {told['living']} of {len(fleet.hosts)} hosts live; {slots}",
        f"waiting: {fleet.waiting} not finished with, those under way included",
        f"store:   {shown.line(fleet.store)}",
    ]
    head = ["host", "state", "slots", "memory", "level", "version"]
    rows += shown.table([head, *map(_cells, fleet.hosts)]) if fleet.hosts else []
    for host in fleet.hosts:
        rows += [f"  {shown.line(f'{host.host}: {note}', _SENTENCE)}" for note in _notes(host, now)]
    return rows + [f"waits:   {shown.line(why, _SENTENCE)}" for why in fleet.disabled.values()]


def _cells(host: HostStatus) -> list[str]:
    silence = (
        f" for {format_duration(round(host.silent))}" if host.state == "silent" and host.silent is not None else ""
    )
    room = f"{format_size(host.memory_taken)} of {format_size(host.memory)}" if host.memory else "-"
    cells = [
        host.host,
        host.state + silence,
        f"{host.running}/{host.slots}",
        room,
        host.level or "-",
        host.version or "-",
    ]
    return [shown.line(cell, _CELL) for cell in cells]


def _notes(host: HostStatus, now: float) -> list[str]:
    """Return what somebody should know of a host besides."""
    notes = [f"{host.state} {host.word}"] if host.word else []
    trouble = trouble_of(host.trouble)
    if trouble is not None and host.lives:
        notes.append(f"{trouble.why}, since {shown.moment(trouble.since, now)}")
    if host.lives:
        notes += [f"interpreter {name} fails: {why}" for name, why in host.failing.items()]
        notes += [f"job {job} waits: {why}" for job, why in host.waits.items()]
        notes += [f"CAUTION: {host.unproven}"] if host.unproven else []
    return notes
