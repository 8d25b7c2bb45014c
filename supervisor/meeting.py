"""A meeting of two hosts in a folder of the store: what one posts, the other reads; one that goes silent is noticed.

Messages are write-once records `<what>.<side>`, looked for through freshly opened folders. Each side beats in a folder
of its own; nothing here trusts a lock or a clock of the other.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from supervisor import archive, durable, records
from supervisor.probetools import KIND

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.probetools import Clock

#: Seconds between two beats, and between two looks for a message.
_BEAT: Final = 0.5
_LOOK: Final = 0.01
#: Seconds without a beat after which the other host counts as gone; a hanging mount is found within it, too.
SILENCE: Final = 30.0
#: Seconds for one message, while the other beats.
PATIENCE: Final = 300.0
_GONE: Final = "gone"


class OtherGone(Exception):
    """The other host has ended the probe, went silent or did not answer; the sentence says which and in what step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """`offer`: a host that is here for a probe; its counter moves while it lives."""

    host: str
    boot: str
    pid: int
    token: str
    counter: int = 0
    same_machine: bool = False
    time: float = 0.0


@dataclass(slots=True)
class Presence:
    """The folder of one host that is here for a probe, and its beat."""

    place: str
    offer: Offer
    clock: Clock
    _next: float = 0.0

    @property
    def folder(self) -> str:
        """Where its offer stands, and, if it leads, everything of the meeting."""
        return os.path.join(self.place, self.offer.token)

    @property
    def taken(self) -> str:
        """The cell that settles roles: the token of who leads."""
        return os.path.join(self.folder, "taken")

    def come(self) -> None:
        """Make the folder and the first beat."""
        durable.make_folder(os.path.join(self.folder, "mail"), KIND)
        self.beat()

    def beat(self) -> None:
        """Show that this host is here, not more often than each half second."""
        if self.clock.steady() < self._next:
            return
        self._next = self.clock.steady() + _BEAT
        self.offer = replace(self.offer, counter=self.offer.counter + 1, time=self.clock.wall())
        durable.replace(os.path.join(self.folder, "offer"), records.to_record(self.offer), KIND)

    def go(self) -> None:
        """Take everything of this presence away."""
        with contextlib.suppress(OSError):  # the next probe takes away what could not be
            archive.remove_tree(self.folder)


def read_offer(place: str, token: str) -> Offer | None:
    """Return the offer of a token, by a fresh look; None where it is gone or spoilt."""
    path = os.path.join(place, token, "offer")
    data = durable.read(path)
    try:
        return None if data is None else records.from_record(Offer, path, data)
    except records.CorruptRecord:
        return None


@dataclass(slots=True)
class Meeting:
    """Two hosts in the folder of the one that leads."""

    presence: Presence
    #: "a" leads.
    side: str
    other: Offer
    tell: Callable[[str], None]
    silence: float = SILENCE
    patience: float = PATIENCE
    #: What is under way, for sentences.
    step: str = "hello"
    _look: float = 0.0
    _moved: float = field(default=0.0)

    def __post_init__(self) -> None:
        """Count the other's silence from now."""
        self._moved = self.presence.clock.steady()

    @property
    def clock(self) -> Clock:
        """The clock of this side."""
        return self.presence.clock

    @property
    def leads(self) -> bool:
        """Whether this side writes the record."""
        return self.side == "a"

    @property
    def folder(self) -> str:
        """The folder that both work in."""
        return self.presence.folder if self.leads else os.path.join(self.presence.place, self.other.token)

    def work(self, *parts: str) -> str:
        """Return a path for what a step makes; its folder stands."""
        path = os.path.join(self.folder, "work", *parts)
        durable.make_folder(os.path.dirname(path), KIND)
        return path

    def post(self, what: str, **values: Any) -> None:
        """Say something to the other side, once."""
        self.presence.beat()
        durable.link_new(self._mail(what, self.side), records.pack(values), KIND)

    def peek(self, what: str) -> dict[str, Any] | None:
        """Return what the other side has said of something, None where it has not yet.

        Raises:
            OtherGone: it will not.
        """
        self.presence.beat()
        said = self._read(what)
        if said is None:
            self._heed()
        return said

    def wait(self, what: str) -> dict[str, Any]:
        """Return what the other side says of something.

        Raises:
            OtherGone: it does not.
        """
        until = self.clock.steady() + self.patience
        while True:
            said = self.peek(what)
            if said is not None:
                return said
            if self.clock.steady() > until:
                raise OtherGone(
                    f"host {self.other.host} has not answered within {self.patience:g} s in step {self.step} ({what}), "
                    "though it beats; say the command again on both"
                )
            self.clock.pause(_LOOK)

    def together(self, what: str, **values: Any) -> dict[str, Any]:
        """Post something, and wait for the same of the other side."""
        self.post(what, **values)
        return self.wait(what)

    def give_up(self, why: str) -> None:
        """Tell the other side that this one ends the probe."""
        with contextlib.suppress(OSError):  # a store that cannot be written is what the other side will see, too
            self.post(_GONE, why=why)

    def _heed(self) -> None:
        """See whether the other side is still there, not more often than each half second."""
        now = self.clock.steady()
        if now < self._look:
            return
        self._look = now + _BEAT
        gone = self._read(_GONE)
        if gone is not None:
            raise OtherGone(f"host {self.other.host} ended the probe in step {self.step}: {gone.get('why')}")
        offer = read_offer(self.presence.place, self.other.token)
        if offer is not None and offer.counter != self.other.counter:
            self.other, self._moved = offer, self.clock.steady()
        if self.clock.steady() - self._moved > self.silence:
            raise OtherGone(
                f"host {self.other.host} went silent in step {self.step} and gave no sign for {self.silence:g} s; "
                "see whether it lives and its mount answers, then say the command again on both"
            )

    def _read(self, what: str) -> dict[str, Any] | None:
        path = self._mail(what, "b" if self.leads else "a")
        data = durable.read(path)
        return None if data is None else records.unpack(path, data)

    def _mail(self, what: str, side: str) -> str:
        return os.path.join(self.folder, "mail", f"{what}.{side}")
