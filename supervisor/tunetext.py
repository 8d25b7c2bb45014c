"""What `tune` tells: the TOML that it would set, with the evidence beside it as comments (pure text)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.limits import GiB, MiB, format_duration
from sandbox.verdict import Verdict
from supervisor.shown import line
from supervisor.story import amount
from supervisor.tomltext import toml
from supervisor.tunerule import HEADROOM, RAISE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervisor.tunerule import Rule, Suggestion
    from supervisor.usagehistory import InstrumentHistory

_HEAD: Final = ("limit", "in force", "p50", "p95", "p99", "largest", "runs", "killed", "suggested")
_MAX_SHOWN: Final = 40


def written(key: str, value: float) -> str | int:
    """Return a limit as it is written in a configuration, without loss: "12 GiB", "768 MiB", "2 h 30 min", 2000."""
    whole = round(value)
    if key in {"memory", "output"}:
        for unit, name in ((GiB, "GiB"), (MiB, "MiB")):
            if whole % (unit // 2) == 0 and whole >= unit:
                return f"{whole / unit:g} {name}"
        return whole
    if key in {"wall", "cpu"}:
        text = format_duration(value)
        return text if whole < 3600 or whole % 60 == 0 else f"{whole} s"
    return whole


def text(history: InstrumentHistory, suggestions: Sequence[Suggestion], rule: Rule) -> list[str]:
    """Return the lines of one instrument: a table as comments, and the keys to set with the evidence above each."""
    rows = ["", *(f"# {row}".rstrip() for row in _about(history))]
    rows += ["#", *(f"# {row}".rstrip() for row in table(suggestions)), "#"]
    notes = [f"# {row}" for suggestion in suggestions for row in _note(suggestion, rule)]
    changes = [suggestion for suggestion in suggestions if suggestion.value is not None]
    rows += notes or ["# Nothing to change."] * (not changes)
    if changes:
        rows += [*([] if not notes else [""]), f"[limits.instrument.{history.instrument}]"]
    for suggestion in changes:
        rows.append(f"# {because(suggestion)}")
        rows.append(f"{suggestion.key} = {toml(written(suggestion.key, suggestion.value or 0))}")
    return rows


def table(suggestions: Sequence[Suggestion]) -> list[str]:
    """Return the evidence as lines whose columns stand below each other."""
    rows = [_HEAD, *(cells(suggestion) for suggestion in suggestions)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def cells(suggestion: Suggestion) -> tuple[str, ...]:
    """Return one row of the table."""
    key, evidence = suggestion.key, suggestion.evidence
    measured = [evidence.p50, evidence.p95, evidence.p99, evidence.largest]
    shown = [amount(key, value, measured=True) if evidence.completed else "" for value in measured]
    limit = "none" if suggestion.limit is None else str(written(key, suggestion.limit))
    killed = str(evidence.killed) if evidence.killed else ""
    new = "" if suggestion.value is None else str(written(key, suggestion.value))
    return (key, limit, *shown, str(evidence.completed), killed, new)


def because(suggestion: Suggestion) -> str:
    """Return why a limit is suggested: the evidence in one sentence."""
    key, evidence = suggestion.key, suggestion.evidence
    was = "" if suggestion.limit is None else f"instead of {written(key, suggestion.limit)}: "

    def of(value: float) -> str:
        return amount(key, value, measured=True)

    match suggestion.why:
        case "killed":
            return was + "; ".join(_killed(suggestion))
        case "exceeded":
            return f"{was}a completed run used {of(evidence.largest)}"
        case "tight":
            return (
                f"{was}the 99th percentile of {evidence.completed} completed runs is {of(evidence.p99)}, which leaves "
                f"less than {HEADROOM[key]:g} times as much"
            )
        case _:
            return (
                f"{was}of {evidence.completed} completed runs the 99th percentile is {of(evidence.p99)}, "
                f"the largest {of(evidence.largest)}"
            )


def _killed(suggestion: Suggestion) -> list[str]:
    key, evidence = suggestion.key, suggestion.evidence
    named = ", ".join(line(run, _MAX_SHOWN) for run in evidence.runs)
    runs = "1 run was" if evidence.killed == 1 else f"{evidence.killed} runs were"
    at = amount(key, evidence.killed_at)
    told = [f"{runs} killed at {at} or less ({named})" if named else f"{runs} killed at {at} or less"]
    if evidence.saved:
        need = amount(key, evidence.known_need, measured=True)
        told.append(f"{evidence.saved} of them completed later with up to {need}")
    else:
        told.append(f"what they needed is not known: {RAISE:g} times the limit")
    return told


def _note(suggestion: Suggestion, rule: Rule) -> list[str]:
    """What is to be said of a limit beside a suggestion, or where there is none."""
    key, evidence, rows = suggestion.key, suggestion.evidence, []
    if evidence.stood_still:
        many = "1 run" if evidence.stood_still == 1 else f"{evidence.stood_still} runs"
        rows.append(f"{key}: {many} stood still when the time was over; more time would not have saved them.")
    if suggestion.why == "bounded":
        most = written(key, rule.most[key])
        rows.append(f"{key}: runs need more than tune.most.{key} ({most}) allows.")
    if suggestion.value is None and evidence.killed and suggestion.why != "bounded":
        at = amount(key, evidence.killed_at)
        rows.append(f"{key}: {evidence.killed} killed at {at} or less; the limit in force allows for them already.")
    return rows


def _about(history: InstrumentHistory) -> list[str]:
    """What was read."""
    count = "1 run" if history.runs == 1 else f"{history.runs} runs"
    read = f"{history.instrument}: {count} read"
    if history.runs:
        read += f", decided {_day(history.first)} to {_day(history.last)}"
    read += f"; {history.pruned} more were pruned and are not measured" if history.pruned else ""
    read += f"; {history.unreadable} records could not be read" if history.unreadable else ""
    rows = [read + "."]
    counts = [f"{number} {line(verdict, _MAX_SHOWN)}" for verdict, number in history.verdicts.most_common(len(Verdict))]
    rows += [", ".join(counts) + "."] if counts else []
    if history.reserved:
        unused = max(0.0, history.reserved - history.used)
        rows.append(
            f"Memory reserved: {history.reserved:.3g} GiB h; never used: {unused:.3g} GiB h "
            f"({100 * unused / history.reserved:.0f} %)."
        )
    return rows


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def record(history: InstrumentHistory, suggestions: Sequence[Suggestion]) -> dict[str, Any]:
    """Return one instrument as plain JSON: bytes, seconds, counts."""
    return {
        "instrument": history.instrument,
        "runs_read": history.runs,
        "pruned": history.pruned,
        "unreadable": history.unreadable,
        "first": history.first or None,
        "last": history.last or None,
        "verdicts": dict(history.verdicts),
        "memory_reserved_gib_h": history.reserved,
        "memory_used_gib_h": history.used,
        "limits": {suggestion.key: _limit_record(suggestion) for suggestion in suggestions},
    }


def _limit_record(suggestion: Suggestion) -> dict[str, Any]:
    evidence = suggestion.evidence
    return {
        "in_force": suggestion.limit,
        "suggested": suggestion.value,
        "write": None if suggestion.value is None else written(suggestion.key, suggestion.value),
        "what": suggestion.what,
        "why": suggestion.why,
        "completed": evidence.completed,
        "p50": evidence.p50,
        "p95": evidence.p95,
        "p99": evidence.p99,
        "largest": evidence.largest,
        "killed": evidence.killed,
        "killed_at": evidence.killed_at or None,
        "saved_later": evidence.saved,
        "known_need": evidence.known_need or None,
        "stood_still": evidence.stood_still,
        "runs": list(evidence.runs),
    }


def summary(histories: Sequence[InstrumentHistory], since: float, now: float) -> list[str]:
    """Return the head of the output."""
    runs = sum(history.runs for history in histories)
    when = f"of the last {format_duration(now - since)}" if since > 0 else "kept whole in the store"
    return [f"# Suggested by autoreduce-supervisor tune from {runs} decided run{'' if runs == 1 else 's'} {when}."]
