"""`locks`: every RB that is held, by whom and since when, what is done under its lock, and who waits for it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from sandbox.limits import format_duration
from supervisor import pulses, shown
from supervisor.exitcodes import OK
from supervisor.rbholders import RbHolder, RbHolders, counters
from supervisor.verbs import opened
from supervisor.waitlist import Waitlist

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

EPILOG = """\
Listed are the RBs whose newest epoch is undecided (handing over, running) or not brought into place (promoting), and
those with a take that a promoter has left. No lock is taken: whether a holder lives is told by what moves. Without
--watch that is told by the times of its last signs, so clocks that differ count; with it the counters are watched by
this host's own clock. What each state means: docs/how-to/fleet.md.

Exit status: 0 listed, be it none; 70 the store cannot be used; 78 configuration.

Examples:
  autoreduce-supervisor locks
  autoreduce-supervisor locks --watch 25 --rb 1510111
  autoreduce-supervisor locks --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("--rb", metavar="RB", help="only this RB number")
    parser.add_argument("--host", metavar="HOST", help="only what this host holds")
    parser.add_argument(
        "--watch", type=_seconds, default=0.0, metavar="SECONDS", help="watch so long what moves (default: one look)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    opened.arguments(parser)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0.0 <= number <= 86400.0:
        raise ValueError(text)
    return number


def main(args: argparse.Namespace) -> int:
    """List the holders."""
    return opened.carefully("list the locks", _main, args)


def _main(args: argparse.Namespace) -> int:
    store = opened.store(args, write=False)
    if isinstance(store, int):
        return store
    rb = None if args.rb is None else args.rb.strip().upper()
    lock = store.settings.lock

    def look(still: dict[str, float]) -> tuple[Waitlist, list[RbHolder]]:
        now = time.time()
        waitlist = Waitlist(
            store.layout, why_not=lambda *_: "", max_attempts=store.settings.publish.max_attempts, now=now
        )
        holders = RbHolders(
            waitlist, beat=lock.beat, takeover_after=lock.takeover_after, still=still, watched=args.watch
        ).find()
        return waitlist, [one for one in holders if rb in (None, one.rb) and args.host in (None, one.host)]

    waitlist, holders = look({})
    if args.watch and holders:
        still = pulses.watch(
            lambda: counters(waitlist, holders),
            args.watch,
            step=pulses.step_of(lock.beat),
            monotonic=time.monotonic,
            wait=threading.Event().wait,
        )
        waitlist, holders = look(still)
    if args.json:
        record = {"locks": [asdict(one) for one in holders], "unreadable": waitlist.troubles}
        shown.say(json.dumps(record))
        return OK
    shown.say(*text(holders, waitlist.now))
    shown.complain(*(shown.line(trouble) for trouble in waitlist.troubles))
    return OK


def text(holders: Sequence[RbHolder], now: float) -> list[str]:
    """Return the table as lines for people (pure)."""
    return shown.table([_cells(one, now) for one in holders]) or ["no RB is held"]


def _cells(one: RbHolder, now: float) -> list[str]:
    waits = f"{one.waiting} wait, first job {one.first}" if one.first else "nobody waits"
    beat = (
        "no beat seen" if one.run_silent is None else f"beat {one.beats}, {format_duration(round(one.run_silent))} ago"
    )
    cells = [
        f"RB {one.rb}",
        f"epoch {one.epoch} on {one.host}",
        f"since {shown.moment(one.since, now)}",
        f"{one.instrument} {one.run}",
        f"job {one.job}",
        one.state,
        beat,
        waits,
    ]
    return [shown.line(cell, 60) for cell in cells] + [shown.line(one.note, 300)]
