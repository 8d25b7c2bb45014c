"""What the System V objects of an IPC namespace take: segments of shared memory, queues and semaphores (sysvipc(7)).

They stand in no file system and, where nobody has attached them, in nobody's resident size.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Self

#: For each list, the columns that tell bytes (proc(5), /proc/sysvipc), and what the kernel keeps for each one counted:
#: `rss` and `swap` of a segment, the bytes of a queue, and 64 for each semaphore (struct sem, one line of the cache).
_COLUMNS: Final = {"shm": (("rss", 1), ("swap", 1)), "msg": (("cbytes", 1),), "sem": (("nsems", 64),)}
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class IpcObjects:
    """The lists of one namespace, by descriptors: whoever opens a list sees that of his own namespace ever after."""

    fds: tuple[int, ...]

    @classmethod
    def open(cls) -> Self:
        """Opens the lists of the calling process's namespace; those that the kernel does not have are left out."""
        fds: list[int] = []
        for name in _COLUMNS:
            try:
                fds.append(os.open(f"/proc/sysvipc/{name}", os.O_RDONLY | os.O_CLOEXEC))
            except OSError:
                continue
        return cls(tuple(fds))

    def used(self) -> int:
        """Adds up what they take, bytes; a list that cannot be read counts nothing."""
        return sum(_sum(_read(fd)) for fd in self.fds)

    def close(self) -> None:
        """Gives the descriptors back; they keep the namespace, and with it what nobody removed."""
        for fd in self.fds:
            os.close(fd)


def _read(fd: int) -> bytes:
    text = b""
    try:
        while chunk := os.pread(fd, _CHUNK, len(text)):
            text += chunk
    except OSError:
        return b""
    return text


def _sum(text: bytes) -> int:
    """Adds up a list by the names of its columns."""
    lines = text.split(b"\n")
    heads = lines[0].decode("ascii", "replace").split()
    factors = {heads.index(name): by for columns in _COLUMNS.values() for name, by in columns if name in heads}
    rows = (line.split() for line in lines[1:] if line)
    return sum(int(row[place]) * by for row in rows for place, by in factors.items())
