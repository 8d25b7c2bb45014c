"""The limits of a box: their names, their defaults, and the words people write them in.

One vocabulary serves the configuration, `--limit` and the records (DESIGN section 6, "Limits"): sizes as "8 GiB", times
as "2 h", counts plain, "none" for no limit. Everything here is pure; what enforces a limit lives elsewhere.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

KiB: Final = 1024
MiB: Final = 1024 * KiB
GiB: Final = 1024 * MiB
TiB: Final = 1024 * GiB

#: Names of the limits in the order in which they are shown.
KEYS: Final = (
    "memory",
    "wall",
    "cpu",
    "processes",
    "open_files",
    "file_size",
    "output",
    "files",
    "log",
    "tmp",
    "grace",
    "cpus",
)

#: Largest size and count: what a kernel interface takes in a signed 64-bit field (off_t, getrlimit(2)).
LARGEST: Final = 2**63 - 1

#: Longest time, one year: more than that is a slip of the pen, and "none" says for ever.
LONGEST: Final = 365 * 86400.0

_SIZE_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": KiB,
    "mib": MiB,
    "gib": GiB,
    "tib": TiB,
}
_TIME_UNITS: Final = {
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "days": 86400.0,
}
_NUMBER: Final = r"[0-9]{1,18}(?:\.[0-9]{1,9})?"
_SIZE: Final = re.compile(rf"({_NUMBER})\s*([A-Za-z]*)", re.ASCII)
_TIME: Final = re.compile(rf"(?:{_NUMBER}\s*[A-Za-z]+\s*)+", re.ASCII)
_TIME_PART: Final = re.compile(rf"({_NUMBER})\s*([A-Za-z]+)", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,3}(?:[ _][0-9]{3}){1,6}|[0-9]{1,19}", re.ASCII)
_PLAIN: Final = re.compile(_NUMBER, re.ASCII)


class LimitError(ValueError):
    """A limit cannot be used as it is written; `problems` names each key, its value and what to write."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse_size(value: str | int) -> int:
    """Read a size in bytes.

    Args:
        value: bytes as an integer, or text such as "8 GiB", "512 MiB", "1.5 GiB", "10 MB" or "4096"; kB, MB, GB, TB are
            powers of 1000, KiB, MiB, GiB, TiB powers of 1024, letter case does not matter.

    Raises:
        LimitError: the value is no size, is negative, or does not fit 63 bits.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None or match[2].lower() not in _SIZE_UNITS:
            raise LimitError(f'{_quoted(value)} is not a size; write for example "8 GiB", "512 MiB" or 4096')
        factor = _SIZE_UNITS[match[2].lower()]
        whole, _, part = match[1].partition(".")
        size = int(whole) * factor + (int(part) * factor // 10 ** len(part) if part else 0)
    if not 0 <= size <= LARGEST:
        raise LimitError(f'{_quoted(value)} is not a size between 0 and 8388607 TiB; write for example "8 GiB"')
    return size


def parse_duration(value: str | float) -> float:
    """Read a time in seconds.

    Args:
        value: seconds as a number, or text such as "2 h", "90 s", "1 h 30 min", "200 ms" or "3"; each unit at
            most once.

    Raises:
        LimitError: the value is no time, is negative or not finite, or is longer than a year.
    """
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        # An integer may be too large for a float; it is refused below either way.
        seconds = float(value) if abs(value) <= LARGEST else math.inf
    elif isinstance(value, str):
        seconds = _duration_of(value.strip())
    if not 0 <= seconds <= LONGEST:
        raise LimitError(
            f'{_quoted(value)} is not a time of at most 365 d; write for example "2 h", "1 h 30 min" or "90 s"'
        )
    return seconds


def _duration_of(text: str) -> float:
    if _PLAIN.fullmatch(text):
        return float(text)
    if not _TIME.fullmatch(text):
        return math.nan
    parts = [(number, _TIME_UNITS.get(unit.lower())) for number, unit in _TIME_PART.findall(text)]
    factors = [factor for _, factor in parts]
    if None in factors or len(set(factors)) != len(factors):
        return math.nan
    return math.fsum(float(number) * factor for number, factor in parts if factor is not None)


def format_size(size: float, *, measured: bool = False) -> str:
    """Write bytes for people: "8 GiB", "1.5 GiB", "512 B".

    Args:
        size: bytes, not negative.
        measured: keep one decimal even when it is 0 ("8.0 GiB"), as befits a measurement beside a limit.
    """
    number, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        # 1023.95 would be rounded to "1024.0": that is one of the next unit.
        if number < 1023.95:
            break
        number, unit = number / 1024, larger
    if unit == "B":
        return f"{number:.0f} B"
    return f"{number:.1f} {unit}" if measured or number != int(number) else f"{number:.0f} {unit}"


def format_duration(seconds: float) -> str:
    """Write seconds for people: "40 ms", "0.4 s", "212 s", "12 min 5 s", "2 h 30 min"."""
    if 0 < seconds < 0.0995:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < 600:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s".removesuffix(" 0 s")
    minutes = round(whole / 60)
    return f"{minutes // 60} h {minutes % 60} min".removesuffix(" 0 min")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use; `None` means no limit.

    Raises:
        LimitError: a value is zero, negative, not finite or not of its kind.
    """

    #: Resident memory of the whole tree, bytes; reached: the tree is killed, `memory_limit`.
    memory: int | None = 8 * GiB
    #: Elapsed time, seconds; reached: TERM, grace, KILL, `wall_limit`.
    wall: float | None = 4 * 3600.0
    #: Processor time of the whole tree, seconds; reached: TERM, grace, KILL, `cpu_limit`.
    cpu: float | None = None
    #: Processes and threads at one time; reached: the script cannot start more, the run goes on.
    processes: int | None = 256
    #: Open descriptors of each process; reached: the script gets EMFILE, the run goes on.
    open_files: int | None = 1024
    #: Size of any one file, bytes; reached: the write fails with EFBIG or SIGXFSZ.
    file_size: int | None = None
    #: Bytes in the output folder; reached: the tree is killed, `output_limit`.
    output: int | None = 20 * GiB
    #: Files and folders in the output folder; reached: the tree is killed, `output_limit`.
    files: int | None = 100_000
    #: Bytes of log kept; beyond it the middle is dropped, beyond 64 times as much the run ends in `log_limit`.
    log: int = 10 * MiB
    #: Bytes in the private temporary folder; reached: recorded as a ceiling, the run goes on.
    tmp: int | None = 2 * GiB
    #: Seconds between TERM and KILL.
    grace: float = 10.0
    #: Processors of the host the run may use, a fraction allowed; none: all of them.
    cpus: float | None = None

    def __post_init__(self) -> None:
        problems = [text for key in KEYS if (text := _misfit(key, getattr(self, key)))]
        if problems:
            raise LimitError(*problems)

    def replace_from(self, values: Mapping[str, Any]) -> Limits:
        """Return these limits with some replaced by what a person wrote.

        Args:
            values: limit names to text or numbers; "none" (or None) disables a limit, except `log` and `grace`.

        Raises:
            LimitError: with all problems at once.
        """
        changes: dict[str, int | float | None] = {}
        problems: list[str] = []
        for key, value in values.items():
            if key not in _KINDS:
                problems.append(unknown_key(key, KEYS))
                continue
            try:
                changes[key] = _read(key, value)
            except LimitError as error:
                problems.append(f"limits.{key}: {error}")
                continue
            if text := _misfit(key, changes[key]):
                problems.append(text)
        if problems:
            raise LimitError(*problems)
        return replace(self, **changes)  # type: ignore[arg-type]  # each value was read by its key's own parser

    def to_json(self) -> dict[str, int | float | None]:
        """Return the limits as plain JSON: bytes, seconds, counts, null for none."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; missing keys take their default, unknown keys are of a newer version and ignored.

        Raises:
            LimitError: a value is not of its kind.
        """
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in record.items() if key in known})


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the sentence about an unknown limit, with the nearest known name."""
    known = tuple(known)
    near = difflib.get_close_matches(str(key).lower().replace("-", "_"), known, n=1, cutoff=0.5)
    remedy = f'did you mean "{near[0]}"?' if near else f"the limits are {', '.join(known)}"
    return f"unknown limit {_quoted(key)}; {remedy}"


def _parse_count(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _COUNT.fullmatch(value.strip()):
        return int(value.strip().replace(" ", "").replace("_", ""))
    raise LimitError(f'{_quoted(value)} is not a count; write a whole number such as 256, or "none" for no limit')


def _parse_cpus(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return float(value)
    if isinstance(value, str) and _PLAIN.fullmatch(value.strip()):
        return float(value.strip())
    raise LimitError(
        f'{_quoted(value)} is not a number of processors; write for example 2 or 0.5, or "none" for all of them'
    )


_KINDS: Final[Mapping[str, Callable[[Any], int | float]]] = {
    "memory": parse_size,
    "wall": parse_duration,
    "cpu": parse_duration,
    "processes": _parse_count,
    "open_files": _parse_count,
    "file_size": parse_size,
    "output": parse_size,
    "files": _parse_count,
    "log": parse_size,
    "tmp": parse_size,
    "grace": parse_duration,
    "cpus": _parse_cpus,
}
#: Without a bound on these two a run could fill the spool, or never be killed.
_NEVER_NONE: Final = frozenset({"log", "grace"})
_EXAMPLES: Final[Mapping[Callable[[Any], int | float], str]] = {
    parse_size: '"8 GiB"',
    parse_duration: '"90 s"',
    _parse_count: "256",
    _parse_cpus: "2",
}


def _read(key: str, value: Any) -> int | float | None:
    if value is None or (isinstance(value, str) and value.strip().lower() == "none"):
        return None
    return _KINDS[key](value)


def _misfit(key: str, value: Any) -> str | None:
    """Return what is wrong with a value that was already read, or None."""
    kind = _KINDS[key]
    example = _EXAMPLES[kind]
    if value is None:
        return (
            f"limits.{key} cannot be none: it bounds every run; write for example {example}"
            if key in _NEVER_NONE
            else None
        )
    whole = kind in {parse_size, _parse_count}
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        wanted = "a whole number" if whole else "a number"
        return f"limits.{key}: {_quoted(value)} is not {wanted}; write for example {example}"
    most = LONGEST if kind is parse_duration else LARGEST
    if not 0 < value <= most:
        remedy = f"write for example {example}" + ("" if key in _NEVER_NONE else ', or "none" for no limit')
        return f"limits.{key}: {_quoted(value)} is not more than zero and at most {most:.0f}; {remedy}"
    return None


def _quoted(value: Any) -> str:
    """Return a value as it was written, on one line and short: it may come from a stranger's message."""
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:60] + "..."
        return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) + '"'
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST:
        return "a number beyond 63 bits"  # Printing it could exceed the interpreter's digit limit.
    if isinstance(value, bool | int | float):
        return str(value)
    return f"a {type(value).__name__}"
