"""The durable primitives of the store: the only place that changes a file of it.

Every record is written to a temporary file in the same folder, fsynced, its close checked (ENOSPC and EDQUOT appear at
fsync or close on NFS), then linked (write-once cells) or renamed (replaceable records), and the folder is fsynced
(DESIGN §4). Every look opens the folder anew and looks in it by descriptor: on NFS a name that another host made
looked absent for 5 to 6 s through a cached folder (messaging-locking §2). Errors of the store are plain `OSError`; they
say the call and the whole path (`storecall.reason`).
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os

from sandbox import scratch
from supervisor.failpoints import effect, look
from supervisor.storecall import call

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_MODE = 0o660
#: Group-writable and set-group-id: verbs of the operator's group write the store too (DESIGN §9).
_FOLDER_MODE = 0o2770
#: Prefix of our temporary files; a listing passes them over.
TEMPORARY = ".tmp."
_counter = itertools.count()
#: A state of a folder: its inode, both times of its last change in ns, and its size.
Stamp = tuple[int, int, int, int]


def open_folder(path: str) -> int:
    """Open the folder `path` anew and return its descriptor; on NFS the open revalidates what is cached of it.

    An absent folder is looked for again below its freshly opened parents: a name that another host has made since this
    one looked is remembered as absent for as long as the attributes of its parent are (30 to 60 s by default, nfs(5)).
    """
    try:
        return os.open(path, _DIRECTORY)
    except FileNotFoundError:
        parent, name = os.path.split(path)
        if not name or not parent:
            raise
    dirfd = open_folder(parent)
    try:
        return os.open(name, _DIRECTORY, dir_fd=dirfd)
    finally:
        os.close(dirfd)


def read(path: str) -> bytes | None:
    """Return the bytes of the record at `path`, or None where there is none."""
    with call("store.read", path):
        fd = open_record(path)
        if fd is None:
            return None
        with os.fdopen(fd, "rb") as file:
            return file.read()


def tail(path: str, most: int) -> bytes:
    """Return the last `most` bytes of the file at `path` at most; nothing where there is none."""
    with call("store.read", path):
        fd = open_record(path)
        if fd is None:
            return b""
        with os.fdopen(fd, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - most))
            return file.read(most)


def open_record(path: str) -> int | None:
    """Open the record at `path` for reading, through a freshly opened folder; None where there is none."""
    folder, name = os.path.split(path)
    with call("store.read", path):
        look("store.read", path)
        try:
            dirfd = open_folder(folder)
        except FileNotFoundError:
            return None
        try:
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dirfd)
        except FileNotFoundError:
            return None
        finally:
            os.close(dirfd)


def exists(path: str) -> bool:
    """Say whether a name stands at `path`, by a fresh look."""
    return made_at(path) is not None


def made_at(path: str) -> float | None:
    """Return when the file at `path` was last changed, by the clock of its file system, s since 1970; None: no file."""
    folder, name = os.path.split(path)
    with call("store.look", path):
        look("store.look", path)
        try:
            facts = _facts_at(folder, name)
        except FileNotFoundError:
            return None
    return None if facts is None else facts.st_mtime


def listing(path: str) -> list[str]:
    """Return the names in the folder `path`, sorted, without our temporary files; empty where there is no folder."""
    return sorted(names(path))


def names(path: str) -> list[str]:
    """Return the names in the folder `path` as the folder has them; see `listing`."""
    _, found = names_unless(path, None)
    return [name for name in found or () if not name.startswith(TEMPORARY)]


def names_unless(path: str, seen: Stamp | None) -> tuple[Stamp | None, list[str] | None]:
    """Return what tells one state of the folder `path` from another, and its names unless that is what was `seen`.

    The names are as the folder has them, our temporary files included. Two changes within one step of
    the file system's clock leave the same stamp. Where there is no folder, there is no stamp and no name.
    """
    with call("store.list", path):
        look("store.list", path)
        try:
            dirfd = open_folder(path)
        except FileNotFoundError:
            return None, []
        try:
            facts = os.fstat(dirfd)  # before the listing: what comes between the two makes another stamp
            stamp = (facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size)
            return stamp, None if stamp == seen else os.listdir(dirfd)
        finally:
            os.close(dirfd)


def make_folder(path: str, kind: str) -> None:
    """Make the folder `path` and its missing parents, each durable before the next."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent and parent != path:
        make_folder(parent, kind)
    with call("store.mkdir", path), effect(f"store.mkdir {kind}"):
        try:
            os.mkdir(path, 0o770)
        except FileExistsError:
            return
        try:
            os.chmod(path, _FOLDER_MODE)
            _sync_folder_at(parent)
        except OSError:
            with contextlib.suppress(OSError):
                os.rmdir(path)  # a repetition that found it there would take it for durable
            raise


def link_new(path: str, data: bytes, kind: str) -> bool:
    """Make the write-once record `path`; return whether this call made it.

    A lost reply to `link` is settled by a fresh look: the same (st_dev, st_ino) as our temporary file means that we
    won (DESIGN §4). So does a record of exactly these bytes, which say who made it and when: the call is a repetition
    of one that failed after its link, at the fsync of the folder. False means that the record of another stands there.
    """
    with call("store.write", path):
        dirfd = open_folder(os.path.dirname(path))
        temporary = _temporary_name()
        try:
            identity = _write(dirfd, temporary, data, kind)
            try:
                won = _link(dirfd, temporary, path, identity, kind) or read(path) == data
            finally:
                _drop_temporary(dirfd, temporary)
            _sync(dirfd, kind)
            return won
        finally:
            os.close(dirfd)


def _link(dirfd: int, temporary: str, path: str, identity: tuple[int, int], kind: str) -> bool:
    folder, name = os.path.split(path)
    try:
        with effect(f"store.link {kind}"):
            os.link(temporary, name, src_dir_fd=dirfd, dst_dir_fd=dirfd, follow_symlinks=False)
    except OSError as error:
        if _identity_at(folder, name) == identity:
            return True
        if error.errno == errno.EEXIST:
            return False
        raise
    return True


def replace(path: str, data: bytes, kind: str) -> None:
    """Put a replaceable record at `path`, whole or not at all."""
    folder, name = os.path.split(path)
    with call("store.write", path):
        dirfd = open_folder(folder)
        temporary = _temporary_name()
        try:
            _write(dirfd, temporary, data, kind)
            try:
                with effect(f"store.rename {kind}"):
                    os.rename(temporary, name, src_dir_fd=dirfd, dst_dir_fd=dirfd)
            except OSError:
                _drop_temporary(dirfd, temporary)
                raise
            _sync(dirfd, kind)
        finally:
            os.close(dirfd)


def touch(path: str, kind: str) -> None:
    """Make the empty file `path`; making it again is harmless."""
    folder, name = os.path.split(path)
    with call("store.touch", path):
        dirfd = open_folder(folder)
        try:
            # Where it stands already: it may be ours, of a call that failed at the fsync below.
            with effect(f"store.touch {kind}"), contextlib.suppress(FileExistsError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                os.close(os.open(name, flags, _FILE_MODE, dir_fd=dirfd))
            _sync(dirfd, kind)
        finally:
            os.close(dirfd)


def remove(path: str, kind: str) -> None:
    """Remove the file `path` if it is there."""
    folder, name = os.path.split(path)
    with call("store.unlink", path):
        try:
            dirfd = open_folder(folder)
        except FileNotFoundError:
            return
        try:
            with effect(f"store.unlink {kind}"):
                try:
                    os.unlink(name, dir_fd=dirfd)
                except FileNotFoundError:
                    return
            _sync(dirfd, kind)
        finally:
            os.close(dirfd)


def move_folder(source: str, target: str, kind: str) -> None:
    """Rename the folder `source` to `target`, whose parent exists; one that is gone already is no error.

    Raises:
        OSError: something stands at the target, or the store cannot be used now.
    """
    with call("store.move", source):
        with effect(f"store.move {kind}"), contextlib.suppress(FileNotFoundError):
            os.rename(source, target)
        for folder in {os.path.dirname(source), os.path.dirname(target)}:
            _sync_folder_at(folder)


def remove_folder(path: str, kind: str) -> bool:
    """Remove the folder `path` if it is empty; say whether it is gone."""
    with call("store.rmdir", path):
        with effect(f"store.rmdir {kind}"):
            try:
                os.rmdir(path)
            except FileNotFoundError:
                return True
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    return False
                raise
        with contextlib.suppress(FileNotFoundError):
            _sync_folder_at(os.path.dirname(path))
        return True


def remove_tree(path: str, kind: str) -> None:
    """Remove the folder `path` and all in it; nothing there is no error."""
    folder, name = os.path.split(path)
    with call("store.remove-tree", path):
        try:
            dirfd = open_folder(folder)
        except FileNotFoundError:
            return
        try:
            # Another host may be removing it as well: what is left then is found by the next who looks.
            with effect(f"store.remove-tree {kind}"), contextlib.suppress(FileNotFoundError):
                scratch.remove_tree(dirfd, name)
        finally:
            os.close(dirfd)


def _drop_temporary(dirfd: int, name: str) -> None:
    """Remove a temporary file as far as the store lets us: what went before counts, and `sweep` finds the rest."""
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=dirfd)


def _temporary_name() -> str:
    return f"{TEMPORARY}{os.uname().nodename[:40]}.{os.getpid()}.{next(_counter)}.{os.urandom(4).hex()}"


def _write(dirfd: int, name: str, data: bytes, kind: str) -> tuple[int, int]:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE, dir_fd=dirfd)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        with effect(f"store.fsync {kind}"):
            os.fsync(fd)
        facts = os.fstat(fd)
    except OSError:
        with contextlib.suppress(OSError):
            os.close(fd)
        _drop_temporary(dirfd, name)
        raise
    try:
        os.close(fd)
    except OSError:
        _drop_temporary(dirfd, name)
        raise
    return facts.st_dev, facts.st_ino


def _sync(dirfd: int, kind: str) -> None:
    with effect(f"store.fsync-folder {kind}"):
        os.fsync(dirfd)


def _sync_folder_at(path: str) -> None:
    dirfd = open_folder(path or ".")
    try:
        os.fsync(dirfd)
    finally:
        os.close(dirfd)


def _identity_at(folder: str, name: str) -> tuple[int, int] | None:
    facts = _facts_at(folder, name)
    return None if facts is None else (facts.st_dev, facts.st_ino)


def _facts_at(folder: str, name: str) -> os.stat_result | None:
    dirfd = open_folder(folder)
    try:
        return os.stat(name, dir_fd=dirfd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    finally:
        os.close(dirfd)
