"""`check-config`: reads the configuration as the service would and names everything that is wrong with it."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from supervisor import config, configfiles, floors, lockproof, offers, serviceuser
from supervisor.exitcodes import CONFIG, OK

if TYPE_CHECKING:
    import argparse

    from supervisor.settings import Settings

NAME = "check-config"
SUMMARY = "check a configuration and name every problem in it"
EPILOG = """\
Exit status: 0 the configuration can be used, though there may be cautions; 78 it cannot, and every problem stands on a
line of its own.

Example:
  autoreduce-supervisor check-config --config /etc/autoreduce/supervisor.toml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of this verb."""
    parser.add_argument(
        "--config", metavar="FILE", help=f"the configuration (default: {config.DEFAULT_PATH} if it is there)"
    )
    parser.add_argument(
        "--no-files", action="store_true", help="ask nothing of this host: neither its files nor what it proves"
    )


def main(args: argparse.Namespace) -> int:
    """Checks the configuration, then the files it names, and prints every problem."""
    try:
        settings = config.load(args.config)
    except config.ConfigProblems as found:
        print(found, file=sys.stderr)
        return CONFIG
    origin = args.config or (config.DEFAULT_PATH if os.path.exists(config.DEFAULT_PATH) else "defaults")
    problems = [] if args.no_files else _of_host(settings)
    for problem in problems:
        print(f"{origin}: {problem}", file=sys.stderr)
    for caution in settings.cautions():
        print(f"{origin}: caution: {caution}", file=sys.stderr)
    if problems:
        return CONFIG
    print(f"{origin}: no problem found")
    return OK


def _of_host(settings: Settings) -> list[str]:
    """Returns what this host does not offer of it: files, the service's user, and isolation."""
    unproven = lockproof.asked(settings, time.time())
    problems = [
        *configfiles.problems(settings, os.environ),
        *serviceuser.problems(settings),
        *([unproven] if unproven else []),
    ]
    try:
        with offers.spool_of(settings) as spool:
            found = offers.find_out_with(settings.interpreter.profiles().each(), spool)
    except OSError as error:
        return [*problems, f"spool.path: no box can be tried: {error}; name a folder that can be written"]
    if found.proof is None:  # nothing was there to prove anything with, which is the problem itself
        return problems or [f"{name}: {why}" for name, why in found.failing.items()]
    return [*problems, *floors.problems(settings, found.level)]
