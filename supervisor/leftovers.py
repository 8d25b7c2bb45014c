"""What a dead shepherd left on this host: processes of its box and its scratch, ended before a takeover."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from sandbox.cgroups import Groups
from sandbox.linux import proctree
from sandbox.linux.openfiles import held_below
from sandbox.scratch import remove_tree
from supervisor import rundir

if TYPE_CHECKING:
    from supervisor.records import Identity, RunRecord

#: What a box's folder is called: its token.
_TOKEN = re.compile(r"[0-9a-f]{16}")
#: Seconds for killed processes to be gone; one in state D keeps its RB from being taken over until it is.
_PATIENCE = 5.0


def is_alive(who: Identity) -> bool:
    """Say whether exactly this process of this boot lives; a zombie does not."""
    return who.boot == proctree.boot_id() and proctree.alive(proctree.Identity(who.pid, who.start))


def signal_exactly(who: Identity, number: int) -> bool:
    """Send a signal to exactly this process, never to one that got its number later; say whether it was sent."""
    process = proctree.look(who.pid)
    return process is not None and process.start == who.start and proctree.send(process, number)


def end_box(run: RunRecord, spool: str, run_dir: str) -> bool:
    """End what is left of the box of a dead shepherd; say whether it is proven empty.

    The builder goes with its shepherd, the init ends its tree and then itself; what carries the box's token in its
    environment is ended here, and its control group, which stands where a nursery of `run_dir` has made it. The scratch
    goes last; it lies below `spool`, or it is not ours to remove.
    """
    if is_alive(run.builder):
        return False  # it waits for its init, which is ending the tree
    try:
        proctree.end_carriers(run.token, _PATIENCE)
        _discard_group(run.token, run_dir)
    except TimeoutError:
        return False
    parent, name = os.path.split(run.scratch)
    if name == run.token and os.path.realpath(parent) == os.path.realpath(spool):
        _remove(parent, name)
    return True


def sweep_spool(spool: str, run_dir: str, *, older_than: float, now: float) -> bool:
    """Remove the scratch of boxes that nobody holds any more: their shepherds were killed.

    Args:
        spool: the folder of the boxes.
        run_dir: the run directory, which says where control groups were made.
        older_than: seconds since a folder was last changed; a box that is being made is younger.
        now: seconds since 1970.

    Returns:
        Whether one was too young, or in use by something that carries its token and did not end: look again.
    """
    dead, again = dead_scratch(spool, older_than=older_than, now=now)
    for name in dead:
        again = not remove_scratch(spool, run_dir, name) or again
    return again


def dead_scratch(spool: str, *, older_than: float, now: float) -> tuple[list[str], bool]:
    """Return the tokens of boxes whose scratch nobody holds, and whether there are others that may be so in a while.

    A shepherd holds descriptors of its scratch for as long as it lives, and a script stands in it. The arguments are
    those of `sweep_spool`.
    """
    try:
        names = [name for name in os.listdir(spool) if _TOKEN.fullmatch(name)]
    except FileNotFoundError:
        return [], False
    held = held_below(spool) if names else set()
    dead: list[str] = []
    again = False
    for name in names:
        try:
            age = now - os.stat(os.path.join(spool, name), follow_symlinks=False).st_mtime
        except FileNotFoundError:
            continue
        if name in held:
            continue
        if age < older_than or proctree.carriers(name):
            again = True
        else:
            dead.append(name)
    return dead, again


def remove_scratch(spool: str, run_dir: str, name: str) -> bool:
    """Remove the scratch of a dead box, and its control group; False where something in that does not end."""
    try:
        _discard_group(name, run_dir)
    except TimeoutError:
        return False
    _remove(spool, name)
    return True


def _discard_group(token: str, run_dir: str) -> None:
    """End and remove the control group of a box; where its files are out of reach, the proof by the token stands alone.

    Raises:
        TimeoutError: something in it does not end.
    """
    for place in rundir.places(run_dir):
        try:
            Groups.at(place).discard(token, _PATIENCE)
        except TimeoutError:
            raise
        except OSError:
            continue


def _remove(spool: str, name: str) -> None:
    try:
        dirfd = os.open(spool, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        remove_tree(dirfd, name)
    finally:
        os.close(dirfd)
