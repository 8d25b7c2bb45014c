"""The tools of a probe: the very calls by which the service locks, links, looks and renames, and a clock.

Every step of a probe goes through them, so that a test can put a broken file system in their place. What two hosts say
to each other does not (`meeting`).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from supervisor import archive, durable, rblock
from supervisor.flock import acquire

if TYPE_CHECKING:
    from supervisor.rblock import RbLock

#: Kind of the records that a probe writes, for fail-points.
KIND: Final = "probe"


class Clock:
    """Time as a probe has it."""

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def steady(self) -> float:
        """Seconds of a clock that nobody sets."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


class Tools:
    """What the service does with its store, as a probe does it."""

    def lock(self, path: str) -> RbLock | None:
        """Take a lock without waiting; None when another has it."""
        return acquire(path)

    def counter(self, path: str) -> int:
        """The beat in a lock file, by a fresh open; 0 where there is none."""
        counter = rblock.read_counter(path)
        return counter.beat if counter is not None else 0

    def link(self, path: str, data: bytes) -> bool:
        """Make a write-once record; whether this call made it."""
        return durable.link_new(path, data, KIND)

    def replace(self, path: str, data: bytes) -> None:
        """Put a replaceable record."""
        durable.replace(path, data, KIND)

    def read(self, path: str) -> bytes | None:
        """The bytes of a record by a fresh look, None where there is none."""
        return durable.read(path)

    def exists(self, path: str) -> bool:
        """Whether a name stands, by a fresh look."""
        return durable.exists(path)

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        durable.remove(path, KIND)

    def make_result(self, path: str, epoch: int) -> None:
        """Make a folder that says which epoch it is of, as staging does."""
        archive.make_staging(path, {"rb": KIND, "job": KIND, "epoch": epoch})

    def rename(self, source: str, target: str) -> bool:
        """Rename a folder, durably; False where it is not there or something stands at the target."""
        renamed = archive.rename(source, target, KIND)
        archive.sync(os.path.dirname(target))
        return renamed

    def epoch(self, path: str) -> int:
        """Which epoch the folder at a path is of, by a fresh parent; -1 where none stands there."""
        content = archive.look(path)
        return content.epoch if content is not None else -1

    def owner(self, path: str) -> dict[str, Any]:
        """Whose a file is as this host sees it, and whether it may be opened for writing, as locking does."""
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            facts = os.fstat(fd)
        finally:
            os.close(fd)
        return {"uid": facts.st_uid, "gid": facts.st_gid}
