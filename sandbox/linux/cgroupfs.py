"""Control groups as the kernel shows them: which hierarchies are mounted, and where this process stands in each.

Version 2 is one tree with all controllers (cgroups(7), Linux 4.5); version 1 has a tree for each controller or pair of
them (Linux 2.6.24); a host may have both. What /proc says is parsed by pure functions with thin readers beside them;
the files of a group are read and written by `cgroupfiles`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sandbox.linux import procpath

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Controllers of version 1 that this project knows; other words among a mount's options are no controllers.
V1_CONTROLLERS: Final = frozenset({"memory", "pids", "cpu", "cpuacct", "freezer", "cpuset", "blkio", "devices"})
#: What stands for the one tree of version 2 where version 1 has a controller's name.
UNIFIED: Final = ""

Kind = Literal["none", "v1", "v2", "hybrid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """One mounted tree of control groups."""

    #: Its controllers on version 1; `UNIFIED` alone on version 2.
    controllers: frozenset[str]
    #: The group that stands at `point`, as /proc/self/cgroup names groups: "/" but in containers.
    root: str
    #: Where it is mounted.
    point: str
    #: Whether the mount may be written; its files say who may.
    writable: bool = True

    def folder(self, position: str) -> str | None:
        """Returns the folder of a group, None when the group is not below what is mounted here.

        Args:
            position: the group as /proc/<pid>/cgroup names it; one outside our namespace begins with "/..".
        """
        root = self.root.rstrip("/")
        if ".." in position.split("/") or (position != root and not position.startswith(root + "/")):
            return None
        inside = position[len(root) :].strip("/")
        return os.path.join(self.point, inside) if inside else self.point


def parse_mounts(mountinfo: str) -> tuple[Hierarchy, ...]:
    """Finds the hierarchies in the text of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)), each once.

    Args:
        mountinfo: the text; a line that is none is left out.
    """
    found: dict[frozenset[str], Hierarchy] = {}
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if not separator or len(fields) < 6 or len(kind) < 3 or kind[0] not in {"cgroup", "cgroup2"}:
            continue
        names = {UNIFIED} if kind[0] == "cgroup2" else V1_CONTROLLERS.intersection(kind[2].split(","))
        hierarchy = Hierarchy(
            controllers=frozenset(names),
            root=procpath.plain(fields[3]),
            point=procpath.plain(fields[4]),
            writable="rw" in fields[5].split(",") and "rw" in kind[2].split(","),
        )
        known = found.get(hierarchy.controllers)
        # Containers bind single groups beside the whole tree; the mount nearest to the tree's root shows most.
        if names and (known is None or len(hierarchy.root) < len(known.root)):
            found[hierarchy.controllers] = hierarchy
    return tuple(found.values())


def parse_positions(text: str) -> dict[str, str]:
    """Reads the text of /proc/<pid>/cgroup (cgroups(7)).

    Args:
        text: lines such as `4:memory:/system.slice` and `0::/user.slice`.

    Returns:
        The group by controller, and by `UNIFIED` for version 2.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, first, rest = line.partition(":")
        names, second, path = rest.partition(":")
        if not first or not second:
            continue
        for name in names.split(","):
            if name == UNIFIED or name in V1_CONTROLLERS:
                found[name] = path.removesuffix(" (deleted)")
    return found


def kind(hierarchies: Sequence[Hierarchy]) -> Kind:
    """Names what a host has."""
    unified = any(UNIFIED in hierarchy.controllers for hierarchy in hierarchies)
    single = any(UNIFIED not in hierarchy.controllers for hierarchy in hierarchies)
    return "hybrid" if unified and single else "v2" if unified else "v1" if single else "none"


def own_folders(hierarchies: Sequence[Hierarchy], positions: Mapping[str, str]) -> dict[str, str]:
    """Returns the folder in which a process stands, by controller and `UNIFIED`; what is not mounted has none."""
    found: dict[str, str] = {}
    for hierarchy in hierarchies:
        for name in hierarchy.controllers:
            folder = hierarchy.folder(positions[name]) if name in positions and hierarchy.writable else None
            if folder is not None:
                found[name] = folder
    return found


def hierarchies() -> tuple[Hierarchy, ...]:
    """Finds what is mounted where this process can see it."""
    return parse_mounts(_text("/proc/self/mountinfo"))


def positions() -> dict[str, str]:
    """Finds where this process stands."""
    return parse_positions(_text("/proc/self/cgroup"))


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
