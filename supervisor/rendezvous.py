"""The rendezvous of a probe: two hosts find each other in a folder of the store, and `link(2)` settles who leads.

Each makes an offer under a random token and beats. Who sees the live offer of a greater token takes itself (so that
nobody else can), then the other. Who cannot take anybody begins again under a new token, so that any number of hosts
pair off. An offer whose counter does not move is of a process that is gone: it is never taken, and removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from supervisor import archive, durable, records
from supervisor.meeting import SILENCE, Meeting, Offer, OtherGone, Presence, read_offer
from supervisor.probetools import KIND

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.probetools import Clock

_LOOK: Final = 0.1
#: Seconds for whoever was taken to say hello.
_HELLO: Final = 30.0
#: Seconds without a beat after which an offer is not taken.
_STILL: Final = 5.0
#: What a folder answers that another host has removed (ESTALE: nfs(5)).
_GONE: Final = frozenset({errno.ENOENT, errno.ESTALE})
#: What an offer says of its age, in seconds, when one that does not move is removed.
_OLD: Final = 600.0


class NobodyCame(Exception):
    """No other host came in time."""


class SameHost(Exception):
    """The one that came runs on this very machine."""


@dataclass(slots=True)
class _Seen:
    """The offers of others, and which of them move."""

    place: str
    offers: dict[str, Offer] = field(default_factory=dict)
    #: When an offer moved last; one that never did is of a process that is gone, or was only just seen.
    moved: dict[str, float] = field(default_factory=dict)
    #: Those that were tried already: they have somebody, or do not answer.
    busy: set[str] = field(default_factory=set)

    def look(self, own: str, now: float) -> list[Offer]:
        """Look at all but the own one, and return those that beat and may be free."""
        listed = durable.listing(self.place)
        for token in self.offers.keys() - set(listed):  # it has found somebody, or begins again under another token
            del self.offers[token]
            self.moved.pop(token, None)
        for token in listed:
            offer = read_offer(self.place, token) if token != own else None
            if offer is None:
                continue
            known = self.offers.get(token)
            if known is not None and known.counter != offer.counter:
                self.moved[token] = now
            self.offers[token] = offer
        lately = [token for token, at in self.moved.items() if now - at < _STILL and token not in self.busy]
        return [self.offers[token] for token in lately]

    def left(self, wall: float) -> list[str]:
        """Return the tokens whose process is gone: they have never moved, and are old by their own word."""
        still = [token for token in self.offers if token not in self.moved]
        return [token for token in still if wall - self.offers[token].time > _OLD]


def meet(
    place: str,
    offer: Offer,
    *,
    clock: Clock,
    token: Callable[[], str],
    patience: float,
    tell: Callable[[str], None],
    silence: float = SILENCE,
) -> Meeting:
    """Wait for another host, and return the meeting with it.

    Args:
        place: the folder in which offers stand.
        offer: who this is; its token is replaced.
        clock: the time.
        token: makes random names.
        patience: seconds to wait.
        tell: told what goes on.
        silence: see `Meeting`.

    Raises:
        NobodyCame: nobody did.
        SameHost: one came from this very machine, and that was not asked for.
        OSError: the store cannot be used.
    """
    durable.make_folder(place, KIND)
    until = clock.steady() + patience
    seen = _Seen(place)
    while True:
        own = Presence(place, replace(offer, token=token()), clock)
        met = None
        try:
            own.come()
            met = _pair(own, seen, until, tell, silence)
        finally:
            if met is None:
                own.go()
        if met is not None:
            for left in seen.left(clock.wall()):
                with contextlib.suppress(OSError):  # it may be another user's
                    archive.remove_tree(os.path.join(place, left))
            return met


def _pair(own: Presence, seen: _Seen, until: float, tell: Callable[[str], None], silence: float) -> Meeting | None:
    """Wait until this offer is part of a pair; None when it has to begin again."""
    clock = own.clock
    me = own.offer
    while clock.steady() < until:
        own.beat()
        leader = _taken_by(own.taken)
        others = seen.look(me.token, clock.steady())
        if leader:
            other = read_offer(own.place, leader)
            return _greet(Meeting(own, "b", other, tell, silence)) if other is not None else None
        candidates = [other for other in others if _may_pair(own.offer, other)]
        greater = [other for other in candidates if other.token > me.token]
        if greater and durable.link_new(own.taken, _token_record(me.token), KIND):
            for other in greater:
                seen.busy.add(other.token)
                if _takes(own.place, other.token, me.token):
                    return _greet(Meeting(own, "a", other, tell, silence))
            clock.pause(_LOOK)
            return None
        clock.pause(_LOOK)
    raise NobodyCame


def _takes(place: str, other: str, me: str) -> bool:
    """Take an offer; False where somebody has it, or it is gone since it was seen."""
    try:
        return durable.link_new(os.path.join(place, other, "taken"), _token_record(me), KIND)
    except OSError as error:
        if error.errno in _GONE:
            return False
        raise


def _greet(meeting: Meeting) -> Meeting | None:
    """See that the other is there; None when it has ended between its offer and now."""
    meeting.patience, usual = _HELLO, meeting.patience
    try:
        meeting.together("here")
    except (OtherGone, FileNotFoundError):
        return None
    meeting.patience = usual
    meeting.tell(f"met host {meeting.other.host} (pid {meeting.other.pid})")
    return meeting


def _may_pair(own: Offer, other: Offer) -> bool:
    """Say whether two offers may pair (pure).

    Raises:
        SameHost: they are of one machine, this came later, and it was not said that this is meant.
    """
    if own.boot != other.boot:
        return True
    if own.same_machine and other.same_machine:
        return True
    if (own.counter, own.token) < (other.counter, other.token):
        raise SameHost(
            f"another probe waits on this very machine (pid {other.pid}): two hosts are needed, say the command on "
            "another one; --same-machine on both tries it here and proves nothing"
        )
    return False


def _taken_by(path: str) -> str:
    data = durable.read(path)
    return str(records.unpack(path, data).get("token", "")) if data is not None else ""


def _token_record(token: str) -> bytes:
    return records.pack({"token": token})
