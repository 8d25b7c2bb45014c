"""Samples of a process tree by psutil: resident memory, processor time, processes, bytes read and written.

A sampler sees what lives at the moment of the look. Processor time and bytes of the dead are not lost: the kernel adds
them to whoever reaped them (proc(5), cutime and cstime; the io file), which is a member of the tree or its init.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from sandbox.linux import heldfiles, proctree
from sandbox.linux.proctree import Identity, Process, TreeWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The tree at one moment; bytes, seconds and counts."""

    #: Sum of the resident sizes. Pages that processes share are counted for each, so this is an upper bound.
    rss: int = 0
    #: Processor time of the living and of all that were reaped.
    cpu: float = 0.0
    #: Living processes.
    processes: int = 0
    #: Their threads; what RLIMIT_NPROC counts.
    tasks: int = 0
    #: Most descriptors that one of them has open.
    files: int = 0
    #: Bytes through read and write calls, cache or disk or network.
    read: int = 0
    written: int = 0
    #: Name of the process with the most memory.
    top_process: str = ""


class TreeSampler:
    """Samples the tree below an init again and again; objects of living processes are kept between two looks."""

    def __init__(self, root: int) -> None:
        """Looks at nothing yet.

        Args:
            root: pid of the init, which is not part of what is measured but holds the sums of the dead.
        """
        self._window = TreeWindow(root)
        self._known: dict[Identity, psutil.Process] = {}
        self._root: psutil.Process | None = None
        #: The members that the last look found.
        self.members: list[Process] = []

    def sample(self, now: float) -> Reading:
        """Measures the tree.

        Args:
            now: monotonic seconds.
        """
        self.members = self._window.look(now)
        known, self._known = self._known, {}
        rss = read = written = files = 0
        processes = tasks = top = 0
        top_process = ""
        cpu = self._cpu_of_the_dead()
        for member in self.members:
            try:
                process = known.get(member.identity) or psutil.Process(member.pid)
                self._known[member.identity] = process
                with process.oneshot():
                    times = process.cpu_times()
                    cpu += times.user + times.system + times.children_user + times.children_system
                    tasks += max(1, member.threads)  # the dead count until somebody waits for them (fork(2), EAGAIN)
                    if not member.living:
                        continue
                    processes += 1
                    size = _resident(member) if member.is_headless else process.memory_info().rss
                    rss += size
                    if size > top:
                        top, top_process = size, process.name()
                    files = max(files, process.num_fds())
                    counters = process.io_counters()
                    read += counters.read_chars
                    written += counters.write_chars
            except (psutil.Error, OSError):
                continue  # gone meanwhile, or a counter that this kernel or user does not show
        return Reading(
            rss=rss,
            cpu=cpu,
            processes=processes,
            tasks=tasks,
            files=files,
            read=read,
            written=written,
            top_process=top_process,
        )

    def _cpu_of_the_dead(self) -> float:
        try:
            self._root = self._root or psutil.Process(self._window.root)
            times = self._root.cpu_times()
        except (psutil.Error, OSError):
            return 0.0
        return float(times.children_user + times.children_system)

    def files_in_memory(self) -> int:
        """Measures the files in memory that the members hold open and that no file system shows, bytes."""
        return heldfiles.in_memory(self._living())

    def unlinked_files(self, device: int, *, mapped: bool) -> int:
        """Measures the files of a disk that the members hold and that have no name any more, bytes.

        Args:
            device: of the disk, as stat(2) has it.
            mapped: whether those that are only mapped are looked for, which may wait for a member.
        """
        return heldfiles.unlinked(self._living(), device, mapped=mapped)

    def _living(self) -> list[int]:
        return [member.pid for member in self.members if member.living]

    def proportional(self) -> tuple[int, int] | None:
        """Measures the memory of the members that the last look found, each shared page counted once.

        Much dearer than a sample, as the kernel walks every page table (proc(5), smaps_rollup: Pss, Pss_Shmem).

        Returns:
            Bytes in all, and those of mapped files in memory among them; None when not all could be read.
        """
        total = mapped = 0
        for member in self.members:
            if not member.living:
                continue
            sizes = _pss(proctree.shown_at(member))
            if sizes is None:
                return None
            total += sizes[0]
            mapped += sizes[1]
        return total, mapped


def _resident(member: Process) -> int:
    """Reads the resident size of a process by a thread that lives, bytes (proc_pid_statm(5)); psutil asks the first."""
    try:
        with open(f"{proctree.shown_at(member)}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0  # gone meanwhile


def _pss(folder: str) -> tuple[int, int] | None:
    found = {b"Pss:": 0, b"Pss_Shmem:": 0}
    try:
        with open(f"{folder}/smaps_rollup", "rb") as file:
            for line in file:
                name, _, rest = line.partition(b" ")
                if name in found:
                    found[name] = int(rest.split()[0]) * 1024
    except ProcessLookupError:
        return 0, 0  # gone meanwhile
    except OSError:
        return None if os.path.exists(folder) else (0, 0)
    return found[b"Pss:"], found[b"Pss_Shmem:"]
