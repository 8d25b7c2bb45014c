"""Mounts of the calling process's mount namespace: mount(2), umount2(2), pivot_root(2), open_tree(2).

What is bound is named by descriptor on both sides, so that it is the file which was opened, whatever happens to its
path meanwhile. Where the kernel has mount_setattr(2) (Linux 5.12), a detached copy gets its attributes before it can be
seen; elsewhere it is bound through /proc/self/fd and remounted, mount by mount. Both give the same tree.
"""

from __future__ import annotations

import errno
import os
from functools import cache
from typing import TYPE_CHECKING, Final

from sandbox.linux import libc, procpath

if TYPE_CHECKING:
    from collections.abc import Iterator

# Numbers of <linux/mount.h> and <linux/fcntl.h>.
_MS_RDONLY: Final = 0x1
_MS_NOSUID: Final = 0x2
_MS_NODEV: Final = 0x4
_MS_NOEXEC: Final = 0x8
_MS_REMOUNT: Final = 0x20
_MS_NOATIME: Final = 0x400
_MS_NODIRATIME: Final = 0x800
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x4_0000
_MS_SLAVE: Final = 0x8_0000
_MS_RELATIME: Final = 0x20_0000
_MNT_DETACH: Final = 0x2
_UMOUNT_NOFOLLOW: Final = 0x8
_OPEN_TREE_CLONE: Final = 0x1
_OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC
_AT_EMPTY_PATH: Final = 0x1000
_AT_RECURSIVE: Final = 0x8000
_MOVE_MOUNT_EMPTY_PATHS: Final = 0x4 | 0x40  # of the source, of the target
_MOUNT_ATTR_RDONLY: Final = 0x1
_MOUNT_ATTR_NOSUID: Final = 0x2
_MOUNT_ATTR_NODEV: Final = 0x4

#: Per-mount options of /proc/self/mountinfo that a remount must state again, or it would clear them; in a user
#: namespace those that came from outside are locked, and clearing one is EPERM (mount_namespaces(7)).
_KEPT: Final = {
    "ro": _MS_RDONLY,
    "nosuid": _MS_NOSUID,
    "nodev": _MS_NODEV,
    "noexec": _MS_NOEXEC,
    "noatime": _MS_NOATIME,
    "nodiratime": _MS_NODIRATIME,
    "relatime": _MS_RELATIME,
}
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def make_private(path: str = "/") -> None:
    """Cuts a mount and all below it off from propagation, both ways.

    Raises:
        OSError: `path` is no mount point, or the kernel refused.
    """
    libc.mount(None, path, None, _MS_REC | _MS_PRIVATE)


def make_receiving(path: str = "/") -> None:
    """Lets what is mounted outside come in, where the mount outside is shared, and nothing go out (MS_SLAVE).

    Raises:
        OSError: `path` is no mount point, or the kernel refused.
    """
    libc.mount(None, path, None, _MS_REC | _MS_SLAVE)


@cache
def has_attributes() -> bool:
    """Whether the kernel has mount_setattr(2); asked once in a process and its forks."""
    try:
        libc.mount_setattr(-1, _AT_EMPTY_PATH, 0)
    except OSError as error:
        return error.errno != errno.ENOSYS
    return True


def bind(source: int, target: int, *, writable: bool = False, devices: bool = False, modern: bool = True) -> None:
    """Mounts a file or folder, with all that is mounted below it, over another; set-id bits have no effect there.

    What is mounted outside later does not come in: it would not have these attributes.

    Args:
        source: descriptor (O_PATH is enough) that was opened in this mount namespace: EINVAL for any other.
        target: descriptor of what is covered, of the same kind.
        writable: else all of it is read-only, including what is mounted below.
        devices: device files work there.
        modern: use open_tree(2), move_mount(2) and mount_setattr(2).

    Raises:
        OSError: the kernel refused; nothing less strict is tried.
    """
    if not modern:
        _bind_by_remount(source, target, writable=writable, devices=devices)
        return
    attributes = _MOUNT_ATTR_NOSUID
    attributes |= 0 if writable else _MOUNT_ATTR_RDONLY
    attributes |= 0 if devices else _MOUNT_ATTR_NODEV
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_EMPTY_PATH | _AT_RECURSIVE
    copy = libc.open_tree(source, flags)
    try:
        libc.mount_setattr(copy, _AT_EMPTY_PATH | _AT_RECURSIVE, attributes, _MS_PRIVATE)
        libc.move_mount(copy, target, _MOVE_MOUNT_EMPTY_PATHS)
    finally:
        os.close(copy)


def _bind_by_remount(source: int, target: int, *, writable: bool, devices: bool) -> None:
    path = os.readlink(by_descriptor(target))
    libc.mount(by_descriptor(source), by_descriptor(target), None, _MS_BIND | _MS_REC)
    libc.mount(None, path, None, _MS_REC | _MS_PRIVATE)
    wanted = _MS_NOSUID
    wanted |= 0 if writable else _MS_RDONLY
    wanted |= 0 if devices else _MS_NODEV
    top = os.open(path, _LOOK)
    try:
        top_id = _mount_id(top)
    finally:
        os.close(top)
    with open("/proc/self/mountinfo", "rb") as file:
        found = list(_mounted_below(file.read(), top_id))
    for mount_id, point, kept in found:
        try:
            fd = os.open(point, _LOOK)
        except FileNotFoundError:
            continue  # another mount covers it: nobody gets there
        try:
            if _mount_id(fd) == mount_id:
                libc.mount(None, by_descriptor(fd), None, _MS_REMOUNT | _MS_BIND | kept | wanted)
        finally:
            os.close(fd)


def _mount_id(fd: int) -> int:
    """Reads which mount an open file belongs to (proc_pid_fdinfo(5), Linux 3.15)."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
        for line in file:
            if line.startswith(b"mnt_id:"):
                return int(line.split()[1])
    raise OSError(errno.ENODATA, f"/proc/self/fdinfo/{fd} has no mnt_id; the kernel is older than Linux 3.15")


def _mounted_below(mountinfo: bytes, top: int) -> Iterator[tuple[int, str, int]]:
    """Yields id, mount point and flags of a mount and of all below it, from the text of proc_pid_mountinfo(5).

    Raises:
        OSError: the mount is not listed.
    """
    children: dict[int, list[int]] = {}
    mounts: dict[int, tuple[str, int]] = {}
    for line in mountinfo.splitlines():
        mount_id, parent, _, _, point, options = line.split(b" ")[:6]
        flags = 0
        for option in options.decode("ascii", "replace").split(","):
            flags |= _KEPT.get(option, 0)
        mounts[int(mount_id)] = (procpath.plain(os.fsdecode(point)), flags)
        children.setdefault(int(parent), []).append(int(mount_id))
    if top not in mounts:
        raise OSError(errno.ENOENT, f"mount {top} was bound and is not in /proc/self/mountinfo")
    todo = [top]
    while todo:
        mount = todo.pop()
        yield mount, *mounts[mount]
        todo += children.get(mount, ())


def tmpfs(target: str, *, size: int, inodes: int, mode: int) -> None:
    """Mounts an empty file system in memory, without set-id bits and devices (tmpfs(5)).

    Args:
        target: path of a folder.
        size: bytes it may hold; rounded up to pages.
        inodes: files and folders it may hold, its own root included.
        mode: permission bits of its root.

    Raises:
        OSError: the kernel refused.
        ValueError: a size or number of inodes for which tmpfs has no limit: zero means none.
    """
    if size < 1 or inodes < 1:
        raise ValueError(f"a tmpfs of {size} bytes and {inodes} inodes would have no limit; give both 1 or more")
    libc.mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={size},nr_inodes={inodes},mode={mode:o}")


def resize_tmpfs(target: str, *, size: int) -> None:
    """Changes how many bytes a file system of `tmpfs` may hold; its inodes and what it holds stay.

    Args:
        target: path of its root.
        size: bytes.

    Raises:
        OSError: it holds more than that already, or the kernel refused.
    """
    libc.mount(None, target, None, _MS_REMOUNT | _MS_NOSUID | _MS_NODEV, f"size={size}")


def proc(target: str) -> None:
    """Mounts the processes of the caller's pid namespace.

    In a user namespace this is EPERM unless another proc, not covered anywhere, can be seen in the mount namespace; so
    it comes before the host's tree is let go of.

    Raises:
        OSError: the kernel refused.
    """
    libc.mount("proc", target, "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def make_read_only(target: str) -> None:
    """Makes one mount of our own read-only, without set-id bits and devices; what is mounted below stays as it is.

    Raises:
        OSError: `target` is no mount point, or the kernel refused.
    """
    libc.mount(None, target, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)


def change_root(new_root: str) -> None:
    """Makes a mount point the root of the mount namespace, lets go of all that was there before, and stands in it.

    The old root is stacked on the new one and detached (pivot_root(2), "pivot_root(".", ".")"), so no folder is needed
    for it. Descriptors that were opened before still lead outside.

    Raises:
        OSError: the kernel refused, as it does in a chroot.
    """
    os.chdir(new_root)
    libc.pivot_root(".", ".")
    libc.umount2(".", _MNT_DETACH)
    os.chdir("/")


def unmount(target: str) -> None:
    """Detaches the topmost mount at `target`, which must be no link.

    Raises:
        OSError: nothing is mounted there, or the kernel refused.
    """
    libc.umount2(target, _MNT_DETACH | _UMOUNT_NOFOLLOW)


def by_descriptor(fd: int) -> str:
    """Names an open file in a way that the kernel follows to that very file."""
    return f"/proc/self/fd/{fd}"
