"""`submit`: a message put into the store by hand, journaled as one from the broker would be."""

from __future__ import annotations

import json
import sys
import time
import uuid
from typing import TYPE_CHECKING

from supervisor import intake, journal
from supervisor.exitcodes import CONFIG, INTERNAL, OK, USAGE
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse

EPILOG = """\
MESSAGE is a JSON file as a producer would send it, or "-" for standard input. The id of the new job is printed.

Example:
  autoreduce-supervisor submit message.json --config supervisor.toml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("message", metavar="MESSAGE", help="the message, a JSON file")
    parser.add_argument("--job", metavar="ID", help="the id of the job (default: a new one)")
    parser.add_argument("--priority", type=int, default=4, choices=range(10), metavar="0-9", help="9 is served first")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Journal the message and print the id of its job."""
    try:
        if args.message == "-":
            body = sys.stdin.buffer.read()
        else:
            with open(args.message, "rb") as file:
                body = file.read()
    except OSError as error:
        print(f'cannot read "{args.message}": {error.strerror}', file=sys.stderr)
        return USAGE
    store = opened.store(args, create=True)
    if isinstance(store, int):
        return store
    job = args.job or str(uuid.uuid4())
    now = time.time()
    headers = {"job-id": job, "timestamp": str(int(now * 1000)), "priority": str(args.priority)}
    what = intake.examine(body, headers, store.settings, host=store.facts.host, hostname=store.facts.hostname, now=now)
    if isinstance(what, intake.Poison):
        print(f"refused: {what.text}", file=sys.stderr)
        return USAGE
    try:
        if isinstance(what, intake.CancelRun):
            print(json.dumps(journal.cancel_run(store.layout, what.cancel)))
            return OK
        taken = journal.journal(store.layout, what.request)
    except OSError as error:
        print(f"cannot write the store: {error}", file=sys.stderr)
        return INTERNAL
    if taken is journal.Taken.CONFLICT:
        print(f"job {job} is known with another body; give the run an id of its own", file=sys.stderr)
        return CONFIG
    print(job)
    return OK
