"""`serve`: the supervisor in the foreground."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
from typing import TYPE_CHECKING

from supervisor import config, logs, pinned, serviceuser
from supervisor.exitcodes import CONFIG, FENCED, INTERNAL, OK
from supervisor.notify import Notifier

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from supervisor.config import Configuration

EPILOG = """\
Started as root with service.user set, it makes what needs root, becomes that user, and goes on. Under systemd it tells
the manager how it is (Type=notify); --nursery-unit is for the unit in etc/systemd/.

Exit status: 0 stopped by SIGTERM or SIGINT; 70 it cannot be started, or met a defect; 78 configuration; 79 an operator
has declared this boot of the host dead (fence): do not restart it, reboot the host.

Example:
  autoreduce-supervisor serve --config /etc/autoreduce/supervisor.toml
"""

log = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("--config", metavar="FILE", help="the configuration (default: /etc/autoreduce/supervisor.toml)")
    parser.add_argument(
        "--nursery-unit",
        action="store_true",
        help="a unit of its own runs the nursery: wait for it instead of starting one",
    )


def main(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    pinned.pin()
    with contextlib.suppress(ValueError, AttributeError):  # a standard error that is no file has no descriptor
        faulthandler.enable()  # a watchdog ends us by SIGABRT: where each thread stood belongs into the journal
    notifier = Notifier.take(os.environ)
    try:
        configuration = config.load_whole(args.config)
    except config.ConfigProblems as found:
        print(found, file=sys.stderr)
        return CONFIG
    try:
        notes = serviceuser.assume(configuration.settings)
        logs.set_up(configuration.settings.service.log, configuration.settings.log.format)
    except serviceuser.BadUser as bad:
        print(f"cannot serve: {bad}", file=sys.stderr)
        return CONFIG
    except OSError as trouble:
        print(f"cannot serve: {trouble}", file=sys.stderr)
        return INTERNAL
    problem, status = serve(configuration, lambda: None, notes, notifier=notifier, nursery_unit=args.nursery_unit)
    if problem:
        log.critical("%s", problem)
        notifier.status(problem)
    return status


def serve(
    configuration: Configuration,
    ready: Callable[[], None],
    notes: Sequence[str],
    *,
    notifier: Notifier,
    nursery_unit: bool = False,
) -> tuple[str, int]:
    """Serve; return what went wrong ("" for nothing) and the exit status. For `start` too.

    Args:
        configuration: what to serve by.
        ready: called when messages are taken.
        notes: what came of becoming the service user, for the log.
        notifier: the service manager.
        nursery_unit: the nursery is a unit of its own.
    """
    from supervisor.fences import HostFenced
    from supervisor.hosts import IdentityTaken
    from supervisor.lockproof import Unproven
    from supervisor.loop import DefectMet
    from supervisor.metricslisten import CannotListen
    from supervisor.nurserylink import NurseryGone
    from supervisor.service import Service
    from supervisor.storeformat import UnknownStore

    for note in notes:
        log.log(logging.WARNING if note.startswith("CAUTION") else logging.INFO, "%s", note)
    try:
        Service(configuration, notifier, nursery_unit).serve(ready)
    except (IdentityTaken, UnknownStore, Unproven, CannotListen) as wrong:
        return f"cannot serve: {wrong}", CONFIG
    except HostFenced as fenced:
        return f"cannot serve: {fenced}", FENCED
    except (NurseryGone, OSError) as trouble:
        return f"cannot serve: {trouble}", INTERNAL
    except DefectMet as defect:
        log.critical("A defect ends the supervisor; restart it and report this.", exc_info=defect)
        return str(defect), INTERNAL
    return "", OK
