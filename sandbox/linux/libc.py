"""The table of C library calls that Python has no name for; each raises `OSError` with the call in its text."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def _failed(name: str, arguments: tuple[object, ...]) -> OSError:
    number = ctypes.get_errno()
    # What is passed by reference is an object of ctypes, whose representation says nothing to anybody.
    shown = [str(given) if given is None or isinstance(given, int | str | bytes) else "..." for given in arguments]
    call = f"{name}({', '.join(shown)})"
    return OSError(number, f"{call} failed: {os.strerror(number)}")


def _minus_one_is_an_error(result: Any, function: Any, arguments: tuple[Any, ...]) -> Any:
    if result == -1:
        raise _failed(getattr(function, "__name__", "call"), arguments)
    return result


#: prctl(2): int prctl(int option, unsigned long arg2 .. arg5)
_prctl = _LIBC.prctl
_prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]
_prctl.restype = ctypes.c_int
_prctl.errcheck = _minus_one_is_an_error


def prctl(option: int, argument: int = 0) -> int:
    """Calls the kernel's prctl with one argument, the others zero.

    Args:
        option: a PR_* number of <linux/prctl.h>.
        argument: the option's own argument.

    Returns:
        What the kernel answered, never negative.

    Raises:
        OSError: the kernel refused; the text names the call.
    """
    return int(_prctl(option, argument, 0, 0, 0))


def prctl_answer(option: int) -> int:
    """Calls the kernel's prctl with an option that stores its answer through a pointer to int.

    Args:
        option: a PR_GET_* number of <linux/prctl.h>.

    Returns:
        What was stored.

    Raises:
        OSError: the kernel refused; the text names the call.
    """
    answer = ctypes.c_int()
    _prctl(option, ctypes.addressof(answer), 0, 0, 0)
    return answer.value


#: syscall(2): long syscall(long number, ...), for calls that the C library has no function for
_syscall = _LIBC.syscall
_syscall.argtypes = [ctypes.c_long] * 7
_syscall.restype = ctypes.c_long


def syscall(name: str, number: int, *arguments: int) -> int:
    """Calls the kernel by number.

    Args:
        name: the call's name, for the error's text.
        number: the call's number on this processor (`sandbox.linux.syscalls`).
        arguments: at most six numbers or addresses; the rest is zero.

    Returns:
        What the kernel answered, never -1.

    Raises:
        OSError: the kernel refused; the text names the call.
    """
    result = int(_syscall(number, *arguments, *(0,) * (6 - len(arguments))))
    if result == -1:
        raise _failed(name, arguments)
    return result


#: fork(2) with the interpreter's lock held, which the child holds then; none of Python's own hooks runs around it
_fork = ctypes.PyDLL(None, use_errno=True).fork
_fork.argtypes = []
_fork.restype = ctypes.c_int
_fork.errcheck = _minus_one_is_an_error


def fork() -> int:
    """Forks a process that has one thread; `sandbox.linux.fork` says when that is right."""
    return int(_fork())


#: unshare(2): int unshare(int flags)
_unshare = _LIBC.unshare
_unshare.argtypes = [ctypes.c_int]
_unshare.restype = ctypes.c_int
_unshare.errcheck = _minus_one_is_an_error


def unshare(flags: int) -> None:
    """Leaves namespaces by CLONE_NEW* numbers; Python has the call from 3.12 only."""
    _unshare(flags)


#: mount(2): int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)
_mount = _LIBC.mount
_mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_mount.restype = ctypes.c_int
_mount.errcheck = _minus_one_is_an_error


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Attaches a file system, or changes an attached one; what is None is passed as a null pointer."""
    _mount(_bytes(source), os.fsencode(target), _bytes(kind), flags, _bytes(data))


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


#: umount2(2): int umount2(const char *target, int flags)
_umount2 = _LIBC.umount2
_umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_umount2.restype = ctypes.c_int
_umount2.errcheck = _minus_one_is_an_error


def umount2(target: str, flags: int) -> None:
    """Detaches what is mounted at a path."""
    _umount2(os.fsencode(target), flags)


#: pivot_root(2): int pivot_root(const char *new_root, const char *put_old); exported by glibc, declared nowhere
_pivot_root = _LIBC.pivot_root
_pivot_root.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
_pivot_root.restype = ctypes.c_int
_pivot_root.errcheck = _minus_one_is_an_error


def pivot_root(new_root: str, put_old: str) -> None:
    """Changes the root of the mount namespace."""
    _pivot_root(os.fsencode(new_root), os.fsencode(put_old))


#: Numbers of the calls that glibc knows since 2.36 only; they are the same on every architecture but alpha.
_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_MOUNT_SETATTR: Final = 442


#: "", for the calls that take a descriptor alone; kept, because a box needs some hundred of them.
_EMPTY: Final = ctypes.create_string_buffer(b"")
_NO_PATH: Final = ctypes.addressof(_EMPTY)
#: struct mount_attr: attr_set, attr_clr, propagation, userns_fd, each of 64 bits.
_MountAttr: Final = ctypes.c_uint64 * 4


def open_tree(dirfd: int, flags: int) -> int:
    """Opens or copies the mount of a descriptor (Linux 5.2) and returns a new one; `flags` hold AT_EMPTY_PATH."""
    return syscall("open_tree", _OPEN_TREE, dirfd, _NO_PATH, flags)


def move_mount(from_fd: int, to_fd: int, flags: int) -> None:
    """Attaches a mount (Linux 5.2) from one descriptor to another; `flags` hold the two *_EMPTY_PATH."""
    syscall("move_mount", _MOVE_MOUNT, from_fd, _NO_PATH, to_fd, _NO_PATH, flags)


def mount_setattr(dirfd: int, flags: int, attr_set: int, propagation: int = 0) -> None:
    """Sets attributes of the mount of a descriptor (Linux 5.12); `flags` hold AT_EMPTY_PATH.

    Args:
        dirfd: the descriptor.
        flags: AT_* numbers.
        attr_set: MOUNT_ATTR_* numbers.
        propagation: MS_PRIVATE and the like; 0 leaves it.
    """
    attr = _MountAttr(attr_set, 0, propagation, 0)
    syscall("mount_setattr", _MOUNT_SETATTR, dirfd, _NO_PATH, flags, ctypes.addressof(attr), ctypes.sizeof(attr))


class _CapHeader(ctypes.Structure):
    """struct __user_cap_header_struct of capset(2)."""

    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapData(ctypes.Structure):
    """struct __user_cap_data_struct of capset(2)."""

    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


_CAPABILITY_VERSION_3: Final = 0x2008_0522
#: capset(2): int capset(cap_user_header_t header, const cap_user_data_t data)
_capset = _LIBC.capset
_capset.argtypes = [ctypes.POINTER(_CapHeader), ctypes.POINTER(_CapData)]
_capset.restype = ctypes.c_int
_capset.errcheck = _minus_one_is_an_error


def capset_none() -> None:
    """Calls capset(2) for the calling thread with empty effective, permitted and inheritable sets."""
    header = _CapHeader(version=_CAPABILITY_VERSION_3, pid=0)
    data = (_CapData * 2)()
    _capset(ctypes.byref(header), data)


#: shmget(2): int shmget(key_t key, size_t size, int shmflg)
_shmget = _LIBC.shmget
_shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
_shmget.restype = ctypes.c_int
_shmget.errcheck = _minus_one_is_an_error


def shmget(key: int, size: int, flags: int) -> int:
    """Finds or makes a segment of System V shared memory and returns its id."""
    return int(_shmget(key, size, flags))


#: shmctl(2): int shmctl(int shmid, int op, struct shmid_ds *buf)
_shmctl = _LIBC.shmctl
_shmctl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
_shmctl.restype = ctypes.c_int
_shmctl.errcheck = _minus_one_is_an_error


def shmctl(segment: int, operation: int) -> None:
    """Controls a segment by an operation that needs no buffer."""
    _shmctl(segment, operation, None)


#: adjtimex(2): int adjtimex(struct timex *buf); 208 bytes, of which `modes` 0 asks only
_adjtimex = _LIBC.adjtimex
_adjtimex.argtypes = [ctypes.c_void_p]
_adjtimex.restype = ctypes.c_int
_adjtimex.errcheck = _minus_one_is_an_error


def adjtimex() -> tuple[int, bytes]:
    """Asks the kernel's clock for its state: the answer, and struct timex as it was filled in."""
    memory = ctypes.create_string_buffer(256)
    return int(_adjtimex(memory)), memory.raw
