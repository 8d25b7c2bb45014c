"""The fleet as its heartbeats show it: which hosts live, and what they offer (DESIGN §4, §5).

Looked at at most once in each beat, since nothing moves faster; used by the store poller's thread alone. A host lives
while its counter moves, by our own monotonic clock; one that was never seen to stand still for `takeover_after` counts
as living, so that nothing is taken for unplaceable because this supervisor has just begun.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor import hosting, hosts
from supervisor.takeover import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.hosts import HostBeat
    from supervisor.layout import Layout


class Fleet:
    """What this host knows of the others."""

    def __init__(
        self, layout: Layout, own: HostBeat, *, beat: float, takeover_after: float, monotonic: Callable[[], float]
    ) -> None:
        """Look at the heartbeats in `layout`.

        Args:
            layout: the store.
            own: what this host offers.
            beat: seconds between two looks.
            takeover_after: seconds of silence after which a host is not heard of.
            monotonic: seconds of a clock that never jumps.
        """
        self._layout = layout
        self._own = own
        self._beat = beat
        self._takeover_after = takeover_after
        self._monotonic = monotonic
        self._watch = Watch()
        self._next = 0.0
        self._known: tuple[HostBeat, ...] = (own,)
        self._living: tuple[HostBeat, ...] = (own,)

    def offer(self, own: HostBeat) -> None:
        """Offer something else from now on; in what state this host is has another source."""
        own = self._own = replace(own, state=self._own.state)
        self._known = (own, *self._known[1:])
        self._living = (own, *self._living[1:])

    def look(self) -> None:
        """Read the heartbeats again if that is due; a host whose record cannot be read is not heard of.

        Raises:
            OSError: the store cannot be used now.
        """
        now = self._monotonic()
        if now < self._next:
            return
        others = [beat for beat in hosts.all_beats(self._layout) if beat.host != self._own.host]
        living = [beat for beat in others if beat.state != "stopped" and self._is_heard(beat, now)]
        self._known = (self._own, *others)
        self._living = (self._own, *living)
        self._next = now + self._beat

    def _is_heard(self, beat: HostBeat, now: float) -> bool:
        still = self._watch.unmoved(beat.host, (beat.boot, beat.counter), now)
        return still < self._takeover_after

    @property
    def own(self) -> HostBeat:
        """What this host offers."""
        return self._own

    @property
    def living(self) -> tuple[HostBeat, ...]:
        """The hosts that are heard of, this one first."""
        return self._living

    @property
    def rivals(self) -> int:
        """How many hosts look for something to do: those with a free slot, and this one."""
        return 1 + sum(beat.running < beat.slots for beat in self._living if beat.host != self._own.host)

    @property
    def uneven(self) -> bool:
        """Whether the hosts that are heard of serve different roots."""
        return hosting.uneven(self._own, self._living)

    @property
    def known(self) -> tuple[HostBeat, ...]:
        """Every host that was ever seen, this one first."""
        return self._known
