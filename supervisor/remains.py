"""What one boot of a host has left undone in the store: undecided epochs, and takes that stand. Looks only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import durable, hosts
from supervisor.rblock import read_counter
from supervisor.records import CorruptRecord

if TYPE_CHECKING:
    from supervisor.layout import Layout
    from supervisor.waitlist import Waitlist


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftEpoch:
    """An undecided epoch."""

    rb: str
    n: int
    job: str
    #: Seconds since 1970.
    since: float
    #: A shepherd had begun: its run will run again.
    begun: bool
    boot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftTake:
    """A take that stands: its maker may have moved something aside."""

    rb: str
    n: int
    k: int
    boot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What is left undone."""

    host: str
    epochs: tuple[LeftEpoch, ...] = ()
    takes: tuple[LeftTake, ...] = ()

    def of(self, boot: str) -> Remains:
        """Only what is of one boot."""
        return Remains(
            host=self.host,
            epochs=tuple(epoch for epoch in self.epochs if epoch.boot == boot),
            takes=tuple(take for take in self.takes if take.boot == boot),
        )

    @property
    def boots(self) -> set[str]:
        """Every boot of which something is left."""
        return {epoch.boot for epoch in self.epochs} | {take.boot for take in self.takes}

    def __bool__(self) -> bool:
        return bool(self.epochs or self.takes)

    def counters(self, layout: Layout) -> dict[str, object]:
        """What moves while anything of the host lives: its heartbeat, and the counter of each undecided run."""
        found: dict[str, object] = {f"the heartbeat of host {self.host}": hosts.pulse(layout, self.host)}
        for left in self.epochs:
            found[f"the run of RB {left.rb}, epoch {left.n}"] = read_counter(layout.rb(left.rb).lock)
        return found


def remains_of(waitlist: Waitlist, host: str) -> Remains:
    """Return what `host` has left undone, of any boot.

    The job of an undecided epoch, or of an epoch with a take, keeps its entry in `waiting/`; so one listing leads to
    every RB that is to be looked at. What cannot be read goes to the troubles of `waitlist`.

    Raises:
        OSError: the store cannot be used.
    """
    epochs: list[LeftEpoch] = []
    takes: list[LeftTake] = []
    for part in waitlist.groups:
        cells = waitlist.cells_of(part)
        if cells is None:
            continue
        try:
            epochs += _epoch_of(waitlist, part, host)
            takes += [
                LeftTake(rb=waitlist.rb_of(part) or part, n=n, k=k, boot=take.boot)
                for (n, k), take in cells.takes().items()
                if take.host == host
            ]
        except CorruptRecord as corrupt:
            waitlist.troubles.append(str(corrupt))
    return Remains(host=host, epochs=tuple(epochs), takes=tuple(takes))


def _epoch_of(waitlist: Waitlist, part: str, host: str) -> list[LeftEpoch]:
    found = waitlist.under_way(part)
    if found is None or found.what != "running" or found.epoch.host != host:
        return []
    begun = durable.exists(waitlist.layout.job(found.epoch.job).run(found.n))
    epoch, rb = found.epoch, waitlist.rb_of(part) or part
    return [LeftEpoch(rb=rb, n=found.n, job=epoch.job, since=epoch.time, begun=begun, boot=epoch.boot)]
