"""`resubmit`: runs a job again as a new job, with the message as it came."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from supervisor import durable, journal, shown
from supervisor.exitcodes import OK
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse

EPILOG = """\
The new job has an id of its own, which is printed, and takes its place behind what waits. The old job is not changed.

Example:
  autoreduce-supervisor resubmit 4f6c0f6e-8d0c-4c52-9b60-2e3f3c4f9a11
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("job", metavar="JOB", help="the id of the job to run again")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Make the new job and print its id."""
    return opened.carefully("resubmit", _main, args)


def _main(args: argparse.Namespace) -> int:
    store = opened.store(args)
    if isinstance(store, int):
        return store
    request = opened.job(store, args.job)
    if isinstance(request, int):
        return request
    now = time.time()
    again = journal.resubmitted(request, job=str(uuid.uuid4()), time_ms=int(now * 1000), host=store.facts.host, now=now)
    journal.journal(store.layout, again)
    if not durable.exists(store.layout.job(request.job).final):
        shown.complain(f"note: job {shown.line(request.job)} is not decided yet; both will run, one after the other")
    shown.say(again.job)
    return OK
