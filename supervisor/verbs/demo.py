"""`demo`: the main job from nothing, on a site of its own; needs no broker, no root and no cgroup."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import tempfile
import time
from typing import TYPE_CHECKING, NoReturn

from supervisor import shown
from supervisor.exitcodes import CANCELLED, INTERNAL, OK, USAGE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from supervisor.demo import Board
    from supervisor.demosite import DemoSite
    from supervisor.localwalls import Walls

EPILOG = """\
Four simulated measurements are reduced by a supervisor that is started for them: a good one, one with a mistake in its
script, one that takes more memory than it may, and one that never ends. Everything lies in one folder, which stays for
you to look at; nothing else is written, and no process is left. It takes about a quarter of a minute.

Exit status: 0 all four ended as they must; 2 usage; 4 interrupted; 70 one did not, or the demo could not go on.

Examples:
  autoreduce-supervisor demo
  autoreduce-supervisor demo --keep ~/autoreduce-demo
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument(
        "--keep", metavar="DIR", help="the folder for everything, new or empty (default: a new temporary folder)"
    )


def main(args: argparse.Namespace) -> int:
    """Run the demo, end everything that was started, and return its exit status."""
    try:
        folder = _folder(args.keep)
    except OSError as error:
        shown.complain(f'cannot use folder "{args.keep}": {(error.strerror or str(error)).lower()}')
        return USAGE
    # Imported here: the help page needs none of it.
    from supervisor.demoruns import DemoTrouble
    from supervisor.demosite import DemoSite, walls_of_demo

    with _signals_as_interrupt():
        site: DemoSite | None = None
        try:
            walls = walls_of_demo(folder)
            site = DemoSite(folder, contained=walls.level != "none")
            status = _play(site, walls)
        except KeyboardInterrupt:
            shown.say("interrupted")
            status = CANCELLED
        except DemoTrouble as trouble:
            shown.complain(str(trouble))
            status = INTERNAL
        except OSError as error:
            shown.complain(f"cannot go on: {error}")
            status = INTERNAL
        finally:
            late = _end(site)
    if late:
        shown.complain(late)
        return status or INTERNAL
    return status


def _folder(named: str | None) -> str:
    if named is None:
        return os.path.realpath(tempfile.mkdtemp(prefix="autoreduce-demo-"))
    os.makedirs(named, exist_ok=True)
    if os.listdir(named):
        raise OSError("it is not empty; name another")
    return os.path.realpath(named)


def _play(site: DemoSite, walls: Walls) -> int:
    from supervisor import demo

    began = time.monotonic()
    shown.say(
        walls.told(),
        f"everything lies in {shown.line(site.folder)}",
        "",
        "four measurements and their scripts, with their limits of memory and time:",
        *demo.introduction(site),
    )
    site.measure()
    site.start()
    site.submit()
    shown.say("", "submitted; two run at a time, and those of one experiment (DEMO) after each other:")
    sys.stdout.flush()
    with _board(site) as board:
        seen = demo.follow(site, board)
    site.end()
    shown.say("", "what became of them:", *demo.outcomes(seen), "")
    title = "the archive: the good one has its result, the others their logs:"
    shown.say(*map(demo.drawable, demo.tree(site.archive, title)))
    shown.say("", "the plot:", *(f"  {shown.line(path)}" for path in demo.plots(site)), "")
    good = demo.as_expected(seen)
    words = "all four ended as they must" if good else "NOT all four ended as they must"
    shown.say(f"{words}; {time.monotonic() - began:.0f} s in all, no process is left")
    shown.say(f"to ask why:    autoreduce-supervisor why 201 --config {shlex.quote(shown.line(site.config))}")
    shown.say(f"to remove it:  rm -r {shlex.quote(shown.line(site.folder))}")
    return OK if good else INTERNAL


@contextlib.contextmanager
def _board(site: DemoSite) -> Iterator[Board]:
    from supervisor.demo import PlainBoard
    from supervisor.demoruns import RUNS

    limits = {run: site.limits(run) for run in RUNS}
    if not sys.stdout.isatty():
        yield PlainBoard(limits)
        return
    from supervisor.demolive import LiveBoard

    with LiveBoard(limits) as board:
        yield board


def _end(site: DemoSite | None) -> str:
    """End what was started, undisturbed by a second Ctrl-C; return what went wrong with that."""
    from supervisor.demoruns import DemoTrouble

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        if site is not None:
            site.end()
    except (DemoTrouble, OSError) as trouble:
        return str(trouble)
    return ""


@contextlib.contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """Have SIGTERM and a lost terminal end the demo as Ctrl-C does; afterwards all is as it was."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [(number, signal.signal(number, interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
