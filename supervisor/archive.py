"""The archive as promotion sees it: folders beside folders, renamed whole, each look through a freshly opened parent.

A result folder says whose it is in `.run` (rb, job, epoch). A folder without it is an older worker's result: epoch 0.
Errors of the file system are plain `OSError`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from typing import Any

from sandbox import scratch
from supervisor import durable, records
from supervisor.failpoints import effect

#: Inside a result folder: rb, job, epoch, run, version.
RUN_FILE = ".run"
#: A `.run` larger than this was not written by us.
_RUN_LIMIT = 16 * 1024 * 1024
#: What a rename answers when somebody else's folder stands at the target.
TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST})


@dataclass(frozen=True, slots=True)
class Content:
    """What stands at a path: a result of ours, or (epoch 0, rb "") something that says nothing of itself."""

    rb: str
    job: str
    epoch: int
    run: str = ""
    #: Relative paths of what was merged (markers of merged folders only).
    files: frozenset[str] = frozenset()

    def is_of(self, rb: str) -> bool:
        """Say whether this may be compared with the epochs of `rb`."""
        return self.rb in ("", rb)


def look(path: str) -> Content | None:
    """Return what stands at `path`, by a freshly opened parent; None where nothing does.

    Raises:
        NotADirectoryError: a file or a symlink stands there.
    """
    folder, name = os.path.split(path)
    try:
        parent = durable.open_folder(folder)
    except FileNotFoundError:
        return None
    try:
        try:
            inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", path) from error
            raise
    finally:
        os.close(parent)
    try:
        return _read_run(inside, os.path.join(path, RUN_FILE))
    finally:
        os.close(inside)


def look_at_marker(path: str) -> Content | None:
    """Return what the marker file `path` of a merged folder says; None where there is none."""
    folder, name = os.path.split(path)
    try:
        dirfd = durable.open_folder(folder)
    except FileNotFoundError:
        return None
    try:
        if name not in os.listdir(dirfd):
            return None
        return _read_run(dirfd, path)
    finally:
        os.close(dirfd)


def _read_run(dirfd: int, path: str) -> Content:
    nothing = Content("", "", 0)
    try:
        fd = os.open(os.path.basename(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dirfd)
    except OSError:
        return nothing
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return nothing
        data = file.read(_RUN_LIMIT)
    try:
        record = records.unpack(path, data)
        return Content(
            str(record["rb"]), str(record["job"]), int(record["epoch"]), str(record.get("run", "")), _strings(record)
        )
    except (records.CorruptRecord, KeyError, TypeError, ValueError):
        return nothing


def read_record(folder: str) -> dict[str, Any] | None:
    """Return the whole `.run` of one of our staging folders, by a fresh look; None where the folder is gone.

    Raises:
        CorruptRecord: it was not written by us.
    """
    path = os.path.join(folder, RUN_FILE)
    data = durable.read(path)
    return None if data is None else records.unpack(path, data)


def _strings(record: dict[str, Any]) -> frozenset[str]:
    files = record.get("files", [])
    return frozenset(f for f in files if isinstance(f, str)) if isinstance(files, list) else frozenset()


def listing(folder: str) -> list[str]:
    """Return the names in `folder`, by a fresh open; empty where there is none."""
    try:
        dirfd = durable.open_folder(folder)
    except FileNotFoundError:
        return []
    try:
        return sorted(os.listdir(dirfd))
    finally:
        os.close(dirfd)


def make_folder(path: str) -> None:
    """Make `path` and its missing parents, durably."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_folder(parent)
    with effect("archive.mkdir"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o777)
        sync(parent)


def make_staging(path: str, run_record: dict[str, Any]) -> None:
    """Make the empty staging folder `path` with its `.run`, durably; an old one of the same name is emptied."""
    remove_tree(path)
    with effect("archive.mkdir staging"):
        os.mkdir(path, 0o777)
        write_file(os.path.join(path, RUN_FILE), records.pack(run_record))
        sync(path)
        sync(os.path.dirname(path))


def write_file(path: str, data: bytes) -> None:
    """Write a new file durably."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)


def rename(source: str, target: str, what: str) -> bool:
    """Rename `source` to `target`; False when the source is not there or something stands at the target.

    Raises:
        OSError: anything but ENOENT, ENOTEMPTY and EEXIST.
    """
    with effect(f"archive.rename {what}"):
        try:
            os.rename(source, target)
        except OSError as error:
            if error.errno == errno.ENOENT or error.errno in TAKEN:
                return False
            raise
    return True


def sync(folder: str) -> None:
    """Make the names in `folder` durable."""
    dirfd = durable.open_folder(folder)
    try:
        os.fsync(dirfd)
    finally:
        os.close(dirfd)


def remove_tree(path: str) -> None:
    """Remove what stands at `path`, and all in it, following no link; nothing there is no error."""
    folder, name = os.path.split(path)
    try:
        parent = durable.open_folder(folder)
    except FileNotFoundError:
        return
    try:
        with effect("archive.remove"):
            try:
                facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
            except FileNotFoundError:
                return
            if stat.S_ISDIR(facts.st_mode):
                scratch.remove_tree(parent, name)
            else:
                os.unlink(name, dir_fd=parent)
    finally:
        os.close(parent)
