"""Files in memory that processes hold open and that stand in no file system: memfd_create(2)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def held_by(pids: Iterable[int]) -> int:
    """Adds up such files, each once however many processes share it; what is not mapped is in nobody's resident size.

    Args:
        pids: processes of our own user (proc_pid_fd(5)); those that end meanwhile, or cannot be read, count nothing.

    Returns:
        Bytes of the pages that the files have.
    """
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        folder = f"/proc/{pid}/fd"
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            path = f"{folder}/{name}"
            try:
                if os.readlink(path).startswith("/memfd:"):
                    found = os.stat(path)
                    sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
            except OSError:
                continue
    return sum(sizes.values())
