"""The builder as its shepherd's child: whether it is gone, how it ended, and how it is made to end.

It is the one process of a box that the shepherd itself can wait for, and until then its pid is its own: a signal to it
meets nobody else.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Final

from sandbox.rescue import Rescue, dismiss

if TYPE_CHECKING:
    from sandbox.channels import Channels
    from sandbox.linux.proctree import Identity

#: What builder and init get to do what they were told, and then to be gone after SIGKILL, in seconds.
PATIENCE: Final = 2.0
CLOSING: Final = 30.0
#: Seconds between two turns of a rescue.
_LOOK: Final = 0.002


class Forked:
    """A builder that was forked, enrolled, and has to be waited for."""

    def __init__(self, identity: Identity, channels: Channels, token: str) -> None:
        """Watches over it.

        Args:
            identity: its pid and start time.
            channels: its pipes, whose caller its end is to wake.
            token: its box's, for texts.
        """
        self.identity = identity
        self._channels = channels
        self._token = token
        self._status: int | None = None
        channels.watch(identity.pid)

    def is_gone(self) -> bool:
        """Waits for it without blocking."""
        if self._status is None:
            try:
                pid, status = os.waitpid(self.identity.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.identity.pid, -1  # somebody else took its status; nothing is known of it
            if pid:
                self._status = status
                self._channels.unwatch()
        return self._status is not None

    @property
    def ended_by_itself(self) -> bool:
        """Whether it has ended and was not killed: then it has waited for all that was below it."""
        return self._status is not None and os.WIFEXITED(self._status)

    def await_end(self) -> None:
        """Waits until it is gone, whose tree is empty; if it does not end by itself it is killed, its init with it.

        Raises:
            TimeoutError: it still lives.
        """
        patience = time.monotonic() + PATIENCE
        deadline = patience + CLOSING
        while not self.is_gone():
            now = time.monotonic()
            if now >= patience:
                self._kill()
            if now >= deadline:
                raise self._still_lives()
            self._channels.wait_for_child(max(0.001, patience - now))

    def await_surrender(self, init: Identity | None) -> None:
        """Waits until it is gone, and all that waited below it for a word that will not come.

        Args:
            init: its box's, as far as it is known.

        Raises:
            TimeoutError: it still lives.
        """
        patience = time.monotonic() + PATIENCE
        while not self.is_gone() and time.monotonic() < patience:
            self._channels.wait_for_child(max(0.0, patience - time.monotonic()))
        if self.ended_by_itself:
            return
        rescue = Rescue(self.identity, init)
        deadline = time.monotonic() + CLOSING
        while not self.is_gone() or not rescue.turn():
            if time.monotonic() >= deadline:
                raise self._still_lives()
            if not self.is_gone():  # one of them is stopped
                self._kill()
            time.sleep(_LOOK)

    def dismiss(self) -> None:
        """Forgets it; see `rescue.dismiss`."""
        dismiss(self.identity)

    def _kill(self) -> None:
        os.kill(self.identity.pid, signal.SIGKILL)

    def _still_lives(self) -> TimeoutError:
        return TimeoutError(f"the builder of box {self._token} still lives {CLOSING:g} s after SIGKILL")
