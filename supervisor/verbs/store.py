"""`store`: how the shared store stands, and raising its format."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sandbox.limits import format_duration
from supervisor import checkstore, durable, hosts, records, shown, storeformat, tombstones
from supervisor.exitcodes import INTERNAL, OK
from supervisor.fleetformat import FleetLook, upgrade
from supervisor.storehealth import trouble_of
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse

    from supervisor.storeformat import HostState
    from supervisor.verbs.opened import OpenStore

#: Beats between the two looks that tell which hosts live, and seconds of silence after which one is dead.
_WATCH = 3
_DEAD_AFTER = 7 * 86400.0

EPILOG = f"""\
status   prints the format, every host with the formats that it reads and what keeps it from the store, and how much
         there is of everything; it watches the heartbeats for {_WATCH} beats
upgrade  raises the format to the newest that this version knows, once every living host can read it. A host that was
         silent for {_DEAD_AFTER / 86400:g} d is dead; of one that you know to be dead, say --without HOST. A store
         is never brought back to an older format

Exit status: 0 done; 70 it cannot be done, and why; 78 not a store, or of a format that is not known.

Examples:
  autoreduce-supervisor store status
  autoreduce-supervisor store upgrade --without ndxgem
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("what", choices=("status", "upgrade"), help="what to do")
    parser.add_argument(
        "--to", type=opened.count, default=records.VERSION, metavar="N", help="the format to raise it to"
    )
    parser.add_argument("--without", action="append", default=[], metavar="HOST", help="take this silent host for dead")
    parser.add_argument("--json", action="store_true", help="status: print one JSON object")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Do it."""
    return opened.carefully(f"tell of the store: {args.what}", _main, args)


def _main(args: argparse.Namespace) -> int:
    store = opened.store(args, write=args.what == "upgrade")
    if isinstance(store, int):
        return store
    ahead = checkstore.file_time(store.layout.root) if args.what == "upgrade" else 0.0
    look = FleetLook(
        layout=store.layout,
        watch=_WATCH * store.settings.lock.beat,
        dead_after=_DEAD_AFTER,
        without=args.without,
        sleep=time.sleep,
        now=lambda: time.time() + ahead,
    )
    if args.what == "status":
        return _status(store, look, as_json=args.json)
    unknown = sorted(set(args.without) - {beat.host for beat in hosts.all_beats(store.layout)})
    if unknown:
        shown.complain(f"no host {shown.line(', '.join(unknown), 200)} was ever seen in this store; see store status")
        return INTERNAL
    try:
        before, seen = upgrade(look, args.to)
    except storeformat.Unraised as why:
        shown.complain(f"cannot raise the format: {shown.line(why, 2000)}")
        return INTERNAL
    shown.say(*(_host(host) for host in seen))
    if before.number == args.to:
        shown.say(f"the store has format {args.to} already; nothing changes")
    else:
        shown.say(f"the store has format {args.to} now; it had {before.number}")
    return OK


def _status(store: OpenStore, look: FleetLook, *, as_json: bool) -> int:
    found = storeformat.check(store.layout)
    states = {state.host: state for state in look.states()}
    counts = count(store)
    beats = {beat.host: beat for beat in hosts.all_beats(store.layout)}
    if as_json:
        told: dict[str, Any] = {
            "path": store.layout.root,
            "format": found.number,
            "raising": found.raising or None,
            "reads": list(records.READS),
            "hosts": [
                {**asdict(state), "trouble": beats[name].trouble if name in beats else {}}
                for name, state in states.items()
            ],
            "count": counts,
        }
        shown.say(json.dumps(told))
        return OK
    raising = f", being raised to {found.raising}" if found.raising else ""
    newest = "" if found.number == records.VERSION else f"; this version knows {records.VERSION}: store upgrade"
    shown.say(f"store:    {store.layout.root}", f"format:   {found.number}{raising}{newest}")
    for name, state in states.items():
        shown.say(f"host:     {_host(state)}")
        trouble = trouble_of(beats[name].trouble) if name in beats else None
        if trouble is not None:
            now = time.time()
            until = f" until {shown.moment(trouble.until, now)}" if trouble.until else ", and still"
            shown.say(shown.line(f"          {trouble.why}, since {shown.moment(trouble.since, now)}{until}", 2000))
    shown.say(*(f"{what + ':':10}{number}" for what, number in counts.items()))
    return OK


def _host(state: HostState) -> str:
    silence = f" for {format_duration(round(state.age))}" if state.state in ("silent", "dead") else ""
    reads = " and ".join(map(str, state.reads))
    return shown.line(
        f"{state.host}: {state.state}{silence}, version {state.version or '?'}, reads format {reads}", 2000
    )


def count(store: OpenStore) -> dict[str, int]:
    """Return how much there is of what grows."""
    layout = store.layout
    stones = [durable.listing(layout.path("tombstones", month)) for month in tombstones.months(layout)]
    return {
        "waiting": len(durable.listing(layout.waiting)),
        "jobs": sum(len(durable.listing(layout.path("jobs", shard))) for shard in durable.listing(layout.path("jobs"))),
        "pruned": sum(len(month) - (tombstones.INDEX in month) for month in stones),
        "RBs": sum(len(durable.listing(layout.path("rb", shard))) for shard in durable.listing(layout.path("rb"))),
        "refused": sum(not name.endswith(".told") for name in durable.listing(layout.path("poison"))),
        "cancels": len(durable.listing(layout.cancels)),
    }
