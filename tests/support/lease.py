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

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.linux.proctree import Process

#: The number of pidfd_getfd(2), the same on every machine since Linux 5.6.
_PIDFD_GETFD = 438


def end(processes: Iterable[Process], folder: str) -> set[int]:
    """Unlock every file called `lock` below `folder` that one of the processes has open.

    Returns:
        The pids of those that had one.
    """
    had = set()
    for process in processes:
        for fd in _locks(process.pid, folder):
            _unlock(process.pid, fd)
            had.add(process.pid)
    return had


def _locks(pid: int, folder: str) -> list[int]:
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                path = os.readlink(f"/proc/{pid}/fd/{name}")
                if path.startswith(folder + os.sep) and os.path.basename(path) == "lock":
                    found.append(int(name))
    return found


def _unlock(pid: int, number: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        fd = libc.syscall("pidfd_getfd", _PIDFD_GETFD, pidfd, number, 0)
    finally:
        os.close(pidfd)
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)
