"""`report`: one HTML page about a job or an instrument, which opens anywhere and asks nothing of any network."""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor import (
    journal,
    pinned,
    reportinstrument,
    reportjob,
    shown,
    story,
    tombstones,
    tunerule,
    usagecurve,
    usagehistory,
)
from supervisor.dossier import Reader, jobs_of_run
from supervisor.exitcodes import INTERNAL, OK, USAGE
from supervisor.sincewhen import since
from supervisor.verbs import opened, tune

if TYPE_CHECKING:
    import argparse

    from supervisor.records import Request
    from supervisor.verbs.opened import OpenStore

#: Of an id or an instrument in the name of a file.
_LONGEST_NAME = 80

EPILOG = """\
WHAT is the id of a job or a run number; of several jobs of one run the newest is told. Without it, --instrument names
an instrument, whose runs are summed up. The file holds all it needs and asks nothing of any network.

Examples:
  autoreduce-supervisor report 75513 --instrument ENGINX
  autoreduce-supervisor report --instrument ENGINX --since "7 d" --out enginx.html
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("what", metavar="WHAT", nargs="?", help="a job id or a run number")
    parser.add_argument("--instrument", metavar="NAME", help="the instrument, or that of the run number")
    parser.add_argument(
        "--since",
        type=since,
        default=0.0,
        metavar="WHEN",
        help='of an instrument: runs decided since, "7 d" ago, or a time such as "2026-03-01 12:00"',
    )
    parser.add_argument("--out", metavar="FILE", help="where to write (default: report-WHAT.html in this folder)")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Write it."""
    return opened.carefully("write the report", _main, args)


def _main(args: argparse.Namespace) -> int:
    now = time.time()
    if args.what is None and args.instrument is None:
        shown.complain("say of what: a job id, a run number, or --instrument NAME")
        return USAGE
    if args.what is not None and args.since:
        shown.complain("--since is for --instrument alone; a job is told whole")
        return USAGE
    store = opened.store(args, write=False)
    if isinstance(store, int):
        return store
    instrument = args.instrument.strip().upper() if args.instrument else None
    if args.what is None:
        page = _of_instrument(store, instrument or "", args.since, now)
    else:
        page = _of_job(store, args.what, instrument, now)
    if isinstance(page, int):
        return page
    name = args.what if args.what is not None else instrument
    path = args.out or f"report-{file_name(str(name))}.html"
    try:
        write(path, page, force=args.force)
    except FileExistsError:
        shown.complain(f'"{shown.line(path)}" is there already; name another --out, or add --force')
        return USAGE
    except OSError as trouble:
        shown.complain(f'cannot write "{shown.line(path)}": {shown.line(trouble.strerror or trouble)}')
        return INTERNAL
    shown.say(f"written: {shown.line(os.path.abspath(path))}")
    return OK


def _of_job(store: OpenStore, what: str, instrument: str | None, now: float) -> str | int:
    found = _find(store, what, instrument)
    if isinstance(found, int):
        return found
    request, siblings = found
    dossier = Reader(store.layout).read(request, siblings)
    told = story.attempt_told(dossier)
    usage = told.curve if told is not None else usagecurve.UsageCurve()
    if told is not None and not told.exit and told.outcome is None:  # under way
        limits = store.settings.limits_for(request.instrument, request.rb)
        usage = replace(usage, memory_limit=limits.memory, cpu_limit=limits.cpu, wall_limit=limits.wall)
    return reportjob.render(dossier, usage, now=now, version=pinned.code_version())


def _find(store: OpenStore, what: str, instrument: str | None) -> tuple[Request, tuple[str, ...]] | int:
    """The job that is meant, and the other jobs of its run; else the exit status after it was said why not."""
    request = journal.read_request(store.layout.job(what)) if instrument is None else None
    if request is not None:
        return request, ()
    runs = jobs_of_run(store.layout, what, instrument)
    asked = shown.line(what, 200)
    if len(runs) > 1:
        shown.complain(f"run {asked} is known of {', '.join(runs)}; say which with --instrument")
        return USAGE
    if runs:
        jobs = next(iter(runs.values()))
        return jobs[-1], tuple(job.job for job in reversed(jobs[:-1]))
    gone = tombstones.find(store.layout, what) or next(tombstones.of_run(store.layout, what, instrument), None)
    if gone is not None:
        shown.complain(f"{asked} was pruned, and its measurements are no longer kept; why tells what is known of it")
    else:
        shown.complain(f'no job or run "{asked}" is known in the store "{store.layout.root}"; look at runs')
    return USAGE


def _of_instrument(store: OpenStore, instrument: str, begin: float, now: float) -> str | int:
    if instrument not in usagehistory.instruments(store.layout):
        shown.complain(f'no run of {shown.line(instrument, 80)} is known in the store "{store.layout.root}"')
        return USAGE
    history = usagehistory.read(store.layout, instrument, begin)
    limits = store.settings.limits_for(instrument).to_json()
    suggestions = tunerule.all_of(history, limits, tune.rule_of(store.settings))
    return reportinstrument.render(history, suggestions, since=begin, now=now, version=pinned.code_version())


def file_name(text: str) -> str:
    """Return a stranger's text as part of a file name: letters, digits, dots and dashes, none of them first."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:_LONGEST_NAME].strip(".-")
    return plain or "job"


def write(path: str, text: str, *, force: bool) -> None:
    """Write a file whole or not at all.

    Raises:
        FileExistsError: something stands there, and `force` is not set; a link to nowhere is something.
        OSError: it cannot be written.
    """
    if not force and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "is there already", path)
    temporary = f"{path}.{secrets.token_hex(4)}"
    try:
        # The page tells what a script has printed: it is for the one who asked.
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640), "wb") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
        if force:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)  # unlike a rename, it replaces nothing
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)
