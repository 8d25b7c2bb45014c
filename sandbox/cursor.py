"""A place in a folder tree that a stranger made: moves by descriptor, follows no link and crosses no mount."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

#: How a folder of a hostile tree is opened: never through a link, never waiting for the other end of a FIFO.
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: Rights of a folder's owner: all, and those without which nobody learns what is in it.
OWNER: Final = 0o700
LOOK: Final = 0o500


class MovedError(OSError):
    """The folder is no longer where it was entered: somebody moves the tree about."""


class ForeignMountError(OSError):
    """Another file system, or another part of this one, is mounted here: it is not ours to walk."""


class Cursor:
    """Stands in one folder of a tree and holds a single descriptor, however deep the tree is."""

    def __init__(self, root: int) -> None:
        """Stands in `root`.

        Args:
            root: descriptor of the tree's folder; it stays the caller's.
        """
        self.fd = os.open(".", FOLDER, dir_fd=root)
        self._mount = mount_of(self.fd)
        self._trail: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the descriptor back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @property
    def depth(self) -> int:
        """How many folders below the root it stands."""
        return len(self._trail)

    def down(self, name: str, *, unlock: int = 0) -> None:
        """Goes into the folder `name`.

        Args:
            name: one component.
            unlock: rights of which its owner has to have every one; it is given mode 0700 where he has not.

        Raises:
            ForeignMountError: something is mounted there.
            OSError: it is no folder, is gone or cannot be entered.
        """
        child = unlocked_folder(self.fd, name, unlock) if unlock else os.open(name, FOLDER, dir_fd=self.fd)
        try:
            self._refuse_mount(child, name)
            here = os.fstat(self.fd)
        except BaseException:
            os.close(child)
            raise
        os.close(self.fd)
        self.fd = child
        self._trail.append((here.st_dev, here.st_ino))

    def _refuse_mount(self, child: int, name: str) -> None:
        if mount_of(child) != self._mount:
            raise ForeignMountError(errno.EXDEV, f"something is mounted on '{name}'")

    def up(self) -> None:
        """Goes back to the folder that it came from.

        Raises:
            MovedError: the folder above is another one now.
            OSError: it cannot be opened.
        """
        parent = os.open("..", FOLDER, dir_fd=self.fd)
        found = os.fstat(parent)
        if (found.st_dev, found.st_ino) != self._trail[-1]:
            os.close(parent)
            raise MovedError(errno.ESTALE, "the folder was moved while it was being read")
        os.close(self.fd)
        self.fd = parent
        self._trail.pop()


def unlocked_folder(parent: int, name: str, rights: int = OWNER) -> int:
    """Opens a folder even if its owner took away his own rights; it has mode 0700 then.

    Args:
        parent: descriptor of the folder that holds it.
        name: one component.
        rights: which of his rights are needed.

    Returns:
        Its descriptor.

    Raises:
        OSError: it is no folder, or belongs to somebody else.
    """
    try:
        fd = os.open(name, FOLDER, dir_fd=parent)
    except PermissionError:
        unlock(parent, name)
        fd = os.open(name, FOLDER, dir_fd=parent)
    try:
        if os.fstat(fd).st_mode & rights != rights:
            os.fchmod(fd, OWNER)
    except BaseException:
        os.close(fd)
        raise
    return fd


def unlock(parent: int, name: str) -> None:
    """Gives the owner his rights on a file or folder back.

    chmod(2) follows links, and fchmod(2) needs a descriptor that mode 000 does not grant; a path descriptor is granted
    always, and its name in /proc leads to exactly the inode that was opened (open(2), O_PATH).

    Args:
        parent: descriptor of the folder that holds it.
        name: one component.

    Raises:
        OSError: it is a link, is gone or belongs to somebody else.
    """
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{fd}", OWNER)
    finally:
        os.close(fd)


def mount_of(fd: int) -> int:
    """Reads the id of the mount that a descriptor is on (proc(5), fdinfo); a bind mount has its own, unlike st_dev."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
        for line in file:
            if line.startswith(b"mnt_id:"):
                return int(line[7:])
    return -1
