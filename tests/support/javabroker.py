"""A broker in a Java process of its own: on loopback, with its own folders, in the foreground, ended by its pid.

It dies with the test process (PDEATHSIG through setpriv), so start it on the main thread.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import ssl
import subprocess
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from standstill import stand_still
from waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

#: The password of every key and trust store of a test.
STORE_PASSWORD = "secret"


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class JavaBroker(ABC):
    """One broker; `start` again after `stop` or `kill` finds the same port and the same messages.

    Args:
        base: A folder of its own, made if missing.
        max_frame_size: Bytes of the largest frame it takes, or None for its default.
        user: With `password`, the only credentials it takes; else everybody may connect.
        keystore: A PKCS12 file for a TLS connector on `tls_port`.
        truststore: A PKCS12 file with the authority of its clients, who must show a certificate on `mutual_port`.
    """

    #: What it is called in a failure.
    name: str
    #: The command that brings what is missing.
    install: str

    def __init__(
        self,
        base: Path,
        *,
        max_frame_size: int | None = None,
        user: str | None = None,
        password: str | None = None,
        keystore: Path | None = None,
        truststore: Path | None = None,
    ) -> None:
        self.base = base
        self.host = "127.0.0.1"
        self.port = free_port()
        self.tls_port = free_port() if keystore is not None else None
        self.mutual_port = free_port() if truststore is not None else None
        self.user = user
        self.password = password
        self._max_frame_size = max_frame_size
        self._keystore = keystore
        self._truststore = truststore
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _missing(self) -> str:
        """Return what is missing to run it, beside java; "" for nothing."""

    @abstractmethod
    def _write_config(self) -> None:
        """Write its configuration below `base`."""

    @abstractmethod
    def _arguments(self) -> list[str]:
        """Return the arguments of java."""

    @property
    def pid(self) -> int:
        """The broker's process id; it must run."""
        assert self._process is not None, "the broker does not run"
        return self._process.pid

    def start(self, timeout: float = 90.0) -> None:
        """Start it and wait until it answers on each port."""
        missing = [name for name in ("java", "setpriv") if shutil.which(name) is None]
        missing += [self._missing()] if self._missing() else []
        if missing:
            raise AssertionError(f"these tests need a real {self.name} ({missing} is missing); run: {self.install}")
        assert self._process is None, "the broker runs already"
        self.base.mkdir(parents=True, exist_ok=True)
        self._write_config()
        with open(self.base / "broker.log", "ab") as log:
            self._process = subprocess.Popen(  # the process lives until stop() or kill()
                ["setpriv", "--pdeathsig", "KILL", "java", "-Xms64m", "-Xmx256m", *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.base,
            )
        try:
            wait_until(lambda: self._answers(self.port), timeout, f"{self.name} on port {self.port}")
            for port in (self.tls_port, self.mutual_port):
                if port is not None:
                    wait_until(functools.partial(self._shakes_hands, port), timeout, f"{self.name} TLS on {port}")
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}; the end of its log:\n{self.log_tail()}") from None

    def stop(self) -> None:
        """End it in order (SIGTERM); it must run."""
        self._end(signal.SIGTERM, timeout=60)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL); harmless when it does not run."""
        if self._process is not None:
            self._end(signal.SIGKILL, timeout=30)

    def restart(self) -> None:
        """Kill it and start it anew on the same port and data."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): its sockets stay open and mute."""
        stand_still(self.pid)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def log_tail(self, characters: int = 3000) -> str:
        """Return the end of what it printed."""
        return (self.base / "broker.log").read_text(errors="replace")[-characters:]

    def _end(self, signum: int, timeout: float) -> None:
        process, self._process = self._process, None
        assert process is not None, "the broker does not run"
        process.send_signal(signum)
        if signum != signal.SIGKILL:
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)

    def _answers(self, port: int) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"{self.name} ended with status {self._process.returncode}")
        credentials = f"login:{self.user}\npasscode:{self.password}\n" if self.user is not None else ""
        try:
            with socket.create_connection((self.host, port), 5) as probe:
                probe.sendall(f"CONNECT\naccept-version:1.2\nhost:test\n{credentials}\n\0".encode())
                return probe.recv(64).startswith(b"CONNECTED")
        except OSError:
            return False

    def _shakes_hands(self, port: int) -> bool:
        """Tell whether TLS is spoken there; whose certificate it is does not matter here."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with socket.create_connection((self.host, port), 5) as plain, context.wrap_socket(plain):
                return True
        except ssl.SSLError:
            return port == self.mutual_port  # it wants a certificate of ours: it speaks TLS
        except OSError:
            return False
