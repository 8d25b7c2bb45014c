"""The life of a job in its report: when each state was reached, as stretches of time and as a table (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.limits import format_duration
from supervisor.reportbars import Stretch, lanes
from supervisor.reportpage import table
from supervisor.utc import moment_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervisor.dossier import Attempt, Dossier

#: Attempts that are drawn: the newest.
_ATTEMPTS = 8
#: Times before this are none: 2000-01-01.
_EARLIEST = 946684800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A state that the job reached."""

    #: Seconds since 1970.
    at: float
    state: str
    #: Which attempt, 0 for the job itself.
    epoch: int = 0
    text: str = ""


def states(dossier: Dossier) -> list[Reached]:
    """Return the states in the order of time; what is not known of, or is no time, is left out."""
    request = dossier.request
    found = [
        Reached(at=request.time_ms / 1000, state="sent", text="by the clock of the broker"),
        Reached(at=request.journaled, state="journaled", text=f"by host {request.host}"),
    ]
    for attempt in dossier.attempts:
        found += _of_attempt(attempt)
    if dossier.promoted is not None:
        n = dossier.decided.n if dossier.decided is not None else 0
        why = f": {dossier.promoted.why}" if dossier.promoted.why else ""
        found.append(Reached(at=dossier.promoted.time, state="promoted", epoch=n, text=f"{dossier.promoted.kind}{why}"))
    if dossier.later is not None:
        found.append(Reached(at=dossier.later.time, state="promoted later", text="by promote"))
    if dossier.cancel is not None:
        found.append(Reached(at=dossier.cancel.written, state="cancel asked", text=f"by {dossier.cancel.who}"))
    if dossier.published_at is not None:
        found.append(Reached(at=dossier.published_at, state="published", text="every reply has its receipt"))
    # What comes from one host within one moment keeps the order of its making.
    return sorted((state for state in found if state.at > _EARLIEST), key=lambda state: state.at)


def _of_attempt(attempt: Attempt) -> list[Reached]:
    found = []
    if attempt.epoch is not None:
        found.append(
            Reached(at=attempt.epoch.time, state="claimed", epoch=attempt.n, text=f"by host {attempt.epoch.host}")
        )
    if attempt.run is not None:
        found.append(
            Reached(at=attempt.run.time, state="running", epoch=attempt.n, text=f"version {attempt.run.version}")
        )
    if attempt.exited is not None:
        found.append(Reached(at=attempt.exited, state="exited", epoch=attempt.n))
    if attempt.outcome is not None:
        told = attempt.outcome.verdict if attempt.outcome.kind == "committed" else attempt.outcome.why
        found.append(
            Reached(at=attempt.outcome.time, state="decided", epoch=attempt.n, text=f"{attempt.outcome.kind}: {told}")
        )
    return found


def body(dossier: Dossier, now: float) -> str:
    """Return the section: the drawing, and the table that says the same."""
    reached = states(dossier)
    if not reached:
        return ""
    begin = reached[0].at
    rows = [
        (
            moment_of(state.at),
            state.state,
            state.epoch or "",
            f"+ {format_duration(max(0.0, state.at - reached[n - 1].at))}" if n else "",
            state.text,
        )
        for n, state in enumerate(reached)
    ]
    told = table("States and when they were reached", ("time", "state", "epoch", "after", "remark"), rows, numbers=(3,))
    return _drawing(dossier, reached, begin, now) + told


def _drawing(dossier: Dossier, reached: Sequence[Reached], begin: float, now: float) -> str:
    ended = dossier.state == "ended"
    end = reached[-1].at if ended else max(now, reached[-1].at)
    lane: list[tuple[str, list[Stretch]]] = []

    def stretch(a: float, b: float, text: str, css: str) -> Stretch:
        return Stretch(begin=max(0.0, a - begin), end=max(0.0, max(a, b) - begin), text=text, css=css)

    claims = [attempt.epoch.time for attempt in dossier.attempts if attempt.epoch is not None]
    lane.append(("waiting", [stretch(begin, claims[0] if claims else end, "waiting", "bar")]))
    for attempt in dossier.attempts[-_ATTEMPTS:]:
        if attempt.epoch is None:
            continue
        claimed = attempt.epoch.time
        decided = attempt.outcome.time if attempt.outcome is not None else end
        begun = attempt.run.time if attempt.run is not None else decided
        exited = attempt.exited if attempt.exited is not None else decided
        good = attempt.outcome is not None and attempt.outcome.verdict in ("completed", "skipped")
        ran = "bar-run" if attempt.outcome is None else "bar-good" if good else "bar-bad"
        parts = [stretch(claimed, begun, "claimed", "bar"), stretch(begun, exited, "running", ran)]
        lane.append((f"epoch {attempt.n}", [*parts, stretch(exited, decided, "deciding", "bar")]))
    if ended:
        last = max((a.outcome.time for a in dossier.attempts if a.outcome is not None), default=end)
        lane.append(("publish", [stretch(last, end, "promotion and replies", "bar")]))
    whole = format_duration(max(0.0, end - begin))
    until = reached[-1].state if ended else "now"
    description = f"{whole} from {reached[0].state} to {until}; the coloured stretch of an attempt is its script"
    return lanes("Timeline of the job", description, lane, format_duration)
