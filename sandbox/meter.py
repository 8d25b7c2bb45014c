"""The meter of a running box: samples it, keeps what was measured, and says when a limit is reached."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.cgroup import NullGroup
from sandbox.outcome import CURVE_CAP, Measure, Sample, Usage, thin
from sandbox.sampler import Reading, TreeSampler
from sandbox.verdict import KillReason

if TYPE_CHECKING:
    from sandbox.cgroup import Group
    from sandbox.limits import Limits
    from sandbox.linux.sysvipc import IpcObjects
    from sandbox.volume import Volume
    from sandbox.watch import FolderWatch

#: The first sample comes soon, for scripts that are short.
FIRST: Final = 0.05
#: Share of one processor that sampling takes at most: a tree of thousands is looked at less often.
_SHARE: Final = 0.1
#: The folders that a script writes besides its results; all are removed with the box.
PRIVATE: Final = ("tmp", "work", "home", "handoff", "script")


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A limit that ends the run was reached."""

    reason: KillReason
    #: Which one, where the reason alone does not tell: "output" or "files".
    ceiling: str = ""
    measured: float | None = None


class Meter:
    """Measures one running box and holds it against its limits; decides nothing else and signals nobody."""

    def __init__(
        self,
        limits: Limits,
        sampler: TreeSampler,
        watch: FolderWatch,
        *,
        began: float,
        every: float,
        group: Group | None = None,
        volumes: tuple[Volume, ...] = (),
        objects: IpcObjects | None = None,
        hard: Volume | None = None,
    ) -> None:
        """Starts at the script's start.

        Args:
            limits: the box's limits.
            sampler: of the tree.
            watch: of the folders "out" and `PRIVATE`.
            began: monotonic second of the script's start.
            every: seconds between two samples.
            group: the box's control group; where it holds the memory, the kernel ends what takes too much.
            volumes: /tmp and /dev/shm, where they are the box's own; files in them are memory.
            objects: its System V objects, where it has its own.
            hard: the sized file system of all else that the script writes.
        """
        self._limits = limits
        self._group = group or NullGroup()
        self._memory = None if self._group.holds("memory") else limits.memory
        #: None once it was told: from then on the grace runs, and is measured like the time before.
        self._wall = limits.wall
        self._sampler = sampler
        self._watch = watch
        self._volumes = volumes
        self._objects = objects
        self._hard = hard
        #: Monotonic second of the script's start.
        self.began = began
        self._every = every
        self._sample_at = began + min(FIRST, every)
        self._points: list[Sample] = []
        self._processes = 0
        self._read = self._written = 0
        #: The last sample.
        self.reading = Reading()
        #: Largest memory that a sample found, bytes; shared pages counted once where it mattered.
        self.peak = 0
        #: Largest processor time that a sample found, seconds.
        self.cpu = 0.0
        #: Name of the process with most memory at the peak.
        self.top_process = ""
        #: Bytes of the scratch that no folder shows: of files that are held, and have no name any more; None where they
        #: were not counted this time, and how often running there was too much with them.
        self._unlinked: int | None = None
        self._unlinked_at = began
        self._over = 0
        #: Limits that were reached without ending the run.
        self.ceilings: set[str] = set()

    def deadline(self) -> float:
        """Returns the monotonic second of the next turn."""
        times = [self._sample_at, self._watch.next_at]
        return min(times if self._wall is None else [*times, self.began + self._wall])

    def turn(self, now: float) -> Breach | None:
        """Measures what is due, and returns the first limit that ends the run.

        Args:
            now: monotonic seconds.
        """
        if self._wall is not None and now - self.began >= self._wall:
            self._wall = None
            return Breach(reason=KillReason.wall_limit)
        breach = self._sample(now) if now >= self._sample_at else None
        if not breach and now >= self._watch.next_at:
            if not self._watch.under_way:
                self._count_unlinked(now)
            self._watch.turn(now)
            breach = self._folders() or self._with_unlinked()
        return breach

    def _count_unlinked(self, now: float) -> None:
        """Counts before the folders are counted, so that a file that loses its name meanwhile is counted once."""
        self._unlinked = None
        room = self._room()
        if self._hard or room is None or now < self._unlinked_at:
            return  # a sized file system knows itself what it holds
        began = time.monotonic()
        # Mappings may make us wait: they are looked at only where more than the room has gone from the disk.
        self._unlinked = self._sampler.unlinked_files(self._watch.device, mapped=self._watch.lost() > room)
        self._unlinked_at = now + (time.monotonic() - began) / _SHARE

    def _with_unlinked(self) -> Breach | None:
        """Judges by folders and nameless files together, twice: a file that gets a name meanwhile counts double."""
        room = self._room()
        if self._unlinked is None or room is None or self._watch.under_way:
            return None
        everything = sum(self._watch.last(name).bytes for name in ("out", *PRIVATE)) + self._unlinked
        self._over = self._over + 1 if everything > room else 0
        if self._over < 2:
            return None
        return Breach(reason=KillReason.output_limit, ceiling="output", measured=everything)

    def _room(self) -> int | None:
        """Returns the bytes that a script may write in all: it all lies on one disk."""
        limits = self._limits
        return None if limits.output is None or limits.tmp is None else limits.output + limits.tmp

    def _sample(self, now: float) -> Breach | None:
        began = time.monotonic()
        limits, reading = self._limits, self._sampler.sample(now)
        stored = sum(volume.used() for volume in self._volumes)
        if self._memory is not None:
            stored += self._sampler.files_in_memory() + (self._objects.used() if self._objects else 0)
        memory = reading.rss + stored
        self._group.sample()
        if self._memory is not None and memory > self._memory and (reading.processes > 1 or stored):
            # Workers that were forked share what their parent had loaded, and a file in memory may be mapped as well:
            # counted for each, it is no memory.
            shared_once = self._sampler.proportional()
            if shared_once is not None:
                total, mapped = shared_once
                memory = min(memory, total - mapped + max(mapped, stored))
        self.reading = reading
        if memory > self.peak:
            self.peak, self.top_process = memory, reading.top_process
        # The group counts what ran and was never waited for as well.
        self.cpu = max(self.cpu, reading.cpu, self._group.cpu() or 0.0)
        self._processes = max(self._processes, reading.processes)
        self._read, self._written = max(self._read, reading.read), max(self._written, reading.written)
        self._points.append(Sample(t=now - self.began, rss=memory, cpu=self.cpu, processes=reading.processes))
        if len(self._points) >= 4 * CURVE_CAP:
            self._points = list(thin(self._points, 2 * CURVE_CAP))
        # RLIMIT_NPROC, and a cgroup's pids.max, count tasks.
        if limits.processes is not None and reading.tasks >= limits.processes:
            self.ceilings.add("processes")
        if limits.open_files is not None and reading.files >= limits.open_files:
            self.ceilings.add("open_files")
        self._sample_at = now + max(self._every, (time.monotonic() - began) / _SHARE)
        if self._memory is not None and memory > self._memory:
            return Breach(reason=KillReason.memory_limit, measured=memory)
        if limits.cpu is not None and self.cpu >= limits.cpu:
            return Breach(reason=KillReason.cpu_limit, measured=self.cpu)
        return None

    def _folders(self) -> Breach | None:
        limits, out = self._limits, self._watch.count("out")
        private = [self._watch.count(name) for name in PRIVATE]
        if limits.tmp is not None and self._watch.count("tmp").bytes > limits.tmp:
            self.ceilings.add("tmp")
        if any(volume.exhausted() for volume in self._volumes):
            self.ceilings.add("tmp")
        if limits.file_size is not None and max(out.largest, *(count.largest for count in private)) >= limits.file_size:
            self.ceilings.add("file_size")
        if self._hard and (lacking := self._hard.exhausted()):
            if lacking == "bytes":
                return Breach(reason=KillReason.output_limit, ceiling="output", measured=self._hard.used())
            # Sized by that limit, and all used: a count under way would say less.
            return Breach(reason=KillReason.output_limit, ceiling="files", measured=limits.files or out.entries)
        # What is over in the private folders counts as output.
        room = self._room()
        everything = out.bytes + sum(count.bytes for count in private)
        if limits.output is not None and out.bytes > limits.output:
            return Breach(reason=KillReason.output_limit, ceiling="output", measured=out.bytes)
        if room is not None and everything > room:
            return Breach(reason=KillReason.output_limit, ceiling="output", measured=everything)
        # The folder of the results itself is none of them. The private folders take inodes of the same disk.
        entries = max(out.entries - 1, sum(count.entries for count in private))
        if limits.files is not None and entries > limits.files:
            return Breach(reason=KillReason.output_limit, ceiling="files", measured=entries)
        return None

    def close(self) -> None:
        """Gives back what a count under way has open."""
        self._watch.close()

    def finish(self) -> tuple[int, Breach | None]:
        """Counts the folders of a dead tree once more, for the ceilings.

        Returns:
            Size of the largest file of all, bytes; and the limit of the sized file system that was used up.
        """
        self._watch.finish()
        breach = self._folders()
        largest = max(self._watch.count(name).largest for name in ("out", *PRIVATE))
        return largest, breach if self._hard and self._hard.exhausted() else None

    def usage(
        self, *, wall: Measure, cpu_reaped: float | None, peak_reaped: int, io_reaped: tuple[int, int] | None
    ) -> Usage:
        """Puts together what was sampled and what the init measured of all it reaped.

        Args:
            wall: the run's own time.
            cpu_reaped: seconds of the whole reaped tree, None if nobody could report it.
            peak_reaped: largest resident size of one process, bytes, 0 for not known.
            io_reaped: bytes read and written by the whole reaped tree, None for not known.
        """
        read, written = io_reaped or (0, 0)
        sampled = bool(self._points)
        io_source = "proc io" if io_reaped else "sampler" if sampled else "none"
        return Usage(
            wall=wall,
            cpu=Measure(
                # A process whose parent ignores SIGCHLD is in nobody's sum; the sampler may have seen it.
                value=max(self.cpu, cpu_reaped or 0.0) if sampled or cpu_reaped is not None else None,
                source="rusage" if cpu_reaped is not None and cpu_reaped >= self.cpu else "sampler",
                exact=cpu_reaped is not None and cpu_reaped >= self.cpu,
            ),
            peak_memory=Measure(
                value=max(self.peak, peak_reaped) or None,
                source="sampler" if self.peak >= peak_reaped else "rusage",
                exact=False,
            ),
            processes=Measure(value=max(self._processes, 1), source="sampler", exact=False),
            read_bytes=Measure(
                value=max(read, self._read) if io_source != "none" else None, source=io_source, exact=bool(io_reaped)
            ),
            written_bytes=Measure(
                value=max(written, self._written) if io_source != "none" else None,
                source=io_source,
                exact=bool(io_reaped),
            ),
            curve=thin(self._points),
        )
