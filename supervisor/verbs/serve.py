"""`serve`: the supervisor in the foreground."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from supervisor import config, logs
from supervisor.exitcodes import CONFIG, INTERNAL, OK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from supervisor.settings import Settings

EPILOG = """\
Exit status: 0 stopped by SIGTERM or SIGINT; 70 it cannot be started, or met a defect; 78 configuration.

Example:
  autoreduce-supervisor serve --config /etc/autoreduce/supervisor.toml
"""

log = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("--config", metavar="FILE", help="the configuration (default: /etc/autoreduce/supervisor.toml)")


def main(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    try:
        settings = config.load(args.config)
    except config.ConfigProblems as found:
        print(found, file=sys.stderr)
        return CONFIG
    logs.set_up(settings.service.log)
    problem, status = serve(settings, lambda: None)
    if problem:
        log.critical("%s", problem)
    return status


def serve(settings: Settings, ready: Callable[[], None]) -> tuple[str, int]:
    """Serve; return what went wrong ("" for nothing) and the exit status. For `start` too."""
    from supervisor.hosts import IdentityTaken
    from supervisor.journal import UnknownStore
    from supervisor.loop import DefectMet
    from supervisor.nurserylink import NurseryGone
    from supervisor.service import Service

    try:
        Service(settings).serve(ready)
    except (IdentityTaken, UnknownStore) as wrong:
        return f"cannot serve: {wrong}", CONFIG
    except (NurseryGone, OSError) as trouble:
        return f"cannot serve: {trouble}", INTERNAL
    except DefectMet as defect:
        log.critical("A defect ends the supervisor; restart it and report this.", exc_info=defect)
        return str(defect), INTERNAL
    return "", OK
