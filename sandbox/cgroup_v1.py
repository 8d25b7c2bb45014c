"""Control groups of version 1: one folder for each controller, below where this process stands in each.

A process may stand where it likes on version 1, so only the script has a leaf. There is no group out-of-memory kill:
the kernel ends one process, and whether that was the script or a helper is for the verdict to tell.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

from sandbox.cgroup import PREFIX, UNMEASURED, CgroupFacts, Group, counts, number
from sandbox.linux import cgroupfiles
from sandbox.outcome import Measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.limits import Limits

VERSION: Final = "cgroup-v1"
#: The controllers of a box's group.
WANTED: Final = ("memory", "pids", "cpu", "cpuacct", "freezer")
#: What a group gets to freeze, in seconds; a process in state D does not.
_FREEZING: Final = 0.02
_PERIOD: Final = 100_000


class Subtree:
    """The folders below which groups of boxes are made."""

    def __init__(self, folders: Mapping[str, str]) -> None:
        """Takes what can be written.

        Args:
            folders: by controller, any of `WANTED`.
        """
        self._folders = folders

    def guards(self) -> dict[str, str]:
        """Returns what a group of this subtree can hold."""
        return _guards(self._folders)

    def names(self) -> set[str]:
        """Finds the groups of boxes that stand here."""
        found: set[str] = set()
        for folder in self._folders.values():
            with contextlib.suppress(OSError):
                found.update(name[len(PREFIX) :] for name in os.listdir(folder) if name.startswith(PREFIX))
        return found

    def existing(self, name: str) -> Group:
        """Returns a group that stands already, in whatever hierarchies it does."""
        folders = _inside(self._folders, name)
        return GroupV1(name, {key: folder for key, folder in folders.items() if os.path.isdir(folder)})

    def folders(self) -> dict[str, str]:
        """Returns the folders below which the groups stand, by controller."""
        return dict(self._folders)

    def make(self, name: str, limits: Limits) -> Group:
        """Makes a group with its limits.

        Raises:
            OSError: a folder or a limit could not be made; nothing is left.
        """
        folders = _inside(self._folders, name)
        with contextlib.ExitStack() as made:
            # Controllers that are mounted together (cpu,cpuacct) share a folder.
            for folder in dict.fromkeys(folders.values()):
                cgroupfiles.make(folder)
                made.callback(cgroupfiles.remove, folder)
            _limit(folders, limits)
            made.pop_all()
        return GroupV1(name, folders)


def _inside(folders: Mapping[str, str], name: str) -> dict[str, str]:
    return {controller: os.path.join(folder, PREFIX + name) for controller, folder in folders.items()}


def _guards(folders: Mapping[str, str]) -> dict[str, str]:
    held = {"memory": "memory", "processes": "pids", "cpu": "cpu"}
    found = {what: VERSION for what, controller in held.items() if controller in folders}
    return found | {"kill": "freezer" if "freezer" in folders else "cgroup.procs"}


def _limit(folders: Mapping[str, str], limits: Limits) -> None:
    memory = folders.get("memory")
    if memory and limits.memory is not None:
        cgroupfiles.write(memory, "memory.limit_in_bytes", limits.memory)
        if cgroupfiles.has(memory, "memory.memsw.limit_in_bytes"):
            cgroupfiles.write(memory, "memory.memsw.limit_in_bytes", limits.memory)  # memory and swap together
        else:
            cgroupfiles.write(memory, "memory.swappiness", 0)  # a kernel without swap accounting: do not swap us
        if cgroupfiles.has(memory, "memory.kmem.tcp.limit_in_bytes"):
            # What sockets of TCP and UDP buffer is counted here alone (memory.rst of version 1, 2.7).
            cgroupfiles.write(memory, "memory.kmem.tcp.limit_in_bytes", limits.memory)
    if memory and counts(memory, "memory.oom_control").get("oom_kill_disable"):
        cgroupfiles.write(memory, "memory.oom_control", 0)  # inherited from above; it would hang the run, not end it
    if limits.processes is not None and "pids" in folders:
        cgroupfiles.write(folders["pids"], "pids.max", limits.processes)
    if limits.cpus is not None and "cpu" in folders:
        cgroupfiles.write(folders["cpu"], "cpu.cfs_period_us", _PERIOD)
        cgroupfiles.write(folders["cpu"], "cpu.cfs_quota_us", max(1000, round(limits.cpus * _PERIOD)))


class GroupV1(Group):
    """A box's group on version 1."""

    def __init__(self, name: str, folders: Mapping[str, str]) -> None:
        """Names the group's folders.

        Args:
            name: the box's token.
            folders: by controller.
        """
        single = tuple(dict.fromkeys(folders.values()))
        super().__init__(name, {"script": single}, single)
        self._folders = folders
        self._anonymous = self._cache = 0
        self._sampled = False

    def guards(self) -> dict[str, str]:
        """Returns which limits this group holds, and how it kills."""
        return _guards(self._folders)

    def sample(self) -> None:
        """Notes the largest anonymous memory and page cache."""
        if "memory" in self._folders and (stat := counts(self._folders["memory"], "memory.stat")):
            self._sampled = True
            self._anonymous = max(self._anonymous, stat.get("rss", 0))
            self._cache = max(self._cache, stat.get("cache", 0))

    def cpu(self) -> float | None:
        """Returns the processor time of all that ever ran in the leaf, seconds; None where it is not counted."""
        return _measure(self._folders.get("cpuacct", ""), "cpuacct.usage", 1e-9).value

    def facts(self) -> CgroupFacts:
        """Returns what was counted; what cannot be read is unmeasured."""
        memory, pids = self._folders.get("memory", ""), self._folders.get("pids", "")
        return CgroupFacts(
            oom_kills=counts(memory, "memory.oom_control").get("oom_kill", 0),
            peak_memory=_measure(memory, "memory.max_usage_in_bytes"),
            anonymous=self._of_samples(self._anonymous),
            cache=self._of_samples(self._cache),
            cpu=_measure(self._folders.get("cpuacct", ""), "cpuacct.usage", 1e-9),
            tasks=_measure(pids, "pids.peak"),
            forks_refused=counts(pids, "pids.events").get("max", 0),
        )

    def _of_samples(self, value: int) -> Measure:
        return Measure(value=value, source="memory.stat", exact=False) if self._sampled else UNMEASURED

    def kill(self) -> int:
        """Freezes the group, kills each process, and lets them thaw to die; in one bounded round."""
        freezer = self._folders.get("freezer")
        if freezer is None:
            return self._kill_listed()
        cgroupfiles.write(freezer, "freezer.state", "FROZEN")
        try:
            deadline = time.monotonic() + _FREEZING
            while cgroupfiles.read(freezer, "freezer.state") != "FROZEN" and time.monotonic() < deadline:
                os.sched_yield()
            return self._kill_listed()
        finally:
            cgroupfiles.write(freezer, "freezer.state", "THAWED")

    def _kill_listed(self) -> int:
        # A script of root may have left some of the hierarchies: who is in any of them is ours.
        return cgroupfiles.kill_listed(path for root in self._roots for path in cgroupfiles.below(root))


def _measure(folder: str, name: str, unit: float = 1) -> Measure:
    value = number(folder, name) if folder else None
    return UNMEASURED if value is None else Measure(value=value * unit, source=name, exact=True)
