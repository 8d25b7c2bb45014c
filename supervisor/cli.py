"""The command: one verb per module of `supervisor.verbs`, each imported only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING

from supervisor.exitcodes import INTERNAL, UNKNOWN, USAGE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: Verb → module, in the order of the help page.
VERBS = {
    "run": "run",
    "replay": "replay",
    "demo": "demo",
    "serve": "serve",
    "nursery": "nursery",
    "start": "daemon",
    "stop": "stop",
    "restart": "daemon",
    "reload": "reload",
    "drain": "drain",
    "resume": "drain",
    "status": "status",
    "check": "check",
    "submit": "submit",
    "cancel": "cancel",
    "resubmit": "resubmit",
    "disable": "disable",
    "enable": "disable",
    "promote": "promote",
    "fence": "fence",
    "sweep": "sweep",
    "store": "store",
    "runs": "runs",
    "locks": "locks",
    "why": "why",
    "report": "report",
    "tune": "tune",
    "doctor": "doctor",
    "check-config": "check_config",
    "config": "config",
}
SUMMARIES = {
    "run": "run one reduce.py on one data file, here and now, in the production box",
    "replay": "run the run of a result again, and compare what it makes byte for byte",
    "demo": "four runs on an embedded store, from nothing, with their outcomes as sentences",
    "serve": "serve in the foreground",
    "nursery": "have the runs of this host below a process of their own, as a unit of systemd",
    "start": "serve in the background",
    "stop": "stop the supervisor of this host; runs go on",
    "restart": "stop and start",
    "reload": "apply a changed configuration without a restart",
    "drain": "have a host take no new runs and messages, until resume",
    "resume": "have a drained host take new runs and messages again",
    "status": "say whether the supervisor of this host runs, and what it does",
    "check": "say in one line for a monitor whether all is well",
    "submit": "put a run into the store without a broker",
    "cancel": "cancel a run that waits or is under way",
    "resubmit": "run a job again, as a new job",
    "disable": "let the runs of an instrument wait, in the whole fleet",
    "enable": "let the runs of a disabled instrument go on",
    "promote": "put the result of a given-up promotion into place",
    "fence": "declare a dead host dead: others have its runs at once",
    "sweep": "remove what crashes left behind, and list it",
    "store": "say how the shared store stands, or raise its format",
    "runs": "list what waits, runs, and has lately finished",
    "locks": "list the RBs that are held: by whom, since when, and who waits",
    "why": "say what became of a job, and why",
    "report": "write one HTML page about a job or an instrument",
    "tune": "suggest limits from what the runs of the past used, and write them into a configuration",
    "doctor": "say what this host proves and has, and the command that mends what it lacks",
    "check-config": "check a configuration and name every problem in it",
    "config": "show the configuration, say what has changed in it, or convert an old worker's",
}
#: Verbs whose boxes are made by the person who asks: what they prove is not to hang on the session they are typed in.
_AT_A_DESK = ("run", "replay", "demo", "check-config", "doctor")
_EPILOG = """\
Exit status: 0 completed, skipped or done; 1 the script failed (doctor: something has to be mended); 2 usage; 3 a limit
was reached (status: not running); 4 cancelled; 70 the box, the data or the service failed; 77 the isolation asked for
cannot be had; 78 configuration; 79 this boot of the host was declared dead.

Examples:
  autoreduce-supervisor demo
  autoreduce-supervisor run reduce.py data.nxs --out results --limit memory=4GiB
  autoreduce-supervisor serve --config /etc/autoreduce/supervisor.toml
  autoreduce-supervisor why 75513
"""


def command(asked: Collection[str]) -> argparse.ArgumentParser:
    """Build the parser of the command; of the verbs only those that are `asked` for are imported and take arguments."""
    parser = argparse.ArgumentParser(
        prog="autoreduce-supervisor",
        description="Runs every facility reduction in a limited box, once, and loses none.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, module_name in VERBS.items():
        if verb not in asked:
            verbs.add_parser(verb, help=SUMMARIES[verb], add_help=False)
            continue
        module = importlib.import_module(f"supervisor.verbs.{module_name}")
        sub = verbs.add_parser(
            verb,
            help=SUMMARIES[verb],
            description=SUMMARIES[verb][0].upper() + SUMMARIES[verb][1:] + ".",
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(sub)
        sub.set_defaults(main=module.main)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's own) and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    asked = [word for word in arguments if word in VERBS][:1]
    parser = command(asked)
    try:
        options = parser.parse_args(arguments)
    except SystemExit as end:
        # To a monitor 2 would be CRITICAL.
        return 0 if end.code in (0, None) else UNKNOWN if asked == ["check"] else USAGE
    if argv is None and options.verb in _AT_A_DESK:
        from supervisor import userscope

        userscope.enter(arguments)
    try:
        return int(options.main(options))
    except BrokenPipeError:
        return INTERNAL  # the reader of our output is gone
    except KeyboardInterrupt:
        return INTERNAL


if __name__ == "__main__":
    sys.exit(main())
