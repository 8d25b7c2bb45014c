"""Publication: the replies of one finished job, in their order, at least once and byte-identical (DESIGN §5, pure).

started → its receipt → a gap → terminal → its receipt → `published`. The gap is there because today's web application
drops a complete that overtakes its started. A reply during whose send the broker closed three times is parked as
undeliverable; the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: Sends of one reply that may end in a closed connection before it is parked.
SUSPICIONS = 3


class Phase(StrEnum):
    """Where the replies of a job stand."""

    #: The started reply is to be sent; the run may still go on.
    STARTED_DUE = "started due"
    STARTED_SENT = "started sent"
    #: Nothing to do until the job has finished.
    RUNNING = "running"
    #: Waiting for the gap.
    GAP = "gap"
    TERMINAL_DUE = "terminal due"
    TERMINAL_SENT = "terminal sent"
    #: Every reply has its receipt: to be marked.
    TOLD = "told"


@dataclass(slots=True)
class Publication:
    """The replies of one job; the loop asks `due` and tells what happened."""

    #: `job <id>`, or `poison <digest>` for a message that could be nothing.
    key: str
    started: dict[str, Any] | None = None
    #: The terminal reply; None while the job runs, or when nothing is to be answered.
    terminal: dict[str, Any] | None = None
    finished: bool = False
    phase: Phase = Phase.RUNNING
    #: When the started reply had its receipt, by the monotonic clock.
    receipt_at: float = float("-inf")
    suspicions: int = 0
    undeliverable: bool = False
    #: They are the replies of another host that was silent.
    stands_in: bool = False

    @property
    def name(self) -> str:
        """The job id, or the digest."""
        return self.key.partition(" ")[2]

    def begin(self, reply: dict[str, Any]) -> None:
        """The started reply is frozen and has no receipt yet."""
        if self.started is None:
            self.started = reply
            self.phase = Phase.STARTED_DUE

    def finish(self, terminal: dict[str, Any] | None) -> None:
        """The job has finished; `terminal` is its frozen reply, if any."""
        if not self.finished:
            self.finished = True
            self.terminal = terminal
            if self.phase is Phase.RUNNING:
                self.phase = Phase.GAP

    def due(self, now: float, gap: float) -> dict[str, Any] | None:
        """Return the reply to send now, and take it as sent; None while nothing is due."""
        if self.phase is Phase.GAP and self.finished and now >= self.receipt_at + gap:
            self.phase = Phase.TERMINAL_DUE if self.terminal is not None else Phase.TOLD
        if self.phase is Phase.STARTED_DUE:
            self.phase = Phase.STARTED_SENT
            return self.started
        if self.phase is Phase.TERMINAL_DUE:
            self.phase = Phase.TERMINAL_SENT
            return self.terminal
        return None

    def wakes_at(self, gap: float) -> float | None:
        """When `due` is to be asked again without an event, by the monotonic clock."""
        return self.receipt_at + gap if self.phase is Phase.GAP and self.finished else None

    def received(self, now: float) -> str:
        """A receipt came; return what it was for: `started`, `published` or ""."""
        self.suspicions = 0
        if self.phase is Phase.STARTED_SENT:
            self.receipt_at = now
            self.phase = Phase.GAP if self.finished else Phase.RUNNING
            return "started"
        if self.phase is Phase.TERMINAL_SENT:
            self.phase = Phase.TOLD
            return "published"
        return ""

    def unsure(self, *, suspect: bool, certain: bool = False) -> None:
        """A send has an unknown outcome: it is sent again, unless the broker closes on this one time after time.

        Args:
            suspect: the broker closed while this reply alone was unanswered.
            certain: the broker, or our own check of the frame, refused exactly this reply: it is parked at once.
        """
        self.suspicions += SUSPICIONS if certain else suspect
        parked = self.suspicions >= SUSPICIONS
        self.undeliverable = self.undeliverable or parked
        if self.phase is Phase.STARTED_SENT:
            self.phase = Phase.STARTED_DUE
            if parked:
                self.suspicions = 0
                self.phase = Phase.GAP if self.finished else Phase.RUNNING
        elif self.phase is Phase.TERMINAL_SENT:
            self.phase = Phase.TOLD if parked else Phase.TERMINAL_DUE
