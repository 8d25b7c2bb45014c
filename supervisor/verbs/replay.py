"""`replay`: the run of a record once more, in a box, and what it makes held against what it made."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from sandbox.limits import KEYS, LimitError
from sandbox.sentence import plain
from sandbox.verdict import Verdict, exit_class
from supervisor import archive, config, localvars, replaying, shown, terminal
from supervisor.datadigest import DataDigest
from supervisor.exitcodes import CANCELLED, CONFIG, INTERNAL, NO_ISOLATION, OK, SCRIPT, USAGE
from supervisor.replayfolder import Beside, NoRecord, bytes_of, find
from supervisor.replaying import BadRecord, Compared, Recorded, State
from supervisor.verbs import run as desk

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from sandbox.limits import Limits
    from sandbox.outcome import Outcome
    from supervisor.localrun import LocalRun
    from supervisor.replaying import DataRef
    from supervisor.settings import Settings

EPILOG = f"""\
RESULT_DIR is a result folder, or the record in it: reduction_log/reduction.json. The copies of script and variables
beside it are held against their digests, and so are the data files; what has changed is named, and nothing is run.
Data that lie elsewhere now are named with --data: the file, or for a batch the folder of all of them.

The run is repeated as it was: same script, variables, facts, mode, interpreter and limits. --python takes another
Python, --limit another limit. Its results go into --out DIR; without it into a folder of their own, which is removed
when all is identical. RESULT_DIR is never written. The script and the interpreter that the record names are run with
your rights: replay what you trust.
Limits: {", ".join(KEYS)}.

Exit status: 0 it ended as the run did and every output is identical; 1 something differs, or script, variables or data
are not those of the record any more, or the script failed; 2 usage: no record, a record that cannot be used, data or
interpreter not found; 3 a limit was reached; 4 cancelled (Ctrl-C); 70 the box could not be built, or data or DIR could
not be had; 77 the isolation asked for cannot be had; 78 configuration.

Examples:
  autoreduce-supervisor replay /isis/NDXENGINX/Instrument/data/cycle_15_1/autoreduced/RB1510188/75513
  autoreduce-supervisor replay results --data /backup/ENGINX00075513.nxs --out again --json replay.json
"""

#: Outputs that are shown at most; those that are not identical come first.
_SHOWN = 40


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("result", metavar="RESULT_DIR", help="a result folder, or the record in it")
    parser.add_argument("--run", metavar="N", help="the run, where several have their results in one folder")
    parser.add_argument("--out", metavar="DIR", help="folder of the results (default: one of its own)")
    parser.add_argument("--data", metavar="PATH", help="where the data lie now: the file, or the folder of a batch")
    parser.add_argument("--python", metavar="EXE", help="the Python that runs the script, instead of the record's")
    parser.add_argument(
        "--limit", metavar="KEY=VALUE", action="append", default=[], help="a limit, such as memory=4GiB or wall=none"
    )
    desk.isolation_argument(parser)
    parser.add_argument("--json", metavar="FILE", help="write the comparison and the outcome there")
    parser.add_argument(
        "--config", metavar="FILE", help=f"the configuration (default: {config.DEFAULT_PATH} if it is there)"
    )


class _Refused(Exception):
    """Nothing is run; the text says why, `status` is the exit status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Replay:
    """What is to be run, and what it is to be held against."""

    beside: Beside
    order: LocalRun
    #: Remove the folder of the results when all is identical.
    passing: bool
    notes: tuple[str, ...]


def main(args: argparse.Namespace) -> int:
    """Run it again and compare."""
    try:
        settings = config.load(args.config)
    except config.ConfigProblems as found:
        shown.complain(str(found))
        return CONFIG
    try:
        replay = _prepare(args, settings)
    except _Refused as refused:
        shown.complain(shown.line(refused, 4000))
        return refused.status
    from supervisor import localrun
    from supervisor.localwalls import NoWalls

    try:
        order = desk.walled(replay.order, settings, args.isolation)
    except NoWalls as lacking:
        shown.complain(str(lacking))
        return NO_ISOLATION
    except OSError as error:
        shown.complain(f"cannot try what this host holds: {error}")
        return INTERNAL
    replay = dataclasses.replace(replay, order=order)
    _introduce(replay)
    line = terminal.LiveLine(sys.stdout)
    try:
        outcome = localrun.run(replay.order, desk.ticker(line, replay.order.limits))
    except KeyboardInterrupt:  # before the box was there, or after it was gone
        line.clear()
        shown.say("cancelled")
        return CANCELLED
    line.clear()
    return _conclude(args, replay, outcome)


def _prepare(args: argparse.Namespace, settings: Settings) -> _Replay:
    from supervisor.localrun import LocalRun

    try:
        beside = find(args.result, args.run)
    except (NoRecord, BadRecord) as wrong:
        raise _Refused(USAGE, str(wrong)) from None
    recorded = beside.recorded
    script = _script(beside)
    variables = _variables(beside)
    interpreter = _interpreter(args.python, recorded)
    try:
        limits = desk.limits_from(args.limit, recorded.limits)
    except LimitError as wrong:
        raise _Refused(USAGE, str(wrong)) from None
    if args.json and not desk.is_writable(args.json):
        raise _Refused(USAGE, f'cannot write "{args.json}": it, or its folder, is not there or not writable')
    data, notes = _data(args.data, recorded)
    order = LocalRun(
        script=script,
        script_path=beside.script,
        script_name=recorded.script_name,
        data=data[0],
        more_data=data[1:],
        batch=recorded.batch,
        out=_out(args.out, beside),
        interpreter=interpreter,
        limits=limits,
        variables=variables,
        mode=recorded.mode,
        facts=recorded.facts,
        output_slash=recorded.output_slash,
        skip_anywhere=recorded.skip_anywhere,
        script_args=recorded.script_args,
        env=dict(recorded.env),
        spool=desk.spool_of(settings),
        allowed_roots=tuple(settings.paths.rules().local_result_roots()),
        data_limit=settings.provenance.data_limit,
    )
    return _Replay(
        beside=beside, order=order, passing=args.out is None, notes=(*notes, *_limit_notes(recorded, limits))
    )


def _script(beside: Beside) -> bytes:
    try:
        script = bytes_of(beside.script)
    except (OSError, BadRecord) as error:
        raise _Refused(USAGE, _unreadable("the copy of the script", beside.script, error)) from None
    if not replaying.is_text(beside.recorded.script_sha256, script):
        raise _Refused(
            SCRIPT,
            f'the copy of the script "{beside.script}" is not the script that ran: its sha256 is another one; '
            "to run it as it is now, use run",
        )
    return script


def _variables(beside: Beside) -> localvars.Variables:
    recorded = beside.recorded
    try:
        values = localvars.decode(bytes_of(beside.variables), beside.variables)
    except localvars.BadVars as bad:
        raise _Refused(SCRIPT, str(bad)) from None
    except (OSError, BadRecord) as error:
        raise _Refused(USAGE, _unreadable("the copy of the variables", beside.variables, error)) from None
    if not replaying.has_variables(recorded, values):
        raise _Refused(
            SCRIPT,
            f'the copy of the variables "{beside.variables}" is not what the script was given: its sha256 is another '
            "one; to run with other variables, use run --vars",
        )
    if not recorded.defaults_sha256:
        return localvars.Variables(values=values)
    try:
        defaults = bytes_of(beside.defaults)
    except (OSError, BadRecord) as error:
        raise _Refused(USAGE, _unreadable("the copy of the instrument's variables", beside.defaults, error)) from None
    if not replaying.is_text(recorded.defaults_sha256, defaults):
        raise _Refused(
            SCRIPT,
            f'the copy of the instrument\'s variables "{beside.defaults}" is not what lay under those of the script: '
            "its sha256 is another one; to run with other variables, use run --vars",
        )
    return localvars.Variables(values=values, defaults=beside.defaults)


def _unreadable(what: str, path: str, error: Exception) -> str:
    if isinstance(error, OSError):
        return f'cannot read {what} "{path}": {(error.strerror or str(error)).lower()}'
    return f"cannot use {what}: {error}"


def _data(named: str | None, recorded: Recorded) -> tuple[tuple[str, ...], list[str]]:
    """Return the data files as they lie now, and what is to be noted of them; each is held against its digest."""
    paths = [ref.path for ref in recorded.data]
    notes = []
    if named is not None:
        place = os.path.abspath(named)
        if os.path.isdir(place):
            paths = [os.path.join(place, os.path.basename(path)) for path in paths]
        elif len(paths) == 1:
            paths = [place]
        else:
            raise _Refused(USAGE, f"the run read {len(paths)} data files; name the folder of all of them with --data")
        notes += [
            f"the data lie at {path}, and at {ref.path} when they were reduced: a script that writes the path differs"
            for ref, path in zip(recorded.data, paths, strict=True)
            if path != ref.path
        ]
    for ref, path in zip(recorded.data, paths, strict=True):
        if not os.path.lexists(path):
            raise _Refused(USAGE, f'the data file "{path}" is not there; say where it lies now with --data')
        wrong = _check(ref, path)
        if wrong:
            raise _Refused(SCRIPT, f"the data have changed: {wrong}; to reduce them as they are now, use run")
        if not ref.sha256 and not ref.sha256_head:
            notes.append(f"the record has no digest of {path} ({ref.problem or 'no reason is given'}): not compared")
        if ref.changed:
            notes.append(f"{path} changed while the run read it: differences are to be expected")
    return tuple(paths), notes


def _check(ref: DataRef, path: str) -> str:
    (found,) = DataDigest([path], replaying.limit_for(ref)).finish()
    return replaying.check_data(ref, found)


def _interpreter(named: str | None, recorded: Recorded) -> tuple[str, ...]:
    wanted = named if named is not None else recorded.argv[0]
    found = shutil.which(wanted)
    if found is None and named is not None:
        raise _Refused(USAGE, f'cannot find the interpreter "{named}"; name a Python that can be run')
    if found is None:
        raise _Refused(
            USAGE, f'the interpreter of the record, "{wanted}", cannot be run here; name another Python with --python'
        )
    return (os.path.abspath(found),) if named is not None else recorded.argv


def _out(named: str | None, beside: Beside) -> str:
    if named is None:
        return tempfile.mkdtemp(prefix="autoreduce-replay-")
    out, result = os.path.realpath(named), os.path.realpath(beside.result)
    if os.path.commonpath((out, result)) == result:
        raise _Refused(USAGE, f'"{named}" is, or lies in, the result itself, which a replay leaves as it is')
    return os.path.abspath(named)


def _limit_notes(recorded: Recorded, limits: Limits) -> list[str]:
    before, now = recorded.limits.to_json(), limits.to_json()
    return [f"limit {key}: {before[key]} in the record, {now[key]} now" for key in now if before.get(key) != now[key]]


def _introduce(replay: _Replay) -> None:
    recorded = replay.beside.recorded
    shown.say(replay.order.walls.told())
    shown.say(f"replay of {plain(recorded.named)}, recorded in {plain(replay.beside.path, 4096)}")
    shown.say(f"it ended then: {plain(recorded.sentence, 2000)}")
    shown.say(f"interpreter {plain(' '.join(replay.order.interpreter), 4096)}")
    for note in replay.notes:
        shown.say(f"note: {plain(note, 4096)}")
    if replay.beside.others:
        shown.say(f"note: other records of this run lie beside it: {plain(', '.join(replay.beside.others), 4096)}")
    sys.stdout.flush()


def _conclude(args: argparse.Namespace, replay: _Replay, outcome: Outcome) -> int:
    recorded = replay.beside.recorded
    compared = replaying.compare(recorded, outcome.outputs)
    same = replaying.is_same(recorded, outcome.verdict, compared)
    sentence = replaying.sentence(recorded, outcome.verdict, compared)
    changes = replaying.environment_changes(recorded, outcome.environment)
    _show(replay, outcome, compared, changes)
    shown.say(plain(sentence, 4096))
    removed = replay.passing and same
    if replay.passing and (same or not os.listdir(replay.order.out)):
        archive.remove_tree(replay.order.out)
    elif outcome.log_dir:
        shown.say(f"results  {plain(replay.order.out, 4096)}")
    if args.json:
        told = _told(replay, outcome, compared, changes) | {"sentence": sentence, "identical": same}
        told["out"] = None if removed else replay.order.out
        try:
            desk.write_whole(args.json, json.dumps(told, indent=2) + "\n")
        except OSError as error:
            shown.complain(f'cannot write "{args.json}": {(error.strerror or str(error)).lower()}')
            return INTERNAL
    if outcome.verdict not in (Verdict.completed, Verdict.skipped):
        return exit_class(outcome.verdict)
    return OK if same else SCRIPT


def _show(replay: _Replay, outcome: Outcome, compared: Sequence[Compared], changes: Sequence[str]) -> None:
    shown.say(f"it ended now:  {outcome.sentence}")
    if outcome.traceback:
        shown.say("\n" + terminal.printable(outcome.traceback.rstrip()))
    if outcome.message:
        shown.say(f"note: {plain(outcome.message)}")
    if outcome.verdict is not None and outcome.environment:
        for change in changes:
            shown.say(f"note: {plain(change, 400)}")
    if replay.beside.recorded.outputs_left_out:
        left = replay.beside.recorded.outputs_left_out
        shown.say(f"note: the record does not name {left} of the outputs; they count as new")
    shown.say("")
    rows = sorted(compared, key=lambda row: (row.state is State.IDENTICAL, row.path))
    for row in rows[:_SHOWN]:
        digests = "" if row.state is State.IDENTICAL else f"  {_short(row.before)} then, {_short(row.now)} now"
        shown.say(f"{row.state:10} {plain(row.path, 200)}{digests}")
    if len(rows) > _SHOWN:
        shown.say(f"           and {len(rows) - _SHOWN} more")


def _short(digest: str) -> str:
    return digest[:12] or "none"


def _told(replay: _Replay, outcome: Outcome, compared: Sequence[Compared], changes: Sequence[str]) -> dict[str, Any]:
    return {
        "record": replay.beside.path,
        "outputs": [
            {"path": row.path, "state": str(row.state), "before": row.before or None, "now": row.now or None}
            for row in compared
        ],
        "notes": list(replay.notes),
        "environment": list(changes),
        "outcome": outcome.to_json(),
    }
