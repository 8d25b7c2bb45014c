"""Taking a file lock across hosts: the only importer of `filelock`.

Of `filelock` only `lock_descriptor` is used: its ready-made kinds release by LOCK_UN, keep thread-local state, or close
the descriptor in a forked child (messaging-locking §2.1-2.2).
"""

from __future__ import annotations

import os

import filelock

from supervisor.durable import make_folder, open_folder
from supervisor.failpoints import effect
from supervisor.rblock import RbLock, read_counter_at
from supervisor.storecall import call


def acquire(path: str) -> RbLock | None:
    """Take the lock at `path` without waiting; None when another holds it.

    Raises:
        OSError: the store cannot be used (EIO, ENOLCK, EACCES ...); this is never "free".
    """
    make_folder(os.path.dirname(path), "rb")
    with call("lock.flock", path):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
        try:
            with effect("lock.flock"):
                held = filelock.lock_descriptor(fd, blocking=False)
            if not held or not _is_at(fd, path):
                os.close(fd)
                return None
            counter = read_counter_at(fd)
        except BaseException:
            os.close(fd)
            raise
        return RbLock(fd, counter.epoch, counter.beat)


def _is_at(fd: int, path: str) -> bool:
    """Say whether `fd` is the file at `path`: a lock file that was replaced locks nobody out."""
    folder, name = os.path.split(path)
    dirfd = open_folder(folder)
    try:
        there = os.stat(name, dir_fd=dirfd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    finally:
        os.close(dirfd)
    held = os.fstat(fd)
    return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)
