"""`run`: one script on one data file, here and now, in the box that production uses."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.levels import LEVELS
from sandbox.limits import KEYS, LimitError, format_duration, format_size
from sandbox.sentence import plain
from sandbox.verdict import Verdict, exit_class
from supervisor import config, localvars, seclusion, shown, terminal
from supervisor.exitcodes import CANCELLED, CONFIG, INTERNAL, NO_ISOLATION, USAGE
from supervisor.pathtext import cycle_of
from supervisor.profiles import BadScriptLine, NoProfile, Profile, conda_env

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from sandbox.limits import Limits
    from sandbox.outcome import Outcome
    from sandbox.running import Running
    from supervisor.localrun import LocalRun
    from supervisor.settings import Settings

EPILOG = f"""\
The script is run as production runs it: alone (modules beside it are not seen), with a private HOME and working folder,
an empty standard input and an environment made from nothing. A reduce_vars.py beside SCRIPT gives its variables their
defaults; --vars takes another one, or JSON as in a message: {{"standard_vars": {{...}}, "advanced_vars": {{...}}}}.
The run number that SKIP_RUNS is compared with is read off the end of DATA's name.

DIR holds the results as the script made them; what is there already and is not made again stays. The logs are
DIR/reduction_log/Script.out (what it printed, and how it ended) and DIR/reduction_log/Mantid.log (its standard error).
Beside them stand the record of the run, reduction.json, and copies of script and variables: see replay. A run that does
not complete changes nothing in DIR but the logs; its record and copies get "failed-" before their names.

Without --python the interpreter of the configuration is taken (that of a program's own line CONDA_ENV = "name" before
all others), and without one there the Python of this command.
Limits: {", ".join(KEYS)}.
Isolation levels: none, contained, hostile. Without --isolation the highest that this host proves is taken, as root at
most contained; a level that a configuration names is a floor.

Exit status: 0 completed or skipped; 1 the script failed; 2 usage; 3 a limit was reached; 4 cancelled (Ctrl-C);
70 the box could not be built, or data or DIR could not be had; 77 the isolation asked for cannot be had;
78 configuration.

Examples:
  autoreduce-supervisor run reduce.py ENGINX00241391.nxs --out results
  autoreduce-supervisor run reduce.py data.nxs --out results --limit memory=4GiB --limit wall=30min --json run.json
"""

#: Characters of a memory curve, and result files that are named at the end.
_WIDTH = 60
_NAMED = 12
_OF_MEMORY = frozenset({Verdict.memory_limit, Verdict.memory_limit_helper})


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("script", metavar="SCRIPT", help="the reduction script")
    parser.add_argument("data", metavar="DATA", help="the data file")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder of the results, made if it is not there")
    parser.add_argument("--vars", metavar="FILE", help="variables of the script: JSON, or a reduce_vars.py")
    parser.add_argument(
        "--limit", metavar="KEY=VALUE", action="append", default=[], help="a limit, such as memory=4GiB or wall=none"
    )
    parser.add_argument("--python", metavar="EXE", help="the Python that runs the script")
    parser.add_argument(
        "--mode", choices=("module", "program"), help="call main(data, DIR), or run it as python SCRIPT DATA DIR/"
    )
    isolation_argument(parser)
    parser.add_argument("--json", metavar="FILE", help="write the outcome there")
    parser.add_argument(
        "--config", metavar="FILE", help=f"the configuration (default: {config.DEFAULT_PATH} if it is there)"
    )


def isolation_argument(parser: argparse.ArgumentParser) -> None:
    """Declare `--isolation`, for the verbs that make a box at a desk."""
    parser.add_argument(
        "--isolation",
        metavar="LEVEL",
        choices=LEVELS,
        help="least isolation: contained or hostile; none runs the script without walls",
    )


def main(args: argparse.Namespace) -> int:
    """Run the script, say what became of it, and return the exit status of its verdict."""
    try:
        settings = config.load(args.config)
    except config.ConfigProblems as found:
        shown.complain(str(found))
        return CONFIG
    order = _order(args, settings)
    if isinstance(order, str):
        shown.complain(order)
        return USAGE
    from supervisor import localrun
    from supervisor.localwalls import NoWalls

    try:
        order = walled(order, settings, args.isolation)
    except NoWalls as lacking:
        shown.complain(str(lacking))
        return NO_ISOLATION
    except OSError as error:
        shown.complain(f"cannot try what this host holds: {error}")
        return INTERNAL
    _introduce(order)
    line = terminal.LiveLine(sys.stdout)
    try:
        outcome = localrun.run(order, ticker(line, order.limits))
    except KeyboardInterrupt:  # before the box was there, or after it was gone
        line.clear()
        shown.say("cancelled")
        return CANCELLED
    line.clear()
    _conclude(outcome, order)
    if args.json:
        try:
            write_whole(args.json, json.dumps(outcome.to_json(), indent=2) + "\n")
        except OSError as error:
            shown.complain(f'cannot write "{args.json}": {(error.strerror or str(error)).lower()}')
            return INTERNAL
    return exit_class(outcome.verdict)


def _order(args: argparse.Namespace, settings: Settings) -> LocalRun | str:
    """Return what is to be run, or what is wrong with the command line."""
    from supervisor.localrun import LocalRun, name_of

    data = os.path.abspath(args.data)
    instrument = name_of(data).instrument
    try:
        with open(args.script, "rb") as file:
            script = file.read()
    except OSError as error:
        return f'cannot read script "{args.script}": {(error.strerror or str(error)).lower()}'
    try:
        variables = localvars.read(args.vars, args.script)
        limits = limits_from(args.limit, settings.limits_for(instrument))
    except (localvars.BadVars, LimitError) as wrong:
        return str(wrong)
    mode = args.mode or settings.instrument_for(instrument).mode
    try:
        asked = _asked_for(script, settings) if args.python is None and mode == "program" else None
    except (NoProfile, BadScriptLine) as wrong:
        return str(wrong)
    interpreter = asked.argv if asked else _interpreter(args.python, settings, instrument)
    if not interpreter:
        return f'cannot find the interpreter "{args.python}"; name a Python that can be run'
    if args.json and not is_writable(args.json):
        return f'cannot write "{args.json}": it, or its folder, is not there or not writable; name another'
    return LocalRun(
        script=script,
        script_path=os.path.abspath(args.script),
        data=data,
        out=os.path.abspath(args.out),
        interpreter=interpreter,
        limits=limits,
        variables=variables,
        mode="module" if mode == "auto" else mode,
        env=dict((asked or settings.interpreter_for(instrument)).env),
        spool=spool_of(settings),
        allowed_roots=tuple(settings.paths.rules().local_result_roots()),
        readable=readable_by(settings, instrument, data),
        data_limit=settings.provenance.data_limit,
    )


def readable_by(settings: Settings, instrument: str, data: str) -> tuple[str, ...]:
    """Return what the configuration lets the scripts of an instrument read; a desk knows of no RB number."""
    own = settings.instrument_for(instrument).read_only if instrument else ()
    known = [path for path in own if "{rb}" not in path]
    return tuple(seclusion.readable(known, instrument=instrument, rb="", cycle=cycle_of(data) or ""))


def walled(order: LocalRun, settings: Settings, asked: str | None) -> LocalRun:
    """Return the run of a desk with how its box is closed.

    A program that only leads to an interpreter, such as a shim, may need what no box shows: then that interpreter is
    taken itself.

    Raises:
        NoWalls: less can be had than was asked for.
        OSError: it could not be tried.
    """
    from supervisor import localrun
    from supervisor.localwalls import NoWalls, behind, walls_for

    instrument = localrun.name_of(order.data).instrument

    def with_walls(argv: tuple[str, ...]) -> LocalRun:
        profile = Profile(name=" ".join(argv), argv=argv, env=order.env, bind=settings.interpreter.bind)
        walls = walls_for(profile, settings, spool, asked=asked, instrument=instrument)
        return replace(order, interpreter=argv, walls=walls)

    with localrun.spool(order.spool) as spool:
        try:
            return with_walls(order.interpreter)
        except NoWalls:
            led_to = behind(order.interpreter, order.env, spool)
            if not led_to:
                raise
            return with_walls(led_to)


def limits_from(written: list[str], base: Limits) -> Limits:
    """Return `base` with the limits that the command line names.

    Raises:
        LimitError: one of them is none.
    """
    pairs = dict(text.partition("=")[::2] for text in written)
    lacking = [text for text in written if "=" not in text]
    if lacking:
        raise LimitError(f'limit "{lacking[0]}" has no value; write for example {lacking[0]}=none')
    return base.replace_from({key.strip(): value for key, value in pairs.items()})


def _asked_for(script: bytes, settings: Settings) -> Profile | None:
    """Return the interpreter of a program's CONDA_ENV line, None where it has none or the configuration knows of none.

    Raises:
        NoProfile, BadScriptLine: it cannot be followed, as in production.
    """
    if not (settings.interpreter.conda or settings.interpreter.conda_argv):
        return None
    env = conda_env(script)
    return settings.interpreter.profiles().for_conda(env) if env else None


def _interpreter(named: str | None, settings: Settings, instrument: str) -> tuple[str, ...]:
    if named is not None:
        found = shutil.which(named)
        return (os.path.abspath(found),) if found else ()
    own = settings.interpreter.instrument.get(instrument)
    if "argv" in settings.interpreter.model_fields_set or (own is not None and own.argv is not None):
        return tuple(settings.interpreter_for(instrument).argv)
    # Nobody wrote one. On a desk the packages that scripts need are most likely where this command is.
    return (sys.executable,)


def spool_of(settings: Settings) -> str:
    """Return the site's scratch space where a configuration names one that this user can write."""
    if "spool" not in settings.model_fields_set:
        return ""
    path = os.path.abspath(settings.spool.path)
    # A stranger's folder, which root may write, cannot be walked to from inside a user namespace.
    usable = os.access(path, os.W_OK | os.X_OK) and os.stat(path).st_uid == os.geteuid()
    return path if usable else ""


def _introduce(order: LocalRun) -> None:
    from supervisor import localrun

    limits = order.limits
    memory = "none" if limits.memory is None else format_size(limits.memory)
    wall = "none" if limits.wall is None else format_duration(limits.wall)
    shown.say(order.walls.told())
    number = localrun.name_of(order.data).run
    shown.say(
        f"{plain(os.path.basename(order.script_path))} on {plain(order.data)}{f' (run {number})' if number else ''}"
    )
    shown.say(f"limits memory {memory}, wall {wall}; interpreter {' '.join(order.interpreter)}")
    if order.variables.defaults:
        above = ", and those of --vars above them" if order.variables.values else ""
        shown.say(f"variables of {plain(order.variables.defaults)}{above}")
    sys.stdout.flush()


def ticker(line: terminal.LiveLine, limits: Limits) -> Callable[[Running], None]:
    """Return what shows the progress of a run on `line`."""

    def tick(running: Running) -> None:
        if line.is_due():
            ending = f"  ending it: {running.reason}" if running.reason else ""
            line.show(terminal.progress_line(*running.progress(), limits.memory) + ending)

    return tick


def _conclude(outcome: Outcome, order: LocalRun) -> None:
    """Say how it ended: the sentence, the script's own lines of the traceback, and where everything lies."""
    shown.say(outcome.sentence)
    if outcome.traceback:
        shown.say("\n" + terminal.printable(outcome.traceback.rstrip()))
    if outcome.verdict in _OF_MEMORY and len(outcome.usage.curve) > 1:
        _draw(outcome)
    for remark in (outcome.message, *(f"limit reached on the way: {key}" for key in outcome.ceilings_hit)):
        if remark:
            shown.say(f"note: {plain(remark)}")
    for folder in outcome.extra_dirs:
        shown.say(f"note: production would file the results below {plain(folder)} too")
    shown.say("")
    if outcome.log_dir:
        shown.say(f"logs     {plain(outcome.log_dir, 4096)}")
    if outcome.verdict is not Verdict.completed:
        shown.say(f"results  none; nothing{' else' if outcome.log_dir else ''} in {plain(order.out, 4096)} was changed")
        return
    shown.say(f"results  {plain(order.out, 4096)}")
    for output in outcome.outputs[:_NAMED]:
        shown.say(f"         {plain(output.path, 200)}  {format_size(output.size)}")
    if len(outcome.outputs) > _NAMED:
        shown.say(f"         and {len(outcome.outputs) - _NAMED} more")


def _draw(outcome: Outcome) -> None:
    """Draw the memory over time: the way to its limit tells more than the value."""
    curve = outcome.usage.curve
    top = outcome.limits.memory or max(point.rss for point in curve) or 1
    picture = terminal.curve([point.rss for point in curve], top, _WIDTH)
    shown.say(f"\nmemory   {picture}  full block: {format_size(top)}; {format_duration(curve[-1].t)} in all")


def is_writable(path: str) -> bool:
    """Say whether `write_whole` can write the file at `path`."""
    return os.access(path if _is_direct(path) else _folder_of(path), os.W_OK)


def _folder_of(path: str) -> str:
    return os.path.dirname(os.path.abspath(path))


def _is_direct(path: str) -> bool:
    """Say whether something stands there that is no file to be replaced: a pipe, a device."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def write_whole(path: str, text: str) -> None:
    """Write a file whole or not at all; a pipe or a device is written as it is."""
    direct = _is_direct(path)
    temporary = path if direct else f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    if not direct:
        os.replace(temporary, path)
