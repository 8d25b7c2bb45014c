"""Which jobs `runs` lists: the filters of its command line, decided without a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: The lists of `runs`, in the order in which they are printed.
STATES: Final = ("running", "waiting", "finished")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """What is asked for; None asks for anything."""

    rb: str | None = None
    instrument: str | None = None
    state: str | None = None
    verdict: str | None = None
    host: str | None = None
    #: Sent, claimed or decided since then, as the list goes; seconds since 1970, 0 for any time.
    since: float = 0.0

    @property
    def lists(self) -> tuple[str, ...]:
        """The lists in which such a job can stand: what waits has no host, and only what has finished a verdict."""
        possible = set(STATES)
        if self.host is not None:
            possible &= {"running", "finished"}
        if self.verdict is not None:
            possible &= {"finished"}
        if self.state is not None:
            possible &= {self.state}
        return tuple(state for state in STATES if state in possible)

    @property
    def picky(self) -> bool:
        """Whether of the finished jobs of a store some are left out."""
        return (self.instrument, self.verdict, self.host) != (None, None, None)

    def takes(self, instrument: str | None, since: float, host: str = "", verdict: str = "") -> bool:
        """Say whether a job is listed; an instrument of None is not known, and is left out where one is asked for."""
        return (
            self.instrument in (None, instrument)
            and self.host in (None, host)
            and self.verdict in (None, verdict)
            and since >= self.since
        )
