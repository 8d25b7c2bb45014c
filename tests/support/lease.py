"""The end of a lease: a lock that its holder still believes in passes to whoever asks next.

On a real NFS server the lock of a machine that froze or was cut off is free after one lease. Here all hosts share one
kernel, in which a stopped process keeps its lock; so its own descriptor is taken over by pidfd_getfd(2) and unlocked
through that, which the holder does not notice (flock(2): the lock belongs to the open file description).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from sandbox.linux import libc
from sandbox.linux.syscalls import number_here

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.linux.proctree import Process


def end(processes: Iterable[Process], folder: str) -> set[int]:
    """Unlock every file called `lock` below `folder` that one of the processes has open.

    Returns:
        The pids of those that had one.
    """
    had = set()
    for process in processes:
        for fd in locks_of(process.pid, folder):
            unlock(process.pid, fd)
            had.add(process.pid)
    return had


def locks_of(pid: int, folder: str) -> dict[int, str]:
    """Return the descriptors of files called `lock` below `folder` that a process has open, and their paths."""
    found = {}
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                path = os.readlink(f"/proc/{pid}/fd/{name}")
                if path.startswith(folder + os.sep) and os.path.basename(path) == "lock":
                    found[int(name)] = path
    return found


def unlock(pid: int, number: int) -> None:
    """Release the lock of another process's descriptor."""
    pidfd = os.pidfd_open(pid)
    try:
        fd = libc.syscall("pidfd_getfd", number_here("pidfd_getfd"), pidfd, number, 0)
    finally:
        os.close(pidfd)
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)
