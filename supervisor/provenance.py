"""Provenance: the record of a run that stands beside its result, so that anybody can run it again and compare.

Three files in `reduction_log/`: the record, a copy of the script byte for byte, and the variables; a fourth where the
instrument's own defaults lay underneath them. Stdlib and the box's values only: the shepherd imports this. What the box
says of itself (Python, packages) is a claim, and is bounded.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from supervisor.runplan import unpack_script
from supervisor.utc import iso

if TYPE_CHECKING:
    from sandbox.outcome import Outcome, OutputFile
    from supervisor.ondisk import Found
    from supervisor.runplan import RunPlan

#: Version of the record; a reader refuses any other.
VERSION = 1
#: Names of the files; where several runs share a folder, the stem of the run's logs stands in front.
RECORD, SCRIPT, VARIABLES = "reduction.json", "reduce.py", "reduce_vars.json"
#: The instrument's own reduce_vars.py.
DEFAULTS = "reduce_vars.py"
#: Bytes of the record that a reader takes; the writer stays below.
LONGEST = 16 * 1024 * 1024
#: Bytes of the record that its list of outputs may have, and bytes reckoned for what stands beside each path in it.
_OUTPUTS, _BESIDE = 12 * 1024 * 1024, 160
#: Longest text, most entries of a list or an object, and deepest nesting inside the record.
_TEXT, _ENTRIES, _DEPTH = 65536, 10_000, 20
#: Longest file name (NAME_MAX, limits.h).
_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What is known of a run before it begins."""

    job: str = ""
    instrument: str = ""
    rb: str = ""
    run: str = ""
    version: int = 0
    family: str = ""
    attempt: int = 1
    epoch: int = 0
    host: str = ""
    supervisor_version: str = ""
    #: The script, byte for byte.
    script: bytes = b""
    script_name: str = SCRIPT
    #: "message", or the path of the script on disk.
    script_from: str = "message"
    #: {"standard_vars": {...}, "advanced_vars": {...}}
    variables: Mapping[str, Any] = field(default_factory=dict)
    #: Text of the instrument's own defaults underneath, and where it lay; None for none.
    defaults: bytes | None = None
    defaults_from: str = ""
    data: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    mode: str = "module"
    facts: Mapping[str, Any] = field(default_factory=dict)
    batch: bool = False
    output_slash: bool = False
    skip_anywhere: bool = False
    script_args: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The plain names of the files of its record."""
        return (RECORD, SCRIPT, VARIABLES, *(() if self.defaults is None else (DEFAULTS,)))


@dataclass(frozen=True, slots=True)
class Papers:
    """The files of a record: their plain names, and what makes them once the outputs are copied."""

    names: tuple[str, ...]
    make: Callable[[Sequence[OutputFile]], Mapping[str, bytes]]


def of_plan(plan: RunPlan, found: Found) -> Origin:
    """Return what the plan of a shepherd says of its run, and what was `found` on disk for it."""
    box, profile = plan.box, found.profile
    return Origin(
        job=plan.job,
        instrument=plan.instrument,
        rb=plan.rb,
        run=plan.run,
        version=plan.version,
        family=plan.family,
        attempt=int(plan.replies.get("attempt", 1)),
        epoch=plan.n,
        host=plan.hostname,
        supervisor_version=plan.code_version,
        script=unpack_script(box.get("script", "")) if found.script is None else found.script,
        script_name=box.get("script_name", SCRIPT),
        script_from="message" if found.script is None else str(plan.script_on_disk["path"]),
        variables=box.get("reduce_vars", {}),
        defaults=found.defaults,
        defaults_from=plan.default_vars,
        data=tuple(box["input_files"]),
        argv=tuple(box.get("interpreter", ()) if profile is None else profile.argv),
        env=box.get("env", {}) if profile is None else profile.env,
        mode=box.get("mode", "module"),
        facts=box.get("facts", {}),
        batch=bool(box.get("batch", False)),
        output_slash=bool(box.get("output_slash", False)),
        skip_anywhere=bool(box.get("skip_anywhere", False)),
        script_args=tuple(box.get("script_args", ())),
    )


def stem_of(log_names: Sequence[str]) -> str:
    """Return what the names of a run's two logs have in common: "RB1510188Run75513v0e3" of those of 2016.

    A stem that would make a file name too long becomes a prefix and the sha256 of itself.
    """
    same = itertools.takewhile(lambda pair: pair[0] == pair[-1], zip(*log_names[:2], strict=False))
    stem = "".join(pair[0] for pair in same) if len(log_names) > 1 else ""
    room = _NAME - len(VARIABLES)
    if len(os.fsencode(stem)) <= room:
        return stem
    digest = hashlib.sha256(os.fsencode(stem)).hexdigest()[:16]
    return f"{os.fsencode(stem)[: room - 17].decode('utf-8', 'ignore')}~{digest}"


def under_stem(stem: str, papers: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return `papers` under names that begin with `stem`."""
    return {stem + name: data for name, data in papers.items()}


def canonical(variables: Mapping[str, Any]) -> bytes:
    """Return variables as the one text that is digested: keys in order, no blanks, UTF-8."""
    both = _groups(variables)
    text = json.dumps(both, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def papers(
    origin: Origin,
    outcome: Outcome,
    *,
    outputs: Sequence[OutputFile],
    data: Sequence[Mapping[str, Any]],
    started: float,
    ended: float,
) -> dict[str, bytes]:
    """Return the files of the record by their plain names.

    Args:
        origin: what was known before.
        outcome: how the run ended, with what was measured.
        outputs: what was copied out of the box, with digests.
        data: what `DataDigest.facts` says of the data files.
        started: seconds since 1970.
        ended: ditto.
    """
    told = record(origin, outcome, outputs=outputs, data=data, started=started, ended=ended)
    written = {
        RECORD: json.dumps(told, indent=1).encode() + b"\n",
        SCRIPT: origin.script,
        VARIABLES: json.dumps(_groups(origin.variables), indent=1).encode() + b"\n",
    }
    return written if origin.defaults is None else written | {DEFAULTS: origin.defaults}


def record(
    origin: Origin,
    outcome: Outcome,
    *,
    outputs: Sequence[OutputFile],
    data: Sequence[Mapping[str, Any]],
    started: float,
    ended: float,
) -> dict[str, Any]:
    """Return the record; see `papers`."""
    usage = outcome.usage.to_json()
    usage.pop("curve", None)
    claimed = outcome.environment
    arguments: dict[str, Any] = {"sha256": hashlib.sha256(canonical(origin.variables)).hexdigest()}
    if origin.defaults is not None:
        arguments["defaults"] = {
            "path": origin.defaults_from,
            "bytes": len(origin.defaults),
            "sha256": hashlib.sha256(origin.defaults).hexdigest(),
        }
    told = {
        "v": VERSION,
        "job": origin.job,
        "instrument": origin.instrument,
        "rb": origin.rb,
        "run": origin.run,
        "version": origin.version,
        "family": origin.family,
        "attempt": origin.attempt,
        "epoch": origin.epoch,
        "host": origin.host,
        "supervisor_version": origin.supervisor_version,
        "started": iso(started),
        "ended": iso(ended),
        "verdict": str(outcome.verdict),
        "sentence": outcome.sentence,
        "script": {
            "name": origin.script_name,
            "sha256": hashlib.sha256(origin.script).hexdigest(),
            "bytes": len(origin.script),
            "origin": origin.script_from,
        },
        "arguments": arguments,
        "data": [dict(entry) for entry in data],
        "interpreter": {
            "argv": list(origin.argv),
            "env": dict(origin.env),
            "python": claimed.get("python", ""),
            "implementation": claimed.get("implementation", ""),
            "executable": claimed.get("executable", ""),
            "packages": claimed.get("packages", {}),
        },
        "mode": origin.mode,
        "call": {
            "batch": origin.batch,
            "output_slash": origin.output_slash,
            "skip_anywhere": origin.skip_anywhere,
            "script_args": list(origin.script_args),
        },
        "facts": dict(origin.facts),
        "limits": outcome.limits.to_json(),
        "usage": usage,
        "guards": outcome.guards.to_json(),
        "message": outcome.message,
    }
    bounded: dict[str, Any] = _bounded(told)
    return bounded | _outputs(outputs)


def _groups(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {group: variables.get(group) or {} for group in ("standard_vars", "advanced_vars")}


def _outputs(outputs: Sequence[OutputFile]) -> dict[str, Any]:
    """The outputs, as many as the record has room for; how many are left out is told."""
    told: list[dict[str, Any]] = []
    room = _OUTPUTS
    for output in outputs:
        room -= len(json.dumps(output.path)) + _BESIDE
        if room < 0:
            break
        told.append({"path": output.path, "bytes": output.size, "sha256": output.sha256})
    left = len(outputs) - len(told)
    return {"outputs": told} | ({"outputs_left_out": left} if left else {})


def _bounded(value: Any, depth: int = 0) -> Any:
    """Return a value that is JSON and text for certain: halves of characters escaped, what is too long or deep cut."""
    if isinstance(value, str):
        return value[:_TEXT].encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        if depth >= _DEPTH:
            return {}
        return {_bounded(str(key)): _bounded(inner, depth + 1) for key, inner in list(value.items())[:_ENTRIES]}
    if isinstance(value, list | tuple):
        return [] if depth >= _DEPTH else [_bounded(inner, depth + 1) for inner in value[:_ENTRIES]]
    return value
