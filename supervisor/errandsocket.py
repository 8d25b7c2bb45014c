"""The socket between supervisor and nursery: one small datagram and three descriptors make one shepherd (DESIGN §3).

SOCK_SEQPACKET in the run directory, SO_PEERCRED checked on both sides. Descriptors travel by SCM_RIGHTS and are
received with MSG_CMSG_CLOEXEC (`socket.recv_fds` drops its flags); a truncated control message is refused. The plan
with the script is a sealed memfd, since a datagram over 212 kB fails. Stdlib only.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import socket
import struct

#: Longest datagram, bytes: words, not payload.
_LONGEST = 4096
#: lock, job folder, plan.
DESCRIPTORS = 3
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
#: A plan larger than this was not made by a supervisor: messages are bounded (100 MiB frames of 2016's broker).
_PLAN_LIMIT = 256 * 1024 * 1024


class BadDatagram(Exception):
    """What came over the socket is not a request of ours."""


def bind(folder: str, name: str) -> socket.socket:
    """Listen at `name` in `folder`; bound through the folder's descriptor, since sun_path holds 108 bytes only."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, name))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    dirfd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{dirfd}/{name}")
    finally:
        os.close(dirfd)
    os.chmod(os.path.join(folder, name), 0o600)
    listener.listen(16)
    listener.setblocking(False)
    return listener


def connect(folder: str, name: str, timeout: float) -> socket.socket:
    """Connect to `name` in `folder`.

    Raises:
        OSError: nobody listens there.
        BadDatagram: somebody else's process listens there.
    """
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    link.settimeout(timeout)
    dirfd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        link.connect(f"/proc/self/fd/{dirfd}/{name}")
        check_peer(link)
    except BaseException:
        link.close()
        raise
    finally:
        os.close(dirfd)
    return link


def check_peer(link: socket.socket) -> int:
    """Return the pid of the other side, which must run as our own user (unix(7), SO_PEERCRED).

    Raises:
        BadDatagram: it runs as another user.
    """
    data = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _gid = struct.unpack("3i", data)
    if uid != os.geteuid():
        raise BadDatagram(f"the other side of the nursery's socket runs as uid {uid}, not as {os.geteuid()}")
    return int(pid)


def send(link: socket.socket, words: bytes, descriptors: list[int]) -> None:
    """Send one request."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())] if descriptors else []
    link.sendmsg([words], rights)


def receive(link: socket.socket) -> tuple[bytes, list[int]] | None:
    """Receive one request with its descriptors (close-on-exec); None at the end of the connection.

    Raises:
        BadDatagram: it was cut off; every descriptor received is closed.
    """
    size = array.array("i").itemsize
    words, ancillary, flags, _ = link.recvmsg(_LONGEST, socket.CMSG_SPACE(8 * size), socket.MSG_CMSG_CLOEXEC)
    descriptors: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers = array.array("i")
            numbers.frombytes(data[: len(data) - len(data) % size])
            descriptors += list(numbers)
    if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
        for fd in descriptors:
            os.close(fd)
        raise BadDatagram("a request to the nursery was cut off")
    if not words and not descriptors:
        return None
    return words, descriptors


def seal(data: bytes) -> int:
    """Return a sealed memfd that holds `data` (memfd_create(2)); the caller closes it."""
    fd = os.memfd_create("plan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def unseal(fd: int) -> bytes:
    """Return what a sealed memfd holds.

    Raises:
        BadDatagram: it is not sealed, or too large.
    """
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError as error:
        raise BadDatagram(f"the plan is not a sealed memory file ({error.strerror})") from error
    size = os.fstat(fd).st_size
    if seals & _SEALS != _SEALS or size > _PLAN_LIMIT:
        raise BadDatagram("the plan is not sealed, or too large")
    data = bytearray()
    while len(data) < size:
        piece = os.pread(fd, min(1 << 20, size - len(data)), len(data))
        if not piece:
            raise BadDatagram("the plan ends early")
        data += piece
    return bytes(data)
