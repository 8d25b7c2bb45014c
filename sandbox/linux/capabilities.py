"""Capabilities of a process, all given up for good (capabilities(7))."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from sandbox.linux import libc

if TYPE_CHECKING:
    from collections.abc import Mapping

# Numbers of <linux/prctl.h> and <linux/securebits.h>.
_PR_CAPBSET_DROP: Final = 24
_PR_SET_SECUREBITS: Final = 28
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
#: NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, each with its lock, and KEEP_CAPS locked off: user id 0 and set-id
#: programs give no capability any more.
_SECUREBITS: Final = 0b1110_1111
#: No kernel has more; a capability's number is below 64 by the layout of capset(2).
_MOST: Final = 64
#: The five sets, as /proc/<pid>/status names them (proc_pid_status(5)).
SETS: Final = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def drop_all() -> None:
    """Empties all five capability sets of the calling thread, and locks the ways by which some could come back.

    Raises:
        OSError: the kernel refused, as it does without CAP_SETPCAP in the process's user namespace.
    """
    bar()
    drop()


def bar() -> None:
    """Locks the ways by which capabilities could come back; those that are held stay until `drop`.

    Raises:
        OSError: see `drop_all`.
    """
    libc.prctl(_PR_SET_SECUREBITS, _SECUREBITS)
    for number in range(_MOST):
        if not _dropped(number):
            break
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def drop() -> None:
    """Gives up the capabilities that the calling thread holds.

    Raises:
        OSError: the kernel refused.
    """
    libc.capset_none()


def _dropped(number: int) -> bool:
    try:
        libc.prctl(_PR_CAPBSET_DROP, number)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False  # beyond the kernel's last capability
        raise
    return True


def held(status: str = "/proc/self/status") -> Mapping[str, int]:
    """Reads the capability sets of a process.

    Args:
        status: its status file.

    Returns:
        Each name of `SETS` with its bit mask.

    Raises:
        OSError: the file cannot be read.
        ValueError: it lacks a set.
    """
    with open(status, encoding="ascii", errors="replace") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    missing = [name for name in SETS if name not in lines]
    if missing:
        raise ValueError(f"{status} lacks {', '.join(missing)}; is /proc a proc file system?")
    return {name: int(lines[name], 16) for name in SETS}
