"""`reload`: has the supervisor of this host read its configuration again, and says what came of it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING

from supervisor import config, localstatus, rundir, shown
from supervisor.exitcodes import CONFIG, INTERNAL, NOT_RUNNING, OK
from supervisor.reloading import ANSWER_FILE
from supervisor.settings import Settings
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from sandbox.linux.proctree import Identity

#: Seconds that the answer is waited for; interpreters that changed are tried first.
_PATIENCE = 120.0
#: Milliseconds between two looks for the answer.
_LOOK = 50

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
    usual = Settings().service.run_dir
    try:
        origin, body = config.read(path)
        named = config.tables(body, origin).get("service", {})
    except config.ConfigProblems:
        return usual
    where = named.get("run_dir") if isinstance(named, dict) else None
    return where if isinstance(where, str) and where.startswith("/") and "\0" not in where else usual


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
    try:
        pidfd = os.pidfd_open(who.pid)
    except ProcessLookupError:
        return None
    try:
        if rundir.serving(run_dir) != who:
            return None
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGHUP)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)  # readable once the process has ended (pidfd_open(2))
        while time.monotonic() < asked + patience_seconds:
            answer = rundir.read_local(run_dir, ANSWER_FILE) or {}
            began = answer.get("began")
            if isinstance(began, float) and began >= asked:
                return answer
            if poll.poll(_LOOK):
                return None
        return None
    finally:
        os.close(pidfd)
