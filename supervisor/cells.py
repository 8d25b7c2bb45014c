"""The cells of one RB: epochs, outcomes, takes and promotions, each made once by `link(2)` (DESIGN §4).

Everything here looks afresh at each call: a cached "absent" decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from supervisor import durable, records
from supervisor.records import Epoch, Final, Outcome, Promoted, Take

if TYPE_CHECKING:
    from supervisor.layout import JobPlace, RbPlace

T = TypeVar("T")


def _read(kind: type[T], path: str) -> T | None:
    data = durable.read(path)
    return None if data is None else records.from_record(kind, path, data)


class RbCells:
    """The write-once cells of one RB."""

    def __init__(self, place: RbPlace) -> None:
        """Look at the cells below `place`."""
        self.place = place

    def make(self, rb: str) -> None:
        """Make the folders of the RB named `rb`, and the sidecar with its full name."""
        for kind in ("epochs", "outcomes", "promoting", "promoted"):
            durable.make_folder(self.place.folder(kind), "rb")
        if not durable.exists(self.place.name):
            durable.link_new(self.place.name, records.pack({"rb": rb}), "rb-name")

    def last(self) -> int:
        """The newest epoch, 0 where there is none."""
        return max((int(name) for name in durable.listing(self.place.folder("epochs")) if name.isdigit()), default=0)

    def epoch(self, n: int) -> Epoch | None:
        """The token of epoch `n`."""
        return _read(Epoch, self.place.epoch(n))

    def outcome(self, n: int) -> Outcome | None:
        """What became of epoch `n`; None while it is not decided."""
        return _read(Outcome, self.place.outcome(n))

    def promoted(self, n: int) -> Promoted | None:
        """How the promotion of epoch `n` ended; None while it did not."""
        return _read(Promoted, self.place.promoted(n))

    def later(self, n: int) -> Promoted | None:
        """The note that a given-up promotion of epoch `n` was done by `promote` later; None where it was not."""
        return _read(Promoted, self.place.later(n))

    def stands(self, n: int) -> bool:
        """Say whether the result of epoch `n` was put into place, at once or by `promote` later."""
        promoted = self.promoted(n)
        return promoted is not None and (promoted.kind == "done" or self.later(n) is not None)

    def takes(self) -> dict[tuple[int, int], Take]:
        """Every standing take by (n, k)."""
        found: dict[tuple[int, int], Take] = {}
        for name in durable.listing(self.place.folder("promoting")):
            n, _, k = name.partition(".")
            if not (n.isdigit() and k.isdigit()):
                continue
            take = _read(Take, self.place.take(int(n), int(k)))
            if take is not None:
                found[int(n), int(k)] = take
        return found

    def link_epoch(self, n: int, epoch: Epoch) -> bool:
        """Claim epoch `n`; False when another has it."""
        return durable.link_new(self.place.epoch(n), records.to_record(epoch), "epoch")

    def link_outcome(self, n: int, outcome: Outcome) -> bool:
        """Decide epoch `n`; False when it is decided already. The one commit point (DESIGN §5)."""
        return durable.link_new(self.place.outcome(n), records.to_record(outcome), f"outcome-{outcome.kind}")

    def link_promoted(self, n: int, promoted: Promoted) -> bool:
        """End the promotion of epoch `n`; False when it has ended already."""
        return durable.link_new(self.place.promoted(n), records.to_record(promoted), f"promoted-{promoted.kind}")

    def link_later(self, n: int, promoted: Promoted) -> bool:
        """Note that the given-up promotion of epoch `n` is done; False when that has been noted already."""
        return durable.link_new(self.place.later(n), records.to_record(promoted), "promoted-later")

    def link_take(self, n: int, take: Take) -> int:
        """Take the promotion of epoch `n` with the number above every standing take; return that number.

        A promoter that fails to link its number has met another, and looks again.
        """
        while True:
            k = 1 + max((number for epoch, number in self.takes() if epoch == n), default=0)
            if durable.link_new(self.place.take(n, k), records.to_record(take), "take"):
                return k

    def remove_take(self, n: int, k: int) -> None:
        """End take `k` of epoch `n`: its maker has looked last, or is gone (DESIGN §5, promotion 5)."""
        durable.remove(self.place.take(n, k), "take")


def read_final(place: JobPlace) -> Final | None:
    """Which outcome is the job's, or None while it has none."""
    return _read(Final, place.final)


def link_final(place: JobPlace, final: Final) -> bool:
    """Point the job at its committed outcome; False when that has been done."""
    return durable.link_new(place.final, records.to_record(final), "final")
