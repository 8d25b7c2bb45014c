"""What `why` tells of a job that was pruned: all that its tombstone holds (pure text)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from supervisor.shown import line, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervisor.tombstones import Tombstone

_GONE = "its message and measurements are no longer kept; results in the archive, and the record beside them, stand"


def text(stone: Tombstone, now: float, siblings: Sequence[str] = ()) -> list[str]:
    """Return the story as lines; `siblings` are other jobs of the same run."""
    rows = [
        f"{stone.instrument} run {stone.run} version {stone.version}, RB {stone.rb}: job {stone.job}",
        f"{stone.verdict}: {stone.sentence}",
        f"advice:    {advice(stone)}",
        f"received:  {moment(stone.journaled, now)}",
    ]
    rows += [f"again:     a repetition of job {stone.resubmit_of}"] if stone.resubmit_of else []
    rows.append(f"epoch {stone.n}:   decided: {stone.verdict} on {stone.host}, {moment(stone.decided, now)}")
    if stone.promoted != "done":
        rows.append("result:    it could never be put into place")
    rows += [
        f"replies:   all told, {moment(stone.published, now)}",
        f"pruned:    {moment(stone.pruned, now)}; {_GONE}",
    ]
    rows += [f"also:      job {job} is of the same run" for job in siblings]
    return [line(row, 2000) for row in rows]


def advice(stone: Tombstone) -> str:
    """Return what can be done now."""
    return "nothing to do" if stone.verdict in ("completed", "skipped") else "send the run again, under a new id"


def record(stone: Tombstone, siblings: Sequence[str] = ()) -> dict[str, Any]:
    """Return the story as plain JSON; the keys that `why` has for every job stand under the same names."""
    kept = asdict(stone)
    return {
        **kept,
        "state": "pruned",
        "headline": f"{stone.verdict}: {stone.sentence}",
        "advice": advice(stone),
        "received": stone.journaled,
        "resubmit_of": stone.resubmit_of or None,
        "siblings": list(siblings),
    }
