"""`sweep`: removes what crashes left behind and nobody comes back for, and says what that is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from supervisor import checkstore, shown
from supervisor.exitcodes import INTERNAL, OK
from supervisor.pruning import Pruner
from supervisor.storecall import reason
from supervisor.sweeping import Sweeping
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse

EPILOG = """\
Staging and asides of attempts that came to nothing, temporary files older than an hour, cancels that expired, empty
folders, and the scratch of dead boxes of this host. Nothing that a run, a promotion or an undecided epoch may still
need: such RBs are passed over and named. It may be said while supervisors serve.

Exit status: 0 done; 70 something could not be looked at or removed.

Example:
  autoreduce-supervisor sweep --dry-run
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("--dry-run", action="store_true", help="list what would be removed, and remove nothing")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Sweep, and list what went."""
    return opened.carefully("sweep", _main, args)


def _main(args: argparse.Namespace) -> int:
    store = opened.store(args)
    if isinstance(store, int):
        return store
    now = time.time()
    kept = store.settings.store
    sweeping = Sweeping(
        layout=store.layout,
        pruner=Pruner(store.layout, keep=kept.keep, remember=kept.remember, host=store.facts.host),
        spool=store.settings.spool.path,
        run_dir=store.settings.service.run_dir,
        store_now=now + checkstore.file_time(store.layout.root),
        now=now,
    )
    count = 0
    for leftover in sweeping.found():
        try:
            if not args.dry_run and leftover.remove() is False:
                continue  # it is in use again
        except OSError as error:
            sweeping.troubles.append(reason(error))
            continue
        count += 1
        shown.say(shown.line(f"{leftover.what} {leftover.path}: {leftover.why}", 2000))
    shown.complain(*(shown.line(f"passed over: {each}", 2000) for each in sweeping.passed_over))
    shown.complain(*(shown.line(f"cannot sweep: {each}", 2000) for each in sweeping.troubles))
    shown.say(f"{count or 'nothing'} {'would be ' if args.dry_run else ''}removed")
    return INTERNAL if sweeping.troubles else OK
