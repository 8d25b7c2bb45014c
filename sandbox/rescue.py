"""The shepherd's own end of a tree, for when the init cannot do it: killed by the script, stopped, or stuck.

At level `none` a script may signal every process of its user, ours as well. Orphans of a dead init go to the builder,
and when that is dead too, to the shepherd, which adopts orphans for this reason.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Final

from sandbox.linux import prctl
from sandbox.linux.proctree import Identity, Process, alive, descendants, look, scan, send, stop_then_kill

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Builders of all boxes that this process runs: what is below them is not another box's to end.
_BUILDERS: Final[set[Identity]] = set()
#: Whether we made this process an adopter, and so unmake it with the last box.
_adopting = False


def enrol(builder: Identity) -> None:
    """Notes a builder, so that no other box's rescue ends what is below it."""
    _BUILDERS.add(builder)


def dismiss(builder: Identity) -> None:
    """Forgets a builder whose tree is proven empty; with the last one, orphans go where they went before."""
    global _adopting  # noqa: PLW0603 - the flag is the kernel's, one for the process
    _BUILDERS.discard(builder)
    if _adopting and not _BUILDERS:
        prctl.adopt_orphans(adopt=False)
        _adopting = False


def adopt() -> None:
    """Makes this process the adopter of orphans while it has boxes."""
    global _adopting  # noqa: PLW0603 - ditto
    if not prctl.adopts_orphans():
        prctl.adopt_orphans()
        _adopting = True


class Rescue:
    """Ends one box's tree from the shepherd, a bounded step at a time."""

    def __init__(self, builder: Identity, init: Identity | None) -> None:
        self._ours = [who for who in (builder, init) if who]
        self._builder = builder
        self._nothing = 0
        self._killed: set[Identity] = set()

    @property
    def killed(self) -> int:
        """How many processes were killed, our own builder and init included."""
        return len(self._killed)

    def turn(self) -> bool:
        """Stops and kills what is found.

        Returns:
            True when nothing was found twice running: the tree is proven empty.
        """
        found = stop_then_kill(self._find)
        self._killed |= found
        self._reap()
        self._nothing = 0 if found or any(map(alive, self._killed)) else self._nothing + 1
        return self._nothing >= 2

    def _find(self) -> tuple[list[Process], Mapping[int, Process]]:
        table = scan()
        found: dict[int, Process] = {}
        for who in self._ours:
            process = table.get(who.pid)
            if process and process.identity == who:
                found.update((p.pid, p) for p in (process, *descendants(who.pid, table)))
        found.update((p.pid, p) for p in self._strays(table))
        return [process for process in found.values() if process.living], table

    def _strays(self, table: Mapping[int, Process]) -> list[Process]:
        """Finds what came to us as orphans: younger than the builder, and in a session that is not ours.

        Only a process of a box leaves our session; a child that somebody else started here stays in it.
        """
        me = table.get(os.getpid())
        if me is None:
            return []
        others: set[int] = set()
        for who in _BUILDERS - {self._builder}:
            others |= {who.pid, *(p.pid for p in descendants(who.pid, table))}
        return [
            process
            for process in descendants(me.pid, table)
            if process.session != me.session and process.start >= self._builder.start and process.pid not in others
        ]

    def _reap(self) -> None:
        """Takes the status of the dead among those; the builder's is left to who forked it."""
        for process in self._strays(scan()):
            if not process.living and process.ppid == os.getpid() and process.pid != self._builder.pid:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)


def keep_awake(who: Identity | None) -> None:
    """Lets one of our own processes go on that the script has stopped.

    Args:
        who: builder or init, None when there is none yet.
    """
    process = look(who.pid) if who else None
    if process and process.identity == who and process.state in "Tt":
        send(process, signal.SIGCONT)
