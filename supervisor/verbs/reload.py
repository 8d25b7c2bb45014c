"""`reload`: has the supervisor of this host read its configuration again, and says what came of it."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from supervisor import localstatus, rundir, shown, whereabouts
from supervisor.exitcodes import CONFIG, INTERNAL, NOT_RUNNING, OK
from supervisor.reloading import ANSWER_FILE
from supervisor.verbs import daemon, opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from sandbox.linux.proctree import Identity

#: Seconds that the answer is waited for; interpreters that changed are tried first.
_PATIENCE = 120.0
#: Seconds between two looks for the answer.
_LOOK = 0.05

EPILOG = """\
The file that the supervisor was started with is read again and judged as a whole. What can be applied holds for runs
that are claimed later; runs under way keep their limits. Keys that need a restart keep their old value and are named.
A file with any problem changes nothing. `config diff` shows beforehand what would change.

Exit status: 0 applied; 3 no supervisor runs here; 70 it did not answer; 78 refused, and every problem stands on a line
of its own.

Example:
  autoreduce-supervisor reload --config /etc/autoreduce/supervisor.toml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument(
        "--patience",
        type=float,
        default=_PATIENCE,
        metavar="SECONDS",
        help=f"how long to wait for the answer (default: {_PATIENCE:g})",
    )
    parser.add_argument("--run-dir", metavar="DIR", help="its run directory, where the file names another by now")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Ask, wait for the answer, and print it."""
    run_dir = args.run_dir or run_dir_of(args.config)
    unseen = localstatus.unseen(run_dir)
    if unseen:
        shown.complain(unseen)
        return INTERNAL
    who = rundir.serving(run_dir)
    if who is None:
        shown.complain(f'no supervisor runs with "{run_dir}"; name its run directory with --run-dir, or use start')
        return NOT_RUNNING
    asked = time.monotonic()
    try:
        answer = _ask(who, run_dir, asked, args.patience)
    except PermissionError:
        owner = os.stat(f"/proc/{who.pid}").st_uid
        shown.complain(
            f"cannot signal the supervisor (pid {who.pid}): it runs as uid {owner}; use `sudo -u #{owner}` with this "
            "command"
        )
        return INTERNAL
    if answer is None:
        shown.complain(
            f"the supervisor (pid {who.pid}) has not answered in {args.patience:g} s; its store may hang, see status"
        )
        return INTERNAL
    problems = _texts(answer, "problems")
    if problems:
        shown.complain(*problems, "nothing was changed: the configuration in force stays")
        return CONFIG
    shown.say(*text(answer))
    return OK


def run_dir_of(path: str | None) -> str:
    """Return the run directory that a configuration names, even one with problems; the usual one where none is named.

    Args:
        path: the file; None for the default one.
    """
    return whereabouts.run_dir(path) or whereabouts.RUN_DIR


def text(answer: Mapping[str, object]) -> list[str]:
    """Return the answer of a reload that was not refused, as lines for people (pure)."""
    applied, restart = _texts(answer, "applied"), _texts(answer, "restart")
    rows = [f"applied: {', '.join(applied)}" if applied else "applied: nothing, no key that can be applied has changed"]
    if restart:
        rows.append(f"needs a restart: {', '.join(restart)}")
    return rows + [f"caution: {note}" for note in _texts(answer, "notes")]


def _texts(answer: Mapping[str, object], key: str) -> list[str]:
    found = answer.get(key)
    return [shown.line(one, 1000) for one in found] if isinstance(found, list) else []


def _ask(who: Identity, run_dir: str, asked: float, patience_seconds: float) -> dict[str, object] | None:
    """Send SIGHUP to exactly the supervisor that serves, and return the answer that was begun after `asked`.

    Returns:
        None where none came in time, or the supervisor ended.
    """
    with daemon.signalled(who, run_dir, signal.SIGHUP) as ended:
        while time.monotonic() < asked + patience_seconds:
            answer = rundir.read_local(run_dir, ANSWER_FILE) or {}
            began = answer.get("began")
            if isinstance(began, float) and began >= asked:
                return answer
            if ended(_LOOK):
                return None
        return None
