"""Landlock: which files, TCP ports and processes outside the box a process may still reach (landlock(7), Linux 5.13).

A domain denies everything that its ABI knows and that no rule grants, for this process and all it will start, whatever
its user. What a process had open before is not touched, and these acts are beyond any ABI so far: chdir, stat, chmod,
chown, setxattr, utime, flock, and pathname sockets; the curated tree is for those. Rules hold inodes, not names.

It also keeps others' /proc/<pid>/environ, maps and descriptors from being read, but not from a process that has
CAP_PERFMON on the host (seen on Linux 6.18 for environ, maps and pagemap): capabilities have to go as well.

On some kernels the ABI that is reported is not the one that is accepted, so `usable_abi` builds a ruleset to know, and
`landproof.self_test` tries what is forbidden.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sandbox.linux import libc, syscalls

_READ: Final = ("execute", "read_file", "read_dir")
#: What a *file* can be granted; any other right on a file is EINVAL (landlock_add_rule(2)).
_OF_FILES: Final = ("execute", "write_file", "read_file", "truncate", "ioctl_dev")
#: Never granted: no script has a use for device nodes.
_NEVER: Final = ("make_char", "make_block")

#: Bits of LANDLOCK_ACCESS_FS_*, LANDLOCK_ACCESS_NET_* and LANDLOCK_SCOPE_* in <linux/landlock.h>, in their order.
_FS: Final = (
    *("execute", "write_file", "read_file", "read_dir", "remove_dir", "remove_file", "make_char", "make_dir"),
    *("make_reg", "make_sock", "make_fifo", "make_block", "make_sym", "refer", "truncate", "ioctl_dev"),
)
_NET: Final = ("bind_tcp", "connect_tcp")
_SCOPE: Final = ("abstract_unix_socket", "signal")

#: ABI: how many of the rights above it handles (file system, network, scope). Linux 5.13, 5.19, 6.2, 6.7, 6.10, 6.12;
#: ABI 7 (6.15) adds only flags about the audit log; a later ABI is used as the newest one known here.
_ABIS: Final = {1: (13, 0, 0), 2: (14, 0, 0), 3: (15, 0, 0), 4: (15, 2, 0), 5: (16, 2, 0), 6: (16, 2, 2), 7: (16, 2, 2)}
NEWEST: Final = max(_ABIS)

_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """The names of the rights that a domain denies unless a rule grants them."""

    fs: tuple[str, ...]
    net: tuple[str, ...]
    scope: tuple[str, ...]

    def attributes(self) -> bytes:
        """Packs a struct landlock_ruleset_attr, no longer than what the oldest kernel that knows these rights takes."""
        words = [_mask(_FS, self.fs), _mask(_NET, self.net), _mask(_SCOPE, self.scope)]
        while not words[-1]:
            words.pop()
        return struct.pack(f"={len(words)}Q", *words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What is in force after `Ruleset.restrict`, for the record."""

    #: The ABI whose rights are handled.
    abi: int
    #: The ABI that the kernel reports; more than `abi` where it is newer than this module or promises too much.
    reported: int
    handled: Handled

    def text(self) -> str:
        """Says it in a few words, such as "abi 7: 16 file rights, bind_tcp, connect_tcp, signal"."""
        promised = "" if self.abi == self.reported else f" of {self.reported}"
        return ", ".join(
            (f"abi {self.abi}{promised}: {len(self.handled.fs)} file rights", *self.handled.net, *self.handled.scope)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruleset:
    """What a process keeps: everything else that the kernel's ABI knows is denied to it."""

    #: Files and trees to read and execute: paths (links are followed) or open descriptors.
    read: tuple[str | int, ...] = ()
    #: Files and trees to do everything with, except making device nodes.
    write: tuple[str | int, ...] = ()
    #: Whether TCP is left alone. Off means that even the loopback of a network namespace of its own is denied.
    network: bool = False

    def restrict(self, use: int | None = None) -> Domain:
        """Puts the calling thread, and all that it starts, under this ruleset for ever.

        Args:
            use: the ABI whose rights are handled; None means the newest that the kernel accepts.

        Returns:
            What is in force.

        Raises:
            OSError: there is no Landlock here, a path cannot be opened, no_new_privs is not set (EPERM), or 16 domains
                are stacked already (E2BIG); the text names the call and the path.
        """
        level = usable_abi() if use is None else use
        if not level:
            raise OSError(
                errno.EOPNOTSUPP, "this kernel has no landlock; boot with lsm=landlock,... or choose a lower level"
            )
        everything = handled_by(level)
        handled = Handled(fs=everything.fs, net=() if self.network else everything.net, scope=everything.scope)
        ruleset = _create(handled)
        try:
            read, write = _granted(level)
            for target in self.read:
                _allow(ruleset, target, read)
            for target in self.write:
                _allow(ruleset, target, write)
            _call("landlock_restrict_self", ruleset, 0)
        finally:
            os.close(ruleset)
        return Domain(abi=level, reported=_reported(), handled=handled)


@cache
def handled_by(level: int) -> Handled:
    """Lists the rights of one ABI.

    Args:
        level: an ABI from 1 on; what is newer than `NEWEST` has at least the rights of that.
    """
    fs, net, scope = _ABIS[min(level, NEWEST)]
    return Handled(fs=_FS[:fs], net=_NET[:net], scope=_SCOPE[:scope])


def warm(level: int) -> None:
    """Works out beforehand what `restrict` needs for an ABI, 0 for none: forked processes find it done."""
    if level:
        _reported()
        _granted(level)


@cache
def _reported() -> int:
    return abi()


def abi() -> int:
    """Asks for the ABI that the kernel reports; 0 where there is no Landlock or it is off (landlock_create_ruleset(2)).

    Raises:
        OSError: the kernel, or a filter around us, refused to say.
    """
    try:
        return _call("landlock_create_ruleset", 0, 0, _CREATE_RULESET_VERSION)
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EOPNOTSUPP}:
            return 0
        raise


def usable_abi() -> int:
    """Finds the newest ABI whose whole set of rights the kernel really accepts; 0 where there is none.

    Raises:
        OSError: the kernel refused for another reason than not knowing a right.
    """
    for level in range(min(abi(), NEWEST), 0, -1):
        try:
            os.close(_create(handled_by(level)))
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.E2BIG}:
                raise
        else:
            return level
    return 0


def _create(handled: Handled) -> int:
    attributes = handled.attributes()
    memory = ctypes.create_string_buffer(attributes, len(attributes))
    return _call("landlock_create_ruleset", ctypes.addressof(memory), len(attributes), 0)


@cache
def _granted(level: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Works out what a rule grants to readers and to writers: the rights beneath a folder, and those of a file."""
    handled = handled_by(level).fs
    read = [right for right in _READ if right in handled]
    write = [right for right in handled if right not in _NEVER]
    of_read, of_write = (
        (_mask(_FS, rights), _mask(_FS, [right for right in rights if right in _OF_FILES])) for rights in (read, write)
    )
    return of_read, of_write


def _allow(ruleset: int, target: str | int, rights: tuple[int, int]) -> None:
    """Grants rights beneath one file or folder."""
    try:
        fd = target if isinstance(target, int) else os.open(target, os.O_PATH | os.O_CLOEXEC)
        try:
            granted = rights[0 if stat.S_ISDIR(os.fstat(fd).st_mode) else 1]
            # struct landlock_path_beneath_attr is packed: no bytes between or after its two members.
            rule = ctypes.create_string_buffer(struct.pack("=Qi", granted, fd), 12)
            _call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, ctypes.addressof(rule), 0)
        finally:
            if not isinstance(target, int):
                os.close(fd)
    except OSError as error:
        raise OSError(error.errno, f"landlock rule for {_name(target)}: {error.strerror}") from error


def _name(target: str | int) -> str:
    return f"descriptor {target}" if isinstance(target, int) else f"'{target}'"


def _mask(order: tuple[str, ...], names: Any) -> int:
    return sum(1 << order.index(name) for name in names)


def _call(name: str, *arguments: int) -> int:
    return libc.syscall(name, syscalls.number_here(name), *arguments)
