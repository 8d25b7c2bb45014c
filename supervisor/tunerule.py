"""The rule by which `tune` suggests a limit from what runs used (pure; docs/explanation/tuning.md tells why).

1. What completed runs need: their 99th percentile times the headroom of the limit, and at least the largest of them.
2. A run that was killed at a limit needs more than that, and nobody knows how much: twice the limit. Where a run that
   was killed completed later, what it used then times the headroom counts as well.
3. The largest of these is rounded up to a readable value, and held between the bounds of the configuration.
4. A limit is raised to it where runs were killed, where a completed run used more, or where enough runs leave it too
   little room. It is lowered only on enough completed runs, and only by a quarter or more: less is not worth a change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.limits import LARGEST, LONGEST, GiB, MiB
from supervisor.pastrun import KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisor.usagehistory import InstrumentHistory

#: What a limit is above the 99th percentile of use: a sampled peak of memory is a lower bound by a few percent, times
#: vary with the load of the host and the file server.
HEADROOM: Final[Mapping[str, float]] = {"memory": 1.25, "wall": 2.0, "cpu": 2.0, "output": 1.5, "files": 1.5}
#: What a limit is raised by at which a run was killed: `why` says the same of a single run.
RAISE: Final = 2.0
#: A limit is lowered only to this share of it or less.
LOWER: Final = 0.75
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the site says; bytes, seconds, counts."""

    #: Completed runs that it takes to lower a limit.
    runs: int = 50
    least: Mapping[str, float]
    most: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one limit of one instrument; bytes, seconds, counts."""

    #: Completed runs, and percentiles of what they used.
    completed: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    largest: float = 0.0
    #: Runs killed at the limit that a higher one may have saved, and the highest limit at which one was.
    killed: int = 0
    killed_at: float = 0.0
    #: How many of the killed completed later, and the most that one of them used.
    saved: int = 0
    known_need: float = 0.0
    #: Runs that stood still when their time was over: a higher limit would hardly have saved them.
    stood_still: int = 0
    #: Some of the killed, by run number.
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What to do with one limit."""

    key: str
    #: The limit in force; None: no limit.
    limit: float | None
    #: The limit to set; None: leave it.
    value: float | None
    #: `raise`, `lower` or `keep`.
    what: str
    #: Why, as a word for texts: `killed`, `exceeded`, `tight`, `unused`, `bounded`, `few`, `fits` or `none`.
    why: str
    evidence: Evidence


def evidence_of(history: InstrumentHistory, key: str) -> Evidence:
    """Return what a history says of one limit."""
    spread, kills = history.completed[key], history.kills[key]
    return Evidence(
        completed=len(spread),
        p50=spread.percentile(50),
        p95=spread.percentile(95),
        p99=spread.percentile(99),
        largest=spread.largest,
        killed=kills.count,
        killed_at=max(kills.at, default=0.0),
        saved=kills.saved,
        known_need=kills.known_need,
        stood_still=kills.stood_still,
        runs=tuple(kills.runs),
    )


def suggest(key: str, limit: float | None, evidence: Evidence, rule: Rule) -> Suggestion:
    """Return what to do with the limit `key` that is in force as `limit`."""

    def is_to(what: str, why: str, value: float | None = None) -> Suggestion:
        return Suggestion(key=key, limit=limit, value=value, what=what, why=why, evidence=evidence)

    if limit is None:
        return is_to("keep", "none")
    asked = round_up(key, wanted(key, evidence))
    value = min(max(asked, rule.least.get(key, 0.0)), rule.most.get(key, math.inf))
    enough = evidence.completed >= rule.runs
    if value > limit:
        if evidence.killed and max(RAISE * evidence.killed_at, evidence.known_need) > limit:
            return is_to("raise", "killed", value)
        if evidence.largest > limit:
            return is_to("raise", "exceeded", value)
        if enough and wanted(key, evidence) > limit:
            return is_to("raise", "tight", value)
        return is_to("keep", "fits" if enough else "few")
    if value < asked:  # the bound is below what runs need
        return is_to("keep", "bounded")
    if not enough:
        return is_to("keep", "few")
    return is_to("lower", "unused", value) if value <= LOWER * limit else is_to("keep", "fits")


def wanted(key: str, evidence: Evidence) -> float:
    """Return what runs need of a limit, before it is rounded and bounded; 0 where nothing is known."""
    headroom = HEADROOM[key]
    return max(
        evidence.p99 * headroom,
        evidence.largest,
        RAISE * evidence.killed_at,
        evidence.known_need * headroom,
    )


def round_up(key: str, value: float) -> float:
    """Return the next readable value that is not below `value`: whole GiB, quarters of an hour, two digits.

    Args:
        key: the name of a limit.
        value: bytes, seconds or a count.
    """
    if value <= 0:
        return 0.0
    if key in {"memory", "output"}:
        return min(_up(value, _size_step(value)), float(LARGEST))
    if key in {"wall", "cpu"}:
        return min(_up(value, _time_step(value)), LONGEST)
    return _up(value, max(1.0, 10.0 ** (math.floor(math.log10(value)) - 1)))


def all_of(history: InstrumentHistory, limits: Mapping[str, float | None], rule: Rule) -> list[Suggestion]:
    """Return a suggestion for each limit that is tuned; `limits` are those in force for the instrument."""
    return [suggest(key, limits.get(key), evidence_of(history, key), rule) for key in KEYS]


def _up(value: float, step: float) -> float:
    return math.ceil(value / step) * step


def _size_step(size: float) -> float:
    if size <= GiB:
        return 64 * MiB
    if size <= 4 * GiB:
        return GiB / 2
    # An eighth of an octave and more: 1 GiB up to 16 GiB, 2 GiB up to 32 GiB.
    return GiB * max(1.0, 2.0 ** (math.ceil(math.log2(size / GiB)) - 4))


def _time_step(seconds: float) -> float:
    for most, step in ((_MINUTE, 5), (10 * _MINUTE, 30), (_HOUR, 5 * _MINUTE), (6 * _HOUR, _HOUR / 4)):
        if seconds <= most:
            return step
    return _HOUR if seconds <= 24 * _HOUR else 6 * _HOUR
