"""The report of an instrument: how its runs ended, what they used against the limits, and what that suggests (pure)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sandbox.limits import format_duration, format_size
from supervisor import story, tunetext
from supervisor.pastrun import KEYS
from supervisor.reportbars import bars
from supervisor.reportchart import dots, readable_size, readable_time
from supervisor.reportpage import Part, esc, facts, page, table
from supervisor.utc import iso, moment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from supervisor.tunerule import Suggestion
    from supervisor.usagehistory import InstrumentHistory

#: Rows of the table of runs.
_ROWS: Final = 100
_GOOD: Final = ("completed", "skipped")
#: Measures that are drawn, in words.
_DRAWN: Final[Mapping[str, str]] = {"memory": "Memory", "wall": "Time by the clock", "cpu": "Processor time"}


def render(
    history: InstrumentHistory, suggestions: Sequence[Suggestion], *, since: float, now: float, version: str
) -> str:
    """Return the page.

    Args:
        history: what its runs used.
        suggestions: what `tune` says of each limit.
        since: runs decided before were left out, seconds since 1970; 0: none were.
        now: seconds since 1970.
        version: of this program.
    """
    parts = [
        Part(title="How runs ended", body=_verdicts(history)),
        Part(title="Limits and what was used", body=_percentiles(suggestions) + _suggested(history, suggestions)),
        Part(title="The latest runs", body=_drawings(history, suggestions) + _runs(history)),
    ]
    when = f"decided in the last {format_duration(now - since)}" if since else "that the store keeps whole"
    lead = f"<p>{esc(history.runs)} runs {esc(when)}.</p>{facts(_facts(history))}"
    made = f"Made {iso(now)} by autoreduce-supervisor {version}. Times are UTC."
    return page(title=f"{history.instrument}: runs and limits", lead=lead, parts=parts, made=made)


def _facts(history: InstrumentHistory) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    if history.runs:
        rows.append(("First and last", f"{moment_of(history.first)} to {moment_of(history.last)}"))
        good = sum(history.verdicts[word] for word in _GOOD)
        rows.append(("Completed or skipped", f"{good} of {history.runs} ({100 * good / history.runs:.0f} %)"))
    if history.reserved:
        unused = max(0.0, history.reserved - history.used)
        share = f"{100 * unused / history.reserved:.0f} %"
        rows.append(
            ("Memory reserved", f"{history.reserved:.3g} GiB h, of which {unused:.3g} GiB h ({share}) not used")
        )
    if history.pruned:
        rows.append(("Pruned", f"{history.pruned} more, of which no measurement is kept"))
    if history.unreadable:
        rows.append(("Unreadable", f"{history.unreadable} records"))
    return rows


def _verdicts(history: InstrumentHistory) -> str:
    counts = history.verdicts.most_common()
    drawing = bars(
        "How runs ended",
        f"Verdicts of {history.runs} runs",
        [(verdict, float(number), "bar-good" if verdict in _GOOD else "bar-bad") for verdict, number in counts],
        lambda value: f"{value:.0f}",
    )
    rows = [(verdict, number, f"{100 * number / history.runs:.1f} %") for verdict, number in counts]
    return drawing + table("Verdicts", ("verdict", "runs", "share"), rows, numbers=(1, 2))


def _percentiles(suggestions: Sequence[Suggestion]) -> str:
    head = ("limit", "in force", "p50", "p95", "p99", "largest", "completed", "killed", "suggested")
    rows = [tunetext.cells(suggestion) for suggestion in suggestions]
    return table("Completed runs against the limits", head, rows, numbers=tuple(range(1, len(head))))


def _suggested(history: InstrumentHistory, suggestions: Sequence[Suggestion]) -> str:
    changes = [suggestion for suggestion in suggestions if suggestion.value is not None]
    if not changes:
        return "<p>tune suggests no change.</p>"
    told = "".join(
        f"<li>{esc(s.key)}: {esc(tunetext.written(s.key, s.value or 0))} {esc(tunetext.because(s))}</li>"
        for s in changes
    )
    return f"<h3>tune suggests for [limits.instrument.{esc(history.instrument, 80)}]</h3><ul>{told}</ul>"


def _drawings(history: InstrumentHistory, suggestions: Sequence[Suggestion]) -> str:
    limits = {suggestion.key: suggestion.limit for suggestion in suggestions}
    latest, parts = history.latest, []
    lasted = max((run.ended for run in latest), default=0.0) - min((run.ended for run in latest), default=0.0)
    # The day where they are spread over days, the second where they are not.
    across = _clock("%Y-%m-%d" if lasted > 4 * 86400 else "%m-%d %H:%M" if lasted > 3600 else "%H:%M:%S")
    for key, words in _DRAWN.items():
        points = [(run.ended, run.used[key], run.verdict in _GOOD) for run in latest if key in run.used]
        limit = limits.get(key)
        of = f"limit in force {tunetext.written(key, limit)}" if limit is not None else "no limit"
        parts.append(
            dots(
                f"{words} of the latest runs",
                f"{words} of the latest {len(points)} runs; rings are runs that did not complete; {of}",
                points,
                limit=limit,
                across=across,
                up=_writer(key),
                steps=readable_size if key == "memory" else readable_time,
            )
        )
    return "".join(parts)


def _writer(key: str) -> Callable[[float], str]:
    return format_size if key == "memory" else format_duration


def _runs(history: InstrumentHistory) -> str:
    rows = [
        (
            run.run,
            moment_of(run.ended),
            run.verdict,
            *(story.amount(key, run.used[key], measured=True) if key in run.used else "" for key in KEYS),
        )
        for run in history.latest[:_ROWS]
    ]
    return table("Runs, the newest first", ("run", "decided", "verdict", *KEYS), rows, numbers=tuple(range(3, 8)))


def _clock(form: str) -> Callable[[float], str]:
    return lambda at: time.strftime(form, time.gmtime(at))
