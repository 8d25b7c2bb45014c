"""The table of C library calls that Python has no name for; each raises `OSError` with the call in its text."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def _failed(name: str, arguments: tuple[object, ...]) -> OSError:
    number = ctypes.get_errno()
    call = f"{name}({', '.join(map(str, arguments))})"
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
