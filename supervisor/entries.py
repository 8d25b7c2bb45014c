"""What stands in `waiting/`, kept from one look to the next: ten thousand names are parsed and sorted once.

One listing is the poll (DESIGN §4); what a listing shows is compared by name with the one before, so that a supervisor
with a long queue and nothing new spends next to nothing on it.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from supervisor import durable, order, waiting

if TYPE_CHECKING:
    from supervisor.layout import Layout
    from supervisor.waiting import Entry


class Entries:
    """The entries of `waiting/` as of the last look, by RB."""

    def __init__(self, layout: Layout) -> None:
        """Know nothing of the store of `layout` yet."""
        self._layout = layout
        #: The names as the folder gave them: it gives them in the same order as long as nothing comes or goes.
        self._listed: list[str] = []
        self._known: dict[str, Entry | None] = {}
        #: The jobs of each RB in their order, by the RB as the names have it.
        self.groups: dict[str, list[Entry]] = {}
        #: All of them, RB by RB.
        self.all: list[Entry] = []

    def refresh(self) -> tuple[set[str], list[Entry]]:
        """List the folder; return the RBs in which something came or went, and the entries that went.

        Raises:
            OSError: the store cannot be used now.
        """
        listed = durable.every_name(self._layout.waiting)  # a temporary one parses as none of ours
        if listed == self._listed:
            return set(), []
        self._listed = listed
        names = set(listed)
        went = [entry for name in self._known.keys() - names if (entry := self._known.pop(name)) is not None]
        fresh = {name: waiting.parse(name) for name in names - self._known.keys()}
        self._known |= fresh
        came = [entry for entry in fresh.values() if entry is not None]
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
