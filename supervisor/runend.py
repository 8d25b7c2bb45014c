"""The end of a run in figures: what the log line of a run, and metrics, tell of it (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from supervisor import story

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Limits that stand in the line of a run, in this order.
_LIMITS = ("memory", "wall", "cpu", "processes", "output", "files")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """One run that has ended; what was not measured is None."""

    job: str
    instrument: str
    rb: str
    run: str
    epoch: int
    host: str = ""
    #: Kind of the outcome, and of a committed one its verdict; "" where the shepherd died undecided.
    kind: str = ""
    verdict: str = ""
    sentence: str = ""
    #: Number of this attempt of the job, from 1.
    attempt: int = 1
    #: Seconds from the journaling of the message to the claim of this epoch.
    queue_wait: float | None = None
    #: What was used by the name of the limit: seconds, bytes, counts; and the limits it ran under, None for no limit.
    used: Mapping[str, float | None] = field(default_factory=dict)
    limits: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def memory_share(self) -> float | None:
        """The largest memory as a share of its limit."""
        peak, most = self.used.get("memory"), self.limits.get("memory")
        return peak / most if peak is not None and most else None

    def facts(self) -> dict[str, Any]:
        """Return the stable keys of the log line, each of them always there."""
        return {
            "action": "run",
            "job": self.job,
            "rb": self.rb,
            "instrument": self.instrument,
            "run": self.run,
            "verdict": self.verdict or self.kind or "undecided",
            "attempt": self.attempt,
            "epoch": self.epoch,
            "host": self.host,
            "queue_wait_s": _rounded(self.queue_wait),
            "wall_s": _rounded(self.used.get("wall")),
            "cpu_s": _rounded(self.used.get("cpu")),
            "peak_memory": _whole(self.used.get("memory")),
            "processes": _whole(self.used.get("processes")),
            "output": _whole(self.used.get("output")),
            "files": _whole(self.used.get("files")),
            **{f"limit_{name}": _rounded(self.limits.get(name)) for name in _LIMITS},
            "sentence": self.sentence or "its shepherd died before it was decided; it runs again",
        }


def figures(exit_: Mapping[str, Any]) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return what a run used and was allowed, as its `exit.json` holds it; nothing of an empty one."""
    outcome = exit_.get("outcome")
    known = story.used(outcome if isinstance(outcome, dict) else {})
    return {name: used for name, (used, _) in known.items()}, {name: most for name, (_, most) in known.items()}


def attempt_number(names: Sequence[str], n: int) -> int:
    """Return which attempt epoch `n` is, of the names of the folders of all attempts of its job."""
    return max(1, sum(name.isdigit() and int(name) <= n for name in names))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
