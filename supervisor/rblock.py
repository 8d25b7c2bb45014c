"""The RB lock: a flock that says somebody is alive, with the run's counter in its first 32 bytes.

It is taken by `flock.acquire` and may be handed to another process by its descriptor; this module is stdlib only, since
the shepherd imports it. The lock is released by closing, never by LOCK_UN, which would drop it for every process that
holds the descriptor (messaging-locking §2.1). Bytes 0-31 are epoch and beat as two 16-digit numbers, written through
the locked descriptor only: on NFSv4 a holder learns that it lost the lock from EIO on exactly this descriptor and from
nothing else (measured in the lab). Safety never rests on the lock: it rests on the cells.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass

from supervisor.durable import open_record
from supervisor.failpoints import effect
from supervisor.storecall import call

_LENGTH = 32
#: What a descriptor answers whose lock is gone: NFSv4 EIO, a server that forgot the file ESTALE, a re-lock EAGAIN.
_LOST = frozenset({errno.EIO, errno.ESTALE, errno.EAGAIN, errno.EBADF, errno.ENOLCK})


class LostLock(Exception):
    """The lock's own descriptor refused a beat: another host may hold the RB now."""


@dataclass(frozen=True, slots=True)
class Counter:
    """What stands in a lock file: the epoch that beats, and its beat."""

    epoch: int
    beat: int


class RbLock:
    """A held RB lock; made by `flock.acquire` or around a descriptor that was handed over."""

    def __init__(self, fd: int, epoch: int = 0, beat: int = 0) -> None:
        """Wrap the locked descriptor `fd`, which is closed by `close`."""
        self._fd = fd
        self._epoch = epoch
        self._beat = beat

    def fileno(self) -> int:
        """The locked descriptor; handing it to another process hands over the lock."""
        return self._fd

    def beat(self, epoch: int) -> None:
        """Advance the counter for `epoch`, durably, through the locked descriptor.

        Raises:
            LostLock: the descriptor answered that the lock is gone.
            OSError: the store cannot be used now.
        """
        beat = self._beat + 1
        try:
            with call("lock.beat", self._path()), effect("lock.beat"):
                os.pwrite(self._fd, b"%016d%016d" % (epoch, beat), 0)
                os.fdatasync(self._fd)
        except OSError as error:
            if error.errno in _LOST:
                raise LostLock(f"the lock's descriptor answered {errno.errorcode.get(error.errno, '?')}") from error
            raise
        self._epoch, self._beat = epoch, beat

    def _path(self) -> str:
        """Where the lock file stands, for people; asked of the kernel, which asks no file system."""
        try:
            return os.readlink(f"/proc/self/fd/{self._fd}")
        except OSError:
            return "the RB's lock"

    def close(self) -> None:
        """Let go of this descriptor; the lock is free when no process holds one any more."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):  # EIO of a lost lock: what was never written; it is closed all the same
                os.close(fd)


def read_counter(path: str) -> Counter | None:
    """Return the counter of the lock file at `path` by a fresh open, or None where there is no lock file."""
    fd = open_record(path)
    if fd is None:
        return None
    try:
        return read_counter_at(fd)
    finally:
        os.close(fd)


def read_counter_at(fd: int) -> Counter:
    """Return the counter in the lock file behind `fd`; zeros where nothing was ever written."""
    data = os.pread(fd, _LENGTH, 0)
    if len(data) == _LENGTH and data.isdigit():
        return Counter(int(data[:16]), int(data[16:]))
    return Counter(0, 0)
