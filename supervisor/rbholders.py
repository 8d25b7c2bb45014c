"""Who holds which RB, what is done under its lock, and how lately it gave a sign of life: looks only, no lock is taken.

An RB is listed while its newest epoch is undecided or not promoted, or while a take of it stands. Nothing but an
attempt to take it tells whether a flock is held, and a look must not get in the way of a claim: so the holder is whom
the epoch names, and whether he lives is told by what moves.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.limits import format_duration
from supervisor import durable, fences, hosts, journal
from supervisor.names import part_of
from supervisor.rblock import Counter, read_counter_at
from supervisor.records import CorruptRecord
from supervisor.takeover import Ruling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from supervisor.waitlist import UnderWay, Waitlist

#: A holder is called silent after so many beats, and so many seconds more for clocks that differ (file times).
_BEATS = 3
_SKEW = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RbHolder:
    """An RB and its holder."""

    rb: str
    epoch: int
    host: str
    boot: str
    #: When the epoch was claimed, seconds since 1970 by the holder's clock.
    since: float
    job: str
    instrument: str
    run: str
    #: `handing over`, `running`, `promoting`, or `take left`.
    state: str
    #: Beats of this epoch, and for how many seconds none was seen; None where none can be told.
    beats: int | None
    run_silent: float | None
    host_silent: float | None
    #: What to expect, "" where all is well.
    note: str
    #: Jobs that wait for this RB, and the first of them.
    waiting: int
    first: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What is known of the life of a holder."""

    state: str
    host: str
    run_silent: float | None
    host_silent: float | None
    #: The operator who fenced its boot, "" for nobody.
    fenced_by: str = ""
    #: The heartbeat of its host is of another boot.
    rebooted: bool = False


def note(signs: Signs, *, beat: float, takeover_after: float, skew: float) -> str:
    """Say what is to be expected of a holder (pure).

    Args:
        signs: what is known.
        beat: seconds between two beats.
        takeover_after: seconds of silence of both counters after which another host takes over.
        skew: seconds by which clocks may differ, where silence is told by file times.
    """
    if signs.fenced_by:
        return f"its host was fenced by operator {signs.fenced_by}: others see to it at their next scan"
    lately = _BEATS * beat + skew
    host_lives = signs.host_silent is not None and signs.host_silent <= lately
    run_lives = signs.run_silent is not None and signs.run_silent <= lately
    if signs.state == "take left":
        return (
            "its host ends it" if host_lives else f"host {signs.host} is silent: it stands until that is back or fenced"
        )
    if host_lives and signs.rebooted:
        return "its host has rebooted and gives it back"
    if host_lives or run_lives:
        if not run_lives and signs.state != "promoting":
            return "no beat of the run for some time: its host ends it"
        return "" if host_lives else f"the supervisor of host {signs.host} is silent, the run goes on"
    known = [silent for silent in (signs.host_silent, signs.run_silent) if silent is not None]
    if not known:
        return f"host {signs.host} has left no sign of life: taken over after {format_duration(takeover_after)}"
    silent = min(known)
    said = f"host {signs.host} is silent for {format_duration(round(silent))}"
    if signs.state == "promoting":
        return f"{said}: another one goes on as soon as the lock is free"
    left = takeover_after - silent
    return (
        f"{said}: taken over in about {format_duration(round(left))}" if left > 0 else f"{said}: taken over any moment"
    )


@dataclass(slots=True)
class RbHolders:
    """Finds the holders in one listing of `waiting/`."""

    waitlist: Waitlist
    beat: float
    takeover_after: float
    #: For how many seconds each counter stood still while it was watched, and how long that was.
    still: Mapping[str, float]
    watched: float

    def find(self) -> list[RbHolder]:
        """Return every holder, the longest first.

        Raises:
            OSError: the store cannot be used.
        """
        return sorted(self._found(), key=lambda holder: holder.since)

    def _found(self) -> Iterator[RbHolder]:
        for part in self.waitlist.groups:
            try:
                found = self._holder(part)
            except CorruptRecord as corrupt:
                self.waitlist.troubles.append(str(corrupt))
                continue
            if found is not None:
                yield found

    def _holder(self, part: str) -> RbHolder | None:
        under_way = self.waitlist.under_way(part)
        if under_way is not None:
            return self._of_epoch(part, under_way)
        cells = self.waitlist.cells_of(part)
        takes = cells.takes() if cells is not None else {}
        if cells is None or not takes:
            return None
        (n, _), take = min(takes.items(), key=lambda item: item[0])
        epoch = cells.epoch(n)
        job = epoch.job if epoch is not None else ""
        since = epoch.time if epoch is not None else 0.0
        return self._made(part, n, job, take.host, take.boot, since, "take left")

    def _of_epoch(self, part: str, found: UnderWay) -> RbHolder:
        epoch, state = found.epoch, found.what
        if state == "running" and not durable.exists(self.waitlist.layout.job(epoch.job).run(found.n)):
            state = "handing over"
        return self._made(part, found.n, epoch.job, epoch.host, epoch.boot, epoch.time, state)

    def _made(self, part: str, n: int, job: str, host: str, boot: str, since: float, state: str) -> RbHolder:
        layout = self.waitlist.layout
        rb = self.waitlist.rb_of(part) or part
        counter, written = look_at_lock(layout.rb(rb).lock)
        beat = hosts.readable_beat(layout, host)
        fence = fences.read_fence(layout, host, boot)
        beats = counter.beat if counter is not None and counter.epoch == n else None
        signs = Signs(
            state=state,
            host=host,
            run_silent=None if beats is None else self._silent(run_key(rb), written),
            host_silent=None if beat is None else self._silent(host_key(host), beat.time),
            fenced_by=fence.who if fence is not None else "",
            rebooted=beat is not None and beat.boot != boot,
        )
        first, count = self._waiting(part, job)
        request = journal.read_request(layout.job(job)) if job else None
        return RbHolder(
            rb=rb,
            epoch=n,
            host=host,
            boot=boot,
            since=since,
            job=job,
            instrument=request.instrument if request is not None else "?",
            run=request.run if request is not None else "?",
            state=state,
            beats=beats,
            run_silent=signs.run_silent,
            host_silent=signs.host_silent,
            note=note(
                signs,
                beat=self.beat,
                takeover_after=self.takeover_after,
                skew=0.0 if self.watched > _BEATS * self.beat else _SKEW,
            ),
            waiting=count,
            first=first,
        )

    def _silent(self, key: str, at: float) -> float:
        """Seconds without a sign: as watched; where nothing moved, or nobody watched, by the clock of its last one."""
        by_clock = max(0.0, self.waitlist.now - at)
        still = self.still.get(key)
        if still is None:
            return by_clock
        return still if still < self.watched else max(still, by_clock)

    def _waiting(self, part: str, job: str) -> tuple[str, int]:
        """The first job that waits for this RB, and how many do; only those before the first are read."""
        entries = self.waitlist.groups[part]
        others = [entry for entry in entries if entry.job != part_of(job)]
        count = len(others)
        for entry in others:
            look = self.waitlist.look(entry)
            if look.ruling is not Ruling.FINISHED:
                return (look.request.job if look.request is not None else entry.job), count
            count -= 1
        return "", 0


def host_key(host: str) -> str:
    """What a watch calls the heartbeat of a host."""
    return f"host {host}"


def run_key(rb: str) -> str:
    """What a watch calls the counter of an RB."""
    return f"rb {rb}"


def counters(waitlist: Waitlist, holders: list[RbHolder]) -> dict[str, object]:
    """What moves while these holders live, as it stands now."""
    found: dict[str, object] = {host_key(h): hosts.pulse(waitlist.layout, h) for h in {one.host for one in holders}}
    for holder in holders:
        found[run_key(holder.rb)] = look_at_lock(waitlist.layout.rb(holder.rb).lock)
    return found


def look_at_lock(path: str) -> tuple[Counter | None, float]:
    """Return what stands in a lock file and when it was written (seconds since 1970, the file server's clock)."""
    fd = durable.open_record(path)
    if fd is None:
        return None, 0.0
    try:
        return read_counter_at(fd), os.fstat(fd).st_mtime
    finally:
        os.close(fd)
