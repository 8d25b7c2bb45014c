"""`cancel`: ends a job that waits or is under way; says what it did."""

from __future__ import annotations

import os
import signal
import time
import uuid
from typing import TYPE_CHECKING

from supervisor import durable, journal, shown
from supervisor.attempts import run_record
from supervisor.cells import RbCells, read_final
from supervisor.dossier import jobs_of_run, running_epoch
from supervisor.exitcodes import OK, USAGE
from supervisor.leftovers import signal_exactly
from supervisor.operatorword import operator
from supervisor.records import Cancel
from supervisor.runkey import is_whole, run_value
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse

    from supervisor.records import Request
    from supervisor.verbs.opened import OpenStore

EPILOG = """\
A job that waits ends without a run; one that runs is told to end, then killed after limits.grace; one that is decided
keeps its outcome. A cancel of a run that is not known yet is remembered for 24 h.

Examples:
  autoreduce-supervisor cancel 4f6c0f6e-8d0c-4c52-9b60-2e3f3c4f9a11
  autoreduce-supervisor cancel --instrument ENGINX --run 75513 --version 0
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("job", metavar="JOB", nargs="?", help="the id of the job")
    parser.add_argument("--instrument", metavar="NAME", help="with --run instead of JOB")
    parser.add_argument("--run", metavar="N", help="every job of this run")
    parser.add_argument("--version", metavar="V", type=int, help="of this version only")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Cancel, and say what was done."""
    return opened.carefully("cancel", _main, args)


def _main(args: argparse.Namespace) -> int:
    by_run = bool(args.instrument and args.run)
    if bool(args.job) == by_run or (args.job and (args.instrument or args.run or args.version is not None)):
        shown.complain("say either JOB, or --instrument and --run")
        return USAGE
    if by_run and not is_whole(run_value(args.run)):
        shown.complain(f'"{shown.line(args.run, 200)}" is no run number')
        return USAGE
    store = opened.store(args)
    if isinstance(store, int):
        return store
    if args.job:
        request = opened.job(store, args.job)
        if isinstance(request, int):
            return request
        shown.say(shown.line(_cancel_job(store, request)))
        return OK
    asked = _asked(args.instrument.strip().upper(), run_value(args.run), args.version)
    shown.say(*(shown.line(row) for row in _cancel_run(store, asked)))
    return OK


def _asked(instrument: str, run: str, version: int | None) -> Cancel:
    now = time.time()
    return Cancel(
        who=f"operator {operator(os.environ, os.getuid())}",
        time_ms=int(now * 1000),
        message_id=str(uuid.uuid4()),
        instrument=instrument,
        run=run,
        version=version,
        written=now,
    )


def _cancel_job(store: OpenStore, request: Request) -> str:
    place = store.layout.job(request.job)
    if durable.exists(place.final):
        return _state(store, request, new=False)
    asked = _asked(request.instrument, request.run, request.version)
    return _state(store, request, new=journal.cancel_job(place, asked))


def _cancel_run(store: OpenStore, asked: Cancel) -> list[str]:
    new = journal.cancel_run(store.layout, asked)
    jobs = jobs_of_run(store.layout, asked.run, asked.instrument).get(asked.instrument, [])
    meant = [request for request in jobs if journal.means(asked, request)]
    rows = [_state(store, request, new=request.job in new) for request in meant]
    rows += [
        f"job {request.job} was sent after this cancel by the clock of its broker: cancel {request.job} ends it"
        for request in jobs
        if asked.version in (None, request.version) and request not in meant
    ]
    remembered = any(cancel.message_id == asked.message_id for _, cancel in journal.remembered(store.layout))
    if remembered:
        of = f" version {asked.version}" if asked.version is not None else ""
        rows.append(
            f"remembered for 24 h: a job of {asked.instrument} run {asked.run}{of}, sent before now, ends when it comes"
        )
    return rows


def _state(store: OpenStore, request: Request, *, new: bool) -> str:
    """Look at the job once its cancel stands, and say what that means for it."""
    place = store.layout.job(request.job)
    cells = RbCells(store.layout.rb(request.rb))
    final = read_final(place)
    outcome = cells.outcome(final.n) if final is not None else None
    if final is not None:
        how = f": {outcome.verdict}: {outcome.sentence}" if outcome is not None else ""
        return f"job {request.job} is decided already, nothing changes{how}"
    again = "" if new else " (it had been asked before)"
    n = running_epoch(cells, request.job)
    if n is None:
        return f"job {request.job} is cancelled; it had not begun{again}"
    _nudge(store, request, n)
    return f"job {request.job} runs in epoch {n}: it is asked to end{again}"


def _nudge(store: OpenStore, request: Request, n: int) -> None:
    """Have a shepherd of this host look now (SIGUSR1, DESIGN §3); without that it looks at its next beat."""
    run = run_record(store.layout.job(request.job), n)
    if run is None or run.host != store.facts.host or run.shepherd.boot != store.facts.boot:
        return
    signal_exactly(run.shepherd, signal.SIGUSR1)
