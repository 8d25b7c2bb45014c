"""What a process can ask of the kernel about itself: death signal, adoption of orphans, privacy, no new privileges."""

from __future__ import annotations

import os
from typing import Final

from sandbox.linux import libc

# Numbers of <linux/prctl.h>; they are part of the kernel's ABI.
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_GET_CHILD_SUBREAPER: Final = 37
_PR_SET_NO_NEW_PRIVS: Final = 38


class ParentGoneError(RuntimeError):
    """The parent ended before its death signal could be armed."""


def die_with_parent(signum: int, parent: int) -> None:
    """Asks for `signum` when the thread that forked this process ends.

    The signal is not sent for a parent that is gone already (prctl(2), PR_SET_PDEATHSIG), so the parent is looked at
    again once it is armed.

    Args:
        signum: the signal to be sent.
        parent: pid of the process that forked this one.

    Raises:
        ParentGoneError: the parent ended before the signal was armed.
        OSError: the kernel refused.
    """
    libc.prctl(_PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        raise ParentGoneError(f"process {parent} ended before process {os.getpid()} had armed its death signal")


def adopt_orphans(*, adopt: bool = True) -> None:
    """Makes this process the parent of every orphan among its descendants (PR_SET_CHILD_SUBREAPER), or no longer."""
    libc.prctl(_PR_SET_CHILD_SUBREAPER, int(adopt))


def adopts_orphans() -> bool:
    """Whether this process is the parent of every orphan among its descendants."""
    return libc.prctl_answer(_PR_GET_CHILD_SUBREAPER) != 0


def hide() -> None:
    """Makes this process non-dumpable: without CAP_SYS_PTRACE nobody attaches to it or takes its descriptors."""
    libc.prctl(_PR_SET_DUMPABLE, 0)


def forgo_new_privileges() -> None:
    """Makes set-id bits and file capabilities without effect for this process and all it starts."""
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1)
