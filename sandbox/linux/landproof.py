"""Proof by use that Landlock stops what its ABI promises: each forbidden act is tried, and must fail."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import stat
import tempfile
from typing import TYPE_CHECKING, Final

from sandbox.linux import landlock, prctl, trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: ioctl request that only reads a terminal's settings (ioctl_tty(2)): harmless, and no device of ours is a terminal.
_TCGETS: Final = 0x5401


def self_test(folder: str | None = None) -> str:
    """Tries the acts that a domain forbids, in a forked child under a real ruleset.

    Args:
        folder: where the trial's files are made (and removed again): a file system that boxes use; None means the
            system's folder for temporary files.

    Returns:
        "" when everything was stopped and what is granted still works, else what was not as it must be.

    Raises:
        OSError: the trial itself could not be set up.
    """
    if not landlock.abi():
        return "this kernel has no landlock"
    place = tempfile.mkdtemp(prefix="landlock-", dir=folder)
    try:
        for name in ("own/a", "own/b", "foreign"):
            os.makedirs(os.path.join(place, name))
        for name in ("own/a/file", "foreign/file"):
            _write(os.path.join(place, name))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("")  # an abstract name of the kernel's choice (unix(7), autobind)
            listener.listen(1)
            address, parent = listener.getsockname(), os.getpid()
            return trial.run(lambda: _under_rules(place, address, parent))
    finally:
        shutil.rmtree(place)


def _under_rules(place: str, address: bytes, parent: int) -> str:
    prctl.forgo_new_privileges()
    domain = landlock.Ruleset(read=("/dev/zero",), write=(os.path.join(place, "own"),)).restrict()
    handled = {*domain.handled.fs, *domain.handled.net, *domain.handled.scope}
    found = [_complaint(what, act, ()) for what, act in _granted(place, domain.abi)]
    for right, what, act, stopped in _forbidden(place, address, parent):
        if right in handled:
            found.append(_complaint(what, act, stopped))
    return "; ".join(text for text in found if text)


def _complaint(what: str, act: Callable[[], object], stopped: tuple[int, ...]) -> str:
    """Does it, and says what is wrong with the answer: it must be one of the errors, or none if there are none."""
    try:
        act()
    except OSError as error:
        if error.errno in stopped:
            return ""
        return f"{what}: {errno.errorcode.get(error.errno or 0, str(error))}"
    return f"{what} was not stopped" if stopped else ""


def _granted(place: str, abi: int) -> Iterator[tuple[str, Callable[[], object]]]:
    own = os.path.join(place, "own")
    yield "writing what is granted", lambda: _write(os.path.join(own, "new"))
    yield "truncating what is granted", lambda: os.truncate(os.path.join(own, "new"), 0)
    yield "listing what is granted", lambda: os.listdir(own)
    if abi >= 2:  # before that, no file moves between folders
        yield "moving what is granted", lambda: os.rename(os.path.join(own, "new"), os.path.join(own, "b", "new"))


def _forbidden(
    place: str, address: bytes, parent: int
) -> Iterator[tuple[str, str, Callable[[], object], tuple[int, ...]]]:
    """Yields the right, the act in words, the act, and the errors that mean that it was stopped."""
    own, foreign = os.path.join(place, "own"), os.path.join(place, "foreign")
    file, new, mine = os.path.join(foreign, "file"), os.path.join(foreign, "new"), os.path.join(own, "a", "file")
    denied = (errno.EACCES,)
    yield "read_file", "reading", lambda: _open(file, os.O_RDONLY), denied
    yield "read_dir", "listing", lambda: os.listdir(foreign), denied
    yield "write_file", "writing", lambda: _open(file, os.O_WRONLY), denied
    yield "truncate", "truncating", lambda: os.truncate(file, 0), denied
    # Not by open(2): where only the writing is denied it makes the file and fails all the same.
    yield "make_reg", "making a file", lambda: os.mknod(new, stat.S_IFREG | 0o600), denied
    yield "make_dir", "making a folder", lambda: os.mkdir(new), denied
    yield "make_sym", "making a link", lambda: os.symlink("file", new), denied
    yield "make_fifo", "making a pipe", lambda: os.mkfifo(new), denied
    yield "remove_file", "removing", lambda: os.unlink(file), denied
    # Both directions of a move; a file that came in would get the rights of its new folder.
    yield "make_reg", "moving out", lambda: os.rename(mine, new), denied
    yield "refer", "moving in", lambda: os.rename(file, os.path.join(own, "in")), (errno.EACCES, errno.EXDEV)
    yield "refer", "linking in", lambda: os.link(file, os.path.join(own, "in")), (errno.EACCES, errno.EXDEV)
    yield "ioctl_dev", "a device's ioctl", _ioctl, denied
    yield "bind_tcp", "binding a TCP port", lambda: _tcp(socket.socket.bind, ("127.0.0.1", 0)), denied
    yield "connect_tcp", "connecting by TCP", lambda: _tcp(socket.socket.connect, ("127.0.0.1", 9)), denied
    yield "abstract_unix_socket", "a socket outside", lambda: _connect(address), (errno.EPERM,)
    yield "signal", "a signal to the outside", lambda: os.kill(parent, 0), (errno.EPERM,)


def _write(path: str) -> None:
    with open(path, "wb") as file:
        file.write(b"text")


def _open(path: str, flags: int) -> None:
    os.close(os.open(path, flags | os.O_CLOEXEC))


def _ioctl() -> None:
    with open("/dev/zero", "rb", buffering=0) as device:
        fcntl.ioctl(device, _TCGETS, b"\0" * 64)


def _tcp(act: Callable[[socket.socket, tuple[str, int]], object], address: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET) as tcp:
        act(tcp, address)


def _connect(address: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.connect(address)
