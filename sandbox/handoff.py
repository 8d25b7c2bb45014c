"""The handoff: the order that goes into the box, and the claim that comes out of it.

The trusted side writes `handoff.json` and, once the tree is proven dead, reads `handoff.out.json`, which the harness
wrote *inside* the box: whatever stands there may have been written by a hostile script. It is opened through a
descriptor of its folder, never followed, bounded in bytes and depth and held against a strict schema; even then it is
only a claim, and the verdict is made elsewhere (DESIGN section 7, `sandbox.verdict`).
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NoReturn, get_args

#: Version of both files; a reader refuses any other.
VERSION: Final = 1
IN_NAME: Final = "handoff.json"
OUT_NAME: Final = "handoff.out.json"

#: Bytes of `handoff.out.json` that are read at most; the harness stays below it by bounding each text.
SIZE_CAP: Final = 1024 * 1024
#: Nesting that is read at most; a valid claim has 2.
DEPTH_CAP: Final = 16
#: Returned folders that are taken at most, and the length of each in bytes (PATH_MAX of linux/limits.h).
DIRS_CAP: Final = 1000
PATH_CAP: Final = 4096
#: Packages that are taken at most, and the characters of each name and version.
PACKAGES_CAP: Final = 200
VERSION_CAP: Final = 100
#: Digits of an integer that are read at most: line numbers and exit codes have far fewer, `int` of a million is slow.
DIGITS_CAP: Final = 18

Mode = Literal["module", "program"]
EndedHow = Literal["returned", "skipped", "exception", "exit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffIn:
    """What the harness is asked to do; every path is as the box sees it."""

    #: Data files of the run; more than one only for a batch.
    input_files: tuple[str, ...]
    #: Folder for the results, handed to the script exactly as it stands here (some families expect a trailing slash).
    output_dir: str
    #: Path of the script's text.
    script: str
    #: Digest of the script's text (hex); the harness refuses another text. "" for not known.
    script_sha256: str = ""
    #: "module": import the text and call `main`; "program": run it as `__main__` with arguments.
    mode: Mode = "module"
    #: Values of the message, {"standard_vars": {...}, "advanced_vars": {...}}; types and keys are kept as they are.
    reduce_vars: Mapping[str, Any] = field(default_factory=dict)
    #: Facts of the run; `run_number` is compared with the script's SKIP_RUNS.
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: Whether `main` gets a list of files instead of one.
    batch: bool = False
    #: The instrument's own readable reduce_vars.py, whose values stay underneath the message's; None for none.
    default_vars: str | None = None
    #: Whether "skip" anywhere in an exception's text means skipped, not only at its beginning.
    skip_anywhere: bool = False
    #: Further arguments of the program, after data file and output folder.
    script_args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffOut:
    """What the harness claims about the script, valid in form but believed only against the script itself."""

    #: How the script ended.
    ended: EndedHow
    #: Name of the exception's type; "" unless `ended` is "exception" or "exit".
    exception_type: str = ""
    #: Text of the exception, bounded, as the script made it: it may hold anything printable or not.
    exception_text: str = ""
    #: Innermost line of the script in the traceback, counted from 1; None when no line of the script took part.
    line: int | None = None
    #: Traceback from the script's first frame on, bounded.
    traceback: str = ""
    #: Folders that `main` returned, absolute; to be resolved under an allowed root before any use.
    extra_dirs: tuple[str, ...] = ()
    #: Why the script skipped the run.
    skip_reason: str = ""
    #: Remark of the harness, not a failure: an unusable return value, a script without `main`.
    message: str = ""
    #: Status of `sys.exit` as the kernel will see it; an integer exactly if `ended` is "exit".
    exit_code: int | None = None
    #: {"python": "3.11.7", "implementation": "CPython", "executable": path, "packages": {name: version}}: what ran the
    #: script, and which packages it had loaded when it ended; for records, nothing is decided by it.
    environment: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffProblem:
    """Why there is no valid claim, in a few words on one line."""

    text: str


def write(dir_fd: int, handoff: HandoffIn) -> None:
    """Write `handoff.json` into a folder, whole or not at all.

    It is not synced: a host that crashes takes the box with it, and nobody reads this copy again.

    Args:
        dir_fd: descriptor of the box's handoff folder.
        handoff: what the harness is asked to do; NaN and lone surrogates (a file name that is not UTF-8) pass unharmed.

    Raises:
        OSError: the folder cannot be written to.
        TypeError: a value is nothing that JSON can say.
    """
    record = {
        "version": VERSION,
        "input_files": list(handoff.input_files),
        "output_dir": handoff.output_dir,
        "script": handoff.script,
        "script_sha256": handoff.script_sha256,
        "mode": handoff.mode,
        "reduce_vars": {name: dict(v) if isinstance(v, Mapping) else v for name, v in handoff.reduce_vars.items()},
        "facts": dict(handoff.facts),
        "batch": handoff.batch,
        "default_vars": handoff.default_vars,
        "skip_anywhere": handoff.skip_anywhere,
        "script_args": list(handoff.script_args),
    }
    data = json.dumps(record).encode("ascii")
    temporary = f".{IN_NAME}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600, dir_fd=dir_fd)
    try:
        with open(fd, "wb") as stream:
            stream.write(data)
        os.rename(temporary, IN_NAME, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except BaseException:
        os.unlink(temporary, dir_fd=dir_fd)
        raise


class _Refused(Exception):
    """The claim is not taken; the argument says why."""


def mark(path: str) -> tuple[int, ...]:
    """Return what tells the claim that stands in a folder from any later one: inode, size, change time; () for none.

    Args:
        path: the box's handoff folder, as the caller sees it.
    """
    try:
        found = os.lstat(os.path.join(path, OUT_NAME))
    except OSError:
        return ()
    return _mark(found)


def _mark(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_ino, found.st_size, found.st_ctime_ns)


def read(dir_fd: int, stood: tuple[int, ...] | None = None) -> HandoffOut | HandoffProblem:
    """Read the claim of a box whose tree is dead.

    Never raises because of what stands in the folder: whatever a hostile script may have put there ends in a
    `HandoffProblem`, after at most `SIZE_CAP` bytes and without waiting for anybody.

    Args:
        dir_fd: descriptor of the box's handoff folder.
        stood: the `mark` of the claim when the script's main process ended; what a helper that outlived it wrote is
            none of it. None for not known.
    """
    try:
        return _claim(_decode(_load(dir_fd, stood)))
    except _Refused as refused:
        return HandoffProblem(text=f"{OUT_NAME} {refused}")


_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _load(dir_fd: int, stood: tuple[int, ...] | None) -> bytes:
    # O_NONBLOCK: the open of a FIFO would wait for a writer for ever. O_NOFOLLOW: a link could name any file.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        fd = os.open(OUT_NAME, flags, dir_fd=dir_fd)
    except FileNotFoundError:
        raise _Refused("is missing") from None
    except OSError as error:
        # open(2): ELOOP is what O_NOFOLLOW answers for a link, ENXIO what a socket answers.
        kinds = {errno.ELOOP: "is a symbolic link", errno.ENXIO: "is a socket"}
        raise _Refused(kinds.get(error.errno or 0, f"cannot be opened: {error.strerror}")) from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _Refused("is " + next((name for test, name in _KINDS if test(status.st_mode)), "not a file"))
        if status.st_nlink != 1:
            raise _Refused("is a hard link to a file with another name")
        if stood is not None and _mark(status) != stood:
            raise _Refused("was written after the script had ended")
        return _read_up_to(fd, SIZE_CAP)
    except OSError as error:
        raise _Refused(f"cannot be read: {error.strerror}") from None
    finally:
        os.close(fd)


def _read_up_to(fd: int, cap: int) -> bytes:
    data = bytearray()
    while len(data) <= cap:
        piece = os.read(fd, cap + 1 - len(data))
        if not piece:
            return bytes(data)
        data += piece
    raise _Refused(f"is larger than {cap} bytes")


def _decode(data: bytes) -> Any:
    if not data:
        raise _Refused("is empty")
    if _depth(data) > DEPTH_CAP:
        raise _Refused(f"is nested deeper than {DEPTH_CAP}")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_twins,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_short_int,
        )
    except UnicodeDecodeError as error:
        raise _Refused(f"is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise _Refused(f"is not JSON at character {error.pos}") from None


_MARKS: Final = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)


def _depth(data: bytes) -> int:
    """Return the deepest nesting of brackets outside strings; what is not JSON is found later."""
    depth = deepest = 0
    in_string = False
    for match in _MARKS.finditer(data):
        mark = match[0]
        if mark == b'"':
            in_string = not in_string
        elif not in_string and mark in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif not in_string and mark in b"]}":
            depth -= 1
    return deepest


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise _Refused("has a key twice")
    return record


def _no_constant(name: str) -> NoReturn:
    raise _Refused(f"has the number {name}, which JSON does not know")


def _finite(text: str) -> float:
    if len(text) > 4 * DIGITS_CAP or not math.isfinite(float(text)):
        raise _Refused("has a number out of range")
    return float(text)


def _short_int(text: str) -> int:
    if len(text) > DIGITS_CAP:
        raise _Refused("has a number out of range")
    return int(text)


def _claim(record: Any) -> HandoffOut:
    if not isinstance(record, dict):
        raise _Refused("is not a JSON object")
    version = record.get("version")
    if type(version) is not int or version != VERSION:
        raise _Refused(f"has not version {VERSION}")
    wanted = {"version", *HandoffOut.__dataclass_fields__}
    if missing := sorted(wanted - record.keys()):
        raise _Refused(f"lacks the key {missing[0]}")
    if len(record) != len(wanted):
        raise _Refused(f"has {len(record) - len(wanted)} unknown keys")
    ended = record["ended"]
    if not isinstance(ended, str) or ended not in get_args(EndedHow):
        raise _Refused("has an unknown value of ended")
    claim = HandoffOut(
        ended=ended,  # type: ignore[arg-type]  # held against the literal above
        exception_type=_text(record, "exception_type"),
        exception_text=_text(record, "exception_text"),
        line=_number(record, "line", 1, 10**9),
        traceback=_text(record, "traceback"),
        extra_dirs=_dirs(record["extra_dirs"]),
        skip_reason=_text(record, "skip_reason"),
        message=_text(record, "message"),
        # The kernel keeps 8 bits of an exit status (exit(3)).
        exit_code=_number(record, "exit_code", 0, 255),
        environment=_environment(record["environment"]),
    )
    if (claim.exit_code is not None) != (ended == "exit"):
        raise _Refused("has an exit_code that does not fit how it ended")
    if bool(claim.exception_type) != (ended in {"exception", "exit"}):
        raise _Refused("has an exception_type that does not fit how it ended")
    return claim


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record[key]
    if not isinstance(value, str):
        raise _Refused(f"has no text under {key}")
    if not _encodable(value):
        raise _Refused(f"has text under {key} that is not Unicode")
    return value


def _number(record: Mapping[str, Any], key: str, least: int, most: int) -> int | None:
    value = record[key]
    if value is None:
        return None
    # bool is an int to isinstance, and true is no line number.
    if type(value) is not int or not least <= value <= most:
        raise _Refused(f"has no number between {least} and {most} under {key}")
    return value


def _dirs(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > DIRS_CAP:
        raise _Refused(f"has no list of at most {DIRS_CAP} under extra_dirs")
    for path in value:
        if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
            raise _Refused("has something else than absolute paths under extra_dirs")
        if not _encodable(path) or len(path.encode()) > PATH_CAP:
            raise _Refused("has an unusable path under extra_dirs")
    return tuple(value)


def _environment(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != {"python", "implementation", "executable", "packages"}:
        raise _Refused("has no record of python, implementation, executable and packages under environment")
    for key in ("python", "implementation"):
        if not _short_text(value[key]):
            raise _Refused(f"has no text of at most {VERSION_CAP} characters under environment.{key}")
    executable = value["executable"]
    if not isinstance(executable, str) or not _encodable(executable) or len(executable.encode()) > PATH_CAP:
        raise _Refused("has no usable path under environment.executable")
    packages = value["packages"]
    if not isinstance(packages, dict) or len(packages) > PACKAGES_CAP:
        raise _Refused(f"has no record of at most {PACKAGES_CAP} under environment.packages")
    for name, version in packages.items():
        if not _short_text(name) or not _short_text(version):
            raise _Refused("has something else than names and versions under environment.packages")
    return value


def _short_text(value: Any) -> bool:
    # ASCII, because which other characters print depends on the Python that is asked.
    return isinstance(value, str) and 0 < len(value) <= VERSION_CAP and value.isascii() and value.isprintable()


def _encodable(text: str) -> bool:
    r"""Tell whether a text has no lone surrogates; JSON can say "\\ud800", and it fails at the first write of a log."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
