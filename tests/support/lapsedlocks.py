"""The end of a lease, staged on one machine: the RB locks of a frozen host pass to whoever asks next.

All hosts of a test share a kernel, in which a stopped process keeps its lock. So its descriptor is shared by
pidfd_getfd(2) and unlocked through that; the lock belongs to the open file (flock(2)), and the holder does not notice.
From then on its descriptor has to answer EIO to a beat, as NFS has it (measured in the lab): that is ordered at the
fail-point of the beat.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from typing import TYPE_CHECKING

from sandbox.linux import libc
from sandbox.linux.syscalls import number_here

if TYPE_CHECKING:
    from pathlib import Path

    from fleetsite import FleetSite


class LapsedLocks:
    """Which locks of one host have lapsed, as long as anybody there has their descriptors."""

    def __init__(self, site: FleetSite) -> None:
        """Nothing has lapsed on `site`."""
        self._site = site
        #: Who holds what: pid and path.
        self._left: set[tuple[int, str]] = set()

    def lapse(self) -> int:
        """Take away every RB lock that a process of the host holds; return how many there were."""
        held = [(p.pid, fd, path) for p in self._site.processes() for fd, path in self._of(p.pid)]
        for pid, fd, _ in held:
            _unlock(pid, fd)
        self._left = {(pid, path) for pid, _, path in held}
        self._order()
        return len({path for _, _, path in held})

    def turn(self) -> None:
        """Forget the descriptors that were closed: a supervisor takes other locks later, and those are good."""
        left = {(pid, path) for pid, path in self._left if path in {at for _, at in self._of(pid)}}
        if left != self._left:
            self._left = left
            self._order()

    def _order(self) -> None:
        refuse_beats(self._site.points, {pid for pid, _ in self._left})

    def _of(self, pid: int) -> list[tuple[int, str]]:
        """The descriptors of RB locks that a process has, and their paths."""
        found = []
        root = os.path.realpath(self._site.layout.path("rb"))
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    path = os.readlink(f"/proc/{pid}/fd/{fd}")
                    if path.startswith(root) and path.endswith("/lock"):
                        found.append((int(fd), path))
        return found


def refuse_beats(points: Path, pids: set[int]) -> None:
    """Have each beat of these processes, and of no other, answer EIO; `points` is the folder of their fail-points."""
    orders = [{"pid": pid, "labels": ["lock.beat"], "error": errno.EIO} for pid in sorted(pids)]
    new = points / "standing.new"
    new.write_text(json.dumps(orders))
    new.rename(points / "standing")


def _unlock(pid: int, fd: int) -> None:
    """Release the lock of another process's descriptor."""
    pidfd = os.pidfd_open(pid)
    try:
        taken = libc.syscall("pidfd_getfd", number_here("pidfd_getfd"), pidfd, fd, 0)
    finally:
        os.close(pidfd)
    try:
        fcntl.flock(taken, fcntl.LOCK_UN)
    finally:
        os.close(taken)
