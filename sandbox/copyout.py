"""Takes the results out of a dead box: looks at everything first, then copies by descriptor.

The tree is hostile: the script chose every name, type, mode and depth in it. Nothing in it is followed, nothing is left
out in silence: what is no plain file or folder of its own ends in `OutputRejected`, which names it. Both functions may
run in any thread; they are called when the tree of processes is proven dead, so what was inspected stays, and the copy
checks again that it did.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.cursor import FOLDER, OWNER, Cursor, ForeignMountError, unlock
from sandbox.limits import Limits, format_size
from sandbox.outcome import OutputFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Folders inside folders that are taken at most, and the longest path below the output folder in bytes: a target folder
#: has a path too, and the whole must stay below PATH_MAX (4096).
DEPTH_CAP: Final = 64
PATH_CAP: Final = 2048
#: Bytes that are copied between two calls of `on_progress` at most.
PIECE: Final = 4 << 20

_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
#: Characters of a name that forge log lines or are no text: controls, halves of surrogate pairs (what is not UTF-8
#: arrives as such), line and paragraph separators.
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: Marks that turn the direction of writing, so that a name shows as another (Unicode TR 9).
_TURNING: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class OutputRejected(Exception):
    """The script left something that is no result; the text names it."""


class OutputTooLarge(Exception):
    """The script left more than the limits allow."""

    def __init__(self, ceiling: str, measured: int) -> None:
        shown = format_size(measured) if ceiling == "output" else f"{measured}"
        super().__init__(f"{ceiling}: at least {shown}")
        #: Name of the limit: "output" or "files".
        self.ceiling = ceiling
        #: Bytes or entries, at least.
        self.measured = measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One file as it was inspected."""

    #: Components joined by "/".
    path: str
    size: int
    executable: bool
    device: int
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that is to be copied; folders before what is in them, names in order."""

    folders: tuple[str, ...] = ()
    files: tuple[Found, ...] = ()

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(found.size for found in self.files)


def inspect(dir_fd: int, limits: Limits) -> Manifest:
    """Looks at every name below a folder, without opening a file.

    A folder that the script shut to its owner is opened again (mode 0700).

    Args:
        dir_fd: descriptor of the output folder, opened before the script was started.
        limits: `output` and `files` bound what is taken; folders count as files.

    Raises:
        OutputRejected: something is no plain file or folder, is named unsafely or lies too deep.
        OutputTooLarge: there is more than the limits allow; the rest was not looked at.
        OSError: the folder cannot be read.
    """
    folders: list[str] = []
    files: list[Found] = []
    total = 0
    root = os.fstat(dir_fd)
    if root.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.fchmod(dir_fd, stat.S_IRWXU)
    device = root.st_dev
    with Cursor(dir_fd) as cursor:
        path: list[str] = []
        levels = [iter(_names(cursor.fd, limits, 0))]
        seen = 0
        while levels:
            name = next(levels[-1], None)
            if name is None:
                levels.pop()
                if levels:
                    cursor.up()
                    path.pop()
                continue
            seen += 1
            if limits.files is not None and seen > limits.files:
                raise OutputTooLarge("files", seen)
            where = "/".join((*path, name))
            _check_name(where, name)
            status = os.stat(name, dir_fd=cursor.fd, follow_symlinks=False)
            _check_kind(where, status, device)
            if stat.S_ISDIR(status.st_mode):
                if len(path) >= DEPTH_CAP:
                    raise OutputRejected(f"output folder '{shown(where)}' is deeper than {DEPTH_CAP} folders")
                folders.append(where)
                _enter(cursor, name, where)
                path.append(name)
                levels.append(iter(_names(cursor.fd, limits, seen)))
                continue
            total += max(status.st_size, 0)
            if limits.output is not None and total > limits.output:
                raise OutputTooLarge("output", total)
            files.append(
                Found(
                    path=where,
                    size=status.st_size,
                    executable=bool(status.st_mode & stat.S_IXUSR),
                    device=status.st_dev,
                    inode=status.st_ino,
                )
            )
    return Manifest(folders=tuple(folders), files=tuple(files))


def _names(fd: int, limits: Limits, seen: int) -> list[str]:
    names: list[str] = []
    with os.scandir(fd) as entries:
        for entry in entries:
            names.append(entry.name)
            if limits.files is not None and seen + len(names) > limits.files:
                raise OutputTooLarge("files", seen + len(names))
    return sorted(names)


def _enter(cursor: Cursor, name: str, where: str) -> None:
    try:
        cursor.down(name, unlock=OWNER)
    except ForeignMountError:
        raise OutputRejected(f"output folder '{shown(where)}' is a mount point") from None


def _check_name(where: str, name: str) -> None:
    if any(letter in _TURNING or unicodedata.category(letter) in _UNSAFE_CATEGORIES for letter in name):
        raise OutputRejected(f"the name of output '{shown(where)}' has characters that are no text")
    if len(where.encode()) > PATH_CAP:
        raise OutputRejected(f"the path of output '{shown(where)}' is longer than {PATH_CAP} bytes")


_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _check_kind(where: str, status: os.stat_result, device: int) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind in _KINDS:
        raise OutputRejected(f"output '{shown(where)}' is {_KINDS[kind]}")
    if status.st_dev != device:
        raise OutputRejected(f"output '{shown(where)}' is a mount point")
    if kind == stat.S_IFREG and status.st_nlink != 1:
        raise OutputRejected(f"output '{shown(where)}' is a hard link to a file with another name")


def shown(path: str) -> str:
    """Writes a hostile path so that it can stand in a log line: printable, on one line, at most 200 characters."""
    text = "".join(
        letter if letter.isprintable() and letter not in "\\'" else ascii(letter)[1:-1] for letter in path[:400]
    )
    return text if len(text) <= 200 else f"{text[:120]}...{text[-60:]}"


def copy(
    manifest: Manifest, src_fd: int, dst_fd: int, on_progress: Callable[[int], object] | None = None
) -> tuple[OutputFile, ...]:
    """Copies what was inspected into an empty folder, durably.

    Files get mode 0640, or 0750 if their owner could execute them; folders 0750. Times of files are
    kept, as far as they are not in the future; set-id bits, extended attributes and owners stay behind; holes stay.

    Args:
        manifest: what `inspect` returned for the same folder.
        src_fd: descriptor of the folder that was inspected.
        dst_fd: descriptor of the folder to copy into; nothing in it is replaced.
        on_progress: called with the bytes done since the last call, at least every 8 MiB and after each file.

    Returns:
        Path, size and digest of each file, in the manifest's order.

    Raises:
        OutputRejected: a file is not what was inspected any more.
        OSError: it cannot be read or written; a partial copy is left for the caller to remove.
    """
    progress = on_progress or (lambda _: None)
    for folder in manifest.folders:
        with _parent(dst_fd, folder) as (parent, name):
            os.mkdir(name, 0o700, dir_fd=parent)
    done: list[OutputFile] = []
    for found in manifest.files:
        with _parent(src_fd, found.path) as (parent, name):
            source = _open_again(parent, name, found)
        try:
            with _parent(dst_fd, found.path) as (parent, name):
                digest = _copy_file(source, parent, name, found, progress)
        finally:
            os.close(source)
        done.append(OutputFile(path=found.path, size=found.size, sha256=digest))
        progress(0)
    # Innermost first: what a folder names is durable before the folder is.
    for folder in reversed(manifest.folders):
        with _parent(dst_fd, folder) as (parent, name):
            _seal(parent, name)
        progress(0)
    os.fsync(dst_fd)
    return tuple(done)


class _parent:  # noqa: N801 - reads as a function in a with statement
    """Opens the folder of a path component by component, following nothing."""

    def __init__(self, root: int, path: str) -> None:
        self._root = root
        *self._way, self._name = path.split("/")

    def __enter__(self) -> tuple[int, str]:
        self._fd = os.open(".", FOLDER, dir_fd=self._root)
        for name in self._way:
            try:
                below = os.open(name, FOLDER, dir_fd=self._fd)
            finally:
                os.close(self._fd)
            self._fd = below
        return self._fd, self._name

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _open_again(parent: int, name: str, found: Found) -> int:
    try:
        fd = os.open(name, _FILE, dir_fd=parent)
    except PermissionError:
        unlock(parent, name)
        fd = os.open(name, _FILE, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOENT, errno.ENXIO):
            raise OutputRejected(f"output '{shown(found.path)}' was replaced while it was being copied") from None
        raise
    status = os.fstat(fd)
    same = (status.st_dev, status.st_ino, status.st_size) == (found.device, found.inode, found.size)
    if not (same and stat.S_ISREG(status.st_mode) and status.st_nlink == 1):
        os.close(fd)
        raise OutputRejected(f"output '{shown(found.path)}' was changed while it was being copied")
    return fd


def _copy_file(source: int, parent: int, name: str, found: Found, progress: Callable[[int], object]) -> str:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    target = os.open(name, flags, 0o600, dir_fd=parent)
    try:
        digest = hashlib.sha256()
        for offset, length, data in _pieces(source, found):
            digest.update(data or bytes(length))
            written = 0
            while written < len(data):
                written += os.pwrite(target, memoryview(data)[written:], offset + written)
            progress(length)
        os.ftruncate(target, found.size)
        os.fchmod(target, 0o750 if found.executable else 0o640)
        modified = min(os.fstat(source).st_mtime_ns, time.time_ns())  # a script's clock claims nothing of the future
        os.utime(target, ns=(modified, modified))
        os.fsync(target)
    finally:
        os.close(target)
    return digest.hexdigest()


def _pieces(source: int, found: Found) -> Iterator[tuple[int, int, bytes]]:
    """Yields (offset, length, data) over the whole file; empty data is a hole."""
    offset = 0
    for start, end in _data_ranges(source, found.size):
        while offset < start:
            length = min(PIECE, start - offset)
            yield offset, length, b""
            offset += length
        while offset < end:
            data = os.pread(source, min(PIECE, end - offset), offset)
            if not data:
                raise OutputRejected(f"output '{shown(found.path)}' became shorter while it was being copied")
            yield offset, len(data), data
            offset += len(data)
    if os.pread(source, 1, found.size):
        raise OutputRejected(f"output '{shown(found.path)}' became longer while it was being copied")


def _data_ranges(source: int, size: int) -> Iterator[tuple[int, int]]:
    """Yields where data is, and at the end the empty range behind the last hole (lseek(2), SEEK_DATA)."""
    end = 0
    while end < size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break
        end = min(os.lseek(source, start, os.SEEK_HOLE), size)
        yield min(start, size), end
    yield size, size


def _seal(parent: int, name: str) -> None:
    fd = os.open(name, FOLDER, dir_fd=parent)
    try:
        os.fchmod(fd, 0o750)
        os.fsync(fd)
    finally:
        os.close(fd)
