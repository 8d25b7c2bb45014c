"""`runs`: what waits and why not now, what runs, and what has lately finished."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sandbox.verdict import Verdict
from supervisor import names, shown
from supervisor.exitcodes import OK, USAGE
from supervisor.names import part_of
from supervisor.runfilter import STATES, RunFilter
from supervisor.sincewhen import since
from supervisor.takeover import Ruling
from supervisor.verbs import opened
from supervisor.waitlist import Waitlist

if TYPE_CHECKING:
    import argparse

    from supervisor.records import Outcome, Request
    from supervisor.waiting import Entry
    from supervisor.waitlist import Done, UnderWay

#: Rows of each of the three lists.
_LIMIT = 20

EPILOG = """\
What waits is listed in the order in which it would be served, each with what keeps it from running now. Filters go
together: a job is listed where it meets all of them. Only a list in which such a job can stand is looked into.

Examples:
  autoreduce-supervisor runs --rb 1510111
  autoreduce-supervisor runs --instrument ENGINX --limit 100 --json
  autoreduce-supervisor runs --verdict memory_limit --since 7d
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One job in one of the lists."""

    job: str
    instrument: str
    rb: str
    run: str
    #: Waiting: when it was sent; running: when its epoch was claimed; finished: when it was decided. Since 1970, s.
    since: float
    host: str = ""
    epoch: int = 0
    priority: int | None = None
    verdict: str = ""
    #: Waiting: why not now; running: what is done; finished: the sentence.
    text: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("--rb", metavar="RB", help="only this RB number")
    parser.add_argument("--instrument", metavar="NAME", help="only this instrument")
    parser.add_argument("--state", choices=STATES, help="only this list")
    parser.add_argument(
        "--verdict", choices=list(Verdict), metavar="VERDICT", help="only what ended so, such as memory_limit"
    )
    parser.add_argument("--host", metavar="HOST", help="only what runs or ran on this host")
    parser.add_argument(
        "--since",
        type=since,
        default=0.0,
        metavar="WHEN",
        help='only what was sent, claimed or decided since: "2h", "7d" ago, or a time such as "2026-03-01 12:00"',
    )
    parser.add_argument(
        "--limit", type=opened.count, default=_LIMIT, metavar="N", help=f"rows of each list (default: {_LIMIT})"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Print the lists."""
    return opened.carefully("list the runs", _main, args)


def _main(args: argparse.Namespace) -> int:
    asked = RunFilter(
        rb=None if args.rb is None else args.rb.strip().upper(),
        instrument=None if args.instrument is None else args.instrument.strip().upper(),
        state=args.state,
        verdict=args.verdict,
        host=args.host,
        since=args.since,
    )
    if not asked.lists:
        shown.complain(
            f"nothing that is {args.state} has a {'verdict' if args.verdict is not None else 'host'}; leave --state out"
        )
        return USAGE
    store = opened.store(args, write=False)
    if isinstance(store, int):
        return store
    now = time.time()
    waitlist = Waitlist(
        store.layout,
        why_not=store.why_not(now),
        max_attempts=store.settings.publish.max_attempts,
        now=now,
        served=store.is_served(now),
        rooms=store.rooms(now),
    )
    lists = collect(waitlist, asked, args.limit)
    if args.json:
        record: dict[str, Any] = {name: [asdict(row) for row in rows] for name, rows in lists.items()}
        record |= {"not_finished": sum(map(len, waitlist.groups.values())), "unreadable": waitlist.troubles}
        record["cut"] = waitlist.cut
        shown.say(json.dumps(record))
        return OK
    shown.say(*text(lists, now, args.limit, sum(map(len, waitlist.groups.values()))))
    shown.complain(*(shown.line(trouble) for trouble in waitlist.troubles))
    if waitlist.cut:
        shown.complain("older ones were not looked at; say --since or --rb to have all of a time or of an RB")
    return OK


def collect(waitlist: Waitlist, asked: RunFilter, limit: int) -> dict[str, list[Row]]:
    """Return the rows of the lists in which such a job can stand: some of `running`, `waiting` and `finished`."""
    rb = asked.rb
    parts = list(waitlist.groups) if rb is None else [part for part in [part_of(rb)] if part in waitlist.groups]
    lists: dict[str, list[Row]] = {}
    if {"waiting", "running"} & set(asked.lists):
        busy = {part: found for part in parts if (found := waitlist.under_way(part)) is not None}
        if "waiting" in asked.lists:
            entries = waitlist.entries() if rb is None else [e for part in parts for e in waitlist.groups[part]]
            under_way = {found.epoch.job for found in busy.values()}
            lists["waiting"] = _all_waiting(waitlist, asked, entries, under_way, limit)
        if "running" in asked.lists:
            active = [row for part, found in busy.items() if (row := _active(waitlist, part, found, asked)) is not None]
            lists["running"] = sorted(active, key=lambda row: row.since)[:limit]
    if "finished" in asked.lists:

        def wanted(request: Request, outcome: Outcome) -> bool:
            return asked.takes(request.instrument, outcome.time, outcome.host, outcome.verdict)

        done = waitlist.finished(rb, wanted, limit, picky=asked.picky, since=asked.since)
        lists["finished"] = [_finished(one) for one in done]
    return lists


def _all_waiting(
    waitlist: Waitlist, asked: RunFilter, entries: list[Entry], under_way: set[str], limit: int
) -> list[Row]:
    by_instrument = None if asked.instrument is None else part_of(asked.instrument)
    rows: list[Row] = []
    for entry in entries:
        if len(rows) >= limit:
            break
        if by_instrument in (None, entry.instrument) and entry.time_ms / 1000.0 >= asked.since:
            row = _waiting(waitlist, entry, under_way)
            rows += [row] if row is not None else []
    return rows


def _waiting(waitlist: Waitlist, entry: Entry, under_way: set[str]) -> Row | None:
    look = waitlist.look(entry)
    request = look.request
    if request is not None and (look.ruling is Ruling.FINISHED or request.job in under_way):
        return None
    why = waitlist.why_not_now(look)
    if look.not_before > waitlist.now and look.ruling is Ruling.NOT_NOW:
        why += f", {shown.moment(look.not_before, waitlist.now)}"
    return Row(
        job=request.job if request else _decoded(entry.job),
        instrument=request.instrument if request else _decoded(entry.instrument),
        rb=request.rb if request else _decoded(entry.rb),
        run=request.run if request else "?",
        since=entry.time_ms / 1000.0,
        priority=entry.priority,
        text=why,
    )


def _decoded(part: str) -> str:
    try:
        return names.decode(part)
    except ValueError:
        return part


def _active(waitlist: Waitlist, part: str, found: UnderWay, asked: RunFilter) -> Row | None:
    entries = {entry.job: entry for entry in waitlist.groups[part]}
    entry = entries.get(part_of(found.epoch.job))
    request: Request | None = waitlist.look(entry).request if entry is not None else None
    if not asked.takes(request.instrument if request else None, found.epoch.time, found.epoch.host):
        return None
    return Row(
        job=found.epoch.job,
        instrument=request.instrument if request else "?",
        rb=request.rb if request else _decoded(part),
        run=request.run if request else "?",
        since=found.epoch.time,
        host=found.epoch.host,
        epoch=found.n,
        text=found.what,
    )


def _finished(done: Done) -> Row:
    sentence = done.outcome.sentence
    if done.promoted is None:
        sentence += " (its result is being put into place)"
    elif not done.stands:
        sentence += f" (its result could not be put into place: promote {done.request.job})"
    return Row(
        job=done.request.job,
        instrument=done.request.instrument,
        rb=done.request.rb,
        run=done.request.run,
        since=done.outcome.time,
        host=done.outcome.host,
        epoch=done.n,
        verdict=done.outcome.verdict,
        text=sentence,
    )


def text(lists: dict[str, list[Row]], now: float, limit: int, not_finished: int) -> list[str]:
    """Return the lists as lines for people (pure); `not_finished` jobs are known, those under way among them."""
    rows: list[str] = []
    for name, title in (("running", "running"), ("waiting", "waiting"), ("finished", "finished lately")):
        if name not in lists:
            continue
        found = lists[name]
        cut = name == "waiting" and len(found) >= limit
        rows.append(f"{title}:{f' (the first {limit}; {not_finished} jobs are not finished with)' if cut else ''}")
        rows += shown.table([_cells(row, now) for row in found]) or ["  none"]
    return rows


def _cells(row: Row, now: float) -> list[str]:
    where = f"on {row.host}, epoch {row.epoch}" if row.host else f"priority {row.priority}"
    what = f"{row.verdict}: {row.text}" if row.verdict else row.text
    cells = [f"{row.instrument} {row.run}", f"RB {row.rb}", shown.moment(row.since, now), where, f"job {row.job}"]
    return [shown.line(cell, 60) for cell in cells] + [shown.line(what, 300)]
