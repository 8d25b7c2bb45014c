"""Files that processes hold and that no folder shows: those in memory, and those whose last name was removed.

Every thread is looked at: a thread may have descriptors of its own (clone(2) without CLONE_FILES), and the first thread
may have ended while others go on, which leaves its own list empty (pthread_exit(3)).

Nothing but such a file is asked for its size: a process has others open on file systems that may hang, and whoever
asks for their size then hangs as well. The name by which a descriptor is listed is the kernel's, and costs no call.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from sandbox.linux import libc, proctree, syscalls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_IN_MEMORY: Final = "/memfd:"
#: What the name of a file without a name ends with, one in memory among them; another's may end so too.
_UNLINKED: Final = " (deleted)"
#: A pidfd of a thread that is not the first of its process (pidfd_open(2), PIDFD_THREAD, Linux 6.9).
_PIDFD_THREAD: Final = os.O_EXCL
#: Descriptors of a thread that hides its list, at most.
_MOST: Final = 65_536


def in_memory(pids: Iterable[int]) -> int:
    """Adds up files of memfd_create(2), each once however many share it; unmapped, they are in nobody's resident size.

    Args:
        pids: processes of our own user (proc_pid_fd(5)); those that end meanwhile, or cannot be read, count nothing.

    Returns:
        Bytes of the pages that the files have.
    """
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        for link, found in _held(pid):
            if link.startswith(_IN_MEMORY):
                sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())


def unlinked(pids: Iterable[int], device: int, *, mapped: bool) -> int:
    """Adds up regular files without a name, each once: they take room on a disk until nobody holds them any more.

    One that is mapped and open nowhere counts as long as its mapping, since nothing tells what it takes. A descriptor
    that is under way between two processes (unix(7), SCM_RIGHTS) is in nobody's list and counts nothing.

    Args:
        pids: as for `in_memory`.
        device: of the file system, as stat(2) has it; others count nothing.
        mapped: whether mappings are looked at as well. Their list waits for a process that is making one, which may
            stand in a file system that hangs (mmap_lock of the kernel).

    Returns:
        Bytes.
    """
    sizes: dict[int, int] = {}
    lengths: dict[int, int] = {}
    for pid in pids:
        for _, found in _held(pid):
            if stat.S_ISREG(found.st_mode) and not found.st_nlink and found.st_dev == device:
                sizes[found.st_ino] = found.st_blocks * 512
        for inode, length in _mapped(pid, device) if mapped else ():
            lengths[inode] = max(lengths.get(inode, 0), length)
    return sum((lengths | sizes).values())


def _held(pid: int) -> Iterator[tuple[str, os.stat_result]]:
    """Yields name and state of each file without a name that a process has open."""
    for thread in proctree.threads(pid):
        folder = f"/proc/{pid}/task/{thread}/fd"
        try:
            names = os.listdir(folder)
        except PermissionError:
            yield from _taken(pid, thread)
            continue
        except OSError:
            continue
        for name in names:
            path = f"{folder}/{name}"
            try:
                if (link := os.readlink(path)).endswith(_UNLINKED):
                    yield link, os.stat(path)
            except OSError:
                continue


def _taken(pid: int, thread: int) -> Iterator[tuple[str, os.stat_result]]:
    """Takes a copy of each descriptor of a thread whose list is shut to its own user, and looks at that; see `_held`.

    That is so for a process that made itself undumpable, or that runs a program which may not be read
    (proc_pid_fd(5), PR_SET_DUMPABLE(2const)). Whoever made the user namespace that it lives in may still reach into it
    (user_namespaces(7)), by pidfd_getfd(2), Linux 5.6.
    """
    try:
        process = os.pidfd_open(thread, 0 if thread == pid else _PIDFD_THREAD)
    except (OSError, AttributeError):
        return
    try:
        for number in range(min(_table_size(thread), _MOST)):
            try:
                fd = libc.syscall("pidfd_getfd", syscalls.number_here("pidfd_getfd"), process, number, 0)
            except OSError as error:
                if error.errno == errno.EBADF:
                    continue  # a gap in the list
                return
            try:
                if (link := os.readlink(f"/proc/self/fd/{fd}")).endswith(_UNLINKED):
                    yield link, os.fstat(fd)
            finally:
                os.close(fd)
    finally:
        os.close(process)


def _table_size(thread: int) -> int:
    """How many descriptors a thread may have open as its list stands (proc_pid_status(5), FDSize)."""
    try:
        with open(f"/proc/{thread}/status", "rb") as file:
            return next((int(line[7:]) for line in file if line.startswith(b"FDSize:")), 0)
    except OSError:
        return 0


def _mapped(pid: int, device: int) -> Iterator[tuple[int, int]]:
    """Yields inode and least length of the nameless files that a process has mapped (proc_pid_maps(5))."""
    where = f"{os.major(device):02x}:{os.minor(device):02x}".encode()
    ending = f"{_UNLINKED}\n".encode()
    for thread in proctree.threads(pid):
        try:
            with open(f"/proc/{pid}/task/{thread}/maps", "rb") as file:
                lines = [line.split(maxsplit=5) for line in file if line.endswith(ending)]
        except OSError:
            continue
        for span, _, offset, found, inode, _ in lines:
            start, end = (int(each, 16) for each in span.split(b"-"))
            if found == where:
                yield int(inode), int(offset, 16) + end - start
        if lines:
            return  # the threads of a process share their mappings
