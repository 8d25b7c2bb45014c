"""Which folders below one root are in use: by an open descriptor or a working folder of a living process.

What is read is /proc/<pid>/fd and /proc/<pid>/cwd (proc_pid_fd(5), proc_pid_cwd(5)); processes of other users cannot be
read and count for nothing, since a box runs as our own user.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def held_below(root: str) -> set[str]:
    """Returns the names directly below `root` that some process of our user has open, or stands in."""
    prefix = os.path.realpath(root) + os.sep
    found: set[str] = set()
    for link in _links():
        if link.startswith(prefix):
            found.add(link[len(prefix) :].split(os.sep, 1)[0])
    return found


def _links() -> Iterator[str]:
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        yield from _read(f"/proc/{pid}/cwd")
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue  # it ended, or is not ours
        for name in names:
            yield from _read(f"/proc/{pid}/fd/{name}")


def _read(path: str) -> Iterator[str]:
    try:
        yield os.readlink(path)
    except OSError:
        return
