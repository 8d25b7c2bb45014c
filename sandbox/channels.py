"""The shepherd's ends of a box's pipes: words in, reports and streams out; only `tell` waits."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import time
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from sandbox import init
from sandbox.init import Wires
from sandbox.logspool import LogSpool
from sandbox.reports import ReportReader
from sandbox.views import Views

_CHUNK: Final = 256 << 10
#: Chunks of one stream that are taken in one turn, so that a flood does not keep the limits from being looked at.
_CHUNKS: Final = 16
#: Words that wait in the pipe while nobody reads them: only the latest matter, so the pipe may be full.
_PIPE_BYTES: Final = 256 << 10
#: Descriptors that a builder gives at most.
_MOST_GIVEN: Final = 8
#: Seconds between two looks after a child whose end wakes nobody.
_LOOK: Final = 0.002
#: Seconds in which a builder that waits has to read what it is told.
_PATIENCE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """What the script said on its two streams."""

    stdout: LogSpool
    stderr: LogSpool

    @property
    def total(self) -> int:
        """Bytes of both streams."""
        return self.stdout.total + self.stderr.total

    @property
    def truncated(self) -> bool:
        """Whether bytes of either were left out."""
        return bool(self.stdout.left_out or self.stderr.left_out)


class Channels:
    """Four pipes and one epoll descriptor that is readable when any of them has something to say."""

    def __init__(self, log_limit: int, *, handover: bool = False) -> None:
        """Makes the pipes.

        Args:
            log_limit: bytes that are kept of each stream.
            handover: make a socket as well by which the builder gives descriptors.

        Raises:
            OSError: no descriptors left; nothing stays open.
        """
        self.logs = Logs(stdout=LogSpool(log_limit), stderr=LogSpool(log_limit))
        with contextlib.ExitStack() as opened:

            def pipe() -> tuple[int, int]:
                ends = _high_pipe()
                for fd in ends:
                    opened.callback(os.close, fd)
                return ends

            life_read, self._life = pipe()
            report_read, report = pipe()
            out_read, out = pipe()
            err_read, err = pipe()
            for fd in (out, err):
                with contextlib.suppress(OSError):  # the user's share of pipe memory is used up (pipe(7))
                    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            for fd in (self._life, report_read, out_read, err_read):
                os.set_blocking(fd, False)
            self._child = -1
            self._epoll = select.epoll()
            opened.callback(self._epoll.close)
            self._streams = {out_read: self.logs.stdout, err_read: self.logs.stderr}
            self.reports = ReportReader(report_read)
            for fd in (report_read, *self._streams):
                self._epoll.register(fd, select.EPOLLIN)
            #: The ends that the builder takes; closed here by `hand_over`.
            self.inner = Wires(life=life_read, report=report, stdout=out, stderr=err)
            self._inner_open = True
            self._handover: socket.socket | None = None
            if handover:
                self._handover, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                opened.callback(self._handover.close)
                self._handover.setblocking(False)
                self.inner = replace(self.inner, handover=_high(inner.detach()))
                opened.callback(os.close, self.inner.handover)
            opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Returns the epoll descriptor."""
        return self._epoll.fileno()

    def wait(self, seconds: float) -> None:
        """Waits until there is something to take, at most so long."""
        # Python rounds up to whole milliseconds: a wait that ended just before a timer would make its caller spin.
        self._epoll.poll(seconds)

    def watch(self, child: int) -> None:
        """Lets the end of a child of this process wake the caller too, where the kernel can (Linux 5.3).

        Its pipes close a little before it can be waited for, so their end alone tells too early.
        """
        with contextlib.suppress(OSError):
            self._child = os.pidfd_open(child)
            self._epoll.register(self._child, select.EPOLLIN)

    @property
    def watches(self) -> bool:
        """Whether the end of a child will wake the caller."""
        return self._child >= 0

    def wait_for_child(self, seconds: float) -> None:
        """Waits for the end of the watched child, at most so long; where the kernel cannot watch, a short while."""
        if self._child >= 0:
            poll = select.poll()  # not select(2): the caller may have more than 1 023 descriptors
            poll.register(self._child, select.POLLIN)
            poll.poll(seconds * 1000)
        else:
            time.sleep(min(seconds, _LOOK))

    def unwatch(self) -> None:
        """Forgets the child, which was waited for."""
        if self._child >= 0:
            self._forget(self._child)
            self._child = -1

    def hand_over(self) -> None:
        """Closes the inner ends, which the builder has now."""
        if self._inner_open:
            self._inner_open = False
            for fd in self.inner.all():
                os.close(fd)

    def tell(self, words: bytes) -> None:
        """Writes more than a word on the life pipe, to a builder that reads.

        Raises:
            OSError: nobody hears it, or nobody reads it within `_PATIENCE` seconds.
        """
        poll = select.poll()
        poll.register(self._life, select.POLLOUT)
        while words:
            if not poll.poll(_PATIENCE * 1000):
                raise TimeoutError(errno.ETIMEDOUT, "the builder does not read")
            with contextlib.suppress(BlockingIOError):
                words = words[os.write(self._life, words) :]

    def say(self, word: bytes) -> bool:
        """Writes a word on the life pipe.

        Returns:
            False when nobody can hear it.
        """
        try:
            os.write(self._life, word)
        except BlockingIOError:
            # 64 KiB of unread beats: the init sleeps or is stopped. A command must reach it when it wakes.
            return word == init.ALIVE
        except BrokenPipeError:
            return False
        return True

    def hang_up(self) -> None:
        """Closes the life pipe: whoever waits for a word, or lives by it, ends."""
        if self._life >= 0:
            os.close(self._life)
            self._life = -1

    def drain(self) -> None:
        """Takes what the streams have to say, up to a bound."""
        for fd in list(self._streams):
            self._drain(fd, _CHUNKS)

    def drain_rest(self) -> None:
        """Takes all that is left in the streams of a dead tree: at most what the pipes hold."""
        for fd in list(self._streams):
            while self._drain(fd, 1):
                continue

    def _drain(self, fd: int, chunks: int) -> bool:
        """Reads up to `chunks` pieces of one stream; returns whether there may be more."""
        spool = self._streams[fd]
        for _ in range(chunks):
            try:
                data = os.read(fd, _CHUNK)
            except BlockingIOError:
                return False
            if not data:
                self._drop(fd)
                return False
            spool.feed(data)
        return True

    def hear(self) -> list[dict[str, Any]]:
        """Takes the reports that have arrived; forgets the pipe at its end."""
        records = self.reports.read()
        if self.reports.closed and self.reports.fd >= 0:
            self._forget(self.reports.fd)
            self.reports.fd = -1
        return records

    def given(self) -> Views:
        """Takes the descriptors that the builder has given, once; they are the caller's."""
        if self._handover is None:
            return Views()
        with self._handover as handover:
            self._handover = None
            try:
                kinds, given, _, _ = socket.recv_fds(handover, _MOST_GIVEN, _MOST_GIVEN)
            except BlockingIOError:
                return Views()
        return Views.of(kinds, given)

    def _drop(self, fd: int) -> None:
        del self._streams[fd]
        self._forget(fd)

    def _forget(self, fd: int) -> None:
        self._epoll.unregister(fd)
        os.close(fd)

    def close(self) -> None:
        """Closes every descriptor; the end of the life pipe ends whatever still lives."""
        self.hand_over()
        for fd in self.given().all():
            os.close(fd)
        self.unwatch()
        for fd in list(self._streams):
            self._drop(fd)
        if self.reports.fd >= 0:
            self._forget(self.reports.fd)
            self.reports.fd, self.reports.closed = -1, True
        self.hang_up()
        self._epoll.close()


def _high_pipe() -> tuple[int, int]:
    """Makes a pipe whose ends close on exec and are numbered 3 or higher, also in a caller without 0, 1 and 2."""
    read, write = os.pipe()
    return _high(read), _high(write)


def _high(fd: int) -> int:
    if fd > 2:
        return fd
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return high
