"""What the loop tells to be counted (plain words; nothing is counted here).

The loop knows a `Meter` and not who reads it: without `metrics.listen` it is told to `UNMETERED`, which keeps nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisor.polled import ActiveRun, Inspected


class Meter(Protocol):
    """Is told what happens, by the thread of the loop; each method returns at once and raises nothing."""

    def taken(self, what: str) -> None:
        """A message was taken: `new`, `duplicate`, `cancel` or `poison`."""

    def told(self, reply: str) -> None:
        """A reply has its receipt: `started`, `terminal` or `poison`."""

    def began(self, run: ActiveRun) -> None:
        """A run was begun here."""

    def inspected(self, event: Inspected) -> None:
        """A run has left this host: it ended, or it runs again."""

    def ended(self, instrument: str, verdict: str) -> None:
        """A job ended without a run."""

    def state(self, state: Mapping[str, object]) -> None:
        """What `status` shows has changed."""


class Unmetered:
    """A meter that keeps nothing."""

    def taken(self, what: str) -> None:
        """Keep nothing of a message."""

    def told(self, reply: str) -> None:
        """Keep nothing of a reply."""

    def began(self, run: ActiveRun) -> None:
        """Keep nothing of a run."""

    def inspected(self, event: Inspected) -> None:
        """Keep nothing of its end."""

    def ended(self, instrument: str, verdict: str) -> None:
        """Keep nothing of a job without a run."""

    def state(self, state: Mapping[str, object]) -> None:
        """Keep nothing of the state."""


#: For a service that nobody measures.
UNMETERED = Unmetered()
