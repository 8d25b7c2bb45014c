"""The hostile corpus: reads its cases, runs each in a box, and looks whether the host noticed.

What a case is, a setup, and the host-unchanged check stands in `tests/host/corpus/README.md`. As a program it runs
cases and prints what became of them, for people or, with --json, for a test that runs it as another user. It needs the
packages `sandbox` and `psutil`, and the modules beside it, but no pytest.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import gc
import hashlib
import importlib
import importlib.util
import json
import os
import re
import sys
import tempfile
import threading
import time
import tomllib
import traceback
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boxes

from sandbox import copyout, levels
from sandbox.box import Box, BoxError, prepare
from sandbox.ending import not_built
from sandbox.limits import Limits, MiB
from sandbox.linux import proctree
from sandbox.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandbox.outcome import Outcome
    from sandbox.running import Running

FOLDER = Path(__file__).parent.parent / "host" / "corpus"
#: The data of every case, and its sibling.
DATA = {"ENGINX00075513.nxs": b"counts 1 2 3 4 5\n", "ENGINX00075512.nxs": b"counts 9 8 7 6 5\n"}
SECRET = b"broker password\n"
#: What a case's limits are laid over; small, so that reaching one is quick and does no harm.
LIMITS = {
    "wall": "10 s",
    "memory": "128 MiB",
    "processes": 64,
    "open_files": 256,
    "output": "8 MiB",
    "files": 500,
    "log": "1 MiB",
    "tmp": "8 MiB",
    "grace": "300 ms",
}
#: What this process may have grown by one case, bytes: what a log, a listing and the allocator keep.
GROWTH = 32 * MiB
#: Seconds in which shared memory may go that a box of somebody else has left.
_PATIENCE = 5.0
#: Files that no script may change, whoever runs it.
HOST_FILES = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/hosts", "/etc/ld.so.preload", "/etc/ld.so.cache")
#: Keys of a case that check something; these and the limits may differ from place to place.
_CHECKS = frozenset(
    {
        *("verdict", "says", "says_not", "errors", "sentence", "message", "traceback", "exit", "ceilings"),
        *("ceilings_not", "leftovers", "outputs", "oom_kills", "seconds", "limits"),
    }
)
_PLACES = ("none", "contained", "hostile", "group", "sampler", "v2", "older", "root", "user")
#: Landlock with scopes, Linux 6.12; a kernel with less is "older".
_SCOPES = 6
_PATTERNS = ("says", "says_not", "errors", "sentence", "message", "traceback")


#: What a case may need beside modules.
SCOPES = "scopes of Landlock"


class CorpusError(ValueError):
    """A case is not written as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a case runs: how well it is contained, who holds its memory, and for whom."""

    level: str
    #: "group" or "sampler".
    holder: str
    #: "root" or "user".
    person: str
    #: What the host is besides: "v2" where that is the version of the groups, "older" where the kernel is.
    host: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `where` knows, later ones win."""
        host = (name for name in self.host if name != "v2" or self.holder == "group")
        return (self.level, self.holder, *host, self.person)

    def __str__(self) -> str:
        return "-".join(self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One script with what a box must make of it; the README of the corpus says what each means."""

    group: str
    number: int
    name: str
    source: str
    verdict: str
    says: tuple[str, ...] = ()
    says_not: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    sentence: tuple[str, ...] = ()
    message: tuple[str, ...] = ()
    traceback: tuple[str, ...] = ()
    exit: Mapping[str, int] = field(default_factory=dict)
    ceilings: tuple[str, ...] = ()
    ceilings_not: tuple[str, ...] = ()
    leftovers: int | str | None = None
    outputs: tuple[str, ...] | None = None
    oom_kills: int | str | None = None
    seconds: float | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    mode: str = "program"
    vars: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    args: tuple[str, ...] = ()
    network: bool = False
    setup: str = ""
    text: str = "file"
    needs: tuple[str, ...] = ()
    held_by: tuple[str, ...] = ()
    levels: tuple[str, ...] = ("contained", "hostile")
    dangerous: bool = False
    skip_user: str = ""
    where: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Number and name, as the test and the script's file are called."""
        return f"{self.number:03d}_{self.name}"

    @property
    def script(self) -> Path:
        """The file of its text."""
        return FOLDER / "scripts" / self.group / f"{self.label}.py"

    def at(self, place: Place) -> Case:
        """Returns the case as it is in this place."""
        case = self
        for name in place.names:
            changes = dict(self.where.get(name, {}))
            if "limits" in changes:
                changes["limits"] = {**case.limits, **changes["limits"]}
            case = replace(case, **changes)
        return case

    def at_pace(self, slow: float) -> Case:
        """Returns the case for a machine on which everything takes so many times as long."""
        wall = Limits().replace_from({"wall": self.limits.get("wall", LIMITS["wall"])}).wall
        seconds = None if self.seconds is None else self.seconds * slow
        return replace(self, seconds=seconds, limits={**self.limits, "wall": "none" if wall is None else wall * slow})

    def chosen(self, words: tuple[str, ...]) -> bool:
        """Whether one of the words is its number or its name; without words every case is."""
        return not words or any(
            self.number == int(word) if word.isdigit() else word in {self.name, self.label, self.group}
            for word in words
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A number that is no case here."""

    number: int
    name: str
    reason: str
    test: str = ""


# Reading


def load(folder: Path = FOLDER) -> tuple[Case, ...]:
    """Reads every case, in the order of their numbers.

    Raises:
        CorpusError: with the file, the case and the key.
    """
    cases = [case for path in sorted(folder.glob("*.toml")) if path.name != "absent.toml" for case in _group(path)]
    labels = [case.label for case in cases]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise CorpusError(f"twice: {', '.join(sorted(twice))}")
    return tuple(sorted(cases, key=lambda case: case.label))


def load_absent(folder: Path = FOLDER) -> tuple[Absent, ...]:
    """Reads the numbers that are no case here."""
    path = folder / "absent.toml"
    record = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    _only(record, {"absent"}, path.name)
    found = []
    for entry in record.get("absent", []):
        _only(entry, {each.name for each in fields(Absent)}, f"{path.name}: {entry.get('number')}")
        found.append(Absent(**entry))
    return tuple(found)


def _group(path: Path) -> list[Case]:
    record = tomllib.loads(path.read_text("utf-8"))
    _only(record, {"defaults", "case"}, path.name)
    defaults = record.get("defaults", {})
    return [_case(path.stem, defaults, entry) for entry in record.get("case", [])]


def _only(record: Mapping[str, Any], known: set[str], where: str) -> None:
    if strange := sorted(set(record) - known):
        raise CorpusError(f"{where}: unknown key {', '.join(strange)}")


def _case(group: str, defaults: Mapping[str, Any], entry: Mapping[str, Any]) -> Case:
    where = f"{group}.toml: {entry.get('number')} {entry.get('name')}"
    known = {each.name for each in fields(Case)} - {"group"}
    _only(defaults, known - {"number", "name"}, f"{group}.toml: defaults")
    _only(entry, known, where)
    merged: dict[str, Any] = {**defaults, **entry}
    merged["limits"] = {**defaults.get("limits", {}), **entry.get("limits", {})}
    if missing := {"number", "name", "source", "verdict"} - set(merged):
        raise CorpusError(f"{where}: missing {', '.join(sorted(missing))}")
    _check(merged, where)
    for place, changes in merged.get("where", {}).items():
        if place not in _PLACES:
            raise CorpusError(f"{where}: no place is called {place!r}; they are {', '.join(_PLACES)}")
        _only(changes, set(_CHECKS), f"{where}: where.{place}")
        _check(changes, f"{where}: where.{place}")
    merged["where"] = {place: _tuples(changes) for place, changes in merged.get("where", {}).items()}
    case = Case(group=group, **_tuples(merged))
    if case.text == "file" and not case.script.is_file():
        raise CorpusError(f"{where}: there is no {case.script}")
    return case


def _tuples(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}


def _check(record: Mapping[str, Any], where: str) -> None:
    kinds = {each.name: str(each.type) for each in fields(Case)}
    for key, value in record.items():
        kind = kinds[key]
        if kind.startswith("tuple") and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
            raise CorpusError(f"{where}: {key} is not a list of texts")
        if kind == "int" and not isinstance(value, int):
            raise CorpusError(f"{where}: {key} is not a whole number")
        if kind == "str" and not isinstance(value, str):
            raise CorpusError(f"{where}: {key} is not a text")
        if kind.startswith("Mapping") and not isinstance(value, dict):
            raise CorpusError(f"{where}: {key} is not a table")
        if kind == "int | str | None" and value != "some" and not isinstance(value, int):
            raise CorpusError(f'{where}: {key} is neither a number nor "some"')
    try:
        if "verdict" in record:
            Verdict(record["verdict"])
        Limits().replace_from(record.get("limits", {}))
        for key in _PATTERNS:
            for pattern in record.get(key, []):
                re.compile(pattern)
    except (ValueError, re.error) as error:
        raise CorpusError(f"{where}: {error}") from error
    strange = set(record.get("levels", ())) - {"none", "contained", "hostile"}
    strange |= {record.get("mode", "program")} - {"program", "module"}
    strange |= {record.get("text", "file")} - {"file", "made"}
    strange |= set(record.get("exit", {})) - {"code", "signal"}
    if strange:
        raise CorpusError(f"{where}: {', '.join(sorted(strange))} is not known")
    if strange := set(record.get("held_by", ())) - levels.GUARDS:
        raise CorpusError(f"{where}: no guard is called {', '.join(sorted(strange))}")
    if "mnt" in (held := record.get("held_by", ())) and "tree" not in held:
        raise CorpusError(f"{where}: a tree that is built without a mount namespace would be the host's")


# What stands outside of the box


class Stage:
    """What a case finds outside of its box, and what a setup may change and look at."""

    def __init__(self, case: Case, place: Place, folder: str) -> None:
        self.case, self.place, self.folder = case, place, folder
        self.spool = self._made("spool")
        self.data = self._made("data")
        for name, content in DATA.items():
            Path(self.data, name).write_bytes(content)
        keys = self._made("locks")
        self.locks = {"held": os.path.join(keys, "held.lock"), "free": os.path.join(keys, "free.lock")}
        for path in self.locks.values():
            Path(path).write_bytes(b"%016d%016d" % (3, 41))
        self.secret = os.path.join(keys, "broker.conf")
        Path(self.secret).write_bytes(SECRET)
        #: What the script finds in `reduce_vars.standard_vars`.
        self.vars: dict[str, Any] = {
            "lock": self.locks["held"],
            "free_lock": self.locks["free"],
            "secret": self.secret,
            "spool": self.spool,
            "shepherd": os.getpid(),
            **case.vars,
        }
        #: Changes to the `Box`.
        self.box: dict[str, Any] = {}
        #: Called at each turn of the box.
        self.on_tick: Callable[[Running], object] = lambda _: None
        #: Whether the results are to be copied, and where.
        self.copy = False
        self.results = self._made("results")
        #: Known after the run; `running` only as long as the setup has not returned.
        self.outcome: Outcome | None = None
        self.running: Running | None = None
        self.stdout = self.stderr = ""
        #: What went wrong, in words.
        self.problems: list[str] = []

    def _made(self, name: str) -> str:
        path = os.path.join(self.folder, name)
        os.mkdir(path)
        return path


#: Functions of `corpus_setups.py` by name.
SETUPS: dict[str, Callable[[Stage], contextlib.AbstractContextManager[None]]] = {}


def setup(function: Callable[[Stage], Iterator[None]]) -> Callable[[Stage], Iterator[None]]:
    """Makes a generator function known as a setup."""
    SETUPS[function.__name__] = contextlib.contextmanager(function)
    return function


def load_setups() -> None:
    """Makes the setups of `corpus_setups*.py` known."""
    for path in sorted(Path(__file__).parent.glob("corpus_setups*.py")):
        importlib.import_module(path.stem)


# Running


def supported(place: Place) -> bool:
    """Whether boxes have levels at all."""
    return place.level == "none" or "level" in Box.__dataclass_fields__


def reason_to_skip(case: Case, place: Place) -> str:
    """Returns why a case does not run in a place, "" if it does."""
    if place.level not in case.levels:
        return f"not for level {place.level}"
    if place.person == "user" and case.skip_user:
        return case.skip_user
    if case.dangerous and place.holder != "group":
        return "dangerous where no control group holds memory and processes"
    missing = [name for name in case.needs if name != SCOPES and importlib.util.find_spec(name) is None]
    if SCOPES in case.needs and "older" in place.host:
        missing.append(SCOPES)
    return f"needs {', '.join(missing)}" if missing else ""


def box_of(case: Case, stage: Stage, without: frozenset[str] = frozenset()) -> Box:
    """Makes the box of a case, as the setup wants it."""
    names = list(DATA)
    values: dict[str, Any] = {
        "interpreter": (sys.executable,),
        "script": case.script.read_bytes() if case.text == "file" else b"",
        "script_name": "reduce.py",
        "mode": case.mode,
        "input_files": (os.path.join(stage.data, names[0]),),
        "output_slash": case.mode == "program",
        "reduce_vars": {"standard_vars": stage.vars},
        "facts": {"run_number": "00075513"},
        "env": dict(case.env),
        "script_args": case.args,
        "spool": stage.spool,
        "limits": Limits().replace_from({**LIMITS, **case.limits}),
        "subject": "ENGINX",
        "sample_every": 0.05,
    }
    values |= place_of(stage)
    if packages := os.environ.get("CORPUS_PACKAGES"):
        values |= {"env": {**case.env, "PYTHONPATH": packages}, "readable": (packages,)}
    if stage.place.level != "none":
        values |= {"network": case.network, "without": without}
    return Box(**values | stage.box)


def place_of(stage: Stage) -> dict[str, Any]:
    """Returns what makes a box one of this place; for boxes that a setup makes besides."""
    values: dict[str, Any] = {"cgroup": "off" if stage.place.holder == "sampler" else "auto"}
    if stage.place.level != "none":
        values |= {"level": stage.place.level, "closure": boxes.closure_here()}
    return values


def play(case: Case, place: Place, folder: str, *, without: frozenset[str] = frozenset()) -> list[str]:
    """Runs a case, and returns in which points it, or the host afterwards, is not as it should be.

    Args:
        case: as it was read.
        place: where it runs.
        folder: an empty folder outside of the box.
        without: guards that are left out.
    """
    stage = Stage(case.at(place), place, folder)
    return perform(stage, without=without)


def perform(stage: Stage, *, without: frozenset[str] = frozenset()) -> list[str]:
    """Runs the case of a stage; see `play`."""
    found: list[str] = []
    with locks_watched(stage) as lock_problems:
        enter = SETUPS[stage.case.setup] if stage.case.setup else None
        with enter(stage) if enter else contextlib.nullcontext():
            host = Host(stage)
            token, seconds = _run(stage, without)
            found += differences(stage, seconds)
            # Without its walls a box leaves shared memory on the host until the setup removes it: seen at once here, and
            # waited out by the cases of other workers.
            found += host.changes(token, patience=0.0 if without else _PATIENCE)
        found += stage.problems
    found += lock_problems
    if found and stage.outcome:
        sentence = f"sentence: {stage.outcome.sentence}"
        found += [sentence, f"stdout: {stage.stdout[-1500:]}", f"stderr: {stage.stderr[-1500:]}"]
    return [f"{stage.case.label} at {stage.place}: {text}" for text in found]


def _run(stage: Stage, without: frozenset[str]) -> tuple[str, float]:
    box = box_of(stage.case, stage, without)
    began = time.monotonic()
    try:
        prepared = prepare(box)
    except BoxError as error:
        stage.outcome = not_built(error.failure, box.limits)
        return "", time.monotonic() - began
    guards = prepared.guards
    if stage.case.dangerous and not all(guards.get(what, "").startswith("cgroup") for what in ("memory", "processes")):
        prepared.abandon()
        raise RuntimeError(f"{stage.case.label} is dangerous, and here no control group holds memory and processes")
    with prepared.release() as running:
        stage.running = running
        patience = (box.limits.wall or 60) + 30

        def turned(running: Running) -> bool:
            stage.on_tick(running)
            return running.ended

        boxes.drive(running, turned, patience)
        seconds = time.monotonic() - began
        outcome = running.outcome()
        if stage.copy and running.manifest:
            target = os.open(stage.results, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                copyout.copy(running.manifest, running.out_fd, target)
            except copyout.OutputRejected as error:
                stage.problems.append(f"copy-out refuses what was inspected: {error}")
            finally:
                os.close(target)
        stage.outcome = outcome
        stage.stdout, stage.stderr = (
            spool.text().decode("utf-8", "replace") for spool in (running.logs.stdout, running.logs.stderr)
        )
        token = running.token
    return token, seconds


def differences(stage: Stage, seconds: float) -> list[str]:
    """Returns where the end of a run is not the one that its case demands."""
    case, outcome = stage.case, stage.outcome
    assert outcome is not None
    found: list[str] = []
    if str(outcome.verdict) != case.verdict:
        found.append(f"verdict {outcome.verdict}, not {case.verdict}")
    texts = {
        "says": stage.stdout,
        "errors": stage.stderr,
        "sentence": outcome.sentence,
        "message": outcome.message,
        "traceback": outcome.traceback,
    }
    for key, text in texts.items():
        found += [
            f"{key}: nothing like {wanted!r}"
            for wanted in getattr(case, key)
            if not re.search(wanted, text, re.MULTILINE)
        ]
    for forbidden in case.says_not:
        for name, text in (("stdout", stage.stdout), ("stderr", stage.stderr)):
            found += [f"{name}: says {hit[0]!r}" for hit in [re.search(forbidden, text, re.MULTILINE)] if hit]
    for key, wanted in case.exit.items():
        if outcome.exit[key] != wanted:
            found.append(f"exit {key} {outcome.exit[key]}, not {wanted}")
    found += [f"ceiling {name} is not told" for name in case.ceilings if name not in outcome.ceilings_hit]
    found += [f"ceiling {name} is told" for name in case.ceilings_not if name in outcome.ceilings_hit]
    facts = stage.running.facts() if stage.running else {}
    found += _counted("leftovers", case.leftovers, facts.get("leftovers_killed"))
    if stage.place.holder == "group":
        counted = facts.get("cgroup") or {}
        found += _counted("oom kills", case.oom_kills, counted.get("oom_kills"))  # type: ignore[attr-defined]
    outputs = tuple(sorted(output.path for output in outcome.outputs))
    if case.outputs is not None and outputs != tuple(sorted(case.outputs)):
        found.append(f"outputs {outputs}, not {tuple(sorted(case.outputs))}")
    if case.seconds is not None and seconds > case.seconds:
        found.append(f"took {seconds:.1f} s and not at most {case.seconds:g}")
    return found


def _counted(what: str, wanted: int | str | None, got: Any) -> list[str]:
    if wanted is None or got == wanted or (wanted == "some" and isinstance(got, int) and got > 0):
        return []
    return [f"{what}: {got}, not {wanted}"]


# Looking at the host


class Host:
    """What of the host a run must leave as it was, seen before it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._still = self._look()
        self._below = _below_me()
        self._shm = _orphaned_shm()
        gc.collect()  # what earlier tests have dropped is closed now, and not while a case runs
        self._fds = _descriptors()
        self._resident = _resident()

    def _look(self) -> dict[str, Any]:
        looked: dict[str, Any] = {
            "mounts": Path("/proc/self/mountinfo").read_text("utf-8", "replace"),
            "host name": os.uname().nodename,
            "priority": os.getpriority(os.PRIO_PROCESS, 0),
            "oom_score_adj": Path("/proc/self/oom_score_adj").read_text("ascii"),
            "threads": threading.active_count(),
            "working folder": os.getcwd(),
            "data": _digest(self._stage.data),
            "secret": _signature(self._stage.secret),
            "interpreter": [
                _signature(path) for path in (os.path.dirname(os.__file__), os.path.realpath(sys.executable))
            ],
        }
        looked |= {path: _signature(path) for path in HOST_FILES}
        return looked

    def changes(self, token: str, *, patience: float = _PATIENCE) -> list[str]:
        """Returns what is not as it was.

        Args:
            token: of the box; "" for one that never was.
            patience: seconds in which shared memory may go that a box of somebody else left.
        """
        found = []
        if left := _lasting(lambda: self._below_now() - self._below, 2.0):
            found.append(f"processes are left: {sorted(left)}")
        if token:
            found += [f"process {process.pid} carries the token" for process in proctree.carriers(token)]
            found += [f"control group {path} is left" for path in _groups(token)]
        if held := os.listdir(self._stage.spool):
            found.append(f"scratch is left: {held}")
        now = self._look()
        found += [
            f"{what} changed: {_contrast(was, now[what])}" for what, was in self._still.items() if now[what] != was
        ]
        orphans = _lasting(lambda: _orphaned_shm() - self._shm, patience)
        found += [f"SysV shared memory {number} is left" for number in orphans]
        if (descriptors := _descriptors()) != self._fds:
            found.append(f"descriptors changed: {_contrast(self._fds, descriptors)}")
        if (grown := _resident() - self._resident) > GROWTH:
            found.append(f"this process has grown by {grown / MiB:.0f} MiB")
        return found

    @staticmethod
    def _below_now() -> set[int]:
        return _below_me()


def _lasting(look: Callable[[], set[Any]], patience: float) -> set[Any]:
    """Returns what is still to be seen, looked for until nothing is or the seconds are over."""
    deadline = time.monotonic() + patience
    while (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return seen


def _below_me() -> set[int]:
    return {process.pid for process in proctree.descendants(os.getpid(), proctree.scan())}


def _descriptors() -> dict[str, str]:
    listed = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            listed[name] = os.readlink(f"/proc/self/fd/{name}")
    # The listing's own descriptor is in it.
    return {name: to for name, to in listed.items() if not to.endswith("/fd")}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _signature(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    # A folder's own size and times tell that something was made or removed in it.
    return (status.st_ino, status.st_mode, status.st_uid, status.st_nlink, status.st_size, status.st_mtime_ns)


def _digest(folder: str) -> list[tuple[str, str, int]]:
    listed = []
    for name in sorted(os.listdir(folder)):
        path = Path(folder, name)
        plain = path.is_file() and not path.is_symlink()
        listed.append((name, hashlib.sha256(path.read_bytes()).hexdigest() if plain else "?", os.lstat(path).st_nlink))
    return listed


def _groups(token: str) -> list[str]:
    return [os.path.join(base, name) for base, below, _ in os.walk("/sys/fs/cgroup") for name in below if token in name]


def _orphaned_shm() -> set[str]:
    """SysV segments whose creator is gone and that nobody has attached (proc_sysvipc_shm(5)); those of others change."""
    with contextlib.suppress(FileNotFoundError):
        rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text("ascii").splitlines()[1:]]
        return {row[1] for row in rows if row[6] == "0" and not os.path.exists(f"/proc/{row[4]}")}
    return set()


def _contrast(was: Any, now: Any) -> str:
    if isinstance(was, str) and isinstance(now, str):
        was, now = set(was.splitlines()), set(now.splitlines())
    elif isinstance(was, dict):
        was, now = set(was.items()), set(now.items())
    if isinstance(was, set):
        return f"gone {sorted(was - now)}, new {sorted(now - was)}"
    return f"{was} -> {now}"


@contextlib.contextmanager
def locks_watched(stage: Stage) -> Iterator[list[str]]:
    """Holds one lock file and leaves the other free, and looks at both afterwards."""
    problems: list[str] = []
    before = {name: _signature(path) for name, path in stage.locks.items()}
    with contextlib.ExitStack() as opened:

        def descriptor(name: str) -> int:
            fd = os.open(stage.locks[name], os.O_RDWR | os.O_CLOEXEC)
            opened.callback(os.close, fd)
            return fd

        held = descriptor("held")
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield problems
        if before != {name: _signature(path) for name, path in stage.locks.items()}:
            problems.append("a lock file was changed, removed or replaced")
            return
        if not _locked(descriptor("held")):
            problems.append("the lock that this process holds was lost")
        fcntl.flock(held, fcntl.LOCK_UN)
        problems += [f"somebody holds the {name} lock" for name in stage.locks if _locked(descriptor(name))]


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


# As a program


def main(arguments: list[str] | None = None) -> int:
    """Runs cases and prints what became of them."""
    parser = argparse.ArgumentParser(description="run cases of the hostile corpus")
    parser.add_argument("--level", default="hostile", choices=("none", "contained", "hostile"))
    parser.add_argument("--sampler", action="store_true", help="no control group")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each case")
    parser.add_argument("--folder", help="where to make the folders of the cases")
    parser.add_argument("--slow", type=float, default=1.0, help="how many times as long everything takes here")
    parser.add_argument("--without", default="", help="guards to leave out, by comma")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the log of green cases too")
    parser.add_argument("case", nargs="*", help="numbers, names or groups; none: all")
    asked = parser.parse_args(arguments)
    load_setups()
    holder = "sampler" if asked.sampler or not boxes_have_groups() else "group"
    place = Place(level=asked.level, holder=holder, person=person(), host=host())
    failed = 0
    for case in load():
        if not case.chosen(tuple(asked.case)):
            continue
        skipped = reason_to_skip(case, place)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="corpus", dir=asked.folder) as folder:
            stage = Stage(case.at(place).at_pace(asked.slow), place, folder)
            found = [] if skipped else _performed(stage, frozenset(filter(None, asked.without.split(","))))
        failed += bool(found)
        seconds = time.monotonic() - began
        if asked.json:
            record = {"case": case.label, "skipped": skipped, "differences": found, "seconds": round(seconds, 2)}
            print(json.dumps(record), flush=True)
            continue
        word = "skipped" if skipped else "RED" if found else "green"
        print(f"{case.label} {word} {seconds:.1f} s {skipped}", *found, sep="\n    ", flush=True)
        if asked.verbose and not found and stage.outcome:
            print(stage.outcome.sentence, stage.stdout[-700:], stage.stderr[-700:], sep="\n", flush=True)
    return int(failed > 0)


def person() -> str:
    """Who runs the cases here, as `where` calls him."""
    return "root" if os.geteuid() == 0 else "user"


def host() -> tuple[str, ...]:
    """What this host is, as `where` calls it."""
    from sandbox.cgroups import Groups
    from sandbox.linux import landlock

    version = ("v2",) if Groups.find().guards().get("memory") == "cgroup-v2" else ()
    return (*version, "older") if landlock.usable_abi() < _SCOPES else version


def boxes_have_groups() -> bool:
    """Whether a control group can hold memory and processes of a box that this process makes."""
    from sandbox.cgroups import Groups

    return {"memory", "processes"} <= Groups.find().guards().keys()


def _performed(stage: Stage, without: frozenset[str]) -> list[str]:
    try:
        return perform(stage, without=without)
    except Exception:  # noqa: BLE001 - the other cases are run all the same
        return [traceback.format_exc()]


if __name__ == "__main__":
    # Under its own name, as the setups know it.
    import corpus

    sys.exit(corpus.main())
