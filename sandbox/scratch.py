"""The folder of one box: made before the run, removed after it, whatever the script has built in it."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from typing import Final, Self

from sandbox.cursor import FOLDER, OWNER, Cursor, unlocked_folder
from sandbox.places import RESULT

#: out: holds the results; home: HOME; tmp: TMPDIR; work: working folder; handoff: the two JSON files; script: the
#: script's text; root, hard, papers: where a tree and sized file systems are mounted, seen by the box alone.
FOLDERS: Final = ("out", "home", "tmp", "work", "handoff", "script", "root", "hard", "papers")
#: Folders that are remembered at one level while a tree is removed; the level is listed again for the rest.
_BATCH: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """`<spool>/<token>/` and descriptors of what the trusted side needs of it, opened before the script exists."""

    token: str
    #: Its path, for the script and for people; we go by the descriptors.
    path: str
    #: The folder that it was made in.
    parent_fd: int
    root_fd: int
    #: Folder of the results, and the one it stands in.
    out_fd: int
    yard_fd: int
    handoff_fd: int
    #: Root of what the script fills: this folder, or the sized file system of the box.
    ground_fd: int

    @classmethod
    def make(cls, spool: str) -> Self:
        """Makes the folder with all in it, mode 0700.

        Args:
            spool: an existing folder.

        Raises:
            OSError: it cannot be made; nothing stays open.
        """
        token = secrets.token_hex(8)
        with contextlib.ExitStack() as opened:

            def descriptor(name: str, parent: int | None) -> int:
                # The spool itself is the operator's path and may be a link; what is ours may not.
                flags = FOLDER if parent is not None else os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
                fd = os.open(name, flags, dir_fd=parent)
                opened.callback(os.close, fd)
                return fd

            parent = descriptor(spool, None)
            os.mkdir(token, 0o700, dir_fd=parent)
            opened.callback(_remove_quietly, parent, token)
            root = descriptor(token, parent)
            for name in FOLDERS:
                os.mkdir(name, 0o700, dir_fd=root)
            yard = descriptor("out", root)
            os.mkdir(RESULT, 0o700, dir_fd=yard)
            made = cls(
                token=token,
                path=os.path.join(os.path.abspath(spool), token),
                parent_fd=parent,
                root_fd=root,
                out_fd=descriptor(RESULT, yard),
                yard_fd=yard,
                handoff_fd=descriptor("handoff", root),
                ground_fd=descriptor(".", root),
            )
            opened.pop_all()
        return made

    def folder(self, name: str) -> str:
        """Names the path of one of the folders."""
        return os.path.join(self.path, name)

    def refresh_output(self) -> bool:
        """Turns the descriptor of the results to the folder that stands there now, if the script removed ours.

        Scripts empty their output folder by removing it and making it anew.

        Returns:
            False when there is no output folder.
        """
        if os.fstat(self.out_fd).st_nlink:
            return True
        try:
            present = unlocked_folder(self.yard_fd, RESULT)
        except OSError:
            return False
        os.dup2(present, self.out_fd, inheritable=False)
        os.close(present)
        return True

    def move_to(self, ground: int, out: int, handoff: int) -> None:
        """Goes by the folders of a file system that the box was given for all that its script writes.

        Args:
            ground: its root; all three become ours.
            out: folder of the results in it.
            handoff: folder of the two JSON files in it.

        Raises:
            OSError: the folder that holds the results cannot be opened.
        """
        yard = os.open("out", FOLDER, dir_fd=ground)
        ours = (self.ground_fd, self.out_fd, self.handoff_fd, self.yard_fd)
        for new, old in zip((ground, out, handoff, yard), ours, strict=True):
            os.dup2(new, old, inheritable=False)
            os.close(new)

    def close(self) -> None:
        """Closes the descriptors."""
        for fd in (self.ground_fd, self.handoff_fd, self.out_fd, self.yard_fd, self.root_fd, self.parent_fd):
            os.close(fd)

    def remove(self) -> None:
        """Removes the folder with all in it, then closes the descriptors.

        Raises:
            OSError: something could not be removed; all else is gone.
        """
        try:
            remove_tree(self.parent_fd, self.token)
        finally:
            self.close()


def _remove_quietly(parent: int, name: str) -> None:
    with contextlib.suppress(OSError):
        remove_tree(parent, name)


def remove_tree(parent: int, name: str) -> None:
    """Removes a folder that a stranger filled, of any depth and modes; follows no link and enters no mount.

    Args:
        parent: descriptor of the folder that holds it.
        name: one component; a tree that is gone already is no error.

    Raises:
        OSError: the first thing that could not be removed; everything else was.
    """
    try:
        fd = _open_root(parent, name)
    except FileNotFoundError:
        return
    try:
        with Cursor(fd) as cursor:
            problem = _empty(cursor)
    finally:
        os.close(fd)
    if problem:
        raise problem
    os.rmdir(name, dir_fd=parent)


def _open_root(parent: int, name: str) -> int:
    with Cursor(parent) as cursor:
        cursor.down(name, unlock=OWNER)
        return os.dup(cursor.fd)


def _empty(cursor: Cursor) -> OSError | None:
    """Removes all below the cursor's folder, without recursion; returns the first problem."""
    problem: OSError | None = None
    path: list[str] = []
    levels = [_Level()]
    while True:
        level = levels[-1]
        try:
            if level.folders:
                name = level.folders.pop()
                if not _removed_empty(cursor.fd, name):
                    cursor.down(name, unlock=OWNER)
                    path.append(name)
                    levels.append(_Level())
            elif level.more:
                level.list(cursor.fd)
            elif path:
                levels.pop()
                try:
                    cursor.up()
                except OSError as error:
                    return problem or error  # there is no way back to the rest
                os.rmdir(path.pop(), dir_fd=cursor.fd)
            else:
                return problem
        except OSError as error:
            problem = problem or error
            levels[-1].give_up()


def _removed_empty(parent: int, name: str) -> bool:
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError:
        return False  # most often there is something in it; whatever else it is shows on the way in
    return True


class _Level:
    """What is left to do in one folder of a tree that is being removed."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        #: Whether it must be listed (again).
        self.more = True

    def give_up(self) -> None:
        """Lists it no more: what could not be removed once would be met for ever."""
        self.more = False

    def list(self, fd: int) -> None:
        """Removes what is no folder, and remembers folders, up to a bound."""
        problem: OSError | None = None
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        self.folders.append(entry.name)
                    else:
                        os.unlink(entry.name, dir_fd=fd)
                except OSError as error:
                    problem = problem or error
                if len(self.folders) >= _BATCH:
                    break
        if problem:
            raise problem
        # Only a listing that met no folder shows that the level is empty.
        self.more = bool(self.folders)
