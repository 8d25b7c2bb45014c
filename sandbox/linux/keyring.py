"""The session keyring: a box starts with an empty one of its own (keyrings(7), session-keyring(7))."""

from __future__ import annotations

import errno
from typing import Final

from sandbox.linux import libc, syscalls

#: KEYCTL_JOIN_SESSION_KEYRING of <linux/keyctl.h>.
_JOIN_SESSION_KEYRING: Final = 1
#: KEYCTL_GET_KEYRING_ID, and KEY_SPEC_SESSION_KEYRING.
_GET_KEYRING_ID: Final = 0
_SESSION_KEYRING: Final = -3


def join_new_session() -> bool:
    """Replaces this process's session keyring by a new one without a name, which nobody else can join (keyctl(2)).

    Keys that the caller's session holds (Kerberos tickets, tokens of file systems) are out of reach afterwards. To be
    called before the filter of system calls, which denies keyctl.

    Returns:
        True when it was done; False when this kernel has no keys at all (ENOSYS), so there is nothing to hide.

    Raises:
        OSError: the kernel refused, for instance because the user owns too many keys (EDQUOT; see
            /proc/sys/kernel/keys/maxkeys).
    """
    try:
        libc.syscall("keyctl", syscalls.number_here("keyctl"), _JOIN_SESSION_KEYRING, 0)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            return False
        raise
    return True


def session() -> int:
    """Names the session keyring of this process by its number; 0 where it has none or the kernel has no keys.

    Raises:
        OSError: the kernel refused for another reason (keyctl(2)).
    """
    try:
        number = syscalls.number_here("keyctl")
        return libc.syscall("keyctl", number, _GET_KEYRING_ID, _SESSION_KEYRING, 0)
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.ENOKEY}:
            return 0
        raise
