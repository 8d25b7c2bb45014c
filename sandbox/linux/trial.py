"""Trying a guard in a forked child, so that the caller stays as free as it was."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING, Final

from sandbox.linux import fork, prctl

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds in which a trial must be over.
PATIENCE: Final = 20.0
#: Ends an answer, so that an empty one differs from none.
_END: Final = b"\0"
#: No answer is longer, in bytes.
_LONGEST: Final = 64 << 10


def run(act: Callable[[], str], *, patience: float = PATIENCE) -> str:
    """Runs `act` in a forked child and returns what it says.

    Args:
        act: what is tried; an exception that leaves it is told as its text.
        patience: seconds after which the child is killed.

    Returns:
        The text of `act`, or how the child ended when it gave none.

    Raises:
        OSError: the kernel could not make the child.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        pid = fork.fork_into(lambda: _live(act, write))
    except OSError:
        os.close(read)
        raise
    finally:
        os.close(write)
    try:
        answer = _listen(read, patience)
    finally:
        os.close(read)
        if not _over(pid):
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    if answer.endswith(_END):
        return answer.removesuffix(_END).decode("utf-8", "replace")
    return f"no answer: {how_it_ended(status)}"


def how_it_ended(status: int) -> str:
    """Says how a process ended.

    Args:
        status: its raw wait status (wait(2)).
    """
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit status {os.waitstatus_to_exitcode(status)}"


def _live(act: Callable[[], str], write: int) -> int:
    prctl.hide()  # a trial that is killed leaves no core behind
    fork.default_signals()
    fork.unblock_signals()
    try:
        answer = act()
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent shall hear of it
        answer = f"{type(error).__name__}: {error}"
    text = answer.encode("utf-8", "replace")[:_LONGEST] + _END
    while text:
        text = text[os.write(write, text) :]
    return 0


def _listen(read: int, patience: float) -> bytes:
    answer = b""
    deadline = time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0 and select.select([read], [], [], left)[0]:
        piece = os.read(read, _LONGEST)
        if not piece:
            break
        answer += piece
    return answer


def _over(pid: int) -> bool:
    """Whether the child ends within a second; it stays to be waited for."""
    until = time.monotonic() + 1
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > until:
            return False
        time.sleep(0.001)
    return True
