"""A counterexample of the model as a list of steps for real hosts, with the times that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagedsite import CALM

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagedfleet import StagedFleet
    from stagedsite import Times


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The steps of one counterexample; they end well with the code as it is, and must not with its mutant."""

    #: As the model calls it, and a word where one has several.
    name: str
    play: Callable[[StagedFleet], None]
    times: Times = CALM
    watcher: Times | None = None
    give_up: str = "1 h"
    #: Needs a real broker.
    broker: bool = False


def traces_of(*collected: list[Trace]) -> dict[str, Trace]:
    """All traces by name."""
    return {trace.name: trace for traces in collected for trace in traces}


def collector(
    into: list[Trace],
) -> Callable[..., Callable[[Callable[[StagedFleet], None]], Callable[[StagedFleet], None]]]:
    """Make the decorator that puts steps into a list: its function is named after the counterexample."""

    def trace(
        *, times: Times = CALM, watcher: Times | None = None, give_up: str = "1 h", broker: bool = False
    ) -> Callable[[Callable[[StagedFleet], None]], Callable[[StagedFleet], None]]:
        def keep(play: Callable[[StagedFleet], None]) -> Callable[[StagedFleet], None]:
            into.append(
                Trace(name=play.__name__, play=play, times=times, watcher=watcher, give_up=give_up, broker=broker)
            )
            return play

        return keep

    return trace
