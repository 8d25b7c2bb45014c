"""The recorder of one run: reads the data for their digests while the box runs, and writes the record at its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sandbox.verdict import Verdict
from supervisor import provenance
from supervisor.datadigest import DataDigest
from supervisor.provenance import Papers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.outcome import Outcome, OutputFile
    from supervisor.provenance import Origin


class Recorder:
    """Makes the record of one run; belongs to one thread."""

    def __init__(self, origin: Origin, data_limit: int) -> None:
        """Begin when the script is let go.

        Args:
            origin: what is known of the run.
            data_limit: bytes; of a larger data file only both ends are read.
        """
        self._origin = origin
        self._digest = DataDigest(origin.data, data_limit)
        self._started = time.time()

    def read_on(self, may_go_on: Callable[[], bool]) -> None:
        """Read on in the data, a MiB at a time, as long as `may_go_on` says so."""
        while may_go_on() and self._digest.step():
            continue

    def papers(self, outcome: Outcome, between: Callable[[], object] = lambda: None) -> Papers:
        """Return the record and its copies for a run that ended now as `outcome` says.

        What is left of the data is read when they are made, with `between` called after each MiB; a cancelled run does
        not wait for that.
        """
        ended = time.time()

        def make(outputs: Sequence[OutputFile]) -> Mapping[str, bytes]:
            cancelled = outcome.verdict is Verdict.cancelled
            data = self._digest.facts() if cancelled else self._digest.finish(between)
            return provenance.papers(
                self._origin, outcome, outputs=outputs, data=data, started=self._started, ended=ended
            )

        return Papers(self._origin.names, make)
