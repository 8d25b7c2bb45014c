"""Digests of the data files of a run, read piece by piece by whoever has other things to do in between.

The store thread of a shepherd reads one piece between two looks at its orders while the box runs, so that a beat is
never later than one piece. What cannot be read is told in the record and harms no run.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supervisor.utc import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Bytes that one step reads at most: a slow archive gives them in about a second.
PIECE = 1024 * 1024
#: Bytes of head and tail that stand for a file above the limit.
END = 1024 * 1024
#: Largest file that is read whole where nobody says otherwise, in bytes.
LIMIT = 4 * 1024**3


@dataclass(slots=True)
class _File:
    """One file and what is known of it so far."""

    path: str
    seen: os.stat_result | None = None
    digests: dict[str, str] | None = None
    problem: str = ""


class DataDigest:
    """Digests of some files, made step by step."""

    def __init__(self, paths: Sequence[str], limit: int = LIMIT) -> None:
        """Begin with `paths`; nothing is opened yet.

        Args:
            paths: absolute paths on this host.
            limit: bytes; of a larger file only the first and the last MiB are read.
        """
        self._files = [_File(path) for path in paths]
        self._limit = limit
        self._steps = self._read_all()
        #: Whether every file was read, or could not be.
        self.done = False

    def step(self) -> bool:
        """Read one piece of at most 1 MiB; False when nothing is left to read."""
        if not self.done:
            self.done = next(self._steps, None) is None
        return not self.done

    def finish(self, between: Callable[[], object] = lambda: None) -> list[dict[str, Any]]:
        """Read what is left, calling `between` after each piece, and return `facts`."""
        while self.step():
            between()
        return self.facts()

    def facts(self) -> list[dict[str, Any]]:
        """Return what is known now, one entry for each file, as plain JSON.

        Each file is looked at once more: `changed` tells that size, time or the file itself is another than when its
        reading began. `problem` tells in words why there is no digest.
        """
        return [_facts(file) for file in self._files]

    def _read_all(self) -> Iterator[int]:
        for file in self._files:
            try:
                yield from self._read(file)
            except OSError as error:
                file.problem = f"cannot be read: {(error.strerror or str(error)).lower()}"

    def _read(self, file: _File) -> Iterator[int]:
        # Not waited for: a pipe where a data file belongs would hang here for ever.
        fd = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            seen = os.fstat(fd)
            if not stat.S_ISREG(seen.st_mode):
                file.problem = "is no plain file"
                return
            file.seen = seen
            if seen.st_size <= self._limit:
                whole = hashlib.sha256()
                yield from _feed(fd, whole.update, 0, seen.st_size)
                file.digests = {"sha256": whole.hexdigest()}
                return
            head, tail = hashlib.sha256(), hashlib.sha256()
            end = min(END, seen.st_size)
            yield from _feed(fd, head.update, 0, end)
            yield from _feed(fd, tail.update, seen.st_size - end, end)
            file.digests = {"sha256_head": head.hexdigest(), "sha256_tail": tail.hexdigest()}
        finally:
            os.close(fd)


def _feed(fd: int, take: Callable[[bytes], object], offset: int, count: int) -> Iterator[int]:
    while count:
        piece = os.pread(fd, min(PIECE, count), offset)
        if not piece:
            raise OSError(errno.EIO, "it became shorter while it was being read")
        take(piece)
        offset += len(piece)
        count -= len(piece)
        yield len(piece)


def _facts(file: _File) -> dict[str, Any]:
    facts: dict[str, Any] = {"path": file.path}
    if file.seen is not None:
        facts |= {"bytes": file.seen.st_size, "mtime": iso(file.seen.st_mtime)}
        if _identity(file.seen) != _identity(_look(file.path)):
            facts["changed"] = True
    if file.digests is not None:
        return facts | file.digests
    return facts | {"problem": file.problem or "was not read to its end before the run ended"}


def _look(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _identity(seen: os.stat_result | None) -> tuple[int, ...]:
    return () if seen is None else (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns)
