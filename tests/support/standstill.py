"""A process that is stopped in its tracks: kill(2) comes back before it is."""

from __future__ import annotations

import os
import signal

from waiting import wait_until

from sandbox.linux import proctree


def stand_still(pid: int) -> None:
    """Stop a process, and wait until every thread of it stands.

    One of its threads has to take the signal before the others are told: on a busy machine they go on meanwhile.
    """
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _stands(pid), 30, f"process {pid} to stand still")


def _stands(pid: int) -> bool:
    seen = [proctree.look(thread) for thread in proctree.threads(pid)]
    return all(thread is None or thread.state in "TtZXx" for thread in seen)
