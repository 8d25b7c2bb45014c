"""Killing or stopping one process of a run that is under way, by its role."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

from sandbox.linux import proctree

if TYPE_CHECKING:
    from fleetsite import FleetSite

#: Every process of DESIGN §3, from the top down.
ROLES = ("supervisor", "nursery", "shepherd", "builder", "init", "script")


def stop(site: FleetSite, role: str, seconds: float) -> bool:
    """Stop the process that plays `role` now, and have `until` let it go on after so many seconds; False when nobody does."""
    pid = getattr(site.victims(), role)
    who = proctree.look(pid) if pid is not None else None
    if who is None or not proctree.send(who, signal.SIGSTOP):
        return False
    site.kill_later([(seconds, lambda: proctree.send(who, signal.SIGCONT))])
    return True


def kill(site: FleetSite, role: str, patience: float = 30.0) -> bool:
    """Kill the process that plays `role` now; False when nobody does.

    A stopped process dies as well: SIGKILL wakes it.
    """
    pid = getattr(site.victims(), role)
    who = proctree.look(pid) if pid is not None else None
    if who is None:
        return False
    fd = os.pidfd_open(who.pid)
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        gone, _, _ = select.select([fd], [], [], patience)
        assert gone, f"the {role} did not die"
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True
