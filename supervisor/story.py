"""What `why` tells of a job: one sentence first, then the evidence, then what to do (pure text).

Everything shown may come from strangers, a script's logs above all: `shown.line` makes it safe for a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.limits import format_duration, format_size
from supervisor import advice as advices
from supervisor.advice import Advice
from supervisor.provenance import RECORD
from supervisor.shown import line, lines, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervisor.dossier import Attempt, Dossier

#: Lines of each log, and of a traceback, that are shown.
_TAIL = 20
_TRACEBACK = 40

#: What is repeated of the outcome of a box.
_FACTS = ("exit", "usage", "limits", "guards", "ceilings_hit", "marks", "outputs")

_STATES = {
    "waiting": "it waits; runs tells what comes before it",
    "running": "it runs; to end it: cancel {job}",
    "promoting": "its result is being put into place, and that is tried again until it is done",
}
_RETRIED = "it is tried again by itself; see to what the last attempt lacked"
_FAILED = "when the archive can be written again: promote {job}"


def headline(dossier: Dossier) -> str:
    """Return the sentence that answers the question."""
    decided = dossier.decided.outcome if dossier.decided is not None else None
    if decided is not None:
        return f"{decided.verdict}: {decided.sentence}"
    last = dossier.attempts[-1].outcome if dossier.attempts else None
    if dossier.state == "running":
        return "running, and asked to end" if dossier.cancel is not None else "running"
    why = f"; the last attempt: {last.kind}: {last.why}" if last is not None else ""
    return f"waiting{', cancelled' if dossier.cancel is not None else ''}{why}"


def advice(dossier: Dossier) -> Advice:
    """Return what scientist and operator can do now."""
    request = dossier.request
    decided = dossier.decided.outcome if dossier.decided is not None else None
    if dossier.promoted is not None and dossier.promoted.kind != "done" and dossier.later is None:
        return Advice("nothing to do; the result is there, and not in place yet", _FAILED.format(job=request.job))
    if dossier.state != "ended" or decided is None:
        known = _STATES.get(dossier.state, "look at the records named above").format(job=request.job)
        return Advice(_RETRIED if dossier.state == "waiting" and _retry(dossier) is not None else known, "")
    limits = dossier.decided.exit.get("limits") if dossier.decided is not None else None
    return advices.of(
        decided.verdict,
        job=request.job,
        instrument=request.instrument,
        rb=request.rb,
        sentence=decided.sentence,
        limits=limits if isinstance(limits, dict) else {},
    )


def _retry(dossier: Dossier) -> Attempt | None:
    """The last attempt, where it ended in a retry."""
    last = dossier.attempts[-1] if dossier.attempts else None
    return last if last is not None and last.outcome is not None and last.outcome.kind == "retry" else None


def text(dossier: Dossier, now: float, waits_for: str = "", picture: Sequence[str] = ()) -> list[str]:
    """Return the story as lines.

    Args:
        dossier: all that is known.
        now: seconds since 1970.
        waits_for: what keeps a waiting job from running now.
        picture: lines of the usage curve.
    """
    request = dossier.request
    told, words = attempt_told(dossier), advice(dossier)
    head = [
        f"{request.instrument} run {request.run} version {request.version}, RB {request.rb}: job {request.job}",
        headline(dossier),
        f"advice:    {words.scientist}",
        *([f"operator:  {words.operator}"] if words.operator not in ("", words.scientist) else []),
    ]
    rows = [
        f"received:  {moment(request.journaled, now)} by host {request.host}, priority {request.priority}",
    ]
    rows += [f"again:     a repetition of job {request.resubmit_of}"] if request.resubmit_of else []
    rows += [f"waits:     {waits_for}"] if waits_for else []
    if dossier.state == "waiting" and dossier.not_before > now:
        rows.append(_next_try(dossier, now))
    if dossier.redelivered:
        rows.append("delivery:  its message came more than once; it is one job all the same")
    if dossier.cancel is not None:
        by = f" by {dossier.cancel.who}"
        late = "" if _verdict(dossier) in ("", "cancelled") else "; it came too late to change anything"
        rows.append(f"cancel:    asked {moment(dossier.cancel.written, now)}{by}{late}")
    rows += [_attempt(attempt, now) for attempt in dossier.attempts]
    rows += _results(dossier)
    rows.append(f"replies:   {_replies(dossier)}")
    rows += [f"refused:   another message with this id: why {digest}" for digest in dossier.refused]
    rows += [f"also:      job {job} is of the same run" for job in dossier.siblings]
    rows += [f"unreadable: {trouble}" for trouble in dossier.unreadable]
    evidence = [] if told is None else _traceback(told) + _measured(told.exit)
    evidence += [line(row, 2000) for row in picture]
    tails = [] if told is None else _tails(told)
    return [line(row, 2000) for row in head] + evidence + [line(row, 2000) for row in rows] + tails


def _next_try(dossier: Dossier, now: float) -> str:
    began = sum(attempt.run is not None for attempt in dossier.attempts)
    retry = _retry(dossier)
    why = f", because: {retry.outcome.why}" if retry is not None and retry.outcome is not None else ""
    return f"next try:  attempt {began + 1}, not before {moment(dossier.not_before, now)}{why}"


def _verdict(dossier: Dossier) -> str:
    decided = dossier.decided.outcome if dossier.decided is not None else None
    return decided.verdict if decided is not None else ""


def attempt_told(dossier: Dossier) -> Attempt | None:
    """Return the attempt whose measurements are shown: the one that decided, else the last one that left any."""
    if dossier.decided is not None:
        return dossier.decided
    return next((attempt for attempt in reversed(dossier.attempts) if attempt.exit or attempt.curve.samples), None)


def _attempt(attempt: Attempt, now: float) -> str:
    epoch, outcome = attempt.epoch, attempt.outcome
    where = f" on {epoch.host}, {moment(epoch.time, now)}" if epoch is not None else ""
    began = "" if attempt.run is not None or outcome is None else " (no shepherd began)"
    if outcome is None:
        how = "under way" if attempt.run is not None else "claimed"
    elif outcome.kind == "committed":
        how = f"decided: {outcome.verdict}"
    else:
        how = f"{outcome.kind}: {outcome.why}"
        how += f", not before {moment(outcome.not_before, now)}" if outcome.kind == "retry" else ""
    return f"epoch {attempt.n}:{' ' * max(1, 4 - len(str(attempt.n)))}{how}{where}{began}"


def _results(dossier: Dossier) -> list[str]:
    """Where results and logs stand, by the records; the archive itself is not asked, it may hang."""
    rows = []
    failed = dossier.promoted is not None and dossier.promoted.kind != "done" and dossier.later is None
    for place in dossier.places:
        kind = "logs" if place.mode == "logs" else "result"
        if failed:
            rows.append(
                f"{kind + ':':11}{place.kept} (not in place: {dossier.promoted.why if dossier.promoted else ''})"
            )
        elif dossier.promoted is None:
            rows.append(f"{kind + ':':11}on its way to {place.path}")
        else:
            rows += [] if place.mode == "logs" else [f"result:    {place.path}"]
            rows += [f"{_kind(file):11}{place.path}/{file}" for file in place.files if _kind(file)]
            if place.mode != "logs" and not place.files:  # decided by an older version
                rows.append(f"logs:      {place.path}/reduction_log")
    if dossier.later is not None and dossier.places:
        rows.append("           put into place by promote, after it had been given up")
    if dossier.decided is not None and not dossier.places:
        rows.append("result:    none, and no logs in the archive")
    return rows


def _kind(file: str) -> str:
    """What a file of ours is called: logs and the record are told, the copies beside the record are not."""
    if file.endswith(RECORD):
        return "record:"
    return "logs:" if file.endswith((".out", ".log", ".err")) else ""


def _replies(dossier: Dossier) -> str:
    if dossier.published:
        return "all told" if dossier.started else "all told; it never began, so there was no started"
    started = "no started yet" if not dossier.started else "started told" if dossier.started_sent else "started due"
    return f"{started}; {'the answer is due' if dossier.state == 'ended' else 'no answer yet'}"


def number(value: Any) -> float | None:
    """Return a number of a record that is not negative, None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def used(ended: dict[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    """Return what was measured and what was allowed, by the name of the limit; None: not measured, no limit."""
    usage, limits, outputs = ended.get("usage"), ended.get("limits"), ended.get("outputs")
    usage = usage if isinstance(usage, dict) else {}
    limits = limits if isinstance(limits, dict) else {}
    measures = {"memory": "peak_memory", "wall": "wall", "cpu": "cpu", "processes": "processes"}
    found: dict[str, tuple[float | None, float | None]] = {}
    for limit, measure in measures.items():
        entry = usage.get(measure)
        found[limit] = (number(entry.get("value") if isinstance(entry, dict) else None), number(limits.get(limit)))
    files = [file for file in outputs if isinstance(file, dict)] if isinstance(outputs, list) else []
    if files:
        found["output"] = (sum(number(file.get("size")) or 0.0 for file in files), number(limits.get("output")))
        found["files"] = (float(len(files)), number(limits.get("files")))
    return found


def _measured(ended: dict[str, Any]) -> list[str]:
    if not ended:
        return []
    rows = []
    for limit, (value, most) in used(ended).items():
        if value is None:
            continue
        of = f" of {amount(limit, most)} ({100 * value / most:.0f} %)" if most else ", no limit"
        rows.append(f"{limit + ':':11}{amount(limit, value, measured=True)}{of}")
    ceilings = ended.get("ceilings_hit")
    if isinstance(ceilings, list) and ceilings:
        rows.append(line(f"reached without ending the run: {', '.join(map(str, ceilings))}", 2000))
    message = ended.get("message")
    return rows + ([line(f"remark:    {message}", 2000)] if message else [])


def amount(limit: str, value: float, *, measured: bool = False) -> str:
    """Return a value of a limit in its unit: bytes, time or count."""
    if limit in ("memory", "output"):
        return format_size(value, measured=measured)
    return format_duration(value) if limit in ("wall", "cpu") else f"{value:.0f}"


def _traceback(attempt: Attempt) -> list[str]:
    trace = attempt.exit.get("traceback")
    return _section("traceback", trace, _TRACEBACK) if isinstance(trace, str) else []


def _tails(attempt: Attempt) -> list[str]:
    """The ends of the logs; standard error often holds nothing but the traceback, which is told already."""
    trace = attempt.exit.get("traceback")
    told = trace.strip() if isinstance(trace, str) else None
    kept = {name: tail for name, tail in sorted(attempt.tails.items()) if tail.strip() != told}
    return [row for name, tail in kept.items() for row in _section(f"end of {line(name, 40)}", tail, _TAIL)]


def _section(title: str, text: str, last: int) -> list[str]:
    found = lines(text, last)
    return [f"{title}:", *(f"    {row}" for row in found)] if found else []


def record(dossier: Dossier, waits_for: str = "") -> dict[str, Any]:
    """Return the story as plain JSON."""
    request, told, words = dossier.request, attempt_told(dossier), advice(dossier)
    ended = told.exit if told is not None else {}
    decided = dossier.decided.outcome if dossier.decided is not None else None
    facts = {key: ended.get(key) for key in (*_FACTS, "message")}
    return {
        "job": request.job,
        "instrument": request.instrument,
        "rb": request.rb,
        "run": request.run,
        "version": request.version,
        "state": dossier.state,
        "headline": headline(dossier),
        "verdict": decided.verdict if decided is not None else None,
        "sentence": decided.sentence if decided is not None else None,
        "advice": words.scientist,
        "advice_to_operator": words.operator,
        "waits_for": waits_for,
        "not_before": dossier.not_before or None,
        "received": request.journaled,
        "resubmit_of": request.resubmit_of or None,
        "redelivered": dossier.redelivered,
        "cancel": None if dossier.cancel is None else {"who": dossier.cancel.who, "time": dossier.cancel.written},
        "attempts": [_attempt_record(attempt) for attempt in dossier.attempts],
        "places": [{"path": p.path, "kept": p.kept, "mode": p.mode, "files": p.files} for p in dossier.places],
        "promoted": dossier.promoted.kind if dossier.promoted is not None else None,
        "promoted_why": dossier.promoted.why if dossier.promoted is not None else "",
        "promoted_later": dossier.later is not None,
        "replies": {"started": dossier.started, "started_told": dossier.started_sent, "all_told": dossier.published},
        "refused": list(dossier.refused),
        "siblings": list(dossier.siblings),
        "unreadable": list(dossier.unreadable),
        "traceback": ended.get("traceback", ""),
        "log_tails": told.tails if told is not None else {},
        **facts,
    }


def _attempt_record(attempt: Attempt) -> dict[str, Any]:
    epoch, outcome = attempt.epoch, attempt.outcome
    return {
        "epoch": attempt.n,
        "host": epoch.host if epoch is not None else None,
        "time": epoch.time if epoch is not None else None,
        "began": attempt.run is not None,
        "kind": outcome.kind if outcome is not None else None,
        "why": outcome.why if outcome is not None else "",
        "verdict": outcome.verdict if outcome is not None else "",
    }
