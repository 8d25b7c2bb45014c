"""`nursery`: the process below which runs live, in the foreground, for a unit of its own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from supervisor import pinned, serviceuser, shown
from supervisor.exitcodes import CONFIG, INTERNAL
from supervisor.notify import VARIABLE
from supervisor.nurserylink import clean_environment
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse

EPILOG = """\
Runs are forked from here, so the supervisor can be restarted, upgraded or killed while they go on. Without systemd
nobody needs this verb: `serve` and `start` begin a nursery themselves. With it, one unit autoreduce-nursery@VERSION
runs for each installed version; it ends by itself, with 0, when a supervisor of another version serves and its last
run has ended. SIGTERM ends its runs, and they run again later.

Exit status: 0 ended, or one of this version serves already; 70 it cannot be started; 78 configuration.

Example:
  autoreduce-supervisor nursery --config /etc/autoreduce/supervisor.toml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Become the nursery: what was imported to read the configuration, and any secret near it, is left behind."""
    pinned.pin()
    settings = opened.settings(args)
    if isinstance(settings, int):
        return settings
    run_dir = settings.service.run_dir
    try:
        for note in serviceuser.assume(settings):
            print(note, file=sys.stderr)
        os.makedirs(run_dir, mode=0o750, exist_ok=True)
        environment = clean_environment()
        if VARIABLE in os.environ:
            environment[VARIABLE] = os.environ[VARIABLE]
        command = [sys.executable, "-m", "supervisor.nursery", "--run-dir", run_dir, "--stays"]
        os.chdir("/")
        sys.stderr.flush()
        os.execve(command[0], command, environment)  # noqa: S606  # no shell is wanted
    except serviceuser.BadUser as bad:
        shown.complain(f"cannot serve: {bad}")
        return CONFIG
    except OSError as trouble:
        shown.complain(f"cannot start the nursery: {trouble}")
        return INTERNAL
