"""A file system of a box's own, seen from outside by a descriptor of its root: how full it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Literal

#: Bytes that count as nothing: after a write that was refused a few pages may come free again.
_NOTHING: Final = 64 << 10
_NO_INODES: Final = 4


@dataclass(frozen=True, slots=True)
class Volume:
    """Its root was opened before the script existed and is never walked, only asked (fstatvfs(3))."""

    fd: int

    def used(self) -> int:
        """Returns the bytes that its files take; pages of memory."""
        found = os.fstatvfs(self.fd)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def exhausted(self) -> Literal["", "bytes", "inodes"]:
        """Returns of what nothing is left."""
        found = os.fstatvfs(self.fd)
        if found.f_bfree * found.f_frsize < min(_NOTHING, found.f_blocks * found.f_frsize // 8):
            return "bytes"
        return "inodes" if found.f_ffree < min(_NO_INODES, found.f_files // 8) else ""

    def close(self) -> None:
        """Gives the descriptor back; the memory is free when nobody holds one any more."""
        os.close(self.fd)
