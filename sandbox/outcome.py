"""The outcome of one run in a box: the verdict, what was measured and how well, and what came out.

A measurement always says where it comes from and whether it is exact: a sampler misses peaks between its samples, and a
reader of the record must be able to tell.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.limits import Limits
    from sandbox.verdict import Verdict

#: Points of a usage curve that are kept at most; a four-hour run then has one every 28 s.
CURVE_CAP: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measured number; `value` is None where it could not be measured."""

    value: float | int | None
    #: Where it comes from: "rusage", "sampler", "clock", "cgroup", "none"...
    source: str
    #: False for a lower bound, such as a sampled peak.
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The tree at one moment."""

    #: Seconds since the script started.
    t: float
    #: Resident memory of the whole tree, bytes.
    rss: int
    #: Processor time of the whole tree so far, seconds.
    cpu: float
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment at which somebody acted on the run, for whoever reads its curve."""

    #: Seconds since the script started.
    t: float
    #: The reason for which it was ended (`verdict.KillReason`), `term`, `kill`, or `oom_kill` (by the kernel).
    what: str


_UNMEASURED: Final = Measure(value=None, source="none", exact=False)
_MEASURES: Final = ("wall", "cpu", "peak_memory", "anonymous", "cache", "processes", "read_bytes", "written_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the run used: seconds, bytes, counts."""

    wall: Measure = _UNMEASURED
    #: Processor time of the whole tree, seconds.
    cpu: Measure = _UNMEASURED
    #: Largest memory of the whole tree, bytes; of a control group with its page cache, else resident.
    peak_memory: Measure = _UNMEASURED
    #: Largest anonymous memory and page cache of the control group, bytes.
    anonymous: Measure = _UNMEASURED
    cache: Measure = _UNMEASURED
    #: Most processes at one time.
    processes: Measure = _UNMEASURED
    read_bytes: Measure = _UNMEASURED
    written_bytes: Measure = _UNMEASURED
    #: Seconds in which some task waited for memory, cpu or io; empty where the kernel does not tell.
    pressure: Mapping[str, float] = field(default_factory=dict)
    #: At most `CURVE_CAP` points; see `thin`.
    curve: tuple[Sample, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the usage as plain JSON; the curve as rows under its column names."""
        record: dict[str, Any] = {name: asdict(getattr(self, name)) for name in _MEASURES}
        record["pressure"] = dict(self.pressure)
        record["curve"] = {
            "columns": ["t", "rss", "cpu", "processes"],
            "rows": [[point.t, point.rss, point.cpu, point.processes] for point in self.curve],
        }
        return record


def thin(points: Sequence[Sample], cap: int = CURVE_CAP) -> tuple[Sample, ...]:
    """Return at most `cap` points of a curve: first, last, and of each stretch between them the one with most memory.

    Args:
        points: samples in the order of time.
        cap: at least 3.
    """
    if len(points) <= cap:
        return tuple(points)
    stretches = cap - 2
    inner = len(points) - 2
    edges = [1 + inner * n // stretches for n in range(stretches + 1)]
    peaks = (max(points[a:b], key=lambda point: point.rss) for a, b in itertools.pairwise(edges))
    return (points[0], *peaks, points[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """Which guards were in force, by name; each was proven or says that it is absent."""

    facts: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, str]:
        """Return the guards as plain JSON, names in order."""
        return dict(sorted(self.facts.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """One result file that was copied out."""

    #: Path relative to the output folder, safe text.
    path: str
    size: int
    #: Hex digest of the copied bytes; None where nothing was copied.
    sha256: str | None = None


def decode_status(status: int | None) -> dict[str, int | None]:
    """Return a raw wait status (wait(2)) as `status`, exit `code` and `signal`; what does not apply is None."""
    if status is None:
        return {"status": None, "code": None, "signal": None}
    if os.WIFSIGNALED(status):
        return {"status": status, "code": None, "signal": os.WTERMSIG(status)}
    return {"status": status, "code": os.waitstatus_to_exitcode(status), "signal": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that is known about a finished run."""

    #: None when the run was stopped without a verdict and starts again.
    verdict: Verdict | None
    #: One sentence made of what was measured.
    sentence: str
    #: `decode_status` of the script's raw wait status.
    exit: Mapping[str, int | None]
    usage: Usage
    limits: Limits
    guards: Guards
    #: Limits that were reached without ending the run (processes, open_files, file_size, tmp, log).
    ceilings_hit: tuple[str, ...] = ()
    outputs: tuple[OutputFile, ...] = ()
    #: Further folders the script asked for, resolved under an allowed root.
    extra_dirs: tuple[str, ...] = ()
    #: What ended it, and when, in the order of time; none where the script ended by itself.
    marks: tuple[Mark, ...] = ()
    #: Remarks that are no failure.
    message: str = ""
    #: Traceback of the script as it claimed it, "" for none.
    traceback: str = ""
    #: Why the script skipped the run, None if it did not.
    skip_reason: str | None = None
    #: Folder of the log files, None where none were kept.
    log_dir: str | None = None
    #: Interpreter and packages as the script's own process claimed them, see `HandoffOut.environment`; for provenance
    #: only, and no part of `to_json`.
    environment: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def without_run(cls, verdict: Verdict, sentence: str, limits: Limits) -> Self:
        """Return the outcome of a run of which no process ever was: nothing was measured, nothing guarded."""
        return cls(
            verdict=verdict,
            sentence=sentence,
            exit=decode_status(None),
            usage=Usage(),
            limits=limits,
            guards=Guards(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as plain JSON, the form that `run --json` prints."""
        return {
            "verdict": None if self.verdict is None else str(self.verdict),
            "sentence": self.sentence,
            "exit": dict(self.exit),
            "usage": self.usage.to_json(),
            "limits": self.limits.to_json(),
            "guards": self.guards.to_json(),
            "ceilings_hit": list(self.ceilings_hit),
            "outputs": [asdict(output) for output in self.outputs],
            "extra_dirs": list(self.extra_dirs),
            "marks": [asdict(mark) for mark in self.marks],
            "message": self.message,
            "traceback": self.traceback,
            "log_dir": self.log_dir,
        }
