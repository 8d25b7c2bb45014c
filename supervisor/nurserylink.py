"""The supervisor's side of the nursery: connect to the one of our own version, start it where there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from supervisor import errandsocket, failpoints
from supervisor.failpoints import effect
from supervisor.records import Identity

if TYPE_CHECKING:
    import socket

    from supervisor.runplan import RunPlan

#: Seconds until the nursery answers a request; a fork takes milliseconds.
_ANSWER = 10.0
#: Seconds until a nursery that we started is ready; its imports take a fraction of one.
_START = 30.0
#: Seconds in which a service manager brings a nursery back that was killed while we serve.
_AGAIN = 5.0


class NurseryGone(Exception):
    """The nursery cannot be reached, or did not answer: whether it forked is not known; the lock tells."""


class NurseryLink:
    """Asks the nursery for shepherds."""

    def __init__(self, run_dir: str, version: str, log_path: str, *, start: bool = True) -> None:
        """Use the nursery of `version` in `run_dir`.

        Args:
            run_dir: the run directory.
            version: our own.
            log_path: where a nursery that we start writes what goes wrong.
            start: start one where there is none; else a unit of the service manager runs it, and is waited for.
        """
        self._run_dir = run_dir
        self._version = version
        self._name = f"nursery-{version}.sock"
        self._log_path = log_path
        self._may_start = start
        self._link: socket.socket | None = None
        #: The nursery we started last; kept so that it is reaped when it ends.
        self._started: subprocess.Popen[bytes] | None = None

    def fork(self, plan: RunPlan, lock_fd: int, job_path: str, boot: str) -> Identity:
        """Have a shepherd forked for `plan`, with the lock's descriptor.

        Raises:
            NurseryGone: it did not answer.
            OSError: the job's folder cannot be opened.
        """
        job_fd = os.open(job_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        plan_fd = -1
        try:
            plan_fd = errandsocket.seal(plan.to_bytes())
            link = self._connected()
            with effect("nursery.ask"):
                try:
                    errandsocket.send(link, b"fork", [lock_fd, job_fd, plan_fd])
                    answer = link.recv(4096)
                except OSError as error:
                    self.close()
                    raise NurseryGone(f"the nursery did not answer: {error}") from error
        finally:
            if plan_fd >= 0:
                os.close(plan_fd)
            os.close(job_fd)
        if not answer:
            self.close()
            raise NurseryGone("the nursery refused the request; its log says why")
        facts = json.loads(answer)
        return Identity(pid=facts["pid"], start=facts["start"], boot=boot)

    def close(self) -> None:
        """Let go of the connection; the next request makes a new one."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def ensure(self) -> None:
        """Have a nursery ready before the first message comes."""
        self._connected(_START)

    def _connected(self, patience: float = _AGAIN) -> socket.socket:
        if self._link is None:
            try:
                self._link = errandsocket.connect(self._run_dir, self._name, _ANSWER)
            except (FileNotFoundError, ConnectionError):
                if self._may_start:
                    patience = _START
                    self._start()
                self._link = self._connect_started(patience)
            except errandsocket.BadDatagram as bad:
                raise NurseryGone(str(bad)) from bad
        return self._link

    def _connect_started(self, patience: float) -> socket.socket:
        deadline = time.monotonic() + patience
        while True:
            try:
                return errandsocket.connect(self._run_dir, self._name, _ANSWER)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise NurseryGone(self._missing(error)) from error
                time.sleep(0.02)  # another supervisor's nursery may be binding this very moment

    def _missing(self, error: OSError) -> str:
        if self._may_start:
            return f'the nursery that was started does not listen: {error}; "{self._log_path}" may tell more'
        return (
            f"no nursery of version {self._version} listens in {self._run_dir}: {error}; "
            f"start its unit: systemctl start autoreduce-nursery@{self._version}"
        )

    def _start(self) -> None:
        """Start a nursery, detached: it must outlive us."""
        if self._started is not None:
            self._started.poll()
        command = [sys.executable, "-m", "supervisor.nursery", "--run-dir", self._run_dir]
        command += ["--version", self._version]
        ready_r, ready_w = os.pipe2(os.O_CLOEXEC)
        log = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            self._started = subprocess.Popen(
                [*command, "--ready-fd", str(ready_w)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(),
                cwd="/",
                pass_fds=[ready_w],
                start_new_session=True,
            )
            os.close(ready_w)
            ready_w = -1
            os.read(ready_r, 16)  # "ready", or the end of a nursery that found another one serving
        finally:
            os.close(log)
            os.close(ready_r)
            if ready_w >= 0:
                os.close(ready_w)


def clean_environment() -> dict[str, str]:
    """Return an environment without anything of ours: no secret, no caller's variable (isolation §0.2)."""
    kept = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    for name in (failpoints.VARIABLE, "PYTHONPATH"):
        if name in os.environ:
            kept[name] = os.environ[name]
    return kept
