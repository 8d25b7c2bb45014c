"""What a dead shepherd left on this host: processes of its box and its scratch, ended before a takeover."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sandbox.linux import proctree
from sandbox.scratch import remove_tree

if TYPE_CHECKING:
    from supervisor.records import Identity, RunRecord

#: Seconds for killed processes to be gone; one in state D keeps its RB from being taken over until it is.
_PATIENCE = 5.0


def is_alive(who: Identity) -> bool:
    """Say whether exactly this process of this boot lives; a zombie does not."""
    return who.boot == proctree.boot_id() and proctree.alive(proctree.Identity(who.pid, who.start))


def signal_exactly(who: Identity, number: int) -> bool:
    """Send a signal to exactly this process, never to one that got its number later; say whether it was sent."""
    process = proctree.look(who.pid)
    return process is not None and process.start == who.start and proctree.send(process, number)


def end_box(run: RunRecord, spool: str) -> bool:
    """End what is left of the box of a dead shepherd; say whether it is proven empty.

    The builder goes with its shepherd, the init ends its tree and then itself; what carries the box's token in its
    environment is ended here. The scratch goes last; it lies below `spool`, or it is not ours to remove.
    """
    if is_alive(run.builder):
        return False  # it waits for its init, which is ending the tree
    try:
        proctree.end_carriers(run.token, _PATIENCE)
    except TimeoutError:
        return False
    parent, name = os.path.split(run.scratch)
    if name == run.token and os.path.realpath(parent) == os.path.realpath(spool):
        try:
            dirfd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            remove_tree(dirfd, name)
        finally:
            os.close(dirfd)
    return True
