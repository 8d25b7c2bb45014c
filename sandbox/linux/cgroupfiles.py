"""The files of one control group: read, write, make, remove, enter, and signal who stands in it.

Every function raises an `OSError` that names the call and the file (cgroups(7); the same files in versions 1 and 2).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import time
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: Longest file of a group that is read; `memory.stat` has some 2 KiB.
_FILE_BYTES: Final = 1 << 20


def _told(call: str, path: str, error: OSError) -> NoReturn:
    number = error.errno or 0
    raise OSError(number, f"{call}({path}) failed: {os.strerror(number)}") from error


def read(folder: str, name: str) -> str:
    """Reads one file of a group, without the white space at its ends.

    Raises:
        OSError: it is missing or not readable.
    """
    path = os.path.join(folder, name)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _FILE_BYTES).decode("ascii", "replace").strip()
        finally:
            os.close(fd)
    except OSError as error:
        _told("read", path, error)


def table(folder: str, name: str) -> dict[str, int]:
    """Reads a file of lines such as `oom_kill 3`; a line of another shape is left out.

    Raises:
        OSError: see `read`.
    """
    pairs = (line.split() for line in read(folder, name).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def write(folder: str, name: str, value: str | int) -> None:
    """Writes one file of a group in a single call.

    Raises:
        OSError: it is missing, not writable, or the kernel does not take the value.
    """
    path = os.path.join(folder, name)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(value).encode("ascii"))
        finally:
            os.close(fd)
    except OSError as error:
        _told(f"write '{value}'", path, error)


def has(folder: str, name: str) -> bool:
    """Whether a group has this file: most features of the kernel are found by their file."""
    return os.path.exists(os.path.join(folder, name))


def make(folder: str) -> None:
    """Makes a group.

    Raises:
        OSError: it stands there already, or may not be made.
    """
    try:
        os.mkdir(folder, 0o755)
    except OSError as error:
        _told("mkdir", folder, error)


def below(folder: str) -> Iterator[str]:
    """Lists a group and all groups in it, children before their parents; nothing when it is gone."""
    try:
        with os.scandir(folder) as entries:
            children = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for child in children:
        yield from below(child)
    yield folder


def remove(folder: str, patience: float = 2.0) -> None:
    """Removes a group with all groups in it; one that is gone already is no error.

    A group whose last process has just been reaped can be busy for a moment.

    Args:
        folder: the group.
        patience: seconds in which a busy group may become free.

    Raises:
        OSError: a process is still in it, or it may not be removed.
    """
    deadline = time.monotonic() + patience
    for path in below(folder):
        while True:
            try:
                os.rmdir(path)
            except FileNotFoundError:
                break
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    _told("rmdir", path, error)
                time.sleep(0.001)
            else:
                break


def pids(folder: str) -> list[int]:
    """Lists the processes of one group; those outside our pid namespace, which show as 0, are left out.

    Raises:
        OSError: see `read`; a group that is gone has no processes.
    """
    try:
        text = read(folder, "cgroup.procs")
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENODEV}:
            return []
        raise
    return [int(word) for word in text.split() if word != "0"]


def _listed(folders: Iterable[str]) -> set[int]:
    return {pid for folder in folders for pid in pids(folder)}


def doorway(folder: str) -> int:
    """Opens a group so that a process that inherits the descriptor can `enter` it, whatever it may do by itself then.

    Since Linux 5.17 (CVE-2021-4197) the rights of the opener count, not those of the writer. What enters has one
    thread, and version 1 moves a thread without stopping every fork of the host for a grace period of RCU, which takes
    milliseconds (cgroup_procs_write_start() of Linux 5.15).

    Returns:
        A descriptor that closes on exec, numbered 3 or higher.

    Raises:
        OSError: the group may not be entered.
    """
    path = os.path.join(folder, "tasks" if has(folder, "tasks") else "cgroup.procs")
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        if fd > 2:
            return fd
        try:
            return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        finally:
            os.close(fd)
    except OSError as error:
        _told("open", path, error)


def enter(doorways: Sequence[int]) -> None:
    """Moves the calling process into the groups of these descriptors, and closes them.

    Raises:
        OSError: the kernel refused.
    """
    for fd in doorways:
        try:
            os.write(fd, b"0")
        except OSError as error:
            _told("write '0'", f"a group's door, descriptor {fd}", error)
        finally:
            os.close(fd)


def kill_listed(folders: Iterable[str]) -> int:
    """Sends SIGKILL to each process of these groups but the caller, never to one that got a listed pid later.

    Returns:
        How many were signalled.

    Raises:
        OSError: see `read`, or a process may not be signalled.
    """
    held: dict[int, int] = {}
    try:
        groups = list(folders)
        for pid in _listed(groups) - {os.getpid()}:
            with contextlib.suppress(ProcessLookupError):
                held[pid] = os.pidfd_open(pid)
        # Listed once more with the descriptors in hand: what is still there is what they name.
        listed = held.keys() & _listed(groups) if held else set()
        for pid in listed:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(held[pid], signal.SIGKILL)
        return len(listed)
    finally:
        for fd in held.values():
            os.close(fd)
