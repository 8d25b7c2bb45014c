"""One run here and now: the production path without broker, store and lock, in one process that plays the shepherd.

Preflight, box, copy-out and the rules of what is published are those of a shepherd (DESIGN §3, §5): only a completed
run changes results, every other one adds its logs alone. What is missing is what only a fleet needs.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import socket
import tempfile
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from sandbox import box
from sandbox.box import Box
from sandbox.copyout import OutputRejected
from sandbox.outcome import Outcome
from sandbox.verdict import Verdict
from supervisor import filing, provenance
from supervisor.datadigest import LIMIT
from supervisor.localfiles import Destination
from supervisor.localwalls import Walls
from supervisor.ondisk import read_defaults
from supervisor.recorder import Recorder
from supervisor.staging import trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandbox.handoff import Mode
    from sandbox.levels import Level
    from sandbox.limits import Limits
    from sandbox.running import Running
    from supervisor.localvars import Variables

#: Names of the two logs, without the RB that only a message knows: what the script printed, with how it ended; and its
#: standard error, where Mantid logs.
SCRIPT_LOG = "Script.out"
ERROR_LOG = "Mantid.log"
#: In front of the record and the copies of a run that did not complete: those of a good result there stay.
FAILED = "failed-"
#: A run number stands at the end of the name, before the extensions: ENGINX00241391.nxs, PLP0016596.nx.hdf.
_RUN = re.compile(r"([0-9]{1,18})(?:\.[A-Za-z][A-Za-z0-9]*)*$", re.ASCII)
_INSTRUMENT = re.compile(r"([A-Za-z]+)[_-]?", re.ASCII)
#: Seconds of each turn that may go into reading the data for their digest while the box runs.
_READING = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRun:
    """What is to be run; paths are absolute."""

    script: bytes
    script_path: str
    data: str
    out: str
    interpreter: tuple[str, ...]
    limits: Limits
    variables: Variables
    mode: Mode = "module"
    env: dict[str, str] = field(default_factory=dict)
    #: Folder of the site's scratch space; "" makes a private temporary one.
    spool: str = ""
    #: Roots below which production would also file the folders that a script returns; here they are named only.
    allowed_roots: tuple[str, ...] = ()
    #: Further data files of a batch, whose script is given the list of all.
    more_data: tuple[str, ...] = ()
    batch: bool = False
    #: Name of the script in the box; "" takes that of `script_path`.
    script_name: str = ""
    #: Facts of the run for the harness; None reads them off the name of the data file.
    facts: Mapping[str, Any] | None = None
    #: Whether the output folder is given with a slash at its end; None: to programs, as the SNS family has it.
    output_slash: bool | None = None
    skip_anywhere: bool = False
    script_args: tuple[str, ...] = ()
    #: How the box is closed.
    walls: Walls = field(default_factory=Walls)
    #: Further paths that the script may read.
    readable: tuple[str, ...] = ()
    #: Bytes; of larger data files the record holds digests of both ends alone.
    data_limit: int = LIMIT


@dataclass(frozen=True, slots=True)
class DataName:
    """What the name of a data file says: instrument and run number as written, "" for what it does not say."""

    instrument: str
    run: str


def name_of(data: str) -> DataName:
    """Return what the name of the file at `data` says (pure)."""
    name = os.path.basename(data)
    run_at_end = _RUN.search(name)
    if run_at_end is None:
        return DataName("", "")
    instrument = _INSTRUMENT.fullmatch(name[: run_at_end.start()])
    return DataName(instrument[1].upper() if instrument else "", run_at_end[1])


def run(order: LocalRun, on_tick: Callable[[Running], object]) -> Outcome:
    """Run it, put what came out into place, and return the outcome with the folder of its logs.

    Ctrl-C cancels the run; a second one skips the grace.

    Args:
        order: what is to be run.
        on_tick: called at each turn while it runs.
    """
    for path in (order.data, *order.more_data):
        try:
            _read_a_byte(path)
        except OSError as error:
            return _unavailable(order, str(trouble("data file", path, error)))
    try:
        destination = Destination(order.out)
    except OSError as error:
        return _unavailable(order, str(trouble("result folder", order.out, error)))
    ended: list[Outcome] = []
    recorder = Recorder(_origin(order), order.data_limit)

    def tick(running: Running) -> None:
        until = time.monotonic() + _READING
        recorder.read_on(lambda: time.monotonic() < until)
        on_tick(running)

    def collect(running: Running, outcome: Outcome) -> Outcome:
        # The copy in the scratch is gone in a moment: tracebacks name the script where its author knows it.
        copy = os.path.join(running.places.script, _script_name(order))
        told = replace(outcome, traceback=outcome.traceback.replace(copy, order.script_path))
        ended.append(_file(destination, running, told, recorder))
        return ended[0]

    try:
        with spool(order.spool) as folder:
            return box.run(_box(order, folder), on_tick=tick, collect=collect)
    except BrokenPipeError:
        raise  # nobody reads what `on_tick` says: the command ends, and the box with it
    except OSError as error:
        # The results are in place by then: what could not be removed of the scratch is a remark, no other end.
        if not ended:
            return _unavailable(order, str(trouble("scratch", order.spool or tempfile.gettempdir(), error)))
        return _with_remark(ended[0], f"scratch could not be removed: {error}")
    finally:
        with contextlib.suppress(OSError):  # what stays of it is hidden, named after us, and in nobody's way
            destination.close()


def _read_a_byte(path: str) -> None:
    with open(path, "rb") as file:
        file.read(1)


@contextlib.contextmanager
def spool(path: str) -> Iterator[str]:
    """Give the site's scratch space, or a private one that is gone afterwards."""
    if path:
        os.makedirs(path, mode=0o700, exist_ok=True)
        yield path
        return
    private = tempfile.mkdtemp(prefix="autoreduce-run-")
    try:
        yield private
    finally:
        # Boxes remove what is theirs; what is left after trouble with that stays for people to look at.
        with contextlib.suppress(OSError):
            os.rmdir(private)


def _origin(order: LocalRun) -> provenance.Origin:
    named = name_of(order.data)
    defaults = order.variables.defaults
    return provenance.Origin(
        instrument=named.instrument,
        run=named.run,
        host=socket.gethostname(),
        supervisor_version=importlib.metadata.version("autoreduce-supervisor"),
        script=order.script,
        script_name=_script_name(order),
        script_from=order.script_path,
        variables=order.variables.values,
        # As it is when the run begins; where it cannot be read, the record goes without.
        defaults=read_defaults(defaults) if defaults else None,
        defaults_from=defaults or "",
        data=(order.data, *order.more_data),
        argv=order.interpreter,
        env=order.env,
        mode=order.mode,
        facts=_facts(order),
        batch=order.batch,
        output_slash=_output_slash(order),
        skip_anywhere=order.skip_anywhere,
        script_args=order.script_args,
    )


def _script_name(order: LocalRun) -> str:
    return order.script_name or os.path.basename(order.script_path)


def _output_slash(order: LocalRun) -> bool:
    # Programs of the SNS family glue file names to it.
    return order.mode == "program" if order.output_slash is None else order.output_slash


def _facts(order: LocalRun) -> dict[str, Any]:
    if order.facts is not None:
        return dict(order.facts)
    named = name_of(order.data)
    facts: dict[str, Any] = {"run_version": 0}
    if named.run:
        facts["run_number"] = named.run
    if named.instrument:
        facts["instrument"] = named.instrument
    return facts


def _box(order: LocalRun, folder: str) -> Box:
    return Box(
        interpreter=order.interpreter,
        script=order.script,
        script_name=_script_name(order),
        mode=order.mode,
        input_files=(order.data, *order.more_data),
        output_slash=_output_slash(order),
        reduce_vars=order.variables.values,
        defaults=read_defaults(order.variables.defaults) if order.variables.defaults else None,
        facts=_facts(order),
        batch=order.batch,
        skip_anywhere=order.skip_anywhere,
        script_args=order.script_args,
        env=order.env,
        spool=folder,
        limits=order.limits,
        allowed_roots=order.allowed_roots,
        level=cast("Level", order.walls.level),
        closure=order.walls.closure,
        network=order.walls.network,
        readable=order.readable,
    )


def _file(destination: Destination, running: Running, outcome: Outcome, recorder: Recorder) -> Outcome:
    """Put the results of a completed run into place, or the logs of any other; the record stands beside them."""
    if outcome.verdict is None:  # no lock and no service here: the box has not heard of us
        sentence = "script ended because this command itself stood still for longer than a minute"
        outcome = _ended(outcome, Verdict.killed_external, sentence)
    if outcome.verdict is Verdict.completed and running.manifest is not None:
        try:
            outputs = destination.file_results(
                running.manifest,
                running.out_fd,
                _logs(outcome, running),
                recorder.papers(outcome),
            )
            return replace(outcome, outputs=outputs, log_dir=destination.log_folder)
        except OutputRejected as rejected:
            outcome = _ended(outcome, Verdict.output_rejected, f"output rejected: {rejected}")
        except OSError as error:
            where = os.fsdecode(error.filename) if error.filename else destination.path
            outcome = _ended(outcome, Verdict.unavailable, str(trouble("result folder", where, error)))
    try:
        record = provenance.under_stem(FAILED, recorder.papers(outcome).make(()))
        destination.file_logs(_logs(outcome, running) | record)
    except OSError as error:
        return _with_remark(replace(outcome, outputs=()), str(trouble("log folder", destination.log_folder, error)))
    return replace(outcome, outputs=(), log_dir=destination.log_folder)


def _logs(outcome: Outcome, running: Running) -> dict[str, bytes]:
    stdout, stderr = running.logs.stdout.text(), running.logs.stderr.text()
    return {SCRIPT_LOG: filing.script_log(outcome, stdout), ERROR_LOG: stderr}


def _ended(outcome: Outcome, verdict: Verdict, sentence: str) -> Outcome:
    return replace(outcome, verdict=verdict, sentence=sentence, outputs=())


def _with_remark(outcome: Outcome, remark: str) -> Outcome:
    return replace(outcome, message="; ".join(part for part in (outcome.message, remark) if part))


def _unavailable(order: LocalRun, sentence: str) -> Outcome:
    return Outcome.without_run(Verdict.unavailable, sentence, order.limits)
