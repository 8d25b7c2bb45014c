"""Namespaces of a process: leaving the host's by unshare(2), and the one-to-one maps of a user namespace.

See namespaces(7), user_namespaces(7). The map files of a process belong to its user only while it is dumpable
(proc_pid(5)); a process that changed its user id is not, until `keep_dumpable` was called.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Final

from sandbox.linux import libc, trial

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names used in plans and records, with the CLONE_NEW* numbers of <linux/sched.h>.
FLAGS: Final[Mapping[str, int]] = {
    "user": 0x1000_0000,
    "mnt": 0x0002_0000,
    "pid": 0x2000_0000,
    "net": 0x4000_0000,
    "ipc": 0x0800_0000,
    "uts": 0x0400_0000,
    "cgroup": 0x0200_0000,
}
_PR_SET_DUMPABLE: Final = 4
#: What makes a host refuse, by the number that unshare(2) or write(2) answered.
_REMEDIES: Final[Mapping[int, str]] = {
    errno.ENOSPC: "raise user.max_user_namespaces with sysctl (and the other user.max_*_namespaces)",
    errno.EUSERS: "namespaces are nested too deeply; start from fewer containers",
    errno.EPERM: "set kernel.unprivileged_userns_clone=1 where that exists, load the AppArmor profile with 'userns,' "
    "where kernel.apparmor_restrict_unprivileged_userns is 1, and start from no chroot",
    errno.EACCES: "load the AppArmor profile with 'userns,'",
    errno.EINVAL: "the kernel was built without one of these namespaces; use a kernel of the distribution",
}


def unshare(names: tuple[str, ...]) -> None:
    """Moves the calling process into new namespaces; the new pid namespace begins with its next child.

    The process must have one thread. With `user` among the names it then has every capability inside, and an id map
    must be written before it makes files.

    Args:
        names: keys of `FLAGS`.

    Raises:
        KeyError: a name that is no namespace.
        OSError: the kernel refused (unshare(2)).
    """
    flags = 0
    for name in names:
        flags |= FLAGS[name]
    libc.unshare(flags)


def write_maps(uid_inside: int, gid_inside: int, uid: int, gid: int) -> None:
    """Gives the calling process's new user namespace one user and one group, and denies setgroups(2) in it.

    Supplementary groups stay as they are: whoever has some that matter lets go of them before `unshare`.

    Args:
        uid_inside: the user id as seen in the namespace.
        gid_inside: ditto for the group.
        uid: the user id as seen outside: the caller's effective one, unless it was root.
        gid: ditto for the group.

    Raises:
        OSError: a map was refused (user_namespaces(7)); EACCES means that the process is not dumpable.
    """
    _write("setgroups", "deny")  # gid_map is refused to an unprivileged writer before this
    _write("uid_map", f"{uid_inside} {uid} 1")
    _write("gid_map", f"{gid_inside} {gid} 1")


def _write(name: str, text: str) -> None:
    path = f"/proc/self/{name}"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())  # a map is taken in one write or not at all
        finally:
            os.close(fd)
    except OSError as error:
        raise OSError(error.errno, f"cannot write {text!r} to {path}: {error.strerror}") from error


def keep_dumpable() -> None:
    """Makes this process dumpable again after it changed its user id; else its map files belong to root.

    Raises:
        OSError: the kernel refused (prctl(2), PR_SET_DUMPABLE).
    """
    libc.prctl(_PR_SET_DUMPABLE, 1)


def set_hostname(name: str) -> None:
    """Names the host in the calling process's uts namespace.

    Raises:
        OSError: the process has no CAP_SYS_ADMIN in it (sethostname(2)).
    """
    try:
        socket.sethostname(name)
    except OSError as error:
        raise OSError(error.errno, f"sethostname({name!r}) failed: {error.strerror}") from error


def can_unshare(names: tuple[str, ...] = tuple(FLAGS)) -> str:
    """Tries in a forked child whether this process may make the namespaces and has power in them.

    A host may let unshare(2) pass and take away the capabilities (AppArmor), so the child also writes its maps and
    names its host. The caller has one thread.

    Args:
        names: keys of `FLAGS`, with `user`.

    Returns:
        Why not, with a remedy; empty if it may.
    """
    return trial.run(lambda: _try(names))


def _try(names: tuple[str, ...]) -> str:
    uid, gid = os.geteuid(), os.getegid()
    try:
        keep_dumpable()  # a trial's child is hidden
        unshare(names)
        write_maps(uid, gid, uid, gid)
        if "uts" in names:
            set_hostname("box")
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "see user_namespaces(7)")
        return f"namespaces {' '.join(names)} are refused here: {error.strerror}; {remedy}"
    return ""
