"""What `replay` reads and decides: the record of a run, held against a strict schema, and one run against another.

The record lies in a folder that others can write, so it is read like a message from a stranger: bounded, no doubled
keys, every value of its kind or refused by name. Nothing here touches a file system.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from sandbox.limits import LimitError, Limits
from sandbox.verdict import Verdict
from supervisor import provenance
from supervisor.strictjson import NotStrict, kind, read_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandbox.outcome import OutputFile

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: Longest path (PATH_MAX of linux/limits.h) and name (NAME_MAX), and most entries of each list.
_PATH, _NAME, _MOST = 4096, 255, 100_000
_ARGUMENTS = 1000


class BadRecord(ValueError):
    """The record cannot be used; the text names the key, and what stands there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRef:
    """One file as the run read it."""

    path: str
    size: int | None = None
    #: Digest of the whole, or of head and tail; all "" where the run has none.
    sha256: str = ""
    sha256_head: str = ""
    sha256_tail: str = ""
    #: It changed while the run read it.
    changed: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A record that was read."""

    job: str
    instrument: str
    run: str
    version: int
    epoch: int
    verdict: Verdict
    sentence: str
    script_name: str
    script_sha256: str
    script_from: str
    variables_sha256: str
    #: Digest of the instrument's own defaults; "" where there were none.
    defaults_sha256: str
    data: tuple[DataRef, ...]
    argv: tuple[str, ...]
    env: Mapping[str, str]
    python: str
    implementation: str
    packages: Mapping[str, str]
    mode: Literal["module", "program"]
    batch: bool
    output_slash: bool
    skip_anywhere: bool
    script_args: tuple[str, ...]
    facts: Mapping[str, Any]
    limits: Limits
    outputs: Mapping[str, str] = field(default_factory=dict)
    outputs_left_out: int = 0

    @property
    def named(self) -> str:
        """The run in words."""
        of = f"{self.instrument} run {self.run}" if self.instrument else f"run {self.run}" if self.run else "the run"
        return of + (f" version {self.version}" if self.version else "")


def read(body: bytes) -> Recorded:
    """Return the record in `body` (pure).

    Raises:
        BadRecord: it is none, is of another version, or holds something that no run writes.
    """
    try:
        top = _Object("", read_object(body))
    except NotStrict as fault:
        raise BadRecord(str(fault).replace("the message", "it", 1)) from None
    version = top.number("v")
    if version != provenance.VERSION:
        raise BadRecord(f"it is of version {version}, and this command reads version {provenance.VERSION}")
    script, arguments, interpreter = top.object("script"), top.object("arguments"), top.object("interpreter")
    call = top.object("call")
    return Recorded(
        job=top.text("job"),
        instrument=top.text("instrument"),
        run=top.text("run"),
        version=top.number("version"),
        epoch=top.number("epoch"),
        verdict=_verdict(top),
        sentence=top.text("sentence", longest=65536),
        script_name=_file_name(script),
        script_sha256=script.digest("sha256"),
        script_from=script.text("origin", longest=_PATH),
        variables_sha256=arguments.digest("sha256"),
        defaults_sha256=arguments.object("defaults").digest("sha256") if arguments.has("defaults") else "",
        data=tuple(_data(entry) for entry in top.objects("data", least=1)),
        argv=interpreter.texts("argv", least=1),
        env=interpreter.text_map("env"),
        python=interpreter.text("python"),
        implementation=interpreter.text("implementation"),
        packages=interpreter.text_map("packages"),
        mode=_mode(top),
        batch=call.truth("batch"),
        output_slash=call.truth("output_slash"),
        skip_anywhere=call.truth("skip_anywhere"),
        script_args=call.texts("script_args"),
        facts=top.object("facts").values,
        limits=_limits(top),
        outputs=_outputs(top),
        outputs_left_out=top.number("outputs_left_out") if top.has("outputs_left_out") else 0,
    )


class _Object:
    """One object of the record and where it stands in it."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.values = values
        self._where = where

    def has(self, key: str) -> bool:
        return key in self.values

    def refuse(self, key: str, wanted: str) -> BadRecord:
        found = kind(self.values[key]) if key in self.values else "nothing"
        return BadRecord(f"{self._where}{key} must be {wanted}, and {found} of that sort stands there")

    def text(self, key: str, longest: int = 1024) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or len(value) > longest or "\0" in value:
            raise self.refuse(key, f"a text of at most {longest} characters")
        return value

    def number(self, key: str) -> int:
        value = self.values.get(key)
        if type(value) is not int or not 0 <= value < 2**63:
            raise self.refuse(key, "a whole number that is not negative")
        return value

    def truth(self, key: str) -> bool:
        value = self.values.get(key)
        if not isinstance(value, bool):
            raise self.refuse(key, "true or false")
        return value

    def digest(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or not _DIGEST.fullmatch(value):
            raise self.refuse(key, "a sha256 of 64 hexadecimal digits")
        return value

    def object(self, key: str) -> _Object:
        value = self.values.get(key)
        if not isinstance(value, dict):
            raise self.refuse(key, "an object")
        return _Object(f"{self._where}{key}.", value)

    def objects(self, key: str, least: int = 0) -> list[_Object]:
        value = self.values.get(key)
        if not isinstance(value, list) or not least <= len(value) <= _MOST:
            raise self.refuse(key, f"a list of {least} to {_MOST} objects")
        for entry in value:
            if not isinstance(entry, dict):
                raise self.refuse(key, "a list of objects alone")
        return [_Object(f"{self._where}{key}[{place}].", entry) for place, entry in enumerate(value)]

    def texts(self, key: str, least: int = 0) -> tuple[str, ...]:
        value = self.values.get(key)
        good = isinstance(value, list) and least <= len(value) <= _ARGUMENTS
        if not isinstance(value, list) or not good or not all(_is_argument(entry) for entry in value):
            raise self.refuse(key, f"a list of {least} to {_ARGUMENTS} texts")
        return tuple(value)

    def text_map(self, key: str) -> dict[str, str]:
        values = self.object(key).values
        if len(values) > _ARGUMENTS or not all(
            _is_argument(name) and name and "=" not in name and _is_argument(value) for name, value in values.items()
        ):
            raise self.refuse(key, f"at most {_ARGUMENTS} names with texts")
        return dict(values)


def _is_argument(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 65536 and "\0" not in value


def _verdict(top: _Object) -> Verdict:
    text = top.text("verdict")
    if text not in list(Verdict):
        raise top.refuse("verdict", "one of the verdicts")
    return Verdict(text)


def _mode(top: _Object) -> Literal["module", "program"]:
    mode = top.text("mode")
    if mode == "module":
        return "module"
    if mode == "program":
        return "program"
    raise top.refuse("mode", '"module" or "program"')


def _file_name(script: _Object) -> str:
    name = script.text("name", longest=_NAME)
    if "/" in name or name in {"", ".", ".."}:
        raise script.refuse("name", "a plain file name")
    return name


def _limits(top: _Object) -> Limits:
    try:
        return Limits.from_json(top.object("limits").values)
    except (LimitError, TypeError) as wrong:
        raise BadRecord(f"limits cannot be used: {wrong}") from None


def _data(entry: _Object) -> DataRef:
    path = entry.text("path", longest=_PATH)
    if not path.startswith("/"):
        raise entry.refuse("path", "an absolute path")
    digests = {key: entry.digest(key) for key in ("sha256", "sha256_head", "sha256_tail") if entry.has(key)}
    if ("sha256_head" in digests) != ("sha256_tail" in digests):
        raise entry.refuse("sha256_tail", "given together with sha256_head")
    return DataRef(
        path=path,
        size=entry.number("bytes") if entry.has("bytes") else None,
        changed=entry.truth("changed") if entry.has("changed") else False,
        problem=entry.text("problem") if entry.has("problem") else "",
        **digests,
    )


def _outputs(top: _Object) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in top.objects("outputs"):
        path = entry.text("path", longest=_PATH)
        if path in found or path.startswith("/") or not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise entry.refuse("path", "a relative path that stands there once")
        found[path] = entry.digest("sha256")
    return found


# --- one run against another --------------------------------------------------------------------------------------


class State(StrEnum):
    """What became of one output."""

    IDENTICAL = "identical"
    DIFFERS = "differs"
    #: In the record, and not made again.
    MISSING = "missing"
    #: Made now, and not in the record.
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Compared:
    """One output of either run; digests are "" where a run has none."""

    path: str
    state: State
    before: str
    now: str


def compare(recorded: Recorded, made: Iterable[OutputFile]) -> list[Compared]:
    """Return every output of either run by name (pure)."""
    now = {output.path: output.sha256 or "" for output in made}
    compared = []
    for path in sorted(recorded.outputs.keys() | now.keys()):
        before, after = recorded.outputs.get(path, ""), now.get(path, "")
        if not before:
            state = State.NEW
        elif not after:
            state = State.MISSING
        else:
            state = State.IDENTICAL if before == after else State.DIFFERS
        compared.append(Compared(path, state, before, after))
    return compared


def is_same(recorded: Recorded, verdict: Verdict | None, compared: Sequence[Compared]) -> bool:
    """Say whether the replay came to what the record says: the same end, and every output the same."""
    return verdict is recorded.verdict and all(row.state is State.IDENTICAL for row in compared)


def sentence(recorded: Recorded, verdict: Verdict | None, compared: Sequence[Compared]) -> str:
    """Return the replay in one sentence (pure)."""
    if verdict is not recorded.verdict:
        return f"{recorded.named} ended as {recorded.verdict}, and its replay as {verdict or 'nothing'}"
    if verdict is not Verdict.completed:
        return f"the replay of {recorded.named} ended as the run did: {recorded.verdict}"
    counts = {state: sum(row.state is state for row in compared) for state in State}
    if not compared:
        return f"the replay of {recorded.named} is identical: neither run made an output"
    if counts[State.IDENTICAL] == len(compared):
        outputs = "its output is" if len(compared) == 1 else f"all {len(compared)} outputs are"
        return f"the replay of {recorded.named} is identical: {outputs} the same byte for byte"
    words = (
        (State.DIFFERS, "differs", "differ"),
        (State.MISSING, "is missing", "are missing"),
        (State.NEW, "is new", "are new"),
    )
    told = [f"{counts[state]} {one if counts[state] == 1 else more}" for state, one, more in words if counts[state]]
    same = f"{counts[State.IDENTICAL]} of {len(compared)} outputs identical"
    return f"the replay of {recorded.named} is not identical: {same}, {', '.join(told)}"


def environment_changes(recorded: Recorded, environment: Mapping[str, Any]) -> list[str]:
    """Return what differs between the Python and the packages of the two runs, which may explain the rest (pure).

    Args:
        recorded: the record.
        environment: what the replay claims of itself, see `HandoffOut.environment`.
    """
    rows = []
    for key, before in (("python", recorded.python), ("implementation", recorded.implementation)):
        now = str(environment.get(key, ""))
        if before != now:
            rows.append(f"{key}: {before or 'not known'} in the record, {now or 'not known'} now")
    packages = environment.get("packages", {})
    packages = packages if isinstance(packages, Mapping) else {}
    for name in sorted(recorded.packages.keys() | packages.keys()):
        loaded = recorded.packages.get(name, "not loaded"), str(packages.get(name, "not loaded"))
        if loaded[0] != loaded[1]:
            rows.append(f"{name}: {loaded[0]} in the record, {loaded[1]} now")
    return rows


def check_data(recorded: DataRef, found: Mapping[str, Any]) -> str:
    """Return what is wrong with a data file, or "" (pure).

    Args:
        recorded: the file as the run read it.
        found: the entry of `DataDigest.facts` for the file as it is now.
    """
    path = found.get("path", recorded.path)
    if found.get("problem") and "bytes" not in found:
        return f'"{path}" {found["problem"]}'
    if recorded.size is not None and found.get("bytes") != recorded.size:
        return f'"{path}" is not what the run read: {recorded.size} bytes then, {found.get("bytes")} now'
    for key in ("sha256", "sha256_head", "sha256_tail"):
        then = getattr(recorded, key)
        if then and found.get(key) != then:
            return f'"{path}" is not what the run read: {key} {then[:12]}... then, {str(found.get(key))[:12]}... now'
    return ""


def limit_for(recorded: DataRef) -> int:
    """Return the `limit` with which `DataDigest` makes the digests that the record has of a file."""
    return 0 if recorded.sha256_head else 2**63


def is_text(sha256: str, text: bytes) -> bool:
    """Say whether `text` is the one of that digest."""
    return hashlib.sha256(text).hexdigest() == sha256


def has_variables(recorded: Recorded, variables: Mapping[str, Any]) -> bool:
    """Say whether `variables` are those that the script was given."""
    return hashlib.sha256(provenance.canonical(variables)).hexdigest() == recorded.variables_sha256


def choose(found: Mapping[str, Recorded]) -> dict[str, list[str]]:
    """Return the names of records by run, in each the one to be replayed first (pure).

    That is the newest one of a completed run, and without such the newest.
    """
    by_run: dict[str, list[str]] = {}
    for name in sorted(found, key=lambda name: (found[name].verdict is Verdict.completed, found[name].epoch, name)):
        by_run.setdefault(found[name].run, []).insert(0, name)
    return dict(sorted(by_run.items()))
