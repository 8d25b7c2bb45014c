"""Standing down: what a supervisor does whose boot an operator has declared dead (pure but for signals).

Other hosts have its runs, or will have them at their next scan. Runs that are not decided are told to end (SIGTERM:
their shepherds end the box and give the job back, if it was not revoked before). Shepherds that have decided bring
their results into place and are never killed: between the two renames of a promoter no result is in place, and the take
that would have had it looked after may have been removed by the fence (model C11, C13).
"""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from supervisor.polled import ActiveRun
    from supervisor.records import Identity

log = logging.getLogger(__name__)

#: Seconds for killed shepherds to be gone.
_LAST = 5.0


class StandDown:
    """The end of a fenced supervisor, turn by turn."""

    def __init__(self, why: str, *, patience_seconds: float, now: float, send: Callable[[Identity, int], bool]) -> None:
        """Begin to stand down at `now` (monotonic seconds).

        Args:
            why: the sentence that the supervisor ends with.
            patience_seconds: how long shepherds are waited for; those with an undecided run are killed then.
            now: monotonic seconds.
            send: sends a signal to exactly this process.
        """
        self.why = why
        self._send = send
        self._deadline = now + patience_seconds
        self._told: set[tuple[str, int]] = set()
        self._killed: set[tuple[str, int]] = set()

    def is_done(
        self, runs: Mapping[tuple[str, int], ActiveRun], decided: Collection[tuple[str, int]], now: float
    ) -> bool:
        """End what runs; say whether the supervisor may end.

        Args:
            runs: every shepherd of this host that is known.
            decided: those of them whose runs are decided: they only promote.
            now: monotonic seconds.
        """
        undecided = {key: run for key, run in runs.items() if run.errand == "run" and key not in decided}
        for key, run in undecided.items():
            if key not in self._told:
                self._told.add(key)
                log.warning("Run %s of %s (RB %s) is ended: this host was fenced.", run.run, run.instrument, run.rb)
                self._send(run.shepherd, signal.SIGTERM)
        if now < self._deadline:
            return not runs
        for key, run in undecided.items():
            if key not in self._killed:
                self._killed.add(key)
                self._send(run.shepherd, signal.SIGKILL)
        if undecided and now < self._deadline + _LAST:
            return False
        for run in runs.values():
            log.warning("Shepherd %d of RB %s goes on: %s.", run.shepherd.pid, run.rb, run.errand)
        return True
