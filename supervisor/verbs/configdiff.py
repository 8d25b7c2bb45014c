"""`config diff`: what a file would change in the supervisor of this host, or between two files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from supervisor import config, localstatus, rundir, shown
from supervisor.configchanges import changes
from supervisor.exitcodes import CONFIG, INTERNAL, NOT_RUNNING, OK, USAGE
from supervisor.reloading import IN_FORCE_FILE

if TYPE_CHECKING:
    import argparse

    from supervisor.configchanges import Change

_PAIR = 2


def main(args: argparse.Namespace) -> int:
    """Compares, and prints every key that differs."""
    if len(args.files) not in (0, _PAIR) or (args.files and args.config):
        shown.complain("name two files, or --config alone to compare it with what the running supervisor uses")
        return USAGE
    try:
        if args.files:
            old, new = (config.load_whole(path) for path in args.files)
        else:
            new = config.load_whole(args.config)
            running = in_force(args.run_dir or new.settings.service.run_dir)
            if isinstance(running, int):
                return running
            old = running
    except config.ConfigProblems as found:
        shown.complain(*(f"{found.origin}: {problem}" for problem in found.problems))
        return CONFIG
    changed = changes(old, new)
    if args.json:
        shown.say(json.dumps({"changes": [_record(change) for change in changed]}))
        return OK
    shown.say(*(shown.table([_cells(change) for change in changed]) or ["nothing would change"]))
    return OK


def in_force(run_dir: str) -> config.Configuration | int:
    """Returns what the supervisor of a run directory uses, or the exit status after it was said why that is not known.

    Raises:
        ConfigProblems: this version cannot read what the supervisor uses.
    """
    unseen = localstatus.unseen(run_dir)
    if unseen:
        shown.complain(unseen)
        return INTERNAL
    if rundir.serving(run_dir) is None:
        shown.complain(f'no supervisor runs with "{run_dir}"; name two files, or its run directory with --run-dir')
        return NOT_RUNNING
    record = rundir.read_local(run_dir, IN_FORCE_FILE) or {}
    document = record.get("document")
    if not isinstance(document, dict):
        shown.complain(f'the supervisor with "{run_dir}" does not say what it uses; it is of an earlier version')
        return INTERNAL
    origin = "what the running supervisor uses"
    return config.Configuration(path=None, origin=origin, document=document, settings=config.validate(document, origin))


def _record(change: Change) -> dict[str, object]:
    return {"key": change.key, "old": change.old, "new": change.new, "restart": change.restart}


def _cells(change: Change) -> list[str]:
    applies = "needs a restart" if change.restart else "applies at reload"
    return [shown.line(change.key), f"{shown.line(change.old)} -> {shown.line(change.new)}", applies]
