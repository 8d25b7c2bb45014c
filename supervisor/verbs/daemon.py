"""`start`, `stop`, `restart`: the supervisor in the background."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING

from supervisor import localstatus, pinned, rundir, serviceuser, shown
from supervisor.exitcodes import CONFIG, INTERNAL, OK
from supervisor.notify import Notifier
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from sandbox.linux.proctree import Identity
    from supervisor.config import Configuration

#: Seconds that a start and a stop are waited for.
_PATIENCE = 120.0
#: In the run directory, where no log file is configured.
_LOG = "supervisor.log"

EPILOG = """\
`start` returns when the supervisor takes messages, or with what keeps it from that. `stop` waits for its end; runs
go on under their shepherds, and the next supervisor finds them again. `restart` reads the configuration first: one
that is wrong stops nothing, nor does a store whose locks are not proven (`doctor --peer`). Without service.log the log
is supervisor.log in service.run_dir.

Exit status: 0 done (stop: also where none runs); 70 it could not be done, or one runs already; 78 configuration;
79 an operator has declared this boot of the host dead (fence).

Examples:
  autoreduce-supervisor start --config /etc/autoreduce/supervisor.toml
  autoreduce-supervisor stop --config /etc/autoreduce/supervisor.toml
  autoreduce-supervisor restart --config /etc/autoreduce/supervisor.toml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of these verbs."""
    parser.add_argument(
        "--patience",
        type=float,
        default=_PATIENCE,
        metavar="SECONDS",
        help=f"how long to wait for a start or an end (default: {_PATIENCE:g})",
    )
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Start, stop or restart the supervisor of this run directory."""
    pinned.pin()
    notifier = Notifier.take(os.environ)
    configuration = opened.configuration(args)
    if isinstance(configuration, int):
        return configuration
    settings = configuration.settings
    try:
        notes = serviceuser.assume(settings) if args.verb != "stop" else []
        if args.verb == "restart":
            from supervisor import lockproof  # `stop` needs nothing of it

            refused = lockproof.asked(settings, time.time())
            if refused:
                shown.complain(f"cannot restart, and nothing was stopped: {refused}")
                return CONFIG
        if args.verb != "start":
            status = stop(settings.service.run_dir, args.patience)
            if status != OK or args.verb == "stop":
                return status
        return start(configuration, args.patience, notes, notifier)
    except serviceuser.BadUser as bad:
        shown.complain(f"cannot {args.verb}: {bad}")
        return CONFIG
    except OSError as trouble:
        shown.complain(f"cannot {args.verb}: {trouble}")
        return INTERNAL


def start(configuration: Configuration, patience_seconds: float, notes: Sequence[str], notifier: Notifier) -> int:
    """Start a supervisor in the background and say so, or what keeps it from serving.

    Args:
        configuration: what to serve by.
        patience_seconds: how long its start is waited for.
        notes: what came of becoming the service user, for its log.
        notifier: the service manager; it is told which process is the supervisor.
    """
    settings = configuration.settings
    run_dir = settings.service.run_dir
    who = rundir.serving(run_dir)
    if who is not None:
        shown.complain(f'a supervisor runs already with "{run_dir}" (pid {who.pid}); use restart for another one')
        return INTERNAL
    os.makedirs(run_dir, mode=0o750, exist_ok=True)
    log_path = settings.service.log or os.path.join(run_dir, _LOG)
    # Imported here: `stop` needs neither python-daemon nor what serving takes.
    from supervisor import daemonize
    from supervisor.verbs.serve import serve

    said = daemonize.launch(
        lambda ready: serve(configuration, ready, notes, notifier=notifier),
        log_path,
        patience_seconds=patience_seconds,
        style=settings.log.format,
    )
    if said.pid:
        notifier.ready(main_pid=said.pid)
        shown.say(f'started: pid {said.pid}, log "{log_path}"')
        return OK
    shown.complain(said.problem or f'cannot serve: the supervisor ended at once; "{log_path}" tells more')
    return said.status or INTERNAL


def stop(run_dir: str, patience_seconds: float) -> int:
    """Stop the supervisor that serves with `run_dir`, wait for its end, and say so."""
    unseen = localstatus.unseen(run_dir)
    if unseen:
        shown.complain(unseen)
        return INTERNAL
    who = rundir.serving(run_dir)
    if who is None:
        shown.say(f'no supervisor runs with "{run_dir}"')
        return OK
    state = rundir.read_local(run_dir, rundir.STATE_FILE) or {}
    try:
        with signalled(who, run_dir, signal.SIGTERM) as waits:
            ended = waits(patience_seconds)
    except PermissionError:
        owner = os.stat(f"/proc/{who.pid}").st_uid
        shown.complain(
            f"cannot stop the supervisor (pid {who.pid}): it runs as uid {owner}; "
            f"use `sudo -u #{owner}` with this command"
        )
        return INTERNAL
    if not ended:
        shown.complain(
            f"the supervisor (pid {who.pid}) has not ended {patience_seconds:g} s after SIGTERM; its store may hang, "
            "see status; runs go on in any case"
        )
        return INTERNAL
    running = state.get("running")
    count = len(running) if isinstance(running, list) else 0
    runs = {0: "no run was under way", 1: "one run goes on under its shepherd"}
    shown.say(f"stopped: pid {who.pid}; {runs.get(count, f'{count} runs go on under their shepherds')}")
    return OK


@contextlib.contextmanager
def signalled(who: Identity, run_dir: str, number: signal.Signals) -> Iterator[Callable[[float], bool]]:
    """Send a signal to exactly the supervisor that serves, and yield what waits for its end.

    The pidfd is opened first and the identity read again: a pid that was used anew in between names another process.

    Yields:
        Waits for so many seconds, and says whether the supervisor has ended.

    Raises:
        PermissionError: it is another user's.
    """
    try:
        pidfd = os.pidfd_open(who.pid)
    except ProcessLookupError:
        yield lambda _seconds: True
        return
    try:
        if rundir.serving(run_dir) != who:
            yield lambda _seconds: True
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, number)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)  # readable once the process has ended (pidfd_open(2))
        yield lambda seconds: bool(poll.poll(max(0.0, seconds) * 1000))
    finally:
        os.close(pidfd)
