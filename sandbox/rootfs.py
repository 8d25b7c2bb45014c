"""The root file system of a box, built from its `Tree` in a mount namespace of its own, and entered.

The steps are those of two processes, because the fresh /proc needs one of the new pid namespace and, in a user
namespace, the host's /proc still in sight: `build` and `add` by the builder, `mount_proc` and `enter` by the init. What
may have to wait is added to what was built. Every mount point is found component by component from the
new root's descriptor, following links only inside it, so that no link in a bound folder leads out.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from sandbox.linux import mounts
from sandbox.tree import MOST_LINKS, Bind, Tmpfs, lies_below, parts, place_of_link, resolved

if TYPE_CHECKING:
    from sandbox.tree import Tree

#: The root holds folders, links and some small files only.
_SIZE: Final = 1 << 20
_INODES: Final = 4096
_LOOK: Final = os.O_PATH | os.O_CLOEXEC
#: Parts of /proc by which whoever has the host's user id 0, even without capabilities, could change the host.
_READ_ONLY_PROC: Final = ("acpi", "bus", "fs", "irq", "scsi", "sys", "sysrq-trigger")


def build(tree: Tree, root: str, *, modern: bool | None = None) -> None:
    """Mounts the tree at `root`; the caller is alone in its mount namespace, out of which nothing goes.

    Args:
        tree: what the box shows.
        root: an existing folder, which the tree covers.
        modern: see `mounts.bind`; None asks the kernel.

    Raises:
        OSError: a source is not there or is not what was opened, or a mount was refused; the text names it.
    """
    mounts.tmpfs(root, size=_SIZE, inodes=_INODES, mode=0o755)
    add(tree, root, modern=modern)


def add(tree: Tree, root: str, *, modern: bool | None = None) -> None:
    """Mounts a tree within the one that stands at `root`, and covers what stands in its places there.

    Args:
        tree: what else the box shows.
        root: where `build` has mounted the other.
        modern: see `mounts.bind`; None asks the kernel.

    Raises:
        OSError: see `build`.
    """
    modern = mounts.has_attributes() if modern is None else modern
    steps: list[tuple[str, Tmpfs | str | Bind]] = [(resolved(one.target, tree.links), one) for one in tree.tmpfs]
    steps += [(resolved(one.target, tree.links), one) for one in tree.binds]
    steps += [(place_of_link(path, tree.links), text) for path, text in tree.links.items()]
    steps.sort(key=lambda step: (len(parts(step[0])), step[0]))  # what holds a place comes before what stands in it
    sources: dict[Bind, int] = {}
    site: _Site | None = None
    try:
        for bind in dict.fromkeys(tree.binds):
            sources[bind] = _open_source(bind)
        site = _Site(root)
        for path in tree.folders:
            os.close(_descend(site, path))
        for path, content in tree.files.items():
            _write(site, path, content)
        for place, what in steps:
            try:
                if isinstance(what, str):
                    _link(site, place, what)
                    continue
                if isinstance(what, Tmpfs):
                    _mount_tmpfs(site, place, what)
                else:
                    _mount_bind(site, place, what, sources[what], modern=modern)
                site.covered(place)
            except OSError as error:
                raise OSError(error.errno, f"cannot make {place!r} in the box: {error}") from error
    finally:
        for fd in sources.values():
            os.close(fd)
        if site is not None:
            site.close()


class _Site:
    """The new root while it is built; a folder in which something was made stays open until it is covered."""

    def __init__(self, root: str) -> None:
        self.base = os.open(root, _LOOK | os.O_DIRECTORY)
        self._folders = {"/": self.base}

    def folder(self, path: str) -> int:
        """Opens a folder, made if it is missing; the descriptor stays the site's."""
        fd = self._folders.get(path)
        if fd is None:
            fd = self._folders[path] = _walk(self.base, path)
        return fd

    def covered(self, place: str) -> None:
        """Forgets what a new mount covers."""
        for path in [path for path in self._folders if path != "/" and lies_below(path, place)]:
            os.close(self._folders.pop(path))

    def close(self) -> None:
        for fd in self._folders.values():
            os.close(fd)


def mount_proc(root: str, *, modern: bool | None = None) -> None:
    """Mounts a fresh /proc in a built tree; the caller belongs to the new pid namespace.

    Args:
        root: where the tree was built.
        modern: see `mounts.bind`; None asks the kernel.

    Raises:
        OSError: the kernel refused; the text names the call.
    """
    modern = mounts.has_attributes() if modern is None else modern
    proc = os.path.join(root, "proc")
    mounts.proc(proc)
    for name in _READ_ONLY_PROC:
        try:
            fd = os.open(os.path.join(proc, name), _LOOK | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue  # not every kernel has every one
        try:
            mounts.bind(fd, fd, modern=modern)
        finally:
            os.close(fd)


def enter(root: str) -> None:
    """Makes a built tree the root, and its own folders read-only; the host's tree is gone.

    All processes of the mount namespace change root with the caller.

    Args:
        root: where the tree was built.

    Raises:
        OSError: the kernel refused; the text names the call.
    """
    mounts.change_root(root)
    mounts.make_read_only("/")


def _open_source(bind: Bind) -> int:
    source = bind.source
    try:
        if isinstance(source, str):
            return os.open(source, _LOOK)
        # A descriptor from before this mount namespace cannot be bound (EINVAL): the same file is opened in it.
        path = os.readlink(mounts.by_descriptor(source))
        fd = os.open(path, _LOOK | os.O_NOFOLLOW)
    except OSError as error:
        raise OSError(error.errno, f"cannot show {source!r} at {bind.target!r}: {error.strerror}") from error
    if not os.path.sameopenfile(fd, source):
        os.close(fd)
        raise OSError(errno.ESTALE, f"cannot show {path!r} at {bind.target!r}: it was replaced after it was opened")
    return fd


def _mount_bind(site: _Site, place: str, bind: Bind, source: int, *, modern: bool) -> None:
    target = _descend(site, place, file=not stat.S_ISDIR(os.fstat(source).st_mode))
    try:
        mounts.bind(source, target, writable=bind.writable, devices=bind.devices, modern=modern)
    finally:
        os.close(target)


def _mount_tmpfs(site: _Site, place: str, tmpfs: Tmpfs) -> None:
    target = _descend(site, place)
    try:
        mounts.tmpfs(mounts.by_descriptor(target), size=tmpfs.size, inodes=tmpfs.inodes, mode=tmpfs.mode)
    finally:
        os.close(target)


def _link(site: _Site, place: str, text: str) -> None:
    folder, name = os.path.split(place)
    with contextlib.suppress(FileExistsError):  # a bound folder brought it along
        os.symlink(text, name, dir_fd=site.folder(folder))


def _write(site: _Site, path: str, content: str) -> None:
    folder, name = os.path.split(path)
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=site.folder(folder))
    try:
        os.write(fd, content.encode())
    finally:
        os.close(fd)


def _descend(site: _Site, path: str, *, file: bool = False) -> int:
    """Opens a path of the new root by O_PATH; what is missing is made: folders, and a file at the end if asked for."""
    folder, name = os.path.split(path)
    if name in {"", ".", ".."}:
        return _walk(site.base, path, file=file)
    parent = site.folder(folder)
    try:
        _make(parent, name, file=file)
    except FileExistsError:
        fd = os.open(name, _LOOK | os.O_NOFOLLOW, dir_fd=parent)
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        return _walk(site.base, path, file=file)
    return os.open(name, _LOOK | os.O_NOFOLLOW, dir_fd=parent)


def _walk(base: int, path: str, *, file: bool = False) -> int:
    """Does the same from the root on, component by component."""
    stack = [os.dup(base)]
    todo = parts(path)
    hops = 0
    try:
        while todo:
            name = todo.pop()
            if name == "..":
                if len(stack) > 1:
                    os.close(stack.pop())
                continue
            fd = _open_or_make(stack[-1], name, file=file and not todo)
            stack.append(fd)
            if stat.S_ISLNK(os.fstat(fd).st_mode):
                text = os.readlink("", dir_fd=fd)
                os.close(stack.pop())
                hops += 1
                if hops > MOST_LINKS:
                    raise OSError(errno.ELOOP, f"{path!r}: {os.strerror(errno.ELOOP)}")
                while text.startswith("/") and len(stack) > 1:
                    os.close(stack.pop())
                todo += parts(text)
        return stack.pop()
    finally:
        for fd in stack:
            os.close(fd)


def _open_or_make(parent: int, name: str, *, file: bool) -> int:
    try:
        return os.open(name, _LOOK | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        _make(parent, name, file=file)
        return os.open(name, _LOOK | os.O_NOFOLLOW, dir_fd=parent)


def _make(parent: int, name: str, *, file: bool) -> None:
    if file:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent))
    else:
        os.mkdir(name, 0o755, dir_fd=parent)
