"""Forking a child that never returns into its parent's Python stack."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` wraps, without an enum made of every number
import gc
import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING, Final

from sandbox.linux import libc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Signals that keep their default action in our own processes: the synchronous faults, what reaping needs, and what
#: cannot be changed. Everything else that a script may send to us is ignored.
_KEPT: Final = frozenset(
    {
        signal.SIGKILL,
        signal.SIGSTOP,
        signal.SIGCONT,
        signal.SIGCHLD,
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGABRT,
        signal.SIGTRAP,
        signal.SIGSYS,
    }
)


#: All signals as plain numbers; a fork of ours is short, and making enums of them takes longer than the fork itself.
_ALL: Final = frozenset(map(int, signal.valid_signals()))
_IGNORED: Final = tuple(sorted(_ALL - _KEPT))
_DEFAULT: Final = tuple(sorted(_KEPT - {signal.SIGKILL, signal.SIGSTOP}, key=int))
_SETTABLE: Final = tuple(sorted(_ALL - {signal.SIGKILL, signal.SIGSTOP}))


def fork_into(main: Callable[[], int]) -> int:
    """Forks a child that runs `main` and ends with its result by `os._exit`: no cleanup of the parent runs in it.

    Every signal is blocked in the child until it calls `ignore_signals` or `default_signals`, so no handler of the
    parent ever runs there and nothing is written to the parent's wake-up descriptor.

    Args:
        main: the child's whole life; an exception that leaves it ends the child with status 70.

    Returns:
        The child's pid, in the parent only.

    Raises:
        OSError: the kernel could not make the process.
    """
    before = _signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
    try:
        pid = _fork()
        if pid == 0:
            status = 70
            try:
                gc.disable()  # a finalizer of the parent's objects must not run in the child
                status = main()
            finally:
                os._exit(status)
    finally:
        _signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _fork() -> int:
    # Hooks of Python's own modules (random, logging, threading, ...) take as long in the child as the fork itself. They
    # renew what other threads may have held; where there is none, there is nothing to renew. A second thread that waits
    # for the interpreter's lock makes them needful: the child would wait for it to take its turn.
    if len(sys._current_frames()) == 1:  # noqa: SLF001 - documented, and knows threads that `threading` did not make
        return libc.fork()
    if sys.version_info < (3, 12):
        return os.fork()
    with warnings.catch_warnings():
        # Python 3.12 warns in the *parent, after* the fork, when any thread exists (faulthandler's watchdog is one).
        # Raised as an error it would lose the child's pid.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def ignore_signals() -> None:
    """Ignores every signal that a script could send to one of our own processes, and unblocks them."""
    _set_all(signal.SIG_IGN, _IGNORED)
    _set_all(signal.SIG_DFL, _DEFAULT)


def default_signals() -> None:
    """Gives every signal its default action: what a program may expect to find (signal(7))."""
    _set_all(signal.SIG_DFL, _SETTABLE)


def _set_all(action: signal.Handlers, numbers: Iterable[int]) -> None:
    _signal.set_wakeup_fd(-1)
    for number in numbers:
        _signal.signal(int(number), int(action))


def unblock_signals() -> None:
    """Lets signals through again after `ignore_signals` or `default_signals`."""
    _signal.pthread_sigmask(signal.SIG_SETMASK, ())


def close_descriptors(keep: Iterable[int]) -> None:
    """Closes every descriptor of this process except `keep`.

    Args:
        keep: descriptors that stay open.
    """
    kept = set(keep)
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number not in kept:
            try:
                os.close(number)
            except OSError:
                continue  # the descriptor of the listing itself
