"""The end of a lease, staged on one machine: the RB locks of a frozen host pass to whoever asks next.

The holder does not notice that it was unlocked (`lease`). From then on its descriptor has to answer EIO to a beat, as
NFS has it (measured in the lab): that is ordered at the fail-point of the beat.
"""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import lease

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
        held = [(p.pid, fd, path) for p in self._site.processes() for fd, path in self._of(p.pid).items()]
        for pid, fd, _ in held:
            lease.unlock(pid, fd)
        self._left = {(pid, path) for pid, _, path in held}
        self._order()
        return len({path for _, _, path in held})

    def turn(self) -> None:
        """Forget the descriptors that were closed: a supervisor takes other locks later, and those are good."""
        left = {(pid, path) for pid, path in self._left if path in self._of(pid).values()}
        if left != self._left:
            self._left = left
            self._order()

    def _order(self) -> None:
        refuse_beats(self._site.points, {pid for pid, _ in self._left})

    def _of(self, pid: int) -> dict[int, str]:
        """The descriptors of RB locks that a process has, and their paths."""
        return lease.locks_of(pid, os.path.realpath(self._site.layout.path("rb")))


def refuse_beats(points: Path, pids: set[int]) -> None:
    """Have each beat of these processes, and of no other, answer EIO; `points` is the folder of their fail-points."""
    orders = [{"pid": pid, "labels": ["lock.beat"], "error": errno.EIO} for pid in sorted(pids)]
    new = points / "standing.new"
    new.write_text(json.dumps(orders))
    new.rename(points / "standing")
