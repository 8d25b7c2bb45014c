"""`doctor`: what this host proves and has, what it lacks for its configuration, and the command that mends each."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from supervisor import config, shown
from supervisor.exitcodes import CONFIG, INTERNAL, OK, UNFIT, USAGE
from supervisor.verbs import peer

if TYPE_CHECKING:
    import argparse

    from supervisor.interpreterneeds import Needs
    from supervisor.profiles import Profile
    from supervisor.settings import Settings

EPILOG = """\
Each line is PASS, CAUTION (works, and somebody should know) or FAIL (has to be mended), with the command that mends it.
The last line says which level of isolation this host proves, and whether it is what isolation.require asks for.
Each guard is tried in a real box by doing what it forbids, and what that makes is removed again. Without a
configuration only the host and the interpreter are looked at. With a service.user named, root becomes that user first,
with the control groups handed over, as serve does.

doctor --peer, said on two hosts of a fleet at about the same time, tries between them what the store's file system has
to promise: that locks exclude, records have one winner, and each sees what the other did. Its record in the store is
what lets both serve from a network file system.

doctor interpreter [PROGRAM|PROFILE] explains what an interpreter needs to be seen in a box, tries it with just that,
and prints the table to write. --import adds what loads only when a module is imported.

Exit status: 0 all pass, or cautions alone; 1 something fails; 2 usage; 70 nothing could be tried (--peer:
nobody came, or the other host did not go on to the end); 78 configuration.

Examples:
  autoreduce-supervisor doctor
  sudo -u autoreduce autoreduce-supervisor doctor --config /etc/autoreduce/supervisor.toml --json
  autoreduce-supervisor doctor --peer --config /etc/autoreduce/supervisor.toml
  autoreduce-supervisor doctor interpreter /opt/mantid/bin/python --import mantid
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument(
        "what", metavar="interpreter", nargs="?", choices=("interpreter",), help="explain one interpreter instead"
    )
    parser.add_argument("subject", metavar="PROGRAM|PROFILE", nargs="?", default="", help="which one")
    parser.add_argument("--python", metavar="EXE", help="look at this interpreter instead of those configured")
    parser.add_argument(
        "--import", metavar="MODULE", dest="imports", action="append", default=[], help="let the interpreter import it"
    )
    peer.arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--config", metavar="FILE", help=f"the configuration (default: {config.DEFAULT_PATH} if it is there)"
    )


def main(args: argparse.Namespace) -> int:
    """Look at everything, say how it stands, and return 1 if something has to be mended."""
    configured = args.config is not None or os.path.lexists(config.DEFAULT_PATH)
    try:
        settings = config.load(args.config)
    except config.ConfigProblems as found:
        shown.complain(str(found))
        return CONFIG
    try:
        if args.peer:
            return peer.main(args, settings)
        if args.what == "interpreter":
            return _interpreter(args, settings, configured=configured)
        return _checkup(args, settings, configured=configured)
    except OSError as error:
        shown.complain(f"nothing can be tried on this host: {error}")
        return INTERNAL


def _checkup(args: argparse.Namespace, settings: Settings, *, configured: bool) -> int:
    from supervisor.hostcheck import check

    profiles = _profiles(args, settings, configured=configured)
    if isinstance(profiles, str):
        shown.complain(profiles)
        return USAGE
    report = check(settings, profiles, os.environ, configured=configured)
    shown.say(*([json.dumps(report.to_json(), indent=2)] if args.json else report.lines()))
    return report.exit_status


def _profiles(args: argparse.Namespace, settings: Settings, *, configured: bool) -> tuple[Profile, ...] | str:
    """Return the interpreters to be looked at, or what is wrong with the one that was named."""
    from supervisor.interpreterneeds import program_of
    from supervisor.profiles import Profile

    if args.python is None:
        if configured:
            return settings.interpreter.profiles().each()
        return (Profile(name="interpreter", argv=(sys.executable,)),)
    program = program_of(args.python)
    if not os.access(program, os.X_OK):
        return f'cannot find the interpreter "{args.python}"; name a Python that can be run'
    return (Profile(name="interpreter", argv=(program,)),)


def _interpreter(args: argparse.Namespace, settings: Settings, *, configured: bool) -> int:
    from supervisor import interpreterneeds, offers

    subject = args.subject or args.python or ("" if configured else sys.executable)
    profile = interpreterneeds.named(settings.interpreter.profiles(), subject)
    with offers.spool_of(settings) as spool:
        level = offers.find_out_with((), spool).level
        needs = interpreterneeds.explain(profile, spool, level=level, imports=tuple(args.imports))
    _tell(needs, level, as_json=args.json)
    return OK if needs.works else UNFIT


def _tell(needs: Needs, level: str, *, as_json: bool) -> None:
    from supervisor import interpreterneeds

    if as_json:
        shown.say(json.dumps(interpreterneeds.to_json(needs, level), indent=2))
    else:
        shown.say(*interpreterneeds.lines(needs, level))
