"""The records of the store as values: what stands in each cell, with its version.

Every record is a JSON object with `"v"`; readers know the newest version and the one before it, and pass over fields
that they do not know (DESIGN §4). The version that is written is that of the store's FORMAT, not the newest that is
known: `storeformat` says when it may be raised. These values are stdlib only: nursery and shepherd import them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection

T = TypeVar("T")

#: The newest version that is known, in which a new store is made.
VERSION = 1
#: The versions that can be read: the newest and the one before it.
READS = tuple(version for version in (VERSION - 1, VERSION) if version > 0)
#: Kinds of a field by what its annotation begins with; a field that may hold anything is not among them.
_KINDS: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "dict": dict,
    "list": list,
}


class CorruptRecord(Exception):
    """A record of the store cannot be read; carries its path and why."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f'cannot read record "{path}": {why}; move it away and look at what wrote it')
        self.path = path


def pack(record: dict[str, Any], version: int = VERSION) -> bytes:
    """Return `record` with its version as the bytes of a file; a record that bears one already keeps it."""
    return json.dumps({"v": version, **record}, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def unpack(path: str, data: bytes, known: Collection[int] = READS) -> dict[str, Any]:
    """Return the record in `data`, with every field that stands in it; `known` are the versions that can be read.

    Raises:
        CorruptRecord: not a JSON object, or of a version that is not known here.
    """
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CorruptRecord(path, f"not JSON ({error})") from error
    if not isinstance(record, dict):
        raise CorruptRecord(path, "not a JSON object")
    version = record.get("v")
    if version not in known:
        raise CorruptRecord(path, f"version {version!r} is not {' or '.join(map(str, known))}; upgrade this host")
    return record


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process that can be told from any later one with the same number."""

    pid: int
    #: Start time in clock ticks since boot (proc_pid_stat(5), field 22).
    start: int
    #: /proc/sys/kernel/random/boot_id of the host it runs on.
    boot: str


_KINDS["Identity"] = Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """`epochs/<n>`: the fencing token; who may act for the RB."""

    host: str
    boot: str
    job: str
    #: Seconds since 1970, for people only.
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`outcomes/<n>`: what became of an epoch, decided once and for ever."""

    #: `committed`, `retry`, `released` or `revoked`.
    kind: str
    why: str = ""
    #: Who decided: `shepherd`, `self` (lost lock), `supervisor`, `watch` (it killed a mute shepherd), `operator`.
    by: str = ""
    time: float = 0.0
    host: str = ""
    verdict: str = ""
    sentence: str = ""
    #: Committed: the frozen replies `done` and `failed`, each as of `replies.Reply`.
    replies: dict[str, Any] = field(default_factory=dict)
    #: Committed: the targets to promote, see `Target`.
    targets: list[dict[str, Any]] = field(default_factory=list)
    #: Retry: not before, seconds since 1970.
    not_before: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """`promoting/<n>.<k>`: somebody may still be renaming for epoch n."""

    host: str
    boot: str
    pid: int
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """`promoted/<n>`: done, or failed and why."""

    kind: str
    why: str = ""
    time: float = 0.0
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """`jobs/<job>/final`: which outcome is the job's."""

    rb: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """`jobs/<job>/cancel` and `cancels/<key>`: who asked, when, by which message."""

    who: str
    #: Broker time of the cancel in milliseconds since 1970; a job with a later one is not meant.
    time_ms: int
    message_id: str = ""
    instrument: str = ""
    run: str = ""
    #: None: every version.
    version: int | None = None
    #: When the record was written, seconds since 1970; it expires (DESIGN §4: 24 h).
    written: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`jobs/<job>/request.json`: the message as received and decoded; immutable."""

    job: str
    #: The body as received, as text, and its sha256.
    body: str
    digest: str
    headers: dict[str, str]
    family: str
    instrument: str
    facility: str
    rb: str
    #: Run number compared by value, as text; `run_raw` is what the message held.
    run: str
    run_raw: Any
    version: int
    #: Data files as the message names them.
    data: list[str]
    #: Priority 0 to 9, 9 first.
    priority: int
    #: Broker time in milliseconds since 1970 and the producer's sequence: the order of the RB.
    time_ms: int
    sequence: int
    #: Software that the message asks for, "" for none.
    software: str = ""
    #: The sha256 of the script in the body; "" where the script lies on disk.
    script_digest: str = ""
    #: When it was journaled, seconds since 1970, and by which host.
    journaled: float = 0.0
    host: str = ""
    #: The job of which this one is a repetition, by `resubmit`.
    resubmit_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """`run.json`: the shepherd of an epoch, and what is needed to prove it gone."""

    host: str
    shepherd: Identity
    builder: Identity
    #: Token in the environment of every process of the box; finds leftovers.
    token: str
    scratch: str
    version: str
    time: float
    #: The limits it runs with, as `sandbox.limits.Limits.to_json`; {} in a record of before they were kept.
    limits: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place where results go: promoted by rename, merged file by file, or logs only."""

    #: The folder to be replaced or merged into, as this host sees it.
    path: str
    #: Prefix of the staging folder beside it; `<staging>-<n>.<k>` is the name of promoter k.
    staging: str
    #: `replace`, `merge` or `logs`.
    mode: str
    #: Names to be used where a stranger's file stands: `<stem><suffix>.<ext>`; carries run and version (merge).
    suffix: str = ""
    #: The run whose results these are; part of the marker's name in a merged folder.
    run: str = ""
    #: Files of the same name are replaced (excitation layout, as in 2016), whoever wrote them.
    overwrite: bool = False
    #: Relative paths staged (merge and logs), so that a repetition knows what belongs there.
    files: list[str] = field(default_factory=list)


def target_record(target: Target) -> dict[str, Any]:
    """Return a target as it stands inside a plan or an outcome."""
    return asdict(target)


def to_record(value: Any) -> bytes:
    """Return a value of this module as the bytes of its record."""
    return pack(asdict(value))


def from_record(kind: type[T], path: str, data: bytes) -> T:
    """Return the value of class `kind` in `data`; fields it does not know are passed over.

    Raises:
        CorruptRecord: not a record, or a field is missing.
    """
    return build(kind, path, unpack(path, data))


def build(kind: type[T], path: str, record: dict[str, Any]) -> T:
    """Return the value of class `kind` whose fields stand in `record`.

    Raises:
        CorruptRecord: a field is missing, or holds another kind of value than it says.
    """
    known = getattr(kind, "__dataclass_fields__", {})
    fields = {name: record[name] for name in known if name in record}
    try:
        for name in ("shepherd", "builder"):
            if isinstance(fields.get(name), dict):
                fields[name] = build(Identity, path, fields[name])
        value = kind(**fields)
    except TypeError as error:
        raise CorruptRecord(path, f"not a record of {kind.__name__} ({error})") from error
    for name, field_of in known.items():
        wanted = _KINDS.get(str(field_of.type).partition("[")[0])
        if wanted is not None and not isinstance(getattr(value, name), wanted):
            raise CorruptRecord(path, f"not a record of {kind.__name__} ({name} is no {field_of.type})")
    return value
