"""The loopback interface of a network namespace, which is down when the namespace is new (netdevice(7))."""

from __future__ import annotations

import fcntl
import socket
import struct
from typing import Final

# Numbers of <linux/sockios.h> and <linux/if.h>.
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 0x1
#: struct ifreq: the name, the flags, and what is left of its 40 bytes.
_IFREQ: Final = struct.Struct("16sH22x")
_NAME: Final = b"lo"


def bring_up() -> None:
    """Brings loopback up in the calling process's network namespace; 127.0.0.1 and ::1 come with it.

    Raises:
        OSError: the process has no CAP_NET_ADMIN in the namespace; the text names the call.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        flags = _flags(control)
        _ioctl(control, _SIOCSIFFLAGS, "SIOCSIFFLAGS", flags | _IFF_UP)


def is_up() -> bool:
    """Whether loopback is up in the calling process's network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        return bool(_flags(control) & _IFF_UP)


def _flags(control: socket.socket) -> int:
    return _ioctl(control, _SIOCGIFFLAGS, "SIOCGIFFLAGS", 0)


def _ioctl(control: socket.socket, request: int, name: str, flags: int) -> int:
    try:
        answer = fcntl.ioctl(control, request, _IFREQ.pack(_NAME, flags))
    except OSError as error:
        raise OSError(error.errno, f"ioctl({name}, lo) failed: {error.strerror}") from error
    return int(_IFREQ.unpack(answer)[1])
