"""`check`: whether the supervisor of this host does well, as a plugin of Nagios, Icinga and their like.

Looks into the run directory only: a store that hangs must not make the plugin hang that says so.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from sandbox.limits import LimitError, parse_duration
from supervisor import health, localstatus, shown, whereabouts
from supervisor.health import Bound, Bounds, Level

if TYPE_CHECKING:
    from collections.abc import Callable

EPILOG = """\
One line, and figures behind a bar. W,C are the bounds of WARNING and CRITICAL; an empty one never applies: ",1 h".
A refused reload, replies that no broker takes, jobs that no host takes, an interpreter that fails and locks that are
unproven are WARNING. A drained host and disabled instruments are named and are no fault.

Exit status: 0 OK; 1 WARNING; 2 CRITICAL, no supervisor among it; 3 UNKNOWN: it cannot be told, or the command was not
understood.

Examples:
  autoreduce-supervisor check
  autoreduce-supervisor check --waiting 200,2000 --oldest "2 h,12 h"
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    usual = Bounds()
    for name, what, read in (
        ("waiting", "jobs that are not finished with", float),
        ("oldest", "since the oldest job that could begin was sent", parse_duration),
        ("broker", "without a broker", parse_duration),
        ("store", "in which the store is in trouble", parse_duration),
    ):
        bound: Bound = getattr(usual, name)
        told = f"{bound.warning:.0f},{bound.critical:.0f}"
        parser.add_argument(
            f"--{name}",
            type=_bound(read),
            default=bound,
            metavar="W,C",
            help=f"{what} (default: {told}{'' if read is float else ' seconds'})",
        )
    whereabouts.arguments(parser)


def _bound(read: Callable[[str], float]) -> Callable[[str], Bound]:
    def bound(text: str) -> Bound:
        parts = text.split(",")
        if len(parts) != 2:
            raise argparse.ArgumentTypeError(f'"{text}" is not W,C; write for example "60,600"')
        try:
            warning, critical = (read(part.strip()) if part.strip() else None for part in parts)
        except (ValueError, LimitError) as wrong:
            raise argparse.ArgumentTypeError(f'"{text}": {wrong}') from wrong
        return Bound(warning, critical)

    return bound


def main(args: argparse.Namespace) -> int:
    """Print the line and return 0 to 3."""
    run_dir = whereabouts.run_dir(args.config)
    if run_dir is None:
        where = shown.line(args.config or whereabouts.CONFIG)
        return _say(Level.UNKNOWN, f'"{where}" does not say where the service runs; see check-config')
    unseen = localstatus.unseen(run_dir)
    if unseen:
        return _say(Level.UNKNOWN, unseen)
    found = health.judge(
        localstatus.read(run_dir),
        Bounds(waiting=args.waiting, oldest=args.oldest, broker=args.broker, store=args.store),
        time.time(),
    )
    shown.say(found.text())
    return found.level


def _say(level: Level, words: str) -> int:
    told = health.Health()
    told.add(level, words)
    shown.say(told.text())
    return level
