"""The attempts of a job: what earlier epochs came to, counted from the cells, which survive everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from supervisor import durable, records
from supervisor.records import RunRecord

if TYPE_CHECKING:
    from supervisor.cells import RbCells
    from supervisor.layout import JobPlace


#: Who revokes for a reason of ours, no fault of a script: a shepherd that lost its lock, a supervisor that killed a
#: mute shepherd.
OF_OURS: Final = frozenset({"self", "watch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What earlier attempts of a job came to."""

    #: Epochs of the job that were decided, in order.
    epochs: tuple[int, ...] = ()
    #: Attempts that reached running and were revoked with no reason of ours: they count as poison.
    lost: int = 0
    #: Attempts that ended in a retry.
    retries: int = 0
    #: Epochs whose staging may still stand somewhere.
    abandoned: tuple[int, ...] = ()


def history(place: JobPlace, cells: RbCells) -> History:
    """Return what the earlier attempts of the job at `place` came to; `cells` are those of its RB."""
    epochs: list[int] = []
    abandoned: list[int] = []
    lost = retries = 0
    for name in durable.listing(place.attempts):
        n = int(name) if name.isdigit() else 0
        outcome = cells.outcome(n) if n else None
        if outcome is None:
            continue
        epochs.append(n)
        if outcome.kind != "committed":
            abandoned.append(n)
        if outcome.kind == "retry":
            retries += 1
        elif outcome.kind == "revoked" and outcome.by not in OF_OURS and durable.exists(place.run(n)):
            lost += 1
    return History(epochs=tuple(epochs), lost=lost, retries=retries, abandoned=tuple(abandoned))


def run_record(place: JobPlace, n: int) -> RunRecord | None:
    """Return `run.json` of attempt `n`, or None while its shepherd has not begun."""
    data = durable.read(place.run(n))
    return None if data is None else records.from_record(RunRecord, place.run(n), data)


def read_not_before(place: JobPlace) -> float:
    """Return when the job may run next, seconds since 1970; 0 where nothing is said."""
    data = durable.read(place.not_before)
    at = 0.0 if data is None else records.unpack(place.not_before, data).get("time", 0.0)
    if not isinstance(at, int | float):
        raise records.CorruptRecord(place.not_before, "its time is no number")
    return float(at)
