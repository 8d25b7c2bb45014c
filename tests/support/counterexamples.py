"""All counterexamples, and how one is played."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import claimtraces
import promotiontraces
from countertrace import traces_of
from stagedfleet import StagedFleet
from stagedhost import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from countertrace import Trace

TRACES = traces_of(claimtraces.TRACES, promotiontraces.TRACES)


def open_fleet(trace: Trace, base: Path, *, broker_port: int = 0, code: Path = ROOT) -> StagedFleet:
    """Make the fleet that a trace needs; with its own queues on the broker, where it needs one."""
    mark = uuid.uuid4().hex[:12]
    queues = {key: f"/queue/t.{mark}.{key}" for key in ("pending", "started", "complete", "error")}
    return StagedFleet(
        base,
        times=trace.times,
        watcher=trace.watcher,
        give_up=trace.give_up,
        code=code,
        broker_port=broker_port if trace.broker else 0,
        queues=queues if trace.broker else None,
    )


def play(trace: Trace, base: Path, *, broker_port: int = 0, code: Path = ROOT, tolerated: Iterable[str] = ()) -> None:
    """Play a trace.

    Raises:
        Violation: something did not hold that must.
    """
    with open_fleet(trace, base, broker_port=broker_port, code=code) as fleet:
        fleet.tolerated |= set(tolerated)
        trace.play(fleet)
