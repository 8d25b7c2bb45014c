"""The file system that a path lies on, read from the kernel's table of mounts; `mountrules` says what it promises."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.linux import procpath

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Of one machine alone; what they keep is gone with it.
LOCAL: Final = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "zfs", "f2fs", "jfs", "overlay", "tmpfs", "ramfs", "rootfs"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """What is mounted at a place."""

    point: str
    kind: str
    source: str
    #: Those of the mount and those of its file system.
    options: frozenset[str]
    #: Numbers of the kernel: this mount, and the one whose folder it covers.
    number: int = 0
    parent: int = 0


def parse(mountinfo: str) -> tuple[Mount, ...]:
    """Read the text of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)); a line that is none is left out.

    Blanks and line ends of names are octal numbers there, so that nothing but a blank parts two fields; a source may be
    empty.
    """
    found = []
    for text in mountinfo.split("\n"):
        before, separator, after = text.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if separator and len(fields) >= 6 and len(kind) >= 3 and fields[0].isdecimal() and fields[1].isdecimal():
            found.append(
                Mount(
                    point=procpath.plain(fields[4]),
                    kind=kind[0],
                    source=procpath.plain(kind[1]),
                    options=frozenset((*fields[5].split(","), *kind[2].split(","))),
                    number=int(fields[0]),
                    parent=int(fields[1]),
                )
            )
    return tuple(found)


def of(path: str, mounts: tuple[Mount, ...]) -> Mount | None:
    """Return what a path lies on, as the kernel walks it: a mount counts only where it covers what is seen there.

    Args:
        path: absolute, with its links resolved.
        mounts: of one table; one that another was mounted over later is in it still.
    """
    numbers = {mount.number for mount in mounts}
    at: Mount | None = None
    for place in _upwards(path):
        while True:
            over = [mount for mount in mounts if mount.point == place and _covers(mount, at, numbers)]
            if not over:
                break
            at = over[-1]
    return at


def _covers(mount: Mount, at: Mount | None, numbers: set[int]) -> bool:
    if at is None:  # the first has a parent outside of what this process sees, or none
        return mount.parent not in numbers or mount.parent == mount.number
    return mount.parent == at.number != mount.number


def _upwards(path: str) -> Iterator[str]:
    """Yield the folders on the way from / to a path, and the path."""
    yield "/"
    parts = [part for part in path.split("/") if part]
    for count in range(1, len(parts) + 1):
        yield "/" + "/".join(parts[:count])


def here(path: str) -> Mount | None:
    """Return what a path of this host lies on, None where nobody can tell; a path that is not there counts as meant."""
    real = os.path.realpath(path)
    with contextlib.suppress(OSError):
        os.stat(os.path.join(standing(real), "."))  # an automount comes up by being entered
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return of(real, parse(file.read()))
    except OSError:
        return None


def standing(path: str) -> str:
    """Return the nearest folder above a path that is there: what is missing would be made in it."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path
