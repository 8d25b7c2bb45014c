"""What one decided run used, held against its limits, as far as tuning needs it (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sandbox.verdict import Verdict
from supervisor import story, usagecurve
from supervisor.advice import limit_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisor.usagecurve import UsageCurve

#: The limits that are tuned, in the order in which they are shown.
KEYS: Final = ("memory", "wall", "cpu", "output", "files")
#: Verdicts of a run that was ended by a limit which a higher one would have moved.
KILLED: Final = frozenset(
    {
        Verdict.memory_limit,
        Verdict.memory_limit_helper,
        Verdict.wall_limit,
        Verdict.cpu_limit,
        Verdict.output_limit,
    }
)
#: A run stood still when in the last third of its time it used less processor time than this share of it.
_STILL: Final = 0.01
#: Seconds of that third below which nothing is said: a short pause is no standstill.
_SHORTEST: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One decided run; bytes, seconds and counts by the name of the limit."""

    job: str
    run: str
    #: When it was decided, seconds since 1970.
    ended: float
    verdict: str
    used: Mapping[str, float] = field(default_factory=dict)
    #: The limits it ran under; None: no limit.
    limits: Mapping[str, float | None] = field(default_factory=dict)
    #: The limit that ended it, "" for none of `KEYS`.
    killed_at: str = ""
    #: It waited for something when the wall limit ended it: more time would hardly have saved it.
    stood_still: bool = False


def of_exit(ended: Mapping[str, Any], *, job: str, run: str, at: float) -> PastRun:
    """Return what the outcome of a box, as `exit.json` holds it, tells of a run.

    Memory is what the run needed: where a control group counts page cache as well, which the kernel takes back when
    memory gets short, the largest sample of resident memory and of files in memory stands for it.
    """
    verdict, sentence = str(ended.get("verdict") or ""), str(ended.get("sentence") or "")
    known = story.used(dict(ended))
    used: dict[str, float | None] = {key: known[key][0] for key in KEYS if key in known}
    used["memory"] = _memory(ended, used.get("memory"))
    if verdict == Verdict.completed:
        used = {"output": 0.0, "files": 0.0, **used}
    limits = ended.get("limits")
    allowed = limits if isinstance(limits, dict) else {}
    killed = limit_of(Verdict(verdict), sentence) if verdict in KILLED else ""
    return PastRun(
        job=job,
        run=run,
        ended=at,
        verdict=verdict,
        used={key: value for key, value in used.items() if value is not None},
        limits={key: story.number(allowed.get(key)) for key in KEYS},
        killed_at=killed if killed in KEYS else "",
        # The curve is read only where it decides something: it is most of a record.
        stood_still=verdict == Verdict.wall_limit and _stood_still(usagecurve.of_exit(ended)),
    )


def _memory(ended: Mapping[str, Any], peak: float | None) -> float | None:
    usage = ended.get("usage")
    anonymous = usage.get("anonymous") if isinstance(usage, dict) else None
    counted = story.number(anonymous.get("value")) if isinstance(anonymous, dict) else None
    if peak is None or not counted or counted >= peak:
        return peak
    curve = usagecurve.of_exit(ended)
    return min(peak, max(counted, curve.sampled)) if curve.samples else peak


def _stood_still(curve: UsageCurve) -> bool:
    if len(curve.samples) < 3:
        return False
    last = curve.samples[-1]
    since = last.t * 2 / 3
    before = max((sample for sample in curve.samples if sample.t <= since), key=lambda s: s.t, default=None)
    if before is None or last.t - before.t < _SHORTEST:
        return False
    return last.cpu - before.cpu < _STILL * (last.t - before.t)
