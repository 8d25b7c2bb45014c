"""The file system that a path lies on, and what it promises of locks between hosts (the rules are pure).

Where locks hold is measured in the lab for NFSv4.2; of the others stands here what their own documentation says:
nfs(5) `local_lock` and `nolock`, mount.lustre(8) `flock` and `localflock`, mount.ceph(8).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from sandbox.linux import procpath
from sandbox.tree import lies_below

#: Of one machine alone; what they keep is gone with it.
LOCAL: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "overlay", "tmpfs", "jfs"})
#: Network file systems whose flock(2) excludes other hosts.
_LOCKING: Final = frozenset({"nfs4", "ceph", "gpfs", "gfs2", "ocfs2"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """What is mounted at a place."""

    point: str
    kind: str
    source: str
    options: frozenset[str]


def parse(mountinfo: str) -> tuple[Mount, ...]:
    """Read the text of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)); a line that is none is left out."""
    found = []
    for text in mountinfo.splitlines():
        before, separator, after = text.partition(" - ")
        fields, kind = before.split(), after.split()
        if separator and len(fields) >= 6 and len(kind) >= 3:
            options = frozenset((*fields[5].split(","), *kind[2].split(",")))
            found.append(
                Mount(point=procpath.plain(fields[4]), kind=kind[0], source=procpath.plain(kind[1]), options=options)
            )
    return tuple(found)


def of(path: str, mounts: tuple[Mount, ...]) -> Mount | None:
    """Return what a path lies on: the last of the longest mount points above it.

    Args:
        path: absolute, with its links resolved.
        mounts: in the order in which they were made.
    """
    above = [mount for mount in mounts if lies_below(path, mount.point)]
    return max(enumerate(above), key=lambda item: (len(item[1].point), item[0]))[1] if above else None


def here(path: str) -> Mount | None:
    """Return what a path of this host lies on, None where nobody can tell; a path that is not there counts as meant."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return of(os.path.realpath(path), parse(file.read()))
    except OSError:
        return None


def standing(path: str) -> str:
    """Return the nearest folder above a path that is there: what is missing would be made in it."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def lock_problem(mount: Mount) -> str:
    """Return why locks on a file system do not keep other hosts out, "" where they do or where it is of one host."""
    if mount.kind in LOCAL:
        return ""
    if "nolock" in mount.options or any(f"local_lock={word}" in mount.options for word in ("all", "flock")):
        return f"{mount.point} is mounted so that its locks stay on this host (nolock or local_lock)"
    if mount.kind == "lustre":
        held = "flock" in mount.options and "localflock" not in mount.options
        return "" if held else f"{mount.point} is mounted without -o flock"
    if mount.kind in _LOCKING:
        return ""
    return f"nobody has proven that locks on a file system of kind {mount.kind} keep other hosts out"
