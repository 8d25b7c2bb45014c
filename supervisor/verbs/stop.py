"""`stop`: ends the supervisor of this host; at once, after its runs have ended, or after it has ended them."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from sandbox.limits import LimitError, format_duration, parse_duration
from supervisor import drains, durable, localstatus, pinned, rundir, shown
from supervisor.attempts import run_record
from supervisor.exitcodes import INTERNAL
from supervisor.leftovers import signal_exactly
from supervisor.records import CorruptRecord
from supervisor.verbs import daemon, opened
from supervisor.verbs.drain import begin, wait_for
from supervisor.waitlist import Waitlist

if TYPE_CHECKING:
    import argparse

    from supervisor.cells import RbCells
    from supervisor.verbs.opened import OpenStore
    from supervisor.waitlist import UnderWay

#: Seconds between two looks at the runs, and between two lines of progress.
_LOOK = 1.0
_LINE = 30.0

EPILOG = """\
Runs go on under their shepherds, and the next supervisor finds them again. With --wait the host takes nothing new and
is stopped when its last run has ended and stands in the archive. With --kill its runs are ended in good order and given
back: they run again, on another host or here after the next start. In both cases it is drained meanwhile; what ends the
waiting (--timeout, Ctrl-C) leaves it serving as before.

Exit status: 0 done, or none runs; 70 it could not be done, or --timeout has passed; 78 configuration.

Examples:
  autoreduce-supervisor stop
  autoreduce-supervisor stop --wait --timeout "4 h"
  autoreduce-supervisor stop --kill
"""


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except LimitError as wrong:
        raise ValueError(str(wrong)) from wrong


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    runs = parser.add_mutually_exclusive_group()
    runs.add_argument("--wait", action="store_true", help="first wait until the runs of this host have ended")
    runs.add_argument("--kill", action="store_true", help="first end the runs of this host; they run again")
    parser.add_argument(
        "--timeout",
        type=_duration,
        metavar="DURATION",
        help='with --wait or --kill: how long the runs are waited for, such as "4 h" (default: without end; with '
        "--kill twice limits.grace and a minute)",
    )
    daemon.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Stop the supervisor of this run directory."""
    if args.wait or args.kill:
        return opened.carefully("stop", _empty_and_stop, args)
    return daemon.main(args)


def _empty_and_stop(args: argparse.Namespace) -> int:
    """Have the runs of this host ended, then stop it."""
    pinned.pin()
    store = opened.store(args)
    if isinstance(store, int):
        return store
    run_dir, host = store.settings.service.run_dir, store.facts.host
    unseen = localstatus.unseen(run_dir)
    if unseen:
        shown.complain(unseen)
        return INTERNAL
    for number in (signal.SIGTERM, signal.SIGHUP):  # a line that is cut is no reason to stay drained
        signal.signal(number, signal.default_int_handler)
    serves = rundir.serving(run_dir) is not None
    drained_before = drains.read_drain(store.layout, host) is not None
    try:
        if serves and not drained_before:
            begin(store, host, "stop --wait" if args.wait else "stop --kill")
        if serves and not wait_for(store, host, drained=True):
            shown.complain("the supervisor does not take it up; its store may hang, see status; it serves on")
            return INTERNAL
        if not _Emptying(store, host, end=args.kill, timeout=args.timeout).done():
            return INTERNAL
        return daemon.stop(run_dir, args.patience)
    finally:
        if serves and not drained_before:
            drains.lift_drain(store.layout, host)


class _Emptying:
    """The runs of a drained host: none is added, so what one listing shows is all."""

    def __init__(self, store: OpenStore, host: str, *, end: bool, timeout: float | None) -> None:
        """Look at the runs of `host`; `end` has them ended, `timeout` seconds are waited for (None: see the help)."""
        self._store = store
        self._end = end
        settings = store.settings
        grace = max(settings.limits_for(name).grace for name in ("", *settings.limits.instrument))
        self._timeout = 2 * grace + 60.0 if timeout is None and end else timeout
        waitlist = Waitlist(
            store.layout, why_not=lambda *_: "", max_attempts=store.settings.publish.max_attempts, now=time.time()
        )
        self._left: list[tuple[str, RbCells, UnderWay]] = []
        for part in waitlist.groups:
            found, cells = waitlist.under_way(part), waitlist.cells_of(part)
            if found is not None and cells is not None and found.epoch.host == host:
                self._left.append((waitlist.rb_of(part) or part, cells, found))
        shown.complain(*map(shown.line, waitlist.troubles))
        self._told: set[str] = set()

    def done(self) -> bool:
        """Wait until none is left, and say how it goes; False when the time is up."""
        began = time.monotonic()
        next_line = began
        while self._left:
            self._left = [run for run in self._left if not _has_ended(run[1], run[2].n)]
            if self._end:
                self._send_ends()
            now = time.monotonic()
            if self._left and now >= next_line:
                next_line = now + _LINE
                shown.say(f"waiting for {self._words(now - began)}")
            if self._left and self._timeout is not None and now - began >= self._timeout:
                shown.complain(f"not stopped: {self._words(now - began)}; it serves on, and takes new runs again")
                return False
            if self._left:
                time.sleep(_LOOK)
        return True

    def _send_ends(self) -> None:
        """Have the shepherds of undecided runs end their boxes and give the jobs back (SIGTERM), each once."""
        for rb, cells, run in self._left:
            job = run.epoch.job
            if job in self._told or cells.outcome(run.n) is not None:
                continue
            try:
                record = run_record(self._store.layout.job(job), run.n)
            except CorruptRecord as damage:
                shown.complain(shown.line(damage))
                self._told.add(job)
                continue
            if record is not None:  # else it begins just now: it is told at the next look
                self._told.add(job)
                if signal_exactly(record.shepherd, signal.SIGTERM):
                    shown.say(shown.line(f"ending job {job} of RB {rb}; it runs again", 200))

    def _words(self, waited: float) -> str:
        rows = [f"job {run.epoch.job} (RB {rb})" for rb, _cells, run in self._left]
        more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
        runs = "one run is" if len(rows) == 1 else f"{len(rows)} runs are"
        listed = ", ".join(rows[:3])
        return shown.line(f"{runs} under way for {format_duration(round(waited))}: {listed}{more}", 400)


def _has_ended(cells: RbCells, n: int) -> bool:
    """Say whether epoch `n` is given back, or its result stands."""
    outcome = cells.outcome(n)
    if outcome is None:
        return False
    return outcome.kind != "committed" or durable.exists(cells.place.promoted(n))
