"""What stands in `waiting/`, kept from one look to the next: ten thousand names are parsed and sorted once.

One listing is the poll (DESIGN §4); what a listing shows is compared by name with the one before, and a folder whose
times stand still is not listed again and again, so that a supervisor with a long queue and nothing new spends next to
nothing on it.
"""

from __future__ import annotations

import bisect
import time
from typing import TYPE_CHECKING, Final

from supervisor import durable, order, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.layout import Layout
    from supervisor.waiting import Entry

#: Seconds from the first sight of a folder's times to a listing that shows everything which bears them: more than any
#: step of a file system's clock (a tick of 4 to 10 ms; 1 s on ext3, 2 s on FAT), by whatever clock its server has.
_STEP: Final = 3.0
#: Seconds after which the folder is listed again though its times stand still, whatever a file system says of them.
_TRUSTED: Final = 10.0


class Entries:
    """The entries of `waiting/` as of the last look, by RB."""

    def __init__(self, layout: Layout, clock: Callable[[], float] = time.monotonic) -> None:
        """Know nothing of the store of `layout` yet; `clock` tells monotonic seconds."""
        self._layout = layout
        self._clock = clock
        self._stamp: durable.Stamp | None = None
        #: When this stamp was seen first, and when the last listing began.
        self._stamped = self._looked = float("-inf")
        #: The names as the folder gave them: it gives them in the same order as long as nothing comes or goes.
        self._listed: list[str] = []
        self._known: dict[str, Entry | None] = {}
        #: The jobs of each RB in their order, by the RB as the names have it.
        self.groups: dict[str, list[Entry]] = {}
        #: All of them, RB by RB.
        self.all: list[Entry] = []

    def refresh(self, *, fresh: bool = False) -> tuple[set[str], list[Entry]]:
        """Look at the folder; return the RBs in which something came or went, and the entries that went.

        Args:
            fresh: list it whatever its times say.

        Raises:
            OSError: the store cannot be used now.
        """
        listed = self._names(fresh=fresh)  # a temporary one parses as none of ours
        if listed is None or listed == self._listed:
            return set(), []
        self._listed = listed
        names = set(listed)
        went = [entry for name in self._known.keys() - names if (entry := self._known.pop(name)) is not None]
        added = {name: waiting.parse(name) for name in names - self._known.keys()}
        self._known |= added
        came = [entry for entry in added.values() if entry is not None]
        for entry in went:
            group = self.groups[entry.rb]
            group.remove(entry)
            if not group:
                del self.groups[entry.rb]
        if self.groups:
            for entry in came:
                bisect.insort(self.groups.setdefault(entry.rb, []), entry)
        else:
            self.groups = order.by_rb(came)
        self.all = [entry for group in self.groups.values() for entry in group]
        return {entry.rb for entry in (*came, *went)}, went

    def _names(self, *, fresh: bool) -> list[str] | None:
        """List the folder, unless the last listing showed all that bears the times which the folder has now."""
        now = self._clock()
        shown = self._looked - self._stamped >= _STEP and now - self._looked < _TRUSTED
        stamp, names = durable.names_unless(self._layout.waiting, self._stamp if shown and not fresh else None)
        if stamp != self._stamp:
            self._stamp, self._stamped = stamp, self._clock()
        if names is not None:
            self._looked = now
        return names
