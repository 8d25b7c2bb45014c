"""`check-config`: reads the configuration as the service would and names everything that is wrong with it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from supervisor import config, configfiles, floors
from supervisor.exitcodes import CONFIG, OK

if TYPE_CHECKING:
    import argparse

NAME = "check-config"
SUMMARY = "check a configuration and name every problem in it"
EPILOG = """\
Exit status: 0 the configuration can be used; 78 it cannot, and every problem stands on a line of its own.

Example:
  autoreduce-supervisor check-config --config /etc/autoreduce/supervisor.toml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this verb."""
    parser.add_argument(
        "--config", metavar="FILE", help=f"the configuration (default: {config.DEFAULT_PATH} if it is there)"
    )
    parser.add_argument(
        "--no-files", action="store_true", help="do not ask whether the files it names are on this host"
    )


def main(args: argparse.Namespace) -> int:
    """Checks the configuration, then the files it names, and prints every problem."""
    try:
        settings = config.load(args.config)
    except config.ConfigProblems as found:
        print(found, file=sys.stderr)
        return CONFIG
    origin = args.config or (config.DEFAULT_PATH if os.path.exists(config.DEFAULT_PATH) else "defaults")
    problems = floors.problems(settings, floors.PROVEN)
    problems += [] if args.no_files else configfiles.problems(settings, os.environ)
    for problem in problems:
        print(f"{origin}: {problem}", file=sys.stderr)
    if problems:
        return CONFIG
    print(f"{origin}: no problem found")
    return OK
