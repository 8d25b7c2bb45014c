"""The nursery: a single-threaded fork server with everything imported, no secrets and no logic (DESIGN §3).

A threaded supervisor must not run Python between fork and exec, a death signal follows the thread that forked, and a
living shepherd must not load half-upgraded code: so shepherds are forked here, in milliseconds. The nursery closes
every received descriptor right after the fork, reaps, and ends when nobody needs it any more. Shepherds do not die
with it. It takes plans of its own version only: what a record says of the code that ran is so.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import fcntl
import gc
import json
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

# The nursery imports what a shepherd needs, before it forks the first one.
from sandbox import enclosure
from sandbox.linux import fork, prctl, proctree, rlimits
from supervisor import errandsocket, failpoints, pinned, rundir, shepherd
from supervisor.failpoints import effect
from supervisor.notify import Notifier
from supervisor.runplan import RunPlan

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

#: Seconds without a connected supervisor, and without a shepherd, after which the nursery is not needed any more.
_IDLE = 60.0
_TURN = 5.0


class Nursery:
    """Forks shepherds for the supervisors that connect."""

    def __init__(self, folder: str, version: str, guard: int, *, idle: float, stays: bool, notifier: Notifier) -> None:
        """Listen in `folder` for supervisors of `version`.

        Args:
            folder: the run directory.
            version: of the code of this process.
            guard: the descriptor whose lock says that we serve; no shepherd may keep it, or no other nursery could
                follow us while one lives.
            idle: seconds without work after which we end; 0: never.
            stays: do so only when a supervisor of another version serves: a service manager runs us.
            notifier: the service manager, if there is one.
        """
        self._guard = guard
        self._folder = folder
        self._version = version
        self._listener = errandsocket.bind(folder, socket_name(version))
        self._idle = idle
        self._stays = stays
        self._notifier = notifier
        self._links: dict[int, socket.socket] = {}
        self._shepherds: set[int] = set()
        self._needed = time.monotonic()
        self._ending = False
        #: Something of a dead shepherd's box was still found at the last look.
        self._orphans = False
        self._wake_r, self._wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> int:
        """Serve until nobody needs us; return the exit status."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_ending", True))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.set_wakeup_fd(self._wake_w, warn_on_full_buffer=False)
        prctl.adopt_orphans()
        self._notifier.ready()
        told = False
        while True:
            poll = select.poll()
            poll.register(self._wake_r, select.POLLIN)
            if not self._ending:
                poll.register(self._listener, select.POLLIN)
                for fd in self._links:
                    poll.register(fd, select.POLLIN)
            ready = {fd for fd, _ in poll.poll(int(_TURN * 1000))}
            with contextlib.suppress(BlockingIOError):
                while os.read(self._wake_r, 4096):
                    continue
            self._reap()
            if self._ending and not told:
                told = True
                self._notifier.stopping()
                self._end_shepherds()
            if self._listener.fileno() in ready:
                self._accept()
            for fd in ready & set(self._links):
                self._serve_link(fd)
            if self._is_done():
                return 0

    def _is_done(self) -> bool:
        now = time.monotonic()
        if self._links or self._shepherds:
            self._needed = now
        if self._shepherds:
            return False
        if self._ending:
            return True
        if self._idle <= 0 or now - self._needed < self._idle:
            return False
        return not self._stays or self._is_replaced()

    def _is_replaced(self) -> bool:
        """Say whether the supervisor that served last was of another version; where none says so, we are needed."""
        served = rundir.read_local(self._folder, rundir.IDENTITY_FILE) or {}
        return served.get("version", self._version) != self._version

    def _end_shepherds(self) -> None:
        """Host shutdown: each shepherd ends its box and links `released{host shutdown}`; we wait for them."""
        self._listener.close()
        for link in self._links.values():
            link.close()
        self._links.clear()
        for pid in self._shepherds:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _accept(self) -> None:
        link, _ = self._listener.accept()
        try:
            errandsocket.check_peer(link)
        except errandsocket.BadDatagram as bad:
            print(f"nursery: {bad}", file=sys.stderr)  # noqa: T201  # stderr is this process's log
            link.close()
            return
        self._links[link.fileno()] = link

    def _serve_link(self, fd: int) -> None:
        link = self._links[fd]
        descriptors: list[int] = []
        try:
            request = errandsocket.receive(link)
            if request is None:
                raise ConnectionResetError
            descriptors = request[1]
            answer = self._fork(descriptors)
            link.send(json.dumps(answer).encode())
        except (OSError, errandsocket.BadDatagram, ValueError) as problem:
            if not isinstance(problem, ConnectionError):
                print(f"nursery: {problem}", file=sys.stderr)  # noqa: T201  # stderr is this process's log
            del self._links[fd]
            link.close()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _fork(self, descriptors: list[int]) -> dict[str, int | str]:
        if len(descriptors) != errandsocket.DESCRIPTORS:
            raise errandsocket.BadDatagram(f"a request came with {len(descriptors)} descriptors")
        lock_fd, job_fd, plan_fd = descriptors
        plan = RunPlan.from_bytes(errandsocket.unseal(plan_fd))
        if plan.code_version != self._version:
            raise errandsocket.BadDatagram(
                f"a plan of version {plan.code_version} came to a nursery of {self._version}"
            )
        with effect("nursery.fork"):
            pid = fork.fork_into(lambda: self._become_shepherd(plan, lock_fd, (job_fd, plan_fd)))
        self._shepherds.add(pid)
        who = proctree.identity(pid)  # our child, not waited for yet: it cannot be gone
        return {"pid": pid, "start": who.start if who is not None else 0}

    def _become_shepherd(self, plan: RunPlan, lock_fd: int, others: tuple[int, ...]) -> NoReturn:
        """Be the shepherd; runs in the child, with every signal blocked until the defaults are back."""
        signal.set_wakeup_fd(-1)
        fork.default_signals()
        gc.enable()
        os.setsid()
        self._listener.close()
        for link in self._links.values():
            link.close()
        for fd in (*others, self._guard, self._wake_r, self._wake_w):
            os.close(fd)
        shepherd.main(plan, lock_fd, self._folder)

    def _reap(self) -> None:
        """Reap shepherds; where one is gone, end what its box left to us, the adopter of last resort."""
        gone = False
        while True:
            try:
                pid, _status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            gone = gone or pid in self._shepherds
            self._shepherds.discard(pid)
        if gone or self._orphans:
            self._orphans = bool(proctree.stop_then_kill(self._find_orphans))

    def _find_orphans(self) -> tuple[list[proctree.Process], Mapping[int, proctree.Process]]:
        """Find what runs below us and below no living shepherd: the box of one that was killed."""
        table = proctree.scan()
        spared = set(self._shepherds)
        for pid in self._shepherds:
            spared |= {process.pid for process in proctree.descendants(pid, table)}
        mine = proctree.descendants(os.getpid(), table)
        return [process for process in mine if process.living and process.pid not in spared], table


def socket_name(version: str) -> str:
    """Return what the socket is called in the run directory: a supervisor asks the nursery of its own version."""
    return f"nursery-{version}.sock"


def main() -> NoReturn:
    """Run the nursery; the command line is internal."""
    pinned.pin()
    parser = argparse.ArgumentParser(prog="autoreduce-nursery")
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--version", default="", help="the version that is asked for")
    parser.add_argument("--idle", type=float, default=_IDLE)
    parser.add_argument("--stays", action="store_true", help="a service manager runs us")
    parser.add_argument("--ready-fd", type=int, default=-1)
    options = parser.parse_args()
    version = pinned.code_version()
    if options.version not in ("", version):
        sys.exit(f"nursery: version {options.version} was asked for, but the code that is installed is {version}")
    notifier = Notifier.take(os.environ)
    rlimits.raise_open_files()
    enclosure.warm()
    failpoints.enter_process("nursery")
    for encoding in ("ascii", "utf-8", "utf-8-sig", "latin-1"):
        codecs.lookup(encoding)  # loads its module: a living shepherd loads nothing, even when the package is replaced
    guard_path = os.path.join(options.run_dir, f"{socket_name(version)}.lock")
    guard = os.open(guard_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(0)  # another one of this version serves already
    try:
        rundir.take_place(options.run_dir, version)
    except OSError as error:
        print(f"nursery: no control groups for boxes: {error}", file=sys.stderr)  # noqa: T201
    nursery = Nursery(options.run_dir, version, guard, idle=options.idle, stays=options.stays, notifier=notifier)
    if options.ready_fd >= 0:
        with contextlib.suppress(BrokenPipeError):  # whoever started us was killed; the next supervisor connects
            os.write(options.ready_fd, b"ready")
        os.close(options.ready_fd)
    sys.exit(nursery.serve())


if __name__ == "__main__":
    main()
