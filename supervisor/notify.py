"""What the service manager is told: sd_notify(3) as one datagram to the socket that it named, without its library.

The variables NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are taken out of the environment when they are read, so
that nothing that is started later can speak in our name. Stdlib only: the nursery imports this.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import MutableMapping

VARIABLE = "NOTIFY_SOCKET"
#: Within how many microseconds the manager must hear that we are alive, and whom it means (sd_watchdog_enabled(3)).
_WATCHDOG, _WATCHED = "WATCHDOG_USEC", "WATCHDOG_PID"
#: A manager that does not read must not hold us up.
_PATIENCE = 1.0
#: Longest STATUS= line, characters; `systemctl status` shows one line.
_LINE = 500

log = logging.getLogger(__name__)


class Notifier:
    """Tells the service manager how we are; where there is none, nobody is told."""

    def __init__(self, address: str = "", watchdog_seconds: float = 0.0) -> None:
        """Speak to a service manager.

        Args:
            address: of its socket: a path, or an abstract name that begins with "@"; "" for nobody.
            watchdog_seconds: within how many it must hear `alive`; 0 where it does not listen for that.
        """
        self.address = address
        self.watchdog_seconds = watchdog_seconds
        self._alive_again = 0.0

    @classmethod
    def take(cls, environ: MutableMapping[str, str], pid: int = 0) -> Self:
        """Take the socket's address, and what is asked of the process `pid` (default: this one), out of `environ`."""
        address = environ.pop(VARIABLE, "")
        every, meant = environ.pop(_WATCHDOG, ""), environ.pop(_WATCHED, "")
        ours = not meant or meant == str(pid or os.getpid())
        return cls(address, int(every) / 1e6 if ours and every.isascii() and every.isdecimal() else 0.0)

    def ready(self, *, main_pid: int = 0) -> None:
        """Say that the start is complete; `main_pid` names the main process where that is another than the caller."""
        self._say(*([f"MAINPID={main_pid}"] if main_pid else []), "READY=1")

    def reloading(self) -> None:
        """Say that a configuration is being taken up; `ready` ends it (sd_notify(3), "RELOADING=1")."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._say("STOPPING=1")

    def alive(self, now: float) -> None:
        """Say that we are alive, at half the time within which that must be heard (sd_watchdog_enabled(3)).

        Args:
            now: monotonic seconds.
        """
        if self.watchdog_seconds and now >= self._alive_again:
            self._alive_again = now + self.watchdog_seconds / 2
            self._say("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say in one line how we are."""
        self._say("STATUS=" + " ".join(text.split())[:_LINE])

    def _say(self, *assignments: str) -> None:
        """Send one datagram; a manager that cannot be told is logged, and never keeps us from our work."""
        if not self.address:
            return
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address  # unix(7), abstract
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
                link.settimeout(_PATIENCE)
                link.sendto("\n".join(assignments).encode(), name)
        except (OSError, ValueError) as trouble:
            log.warning('Cannot tell the service manager "%s": %s.', assignments[-1], trouble)
