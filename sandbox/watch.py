"""Watches how much a running script has written into its scratch: a bounded walk by descriptor, a few files a turn.

What it finds is a lower bound: the script goes on writing, renaming and hiding while it is being counted. The exact
count is made by `copyout.inspect` when the tree is dead. A folder that is shut to its owner is opened to him, and stays
so: the host's disk would fill up in it, and nobody see that before the end.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.cursor import LOOK, Cursor

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

#: Seconds between two counts (DESIGN §6, "Scratch"); the first comes when a script has had as long to write something.
EVERY: Final = 1.0
#: Entries between two looks at the clock.
_STEP: Final = 64
#: Entries of one folder tree that are counted at most; beyond, the count says "at least".
_ENTRIES_CAP: Final = 1_000_000
#: What a walk may take of one turn, and the share of all time that walking takes.
_TURN_SECONDS: Final = 0.01
_SHARE: Final = 0.05


@dataclass(slots=True)
class Count:
    """What one folder tree holds."""

    #: Size of its files as a reader sees them, or their blocks on disk, whichever is more.
    bytes: int = 0
    #: Files, folders and whatever else has a name.
    entries: int = 0
    #: Size of the largest file.
    largest: int = 0


class FolderWatch:
    """Counts some folders of a scratch again and again."""

    def __init__(self, root_fd: int, names: tuple[str, ...], every: float = EVERY, *, first_at: float = 0.0) -> None:
        """Counts nothing yet.

        Args:
            root_fd: descriptor of the scratch.
            names: the folders, counted apart.
            every: seconds between two counts, more when a count is long.
            first_at: monotonic second of the first turn.
        """
        self._root_fd = root_fd
        #: Of the file system that the scratch lies on, as stat(2) has it.
        self.device = os.fstat(root_fd).st_dev
        self._free = self._free_now()
        self._names = names
        self._every = every
        self._walk: Generator[None] | None = None
        self._running: dict[str, Count] = {}
        self._finished = {name: Count() for name in names}
        self._spent = 0.0
        #: Monotonic second of the next turn.
        self.next_at = first_at

    def turn(self, now: float) -> None:
        """Goes on counting for a moment; never blocks for longer than one folder listing.

        Args:
            now: monotonic seconds.
        """
        if now < self.next_at:
            return
        if self._walk is None:
            self._running = {name: Count() for name in self._names}
            self._walk = self._count()
            self._spent = 0.0
        began = time.monotonic()
        finished = False
        while time.monotonic() - began < _TURN_SECONDS and not finished:
            finished = next(self._walk, self) is self
        self._spent += time.monotonic() - began
        if finished:
            self._walk, self._finished = None, self._running
            self.next_at = now + max(self._every, self._spent / _SHARE)
        else:
            self.next_at = now + _TURN_SECONDS

    def lost(self) -> int:
        """Returns the bytes by which the file system has less room than it once had since; to whomever it was lost."""
        free = self._free_now()
        self._free = max(self._free, free)
        return self._free - free

    def _free_now(self) -> int:
        found = os.fstatvfs(self._root_fd)
        return found.f_bfree * found.f_frsize

    @property
    def under_way(self) -> bool:
        """Whether a count has begun and not finished."""
        return self._walk is not None

    def last(self, name: str) -> Count:
        """Returns the last full count."""
        return self._finished[name]

    def count(self, name: str) -> Count:
        """Returns the highest of the last full count and the one under way."""
        done, under_way = self._finished[name], self._running.get(name, Count())
        return Count(
            bytes=max(done.bytes, under_way.bytes),
            entries=max(done.entries, under_way.entries),
            largest=max(done.largest, under_way.largest),
        )

    def finish(self) -> None:
        """Counts once more from the beginning to the end; for a tree that is dead."""
        self.close()
        self._running = {name: Count() for name in self._names}
        for _ in self._count():
            continue
        self._walk, self._finished = None, self._running

    def close(self) -> None:
        """Gives back the folder that a count under way has open; what it has met still counts."""
        if self._walk is not None:
            self._walk.close()
            self._walk = None

    def _count(self) -> Generator[None]:
        for name in self._names:
            try:
                with Cursor(self._root_fd) as cursor:
                    cursor.down(name, unlock=LOOK)
                    yield from _walk(cursor, self._running[name])
            except OSError:
                continue  # moved or shut by the script: what was met so far counts


def _walk(cursor: Cursor, count: Count) -> Iterator[None]:
    levels = [_listing(cursor.fd, count)]
    try:
        while levels and count.entries < _ENTRIES_CAP:
            name = next(levels[-1], None)
            if name is None:
                levels.pop()
                if levels:
                    cursor.up()
            elif name:
                try:
                    cursor.down(name, unlock=LOOK)
                except OSError:
                    continue  # gone, or shut again meanwhile: the next count looks anew
                levels.append(_listing(cursor.fd, count))
            yield
    finally:
        for level in levels:
            level.close()


def _listing(fd: int, count: Count) -> Generator[str]:
    """Counts the entries of one folder, and yields "" now and then, then its folders."""
    folders: list[str] = []
    with os.scandir(fd) as entries:
        for entry in entries:
            count.entries += 1
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # gone meanwhile
            if stat.S_ISDIR(status.st_mode):
                folders.append(entry.name)
            else:
                size = max(status.st_size, status.st_blocks * 512)
                count.bytes += size
                count.largest = max(count.largest, status.st_size)
            if count.entries % _STEP == 0:
                yield ""
            if count.entries >= _ENTRIES_CAP:
                break
    yield from folders
