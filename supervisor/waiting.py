"""The names in `waiting/`: order, instrument, RB and job of every job that is not finished with (pure).

`<p><time><seq>.<instrument>.<rb>.<job>` (DESIGN §4): one digit of inverted priority, 15 of broker time in milliseconds,
10 of the producer's sequence, so that a sorted listing is in the order of these; equals are in the order of their job
ids, which `Entry` compares next. Parts over 60 bytes are shortened.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from supervisor import names

if TYPE_CHECKING:
    from supervisor.records import Request

_TIME_DIGITS = 15
_SEQUENCE_DIGITS = 10
_ORDER = 1 + _TIME_DIGITS + _SEQUENCE_DIGITS
_PARTS = 4
#: What entries are compared by. As the key of a sort it is read once for each: comparing ten thousand one by one takes
#: ten times as long.
IN_ORDER = attrgetter("rank", "time_ms", "sequence", "job", "instrument", "rb")


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One name of `waiting/`; sorts as the order of an RB: priority, broker time, producer sequence, job id."""

    #: 0 for priority 9 ... 9 for priority 0.
    rank: int
    #: Broker time, milliseconds since 1970.
    time_ms: int
    sequence: int
    #: The encoded and shortened job id.
    job: str
    instrument: str
    #: The encoded and shortened RB.
    rb: str

    @property
    def priority(self) -> int:
        """Priority 0 to 9, 9 first."""
        return 9 - self.rank

    @property
    def name(self) -> str:
        """The file name of this entry."""
        order = f"{self.rank:d}{self.time_ms:0{_TIME_DIGITS}d}{self.sequence:0{_SEQUENCE_DIGITS}d}"
        return f"{order}.{self.instrument}.{self.rb}.{self.job}"


def entry_of(request: Request) -> Entry:
    """The entry of a journaled job; fixed by its request, so that making it again is harmless."""
    return Entry(
        rank=9 - min(9, max(0, request.priority)),
        time_ms=min(10**_TIME_DIGITS - 1, max(0, request.time_ms)),
        sequence=min(10**_SEQUENCE_DIGITS - 1, max(0, request.sequence)),
        job=names.part_of(request.job),
        instrument=names.part_of(request.instrument),
        rb=names.part_of(request.rb),
    )


def parse(name: str) -> Entry | None:
    """Return the entry named `name`, or None for a name that is not ours."""
    parts = name.split(".")
    if len(parts) != _PARTS or len(parts[0]) != _ORDER or not parts[0].isdigit():
        return None
    order, instrument, rb, job = parts
    return Entry(
        rank=int(order[0]),
        time_ms=int(order[1 : 1 + _TIME_DIGITS]),
        sequence=int(order[1 + _TIME_DIGITS :]),
        job=job,
        instrument=instrument,
        rb=rb,
    )
