"""Going into the background: the only importer of python-daemon.

`start` forks a child while it is still single-threaded and has no handler, socket or thread. The child enters
`DaemonContext` (own session, second fork, "/" as its folder, every descriptor closed but the ready pipe), and only then
sets up logging and serves. It says one JSON line on the ready pipe: that it is ready, or what went wrong and with which
exit status. An end of the pipe without a word means that it died. There is no pidfile: `hosts/<id>.lock` is the guard
and `supervisor.json` in the run directory says who serves.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import daemon

from supervisor import logs
from supervisor.exitcodes import INTERNAL, OK

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO

#: What it makes is for the service user and its group alone.
_UMASK = 0o027
#: Longest line on the ready pipe, bytes; a pipe takes 4096 in one piece (pipe(7), PIPE_BUF).
_LINE = 4000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a child said on its ready pipe."""

    #: Pid of the supervisor that serves; 0 when none does.
    pid: int = 0
    #: What went wrong, "" for nothing.
    problem: str = ""
    status: int = OK


def launch(
    serve: Callable[[Callable[[], None]], tuple[str, int]],
    log_path: str,
    *,
    patience_seconds: float,
    style: str = "text",
) -> Word:
    """Fork a child that serves in the background, and return what it says.

    Args:
        serve: serves until told to stop; calls its argument once it is ready; returns what went wrong and a status.
        log_path: file for the log, and for whatever else the child writes.
        patience_seconds: how long the child is waited for; it is not ended when it takes longer.
        style: of the lines of the log, `log.format`.

    Raises:
        OSError: no child could be forked.
    """
    _open_standard_streams()
    ready_r, ready_w = os.pipe2(os.O_CLOEXEC)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(ready_r)
            _be_child(serve, log_path, style, ready_w)
        os.close(ready_w)
        ready_w = -1
        os.waitpid(pid, 0)  # the first of DaemonContext's two forks ends at once
        return _hear(ready_r, log_path, patience_seconds)
    finally:
        os.close(ready_r)
        if ready_w >= 0:
            os.close(ready_w)


def _open_standard_streams() -> None:
    """Have descriptors 0 to 2 open: DaemonContext redirects them, and cron or a careless parent may have closed one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # lives as long as we do


def _hear(ready_r: int, log_path: str, patience_seconds: float) -> Word:
    deadline = time.monotonic() + patience_seconds
    poll = select.poll()
    poll.register(ready_r, select.POLLIN)
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            text = (
                f'the supervisor is not ready after {patience_seconds:g} s and goes on trying; "{log_path}" tells more'
            )
            return Word(problem=text, status=INTERNAL)
        piece = os.read(ready_r, _LINE + 1)
        if not piece:
            break
        line += piece
    try:
        said = json.loads(line)
        return Word(pid=int(said["pid"]), problem=str(said["problem"]), status=int(said["status"]))
    except (ValueError, KeyError, TypeError):
        text = f'cannot serve: the supervisor died before it said why; "{log_path}" may tell more'
        return Word(problem=text, status=INTERNAL)


def _be_child(
    serve: Callable[[Callable[[], None]], tuple[str, int]], log_path: str, style: str, ready_w: int
) -> NoReturn:
    """Be the supervisor; never returns into the frames of the parent, whose `finally` is not ours."""
    speaker = _Speaker(ready_w)
    problem, status = "", INTERNAL
    try:
        os.umask(_UMASK)  # before the context sets it: the log is made here
        with open(log_path, "ab", buffering=0) as out:
            _detach(out, ready_w)
        logs.set_up("", style)  # to standard error, which is the log: a traceback of last resort lands there too
        problem, status = serve(speaker.ready)
    except OSError as error:
        problem = f"cannot serve: {error}"
    except BaseException as error:  # noqa: BLE001  # the last frame of the process: told to the parent and the log
        traceback.print_exc()
        problem = f"cannot serve: {type(error).__name__}: {error}; this is a defect, please report it"
    finally:
        if problem:
            log.critical("%s", problem)
        speaker.say(pid=0, problem=problem, status=status)
        logging.shutdown()
        os._exit(status)


def _detach(out: FileIO, ready_w: int) -> None:
    """Enter the daemon context; it is left by the end of the process alone."""
    ignored = dict.fromkeys((signal.SIGTTIN, signal.SIGTTOU, signal.SIGTSTP))
    daemon.DaemonContext(
        working_directory="/",
        umask=_UMASK,
        detach_process=True,
        files_preserve=[ready_w],
        stdout=out,
        stderr=out,
        signal_map=ignored,  # SIGTERM belongs to the service; until then its default ends us
    ).open()


class _Speaker:
    """The child's end of the ready pipe; says one line and closes it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def ready(self) -> None:
        """Say that messages are taken."""
        self.say(pid=os.getpid(), problem="", status=OK)

    def say(self, *, pid: int, problem: str, status: int) -> None:
        """Say what became of the start, once; a parent that has gone does not hear it."""
        if self._fd < 0:
            return
        line = json.dumps({"pid": pid, "problem": problem[: _LINE // 12], "status": status}).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            os.write(self._fd, line)
        os.close(self._fd)
        self._fd = -1
