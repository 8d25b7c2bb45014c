"""Raising the format of a store: two looks at the heartbeats of the fleet, some beats apart, and the handshake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import durable, hosts, records, storeformat
from supervisor.storeformat import HostState, StoreFormat, Unraised

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from supervisor.hosts import HostBeat
    from supervisor.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLook:
    """What is needed to tell which hosts of a fleet live."""

    layout: Layout
    #: Seconds between the two looks, and of silence after which a host is dead.
    watch: float
    dead_after: float
    #: Hosts that the operator knows to be dead.
    without: Collection[str]
    sleep: Callable[[float], None]
    #: Seconds since 1970, by the store's clock.
    now: Callable[[], float]

    def states(self, *, announced: Callable[[], None] = lambda: None) -> list[HostState]:
        """Look twice; `announced` is called before the first look.

        Raises:
            CorruptRecord, OSError: a heartbeat cannot be read.
        """
        announced()
        before = {beat.host: beat for beat in hosts.all_beats(self.layout)}
        if any(beat.state != "stopped" for beat in before.values()):
            self.sleep(self.watch)
        after = [(beat, self._age(beat)) for beat in hosts.all_beats(self.layout)]
        return storeformat.states(before, after, dead_after=self.dead_after, without=self.without)

    def _age(self, beat: HostBeat) -> float:
        made = durable.made_at(self.layout.host_beat(beat.host))
        return 0.0 if made is None else max(0.0, self.now() - made)


def upgrade(look: FleetLook, new: int, reads: Collection[int] = records.READS) -> tuple[StoreFormat, list[HostState]]:
    """Raise the format to `new`, as a version that reads `reads`; return what there was, and the hosts that were seen.

    The announcement stands while the heartbeats are looked at, and is taken back where it cannot be done; one that a
    dead upgrade has left is taken over.

    Raises:
        Unraised: it cannot be done now; the message says who is in the way.
        UnknownStore, CorruptRecord, OSError: the store cannot be used.
    """
    current = storeformat.read(look.layout)
    if current is None:
        raise storeformat.UnknownStore(f'"{look.layout.root}" is not a store: it has no FORMAT; correct store.path')
    storeformat.may_raise(current, new, reads, [])  # what needs no look at anybody is said at once
    if new == current.number:
        if current.raising:
            storeformat.withdraw(look.layout, current)
        return current, []
    seen = look.states(announced=lambda: storeformat.announce(look.layout, current, new))
    try:
        storeformat.may_raise(current, new, reads, seen)
    except Unraised:
        storeformat.withdraw(look.layout, current)
        raise
    storeformat.set_to(look.layout, current, new)
    return current, seen
