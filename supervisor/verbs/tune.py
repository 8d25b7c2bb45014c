"""`tune`: the limits that the runs of the past suggest, with the evidence, and into a file if asked."""

from __future__ import annotations

import difflib
import json
import os
import time
from typing import TYPE_CHECKING

from supervisor import config, configwrite, shown, tomledit, tunerule, tunetext, usagehistory
from supervisor.exitcodes import CONFIG, INTERNAL, OK, USAGE
from supervisor.sincewhen import since
from supervisor.tunerule import Rule
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from supervisor.settings import Settings
    from supervisor.tunerule import Suggestion
    from supervisor.usagehistory import InstrumentHistory

EPILOG = """\
The output is TOML: the keys to set, each with its evidence, and for each instrument a table of what its runs used. With
--apply the keys are written into a configuration, which is checked as a whole first; its comments and order stay.
A running service takes them with the next reload.

Examples:
  autoreduce-supervisor tune
  autoreduce-supervisor tune --instrument ENGINX --since "7 d"
  autoreduce-supervisor tune --apply /etc/autoreduce/supervisor.toml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("--instrument", metavar="NAME", help="only this instrument")
    parser.add_argument(
        "--since",
        type=since,
        default=0.0,
        metavar="WHEN",
        help='only runs decided since: "7 d" ago, or a time such as "2026-03-01 12:00"',
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--apply", metavar="FILE", help="write the suggested keys into this configuration")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Suggest."""
    return opened.carefully("tune", _main, args)


def _main(args: argparse.Namespace) -> int:
    now = time.time()
    store = opened.store(args, write=False)
    if isinstance(store, int):
        return store
    settings, text = store.settings, ""
    if args.apply is not None:
        try:
            # Not `config.read`: the file is written again byte for byte but for what is changed.
            with open(args.apply, encoding="utf-8", newline="") as file:
                text = file.read()
            settings = config.parse(text, args.apply)
        except config.ConfigProblems as problems:
            shown.complain(*(shown.line(row) for row in str(problems).split("\n")))
            return CONFIG
        except UnicodeDecodeError:
            shown.complain(f'"{shown.line(args.apply)}" is not UTF-8 text; save it as UTF-8')
            return CONFIG
    known = usagehistory.instruments(store.layout)
    asked = known if args.instrument is None else [args.instrument.strip().upper()]
    if args.instrument is not None and asked[0] not in known:
        shown.complain(f'no run of {shown.line(asked[0], 80)} is known in the store "{store.layout.root}"')
        return USAGE
    rule = rule_of(settings)
    found = []
    for instrument in asked:
        history = usagehistory.read(store.layout, instrument, args.since)
        found.append((history, tunerule.all_of(history, settings.limits_for(instrument).to_json(), rule)))
    rows = _rows(found, rule, args.since, now)
    if args.json:
        told = [tunetext.record(history, suggestions) for history, suggestions in found]
        runs = sum(history.runs for history, _ in found)
        said = {"since": args.since or None, "runs_read": runs, "instruments": told, "toml": "\n".join(rows) + "\n"}
    else:
        shown.say(*rows)
    applied = OK if args.apply is None else _apply(args.apply, text, changes_of(found), quiet=args.json)
    if args.json:
        shown.say(json.dumps(said | {"applied": args.apply is not None and applied == OK}))
    return applied


def rule_of(settings: Settings) -> Rule:
    """Return what the configuration says of tuning."""
    tune = settings.tune
    return Rule(runs=tune.runs, least=tune.least.values(), most=tune.most.values())


def changes_of(found: Sequence[tuple[InstrumentHistory, Sequence[Suggestion]]]) -> list[tomledit.Change]:
    """Return the keys to set."""
    return [
        tomledit.Change(
            keys=("limits", "instrument", history.instrument, suggestion.key),
            value=tunetext.written(suggestion.key, suggestion.value),
            comment=f"tune: {tunetext.because(suggestion)}",
        )
        for history, suggestions in found
        for suggestion in suggestions
        if suggestion.value is not None
    ]


def _rows(
    found: Sequence[tuple[InstrumentHistory, Sequence[Suggestion]]], rule: Rule, begin: float, now: float
) -> list[str]:
    rows = tunetext.summary([history for history, _ in found], begin, now)
    for history, suggestions in found:
        rows += tunetext.text(history, suggestions, rule)
    return rows


def _apply(path: str, old: str, changes: Sequence[tomledit.Change], *, quiet: bool) -> int:
    """Write the changes, if the whole file is valid with them; print what changed."""
    if not changes:
        shown.complain(f'nothing to change in "{path}"')
        return OK
    try:
        new = tomledit.edit(old, changes)
        config.parse(new, path)
    except tomledit.CannotEdit as cannot:
        shown.complain(f'cannot change "{path}" in place: {shown.line(cannot)}; nothing was written')
        return CONFIG
    except config.ConfigProblems as problems:
        shown.complain(*(shown.line(row) for row in str(problems).split("\n")), "nothing was written")
        return CONFIG
    try:
        configwrite.replace(path, old, new)
    except configwrite.Changed as changed:
        shown.complain(str(changed))
        return INTERNAL
    if not quiet:
        was, became = f"{path} (before)", path
        diff = difflib.unified_diff(old.splitlines(), new.splitlines(), was, became, lineterm="", n=2)
        shown.say("", *(f"# {shown.line(row)}" for row in diff))
        shown.say(f"# Written to {os.path.abspath(path)}; a running service takes it with a reload.")
    return OK
