"""The table of mounts of a namespace: what stands where, and whether that has changed (proc_pid_mountinfo(5)).

A box gets a mount namespace of its own some time before it is let go. What is mounted on the host meanwhile comes along
where mounts are shared (mount_namespaces(7)), as systemd and autofs have them; elsewhere the box still sees what was
there before, and has to know.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from sandbox.linux import procpath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHUNK: Final = 1 << 16


class Mounted(NamedTuple):
    """One mount."""

    point: str
    #: Device and the folder of it that is shown.
    what: tuple[bytes, bytes]


class MountTable:
    """The mounts of the namespace in which it was opened, wherever the process that holds it has gone since."""

    def __init__(self) -> None:
        """Opens the table of the calling process's namespace.

        Raises:
            OSError: /proc is not there.
        """
        self._fd = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def changed(self) -> bool:
        """Whether anything was mounted or unmounted since the table was opened."""
        poll = select.poll()
        poll.register(self._fd, select.POLLPRI)
        return any(events & (select.POLLPRI | select.POLLERR) for _, events in poll.poll(0))

    def read(self) -> bytes:
        """Returns the text of the table as it is now."""
        text = b""
        while piece := os.pread(self._fd, _CHUNK, len(text)):
            text += piece
        return text


def differs(host: bytes, own: bytes, paths: Iterable[str], *, but: str) -> str | None:
    """Returns a path at which, or below which, one table has another file system than the other.

    Args:
        host: text of one table.
        own: text of the other.
        paths: absolute and without links.
        but: a folder in which the two may differ.
    """
    tables = [list(_mounts(text, but)) for text in (host, own)]
    for path in paths:
        theirs, ours = (_seen(table, path) for table in tables)
        if theirs != ours:
            return path
    return None


def _mounts(text: bytes, but: str) -> Iterator[Mounted]:
    for line in text.splitlines():
        _, _, device, root, point = line.split(b" ")[:5]
        place = procpath.plain(os.fsdecode(point))
        if not _below(place, but):
            yield Mounted(place, (device, root))


def _seen(table: list[Mounted], path: str) -> tuple[tuple[bytes, bytes] | None, dict[str, tuple[bytes, bytes]]]:
    """Returns on what a path lies, and what is mounted below it; of mounts at one point the last covers the others."""
    over = [mount for mount in table if _below(path, mount.point)]
    longest = max((len(mount.point) for mount in over), default=0)
    on = next((mount.what for mount in reversed(over) if len(mount.point) == longest), None)
    return on, {mount.point: mount.what for mount in table if mount.point != path and _below(mount.point, path)}


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
