"""`status`: whether the supervisor of this host runs, and what it does; with --fleet, how all hosts do.

Of this host it looks into the run directory only: a store that hangs must not make the verb hang that says so.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from sandbox.limits import format_duration, format_size
from supervisor import livetable, localstatus, shown, whereabouts
from supervisor.exitcodes import INTERNAL, NOT_RUNNING, OK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

#: What one look comes to: an exit status, the lines for people and the record for programs; a status alone where it
#: was said already why there is nothing to see.
Look = int | tuple[int, list[str], dict[str, Any]]

EPILOG = f"""\
Without --fleet the run directory of this host is looked at and no store, so it answers while the store hangs. With it
the heartbeats in the store are read: the age of one is told by its time, and with --watch by what moves. --watch draws
one picture anew on a terminal, and with --json prints one object a line; Ctrl-C ends it, with the status of the last
look.

Exit status: 0 a supervisor runs here (--fleet: anywhere); 3 none does; 70 it cannot be told; 78 configuration.

Examples:
  autoreduce-supervisor status --json --config /etc/autoreduce/supervisor.toml
  autoreduce-supervisor status --fleet
  autoreduce-supervisor status --fleet --watch {livetable.USUAL:g}
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("--fleet", action="store_true", help="every host of the fleet, by the store")
    parser.add_argument(
        "--watch",
        type=livetable.seconds,
        nargs="?",
        const=livetable.USUAL,
        metavar="SECONDS",
        help=f"look again and again (default: every {livetable.USUAL:g} s), until Ctrl-C",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    whereabouts.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Print the status, once or until Ctrl-C; return 0 or 3."""
    look = _of_fleet(args) if args.fleet else lambda: _of_host(args)
    if isinstance(look, int):
        return look
    if args.watch is None:
        return _show(look(), shown.say, shown.complain, as_json=args.json)
    draw = livetable.LiveTable(sys.stdout).show
    status = OK
    with contextlib.suppress(KeyboardInterrupt):
        while not isinstance(found := look(), int):
            status = found[0]  # before it is shown: Ctrl-C may come with the last byte of it
            _show(found, draw, draw, as_json=args.json)  # a store that is away now may be back at the next
            time.sleep(args.watch)
        status = found
    return status


def _show(look: Look, say: Callable[..., None], complain: Callable[..., None], *, as_json: bool) -> int:
    if isinstance(look, int):
        return look
    status, rows, record = look
    show = complain if status == INTERNAL and not as_json else say
    show(*([json.dumps(record)] if as_json else rows))
    return status


def _of_host(args: argparse.Namespace) -> Look:
    status = _quickly(args.config) or _thoroughly(args)
    if isinstance(status, int):
        return status
    return OK if status["running"] else NOT_RUNNING, text(status, time.time()), status


def _of_fleet(args: argparse.Namespace) -> Callable[[], Look] | int:
    """Return what looks at the fleet, or the exit status after it was said why nothing can."""
    from supervisor import fleetstatus
    from supervisor.verbs import opened

    store = opened.store(args, write=False)
    if isinstance(store, int):
        return store
    watch = fleetstatus.FleetWatch(store.layout, beat=store.settings.lock.beat)

    def look() -> Look:
        try:
            fleet = watch.look(now=time.time(), monotonic=time.monotonic())
        except OSError as trouble:
            why = f"cannot tell of the fleet: {shown.line(trouble)}"
            return INTERNAL, [why], {"trouble": why}
        lives = any(host.lives for host in fleet.hosts)
        return OK if lives else NOT_RUNNING, fleetstatus.text(fleet, time.time()), fleet.to_json()

    return look


def _quickly(path: str | None) -> dict[str, Any] | None:
    """Return the status of a supervisor that serves; None where the configuration has to be judged first."""
    run_dir = whereabouts.run_dir(path)
    status = localstatus.read(run_dir) if run_dir is not None else {}
    return status if status.get("running") and status.get("host") else None


def _thoroughly(args: argparse.Namespace) -> dict[str, Any] | int:
    """Return the status, or the exit status after it was said why it cannot be told."""
    from supervisor import hosts
    from supervisor.verbs import opened

    settings = opened.settings(args)
    if isinstance(settings, int):
        return settings
    unseen = localstatus.unseen(settings.service.run_dir)
    if unseen:
        shown.complain(unseen)
        return INTERNAL
    known = {
        "host": settings.host.id or hosts.default_id(),
        "store_path": settings.store.path,
        "max_waiting": settings.store.max_waiting,
    }
    status = localstatus.read(settings.service.run_dir)
    return {**status, **{key: status.get(key) or value for key, value in known.items()}}


def text(status: dict[str, Any], now: float) -> list[str]:
    """Return the status as lines for people (pure)."""
    if not status["running"]:
        return [f'no supervisor runs on host {status["host"]} with "{status["run_dir"]}"']
    since = status["since"]
    begun = f", since {shown.moment(since, now)}" if isinstance(since, float) else ""
    rows = [f"running: pid {status['pid']}, host {status['host']}{begun}"]
    drained = status["drained"]
    if isinstance(drained, dict) and drained:
        rows.append(f"drained: {_drained(drained, now)}")
    runs, slots = status["runs"], status["slots"]
    rows.append(f"slots:   {len(runs)} of {slots} busy" if isinstance(slots, int) else "slots:   not described yet")
    rows += [f"         {_run(run, now)}" for run in runs if isinstance(run, dict)]
    rows += _room(status["memory"], status["waits"])
    waiting = status["waiting"]
    if isinstance(waiting, int):
        most = status["max_waiting"]
        full = isinstance(most, int) and waiting >= most
        note = "; store.max_waiting is reached, further messages stay with the broker" if full else ""
        rows.append(f"waiting: {waiting} not finished with, those under way included{note}")
    failing = status["failing"]
    if isinstance(failing, dict):
        rows += [f"failing: {shown.line(name)}: {shown.line(why, 400)}" for name, why in failing.items()]
    disabled = status["disabled"]
    if isinstance(disabled, dict):
        rows += [f"waits:   {shown.line(why, 600)}" for why in disabled.values()]
    nowhere = status["nowhere"]
    if isinstance(nowhere, dict) and nowhere.get("jobs"):
        rows.append(f"stuck:   {nowhere['jobs']} that no living host takes: {shown.line(nowhere.get('why'), 400)}")
    at = status["store_since"]
    begun = f", since {shown.moment(at, now)}" if isinstance(at, int | float) else ""
    rows.append(f"store:   {shown.line(status['store'])}{begun} ({status['store_path']})")
    if status["held"]:
        rows.append(f"         {status['held']} messages came and are not taken yet; the broker has them still")
    rows += [
        f"         the run of job {shown.line(run['job'])} waits: {shown.line(run['why'])}, since "
        f"{shown.moment(run['since'], now)}"
        for run in status["runs_in_trouble"]
    ]
    if status["unproven"]:
        rows.append(f"CAUTION: {shown.line(status['unproven'], 600)}")
    rows.append(f"broker:  {shown.line(status['broker'])}")
    return rows + _config(status["config"], now)


def _room(memory: object, waits: object) -> list[str]:
    """Return how much memory the limits of what runs reserve, and which jobs wait for room."""
    rows = []
    if isinstance(memory, dict):
        limits, room = memory.get("limits"), memory.get("room")
        if isinstance(limits, int) and isinstance(room, int) and room > 0 and limits >= 0:
            rows.append(f"memory:  {format_size(limits)} of {format_size(room)} reserved by limits")
    if isinstance(waits, dict):
        rows += [f"         job {shown.line(job)} waits: {shown.line(why, 300)}" for job, why in waits.items()]
    return rows


def _config(config: object, now: float) -> list[str]:
    """Return what came of the last reload, where somebody has to do something about it."""
    if not isinstance(config, dict):
        return []
    rows = []
    problems, restart, told = config.get("problems"), config.get("restart"), config.get("told")
    if isinstance(problems, list) and problems and isinstance(told, int | float):
        rows.append(
            f"config:  a reload was refused, {shown.moment(told, now)}; the configuration before it is in force"
        )
        rows += [f"         {shown.line(problem, 600)}" for problem in problems]
    if isinstance(restart, list) and restart:
        rows.append(f"config:  needs a restart: {', '.join(shown.line(key) for key in restart)}")
    return rows


def _run(run: dict[str, Any], now: float) -> str:
    since = run.get("since")
    lasted = f" for {format_duration(max(0.0, now - since))}" if isinstance(since, int | float) else ""
    words = f"{run.get('instrument')} run {run.get('run')}, RB {run.get('rb')}, job {run.get('job')}"
    return f"{shown.line(words)}, epoch {run.get('epoch')}{lasted}"


def _drained(drained: dict[str, Any], now: float) -> str:
    since = drained.get("since")
    begun = f" since {shown.moment(since, now)}" if isinstance(since, int | float) else ""
    why = f" ({drained['why']})" if drained.get("why") else ""
    return shown.line(f"by {drained.get('by')}{begun}{why}; no new runs and messages are taken until resume", 400)
