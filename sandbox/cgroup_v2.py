"""Control groups of version 2: a delegated subtree with one leaf for us and, for each box, the leaves init and script.

A group that has children with controllers may hold no processes itself (cgroups(7), "no internal processes"), so we
move to the leaf `supervisor` of our own group first. That is done only where nobody else stands in it: a group that is
shared with strangers was not delegated to us.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final, Self

from sandbox.cgroup import PREFIX, UNMEASURED, CgroupFacts, Group, counts, number
from sandbox.linux import cgroupfiles
from sandbox.linux.cgroupfs import UNIFIED
from sandbox.outcome import Measure

if TYPE_CHECKING:
    from sandbox.limits import Limits

VERSION: Final = "cgroup-v2"
#: The leaf that we stand in ourselves; systemd >= 254 can make it (`DelegateSubgroup=supervisor`).
SUPERVISOR: Final = "supervisor"
#: Controllers of a box's group, where they were delegated.
_WANTED: Final = ("memory", "pids", "cpu", "io")
_PERIOD: Final = 100_000
#: What a group gets to freeze, in seconds.
_FREEZING: Final = 0.02


class NotDelegatedError(Exception):
    """A group cannot serve as the subtree of boxes; the text says why."""


class Subtree:
    """A group whose children are ours to make."""

    def __init__(self, folder: str, controllers: frozenset[str]) -> None:
        """Takes a group that stands; see `take`."""
        self.folder = folder
        self._controllers = controllers

    @classmethod
    def take(cls, folder: str) -> Self:
        """Takes the group in which this process stands, or its parent when it stands in the leaf `supervisor`.

        Args:
            folder: the group; this process moves to its leaf if it stands in the group itself.

        Raises:
            NotDelegatedError: the group is not ours to use.
            OSError: the kernel refused a step.
        """
        if os.path.basename(folder) == SUPERVISOR:
            folder = os.path.dirname(folder)
        offered = _words(folder, "cgroup.controllers")
        if not {"memory", "pids"} & offered:
            raise NotDelegatedError(f"the group {folder} offers no memory and no pids controller")
        if not os.access(folder, os.W_OK) or not os.access(f"{folder}/cgroup.subtree_control", os.W_OK):
            raise NotDelegatedError(f"the group {folder} may not be written; start us with Delegate=yes")
        wanted = offered.intersection(_WANTED)
        if not wanted <= _words(folder, "cgroup.subtree_control"):
            _stand_aside(folder)
            _enable(folder, wanted)
        return cls(folder, wanted)

    def guards(self) -> dict[str, str]:
        """Returns what a group of this subtree can hold."""
        held = {"memory": "memory", "processes": "pids", "cpu": "cpu"}
        found = {what: VERSION for what, controller in held.items() if controller in self._controllers}
        files = ("cgroup.kill", "cgroup.freeze")
        groups = (self.folder, f"{self.folder}/{SUPERVISOR}")  # the root of all has neither file
        there = (name for name in files if any(cgroupfiles.has(group, name) for group in groups))
        return found | {"kill": next(there, "cgroup.procs")}

    @classmethod
    def standing(cls, folder: str) -> Self:
        """Takes a group that another process has taken already, as it is; this process stays where it stands.

        Raises:
            OSError: it is gone.
        """
        return cls(folder, _words(folder, "cgroup.subtree_control").intersection(_WANTED))

    def folders(self) -> dict[str, str]:
        """Returns the folder below which the groups stand, under the name that stands for all controllers."""
        return {UNIFIED: self.folder}

    def names(self) -> set[str]:
        """Finds the groups of boxes that stand here."""
        return {name[len(PREFIX) :] for name in os.listdir(self.folder) if name.startswith(PREFIX)}

    def existing(self, name: str) -> Group:
        """Returns a group that stands already."""
        return GroupV2(name, os.path.join(self.folder, PREFIX + name), self.guards())

    def make(self, name: str, limits: Limits) -> Group:
        """Makes a group with its leaves, and the limits on the script's.

        Raises:
            OSError: a folder or a limit could not be made; nothing is left.
        """
        root = os.path.join(self.folder, PREFIX + name)
        script = f"{root}/script"
        with contextlib.ExitStack() as made:
            cgroupfiles.make(root)
            made.callback(cgroupfiles.remove, root)
            _enable(root, self._controllers)
            cgroupfiles.make(f"{root}/init")
            cgroupfiles.make(script)
            _limit(script, limits, self._controllers)
            made.pop_all()
        return GroupV2(name, root, self.guards())


def _words(folder: str, name: str) -> frozenset[str]:
    return frozenset(cgroupfiles.read(folder, name).split())


def _enable(folder: str, controllers: frozenset[str]) -> None:
    if controllers:
        cgroupfiles.write(folder, "cgroup.subtree_control", " ".join(f"+{name}" for name in sorted(controllers)))


def _stand_aside(folder: str) -> None:
    """Moves this process to the leaf `supervisor`, if it stands in the group and nobody else does."""
    standing = cgroupfiles.pids(folder)
    strangers = [pid for pid in standing if pid != os.getpid()]
    if strangers:
        raise NotDelegatedError(
            f"the group {folder} holds {len(strangers)} processes that are not ours; start us with Delegate=yes"
        )
    if standing:
        leaf = os.path.join(folder, SUPERVISOR)
        with contextlib.suppress(FileExistsError):
            cgroupfiles.make(leaf)
        cgroupfiles.write(leaf, "cgroup.procs", os.getpid())


def _limit(script: str, limits: Limits, controllers: frozenset[str]) -> None:
    if "memory" in controllers:
        if limits.memory is not None:
            cgroupfiles.write(script, "memory.max", limits.memory)
        if cgroupfiles.has(script, "memory.swap.max"):  # not there on a kernel without swap
            cgroupfiles.write(script, "memory.swap.max", 0)
        if cgroupfiles.has(script, "memory.oom.group"):  # Linux 4.19
            cgroupfiles.write(script, "memory.oom.group", 1)
    if "pids" in controllers and limits.processes is not None:
        cgroupfiles.write(script, "pids.max", limits.processes)
    if "cpu" in controllers and limits.cpus is not None:
        cgroupfiles.write(script, "cpu.max", f"{max(1000, round(limits.cpus * _PERIOD))} {_PERIOD}")


def _is_empty(folder: str) -> bool:
    try:
        return cgroupfiles.table(folder, "cgroup.events").get("populated") == 0
    except FileNotFoundError:
        return True


class GroupV2(Group):
    """A box's group on version 2."""

    def __init__(self, name: str, root: str, guards: dict[str, str]) -> None:
        """Names the group's folders.

        Args:
            name: the box's token.
            root: the folder that holds the leaves.
            guards: see `Group.guards`.
        """
        self._script = f"{root}/script"
        super().__init__(name, {"init": (f"{root}/init",), "script": (self._script,)}, (root,))
        self._root = root
        self._guards = guards
        self._anonymous = self._cache = self._current = 0
        self._sampled = False

    def guards(self) -> dict[str, str]:
        """Returns which limits this group holds, and how it kills."""
        return dict(self._guards)

    def is_empty(self) -> bool:
        """Whether no process stands in the group or below it (`populated 0`)."""
        return _is_empty(self._root)

    def script_is_empty(self) -> bool:
        """Whether no process stands in the script's leaf or below it."""
        return _is_empty(self._script)

    def sample(self) -> None:
        """Notes the largest anonymous memory, page cache and sum."""
        if stat := counts(self._script, "memory.stat"):
            self._sampled = True
            self._anonymous = max(self._anonymous, stat.get("anon", 0))
            self._cache = max(self._cache, stat.get("file", 0))
            self._current = max(self._current, number(self._script, "memory.current") or 0)

    def cpu(self) -> float | None:
        """Returns the processor time of all that ever ran in the leaf, seconds; None where it is not counted."""
        used = counts(self._script, "cpu.stat").get("usage_usec")
        return None if used is None else used / 1e6

    def facts(self) -> CgroupFacts:
        """Returns what was counted; what cannot be read is unmeasured."""
        cpu = counts(self._script, "cpu.stat").get("usage_usec")
        read, written = _io(self._script)
        return CgroupFacts(
            oom_kills=counts(self._script, "memory.events").get("oom_kill", 0),
            group_oom=number(self._script, "memory.oom.group") == 1,
            peak_memory=self._peak(),
            anonymous=self._of_samples(self._anonymous, "memory.stat"),
            cache=self._of_samples(self._cache, "memory.stat"),
            cpu=UNMEASURED if cpu is None else Measure(value=cpu / 1e6, source="cpu.stat", exact=True),
            tasks=_exact(number(self._script, "pids.peak"), "pids.peak"),
            forks_refused=counts(self._script, "pids.events").get("max", 0),
            read_bytes=_exact(read, "io.stat"),
            written_bytes=_exact(written, "io.stat"),
            pressure=_pressure(self._script),
        )

    def _peak(self) -> Measure:
        peak = number(self._script, "memory.peak")  # Linux 5.19
        return self._of_samples(self._current, "memory.current") if peak is None else _exact(peak, "memory.peak")

    def _of_samples(self, value: int, source: str) -> Measure:
        return Measure(value=value, source=source, exact=False) if self._sampled else UNMEASURED

    def kill(self) -> int:
        """Kills the whole group by `cgroup.kill` (Linux 5.14); on an older kernel frozen, and process by process."""
        return _kill(self._root)

    def kill_script(self) -> int:
        """Kills the script's leaf in the same way."""
        return _kill(self._script)


def _kill(folder: str) -> int:
    if cgroupfiles.has(folder, "cgroup.kill"):
        signalled = sum(len(cgroupfiles.pids(path)) for path in cgroupfiles.below(folder))
        cgroupfiles.write(folder, "cgroup.kill", 1)
        return signalled
    if not cgroupfiles.has(folder, "cgroup.freeze"):  # Linux 5.2
        return _kill_listed(folder)
    cgroupfiles.write(folder, "cgroup.freeze", 1)
    try:
        deadline = time.monotonic() + _FREEZING
        while not counts(folder, "cgroup.events").get("frozen") and time.monotonic() < deadline:
            os.sched_yield()
        return _kill_listed(folder)
    finally:
        cgroupfiles.write(folder, "cgroup.freeze", 0)


def _kill_listed(folder: str) -> int:
    return cgroupfiles.kill_listed(cgroupfiles.below(folder))


def _exact(value: int | None, source: str) -> Measure:
    return UNMEASURED if value is None else Measure(value=value, source=source, exact=True)


def _io(folder: str) -> tuple[int | None, int | None]:
    """Sums the bytes of all local block devices: lines such as `8:0 rbytes=1 wbytes=2 rios=...`."""
    try:
        text = cgroupfiles.read(folder, "io.stat")
    except OSError:
        return None, None
    sums = {"rbytes": 0, "wbytes": 0}
    for word in text.split():
        key, separator, value = word.partition("=")
        if separator and key in sums and value.isdigit():
            sums[key] += int(value)
    return sums["rbytes"], sums["wbytes"]


def _pressure(folder: str) -> dict[str, float]:
    """Reads the seconds in which some task waited: `some avg10=0.00 ... total=<microseconds>` (Linux 4.20)."""
    found: dict[str, float] = {}
    for what in ("memory", "cpu", "io"):
        with contextlib.suppress(OSError, ValueError):
            some = cgroupfiles.read(folder, f"{what}.pressure").splitlines()[:1]
            found[what] = int("".join(some).rpartition("total=")[2]) / 1e6
    return found
