"""Disabled instruments: an operator's word, for the whole fleet, that runs of an instrument wait (DESIGN §5, "Order").

A disabled instrument is one record in `disabled/`, named by the instrument in upper case, linked once and removed by
`enable`. Every host lists the folder at each scan, and looks for the one name again after it has linked an epoch, since
a claim and a disable may meet: whichever of the two is made durable second sees the other, or the run was claimed
first and goes on. Whether an instrument is disabled is told by the name alone: a record that cannot be read still
disables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from supervisor import durable, records, shown, utc
from supervisor.operatorword import UNREADABLE, read_word

if TYPE_CHECKING:
    from supervisor.layout import Layout

#: Longest reason, in characters.
LONGEST = 300
#: Names of instruments; what else lies in the folder says nothing.
_NAME: Final = re.compile(r"[A-Z0-9_-]{1,60}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """`disabled/<instrument>`: its runs wait, by the word of `who`."""

    #: Upper case.
    instrument: str
    #: The operator, for people only.
    who: str
    #: Seconds since 1970, for people only.
    time: float = 0.0
    #: From which host it was said.
    said_on: str = ""
    why: str = ""


def told(record: Disabled) -> str:
    """Return why runs of an instrument wait, as a sentence (pure)."""
    since = f" since {utc.iso(record.time)}" if utc.iso(record.time) and record.time > 0 else ""
    on = f" on {record.said_on}" if record.said_on else ""
    why = f": {record.why}" if record.why else ""
    return shown.line(f"instrument {record.instrument} is disabled{since} by {record.who}{on}{why}", 2 * LONGEST)


def disable(layout: Layout, record: Disabled) -> bool:
    """Have runs of an instrument wait; False where they do already, and that record stays.

    Raises:
        OSError: the store cannot be used.
    """
    durable.make_folder(layout.path("disabled"), "store")  # a store of before there was one has none
    return durable.link_new(layout.disabled(record.instrument), records.to_record(record), "disabled")


def enable(layout: Layout, instrument: str) -> Disabled | None:
    """Let runs of an instrument (upper case) go on; return what had kept them, None where nothing did.

    Raises:
        OSError: the store cannot be used.
    """
    known = read(layout, instrument)
    if known is not None:
        durable.remove(layout.disabled(instrument), "disabled")
    return known


def is_disabled(layout: Layout, instrument: str) -> bool:
    """Say by a fresh look whether runs of an instrument (upper case) wait."""
    return durable.exists(layout.disabled(instrument))


def read(layout: Layout, instrument: str) -> Disabled | None:
    """Return by a fresh look what keeps the runs of an instrument (upper case); None where nothing does.

    Raises:
        OSError: the store cannot be used.
    """
    return read_word(Disabled, layout.disabled(instrument), Disabled(instrument=instrument, who=UNREADABLE))


class DisabledInstruments:
    """What is disabled, kept from one look to the next: a folder that does not change costs one listing."""

    def __init__(self, layout: Layout) -> None:
        """Know nothing of the store of `layout` yet."""
        self._layout = layout
        self._known: dict[str, Disabled] = {}

    def __contains__(self, instrument: object) -> bool:
        """Whether an instrument (upper case) was disabled at the last look."""
        return instrument in self._known

    def look(self) -> bool:
        """Look again; return whether something has changed.

        Raises:
            OSError: the store cannot be used.
        """
        listed = {name for name in durable.names(self._layout.path("disabled")) if _NAME.fullmatch(name)}
        before = self._known.keys()
        if listed == before:
            return False
        fresh = {name: record for name in listed - before if (record := read(self._layout, name)) is not None}
        self._known = {name: record for name, record in self._known.items() if name in listed} | fresh
        return True

    def sentence(self, instrument: str) -> str:
        """Return why runs of an instrument (upper case) wait, "" where they do not for this."""
        record = self._known.get(instrument)
        return told(record) if record is not None else ""

    def sentences(self) -> dict[str, str]:
        """Return why they wait, by instrument."""
        return {name: told(record) for name, record in sorted(self._known.items())}
