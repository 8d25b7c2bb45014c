"""A segment of System V shared memory of the host, for proving that a box does not find it (shmget(2), shmctl(2))."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sandbox.linux import libc

if TYPE_CHECKING:
    from collections.abc import Iterator

_IPC_CREAT: Final = 0o1000
_IPC_EXCL: Final = 0o2000
_IPC_RMID: Final = 0


@contextmanager
def segment() -> Iterator[int]:
    """Makes a small segment that everybody on the host finds by its key, and removes it in the end.

    Yields:
        Its key.

    Raises:
        OSError: the kernel has none, or no more of them (shmget(2), ENOSYS and ENOSPC).
    """
    key = secrets.randbelow(1 << 30) + 1
    made = libc.shmget(key, 4096, _IPC_CREAT | _IPC_EXCL | 0o666)
    try:
        yield key
    finally:
        libc.shmctl(made, _IPC_RMID)
