"""`disable`, `enable`: have the runs of an instrument wait in the whole fleet, and let them go on."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from supervisor import disabling, durable, shown, waiting
from supervisor.exitcodes import OK, USAGE
from supervisor.names import part_of
from supervisor.operatorword import operator
from supervisor.settingtypes import instrument_name
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse

    from supervisor.verbs.opened import OpenStore

EPILOG = """\
The word stands in the store: every host heeds it at its next scan, without a restart, and after its own. Messages are
taken as before and their runs wait, however long; runs under way go on. To end what waits, use cancel.

Examples:
  autoreduce-supervisor disable ENGINX --why "detector bank 2 is being replaced"
  autoreduce-supervisor enable ENGINX
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of these verbs."""
    parser.add_argument("instrument", metavar="INSTRUMENT", help="its name, in any letter case")
    parser.add_argument("--why", metavar="TEXT", default="", help="the reason (disable); runs, status and why show it")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Disable or enable, and say what that means for what waits."""
    return opened.carefully(f"{args.verb} the instrument", _main, args)


def _main(args: argparse.Namespace) -> int:
    try:
        instrument = instrument_name(args.instrument.strip())
    except ValueError as wrong:
        shown.complain(str(wrong))
        return USAGE
    if args.verb == "enable" and args.why:
        shown.complain("--why belongs to disable")
        return USAGE
    store = opened.store(args)
    if isinstance(store, int):
        return store
    shown.say(*(_disable if args.verb == "disable" else _enable)(store, instrument, args.why))
    return OK


def _disable(store: OpenStore, instrument: str, why: str) -> list[str]:
    record = disabling.Disabled(
        instrument=instrument,
        who=f"operator {operator(os.environ, os.getuid())}",
        time=time.time(),
        said_on=store.facts.hostname,
        why=shown.line(why, disabling.LONGEST),
    )
    new = disabling.disable(store.layout, record)
    known = record if new else disabling.read(store.layout, instrument)
    if known is None:  # enabled at this very moment: the later word counts
        return [f"instrument {instrument} was enabled at the same time by somebody else; say disable again"]
    again = "" if new else " (it was before, and that word stays)"
    return [
        f"{disabling.told(known)}{again}",
        _waiting(store, instrument, "what waits stays until enable, what runs goes on"),
    ]


def _enable(store: OpenStore, instrument: str, _why: str) -> list[str]:
    known = disabling.enable(store.layout, instrument)
    if known is None:
        rows = [f"instrument {instrument} was not disabled; nothing changes"]
    else:
        rows = [f"instrument {instrument} is enabled", _waiting(store, instrument, "what waits goes on")]
    if not store.settings.instrument_for(instrument).enabled:
        rows.append(
            f"caution: instrument.{instrument}.enabled is false in the configuration of this host, which takes no run "
            "of it until that is changed and reloaded"
        )
    return rows


def _waiting(store: OpenStore, instrument: str, what: str) -> str:
    part = part_of(instrument)
    listed = (waiting.parse(name) for name in durable.names(store.layout.waiting))
    count = sum(entry is not None and entry.instrument == part for entry in listed)
    return f"{count} of its jobs are not finished with: {what}"
