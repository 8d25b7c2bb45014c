"""`why`: what became of a job, and why."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from supervisor import curvetext, durable, epitaph, journal, shown, story, terminal, tombstones
from supervisor.dossier import Dossier, Reader, jobs_of_run, poison_of
from supervisor.exitcodes import OK, USAGE
from supervisor.verbs import opened
from supervisor.waitlist import Waitlist

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from supervisor.records import Request
    from supervisor.tombstones import Tombstone
    from supervisor.verbs.opened import OpenStore

#: Lines of the usage curve.
_HEIGHT = 8

EPILOG = """\
WHAT is the id of a job, a run number, or the digest of a message that was refused. Of several jobs of one run the
newest is told, and the others are named.

Examples:
  autoreduce-supervisor why 75513 --instrument ENGINX
  autoreduce-supervisor why 4f6c0f6e-8d0c-4c52-9b60-2e3f3c4f9a11 --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("what", metavar="WHAT", help="a job id, a run number, or the digest of a refused message")
    parser.add_argument("--instrument", metavar="NAME", help="the instrument of the run number")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Tell it."""
    return opened.carefully("tell why", _main, args)


def _main(args: argparse.Namespace) -> int:
    store = opened.store(args, write=False)
    if isinstance(store, int):
        return store
    instrument = args.instrument.strip().upper() if args.instrument else None
    request = journal.read_request(store.layout.job(args.what)) if instrument is None else None
    siblings: tuple[str, ...] = ()
    if request is None:
        stone = tombstones.find(store.layout, args.what) if instrument is None else None
        if stone is not None:
            _tell_pruned(stone, (), as_json=args.json)
            return OK
        if instrument is None and _poison(store, args.what, as_json=args.json):
            return OK
        runs = jobs_of_run(store.layout, args.what, instrument)
        pruned = sorted(tombstones.of_run(store.layout, args.what, instrument), key=lambda of: -of.time_ms)
        known = sorted({*runs, *(of.instrument for of in pruned)})
        if len(known) > 1:
            shown.complain(
                f"run {shown.line(args.what, 200)} is known of {', '.join(known)}; say which with --instrument"
            )
            return USAGE
        if not known:
            shown.complain(_unknown(store, args.what, instrument))
            return USAGE
        if not runs:
            _tell_pruned(pruned[0], [of.job for of in pruned[1:]], as_json=args.json)
            return OK
        jobs = next(iter(runs.values()))
        request = jobs[-1]
        siblings = (*(job.job for job in reversed(jobs[:-1])), *(of.job for of in pruned))
    _tell(store, request, siblings, as_json=args.json)
    return OK


def _unknown(store: OpenStore, what: str, instrument: str | None) -> str:
    of = f" of {instrument}" if instrument else ""
    asked = shown.line(what, 200)
    return f'no job, run{shown.line(of, 80)} or refused message "{asked}" is known in the store "{store.layout.root}"'


def _tell(store: OpenStore, request: Request, siblings: tuple[str, ...], *, as_json: bool) -> None:
    dossier = Reader(store.layout).read(request, siblings)
    now = time.time()
    waits_for = _waits_for(store, dossier, now) if dossier.state == "waiting" else ""
    if as_json:
        shown.say(json.dumps(story.record(dossier, waits_for)))
    else:
        shown.say(*story.text(dossier, now, waits_for, _picture(store, dossier)))


def _picture(store: OpenStore, dossier: Dossier) -> list[str]:
    """The usage curve, as wide as the terminal; 80 columns where nobody says how wide it is."""
    told = story.attempt_told(dossier)
    if told is None:
        return []
    usage = told.curve
    if not told.exit and told.outcome is None:  # under way: its limits are those of the configuration
        limits = store.settings.limits_for(dossier.request.instrument, dossier.request.rb)
        usage = replace(usage, memory_limit=limits.memory, cpu_limit=limits.cpu, wall_limit=limits.wall)
    width = shutil.get_terminal_size((80, 24)).columns
    return curvetext.curve(usage, width, _HEIGHT, blocks=terminal.draws_blocks(sys.stdout))


def _tell_pruned(stone: Tombstone, siblings: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        shown.say(json.dumps(epitaph.record(stone, siblings)))
    else:
        shown.say(*epitaph.text(stone, time.time(), siblings))


def _waits_for(store: OpenStore, dossier: Dossier, now: float) -> str:
    waitlist = Waitlist(
        store.layout,
        why_not=store.why_not(now),
        max_attempts=store.settings.publish.max_attempts,
        now=now,
        served=store.is_served(now),
        rooms=store.rooms(now),
    )
    return waitlist.why_of(dossier.request)


def _poison(store: OpenStore, what: str, *, as_json: bool) -> bool:
    """Tell of refused messages; False where none is meant."""
    found = list(poison_of(store.layout, what))
    if not found:
        return False
    rows: list[str] = []
    for digest, record in found:
        told = durable.exists(store.layout.poison_told(digest))
        rows += _refused_text(digest, record, told=told)
    if as_json:
        kept = [
            {
                "state": "refused",
                "digest": digest,
                **{key: record.get(key) for key in ("key", "text", "time", "headers")},
            }
            for digest, record in found
        ]
        rows = [json.dumps(kept[0] if len(kept) == 1 else {"state": "refused", "messages": kept})]
    shown.say(*rows)
    return True


def _refused_text(digest: str, refused: dict[str, Any], *, told: bool) -> list[str]:
    """Return what there is to tell of a message that was refused."""
    at = refused.get("time")
    rows = [
        f"refused: {refused.get('text', 'no reason was kept')}",
        f"at fault:  {refused.get('key', '?')}",
        f"received:  {shown.moment(at, time.time()) if isinstance(at, int | float) else '?'}",
        f"reply:     {'told' if told else 'due'}",
        "advice:    mend the message and send it under a new id",
        f"message:   poison/{digest}",
    ]
    return [shown.line(row, 2000) for row in rows]
