"""The usage of one attempt over time, out of its records: samples, limits, and the moments that matter (pure).

Two sources: `exit.json` holds the curve that the box measured, at most 512 points; `usage.jsonl` a point with each
beat of an attempt that is under way, or that ended without an outcome of its box. Both are strangers' text as far as
we know: what is no finite number is passed over, and the number of points is bounded.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox.outcome import CURVE_CAP, Sample, thin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Bytes of `usage.jsonl` that are read, from its end: a point has about 60, so that a day of beats is seen.
TAIL: Final = 1024 * 1024
#: Marks of one run at most.
_MARKS: Final = 16
#: What stands on a curve at each mark, by what the box wrote there.
_WORDS: Final[Mapping[str, str]] = {
    "memory_limit": "memory limit reached",
    "wall_limit": "wall limit reached",
    "cpu_limit": "cpu limit reached",
    "output_limit": "output limit reached",
    "log_limit": "log limit reached",
    "cancelled": "cancel",
    "lost_lock": "lock lost",
    "shutdown": "host shutdown",
    "term": "TERM",
    "kill": "kill",
    "oom_kill": "killed by the kernel for memory",
}
#: Largest time on a curve, seconds: ten years. What is beyond it was never measured.
_LONGEST: Final = 3.2e8


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that happened to a run."""

    #: Seconds since the script started.
    t: float
    #: In words: "wall limit reached", "TERM", "kill".
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageCurve:
    """Usage of one attempt over time, in the order of time."""

    samples: tuple[Sample, ...] = ()
    #: Bytes and seconds; None: no limit.
    memory_limit: float | None = None
    cpu_limit: float | None = None
    wall_limit: float | None = None
    moments: tuple[Moment, ...] = ()
    #: Seconds that the run took, or has taken so far.
    wall: float = 0.0
    #: The largest memory, by the best that measured it, bytes: a control group sees what falls between two samples, and
    #: leaves out pages that others have loaded.
    peak: float = 0.0

    @property
    def sampled(self) -> float:
        """The largest memory of a sample, bytes."""
        return _highest(self.samples)

    @property
    def counts_shared(self) -> bool:
        """Whether the samples are clearly above the peak: they count pages that the run shares with others."""
        return self.sampled > 1.05 * self.peak > 0

    @property
    def span(self) -> float:
        """Seconds that a picture covers; never 0."""
        times = [self.wall, *(sample.t for sample in self.samples[-1:]), *(moment.t for moment in self.moments)]
        return max(times) or 1.0


def of_exit(ended: Mapping[str, Any]) -> UsageCurve:
    """Return the curve of an attempt that ended; `ended` is the outcome of its box as `exit.json` holds it."""
    usage = _object(ended.get("usage"))
    curve, limits = _object(usage.get("curve")), _object(ended.get("limits"))
    columns, rows = curve.get("columns"), curve.get("rows")
    samples: list[Sample] = []
    if isinstance(columns, list) and isinstance(rows, list):
        named = (dict(zip(map(str, columns), row, strict=False)) for row in rows if isinstance(row, list))
        samples = _samples(named)
    marks = ended.get("marks")
    return UsageCurve(
        samples=thin(samples),
        memory_limit=_number(limits.get("memory")) or None,
        cpu_limit=_number(limits.get("cpu")) or None,
        wall_limit=_number(limits.get("wall")) or None,
        moments=_moments(marks if isinstance(marks, list) else []),
        wall=_number(_object(usage.get("wall")).get("value")) or 0.0,
        peak=_number(_object(usage.get("peak_memory")).get("value")) or _highest(samples),
    )


def of_beats(data: bytes, limits: Mapping[str, Any] | None = None) -> UsageCurve:
    """Return the curve of an attempt of which only its beats are known; `data` is the end of `usage.jsonl`."""
    found: list[Mapping[str, Any]] = []
    for line in data[-TAIL:].split(b"\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the first line may be cut, the last one half written
        if isinstance(record, dict):
            found.append(record)
    samples, known = _samples(found), limits or {}
    return UsageCurve(
        samples=thin(samples),
        memory_limit=_number(known.get("memory")) or None,
        cpu_limit=_number(known.get("cpu")) or None,
        wall_limit=_number(known.get("wall")) or None,
        wall=samples[-1].t if samples else 0.0,
        peak=_highest(samples),
    )


def _samples(rows: Iterable[Mapping[str, Any]]) -> list[Sample]:
    """The rows that hold numbers, as long as time goes on in them."""
    found: list[Sample] = []
    for row in rows:
        t, rss, cpu = (_number(row.get(key)) for key in ("t", "rss", "cpu"))
        if t is None or rss is None or cpu is None or (found and t < found[-1].t) or t > _LONGEST:
            continue
        found.append(Sample(t=t, rss=int(rss), cpu=cpu, processes=int(_number(row.get("processes")) or 0)))
        if len(found) >= 8 * CURVE_CAP:  # a beat's point each 10 s, for hours
            found = list(thin(found, 4 * CURVE_CAP))
    return found


def _moments(marks: list[Any]) -> tuple[Moment, ...]:
    found = []
    for mark in marks[:_MARKS]:
        t = _number(_object(mark).get("t"))
        word = _WORDS.get(str(_object(mark).get("what")))
        if t is not None and t <= _LONGEST and word is not None:
            found.append(Moment(t=t, text=word))
    return tuple(sorted(found, key=lambda moment: moment.t))


def _highest(samples: Sequence[Sample]) -> float:
    return float(max((sample.rss for sample in samples), default=0))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    """A finite number that is not negative, of a size that a measurement may have."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e19 or math.isnan(value):
        return None
    return float(value)
