"""The report of one job: what became of it, what it used against its limits, and the evidence (pure).

The archive is not asked, for it may hang: all of it stands in the store.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from sandbox.limits import format_duration, format_size
from supervisor import reporttimeline, story
from supervisor.reportchart import curve, readable_size, readable_time
from supervisor.reportpage import Part, esc, facts, folded, log, page, table
from supervisor.utc import iso, moment_of

if TYPE_CHECKING:
    from supervisor.dossier import Attempt, Dossier
    from supervisor.usagecurve import UsageCurve

#: Rows of a table of samples, and of a table of results.
_SAMPLES: Final = 40
_OUTPUTS: Final = 100
#: Guards, data files and other entries of a record that a box or a message may have made many.
_ENTRIES: Final = 60
_GOOD: Final = ("completed", "skipped")


def render(dossier: Dossier, usage: UsageCurve, *, now: float, version: str, waits_for: str = "") -> str:
    """Return the page.

    Args:
        dossier: all that is known of the job.
        usage: the curve of the attempt that is told.
        now: seconds since 1970.
        version: of this program.
        waits_for: what keeps a waiting job from running.
    """
    request, told = dossier.request, story.attempt_told(dossier)
    title = f"{request.instrument} run {request.run}, RB {request.rb}"
    parts = [
        Part(title="Usage against limits", body=_usage(told, usage)),
        Part(title="Timeline", body=reporttimeline.body(dossier, now)),
        Part(title="Attempts", body=_attempts(dossier)),
        Part(title="Results", body=_results(dossier, told)),
        Part(title="What the script said", body=_said(told)),
        Part(title="Limits and guards", body=_limits_and_guards(told)),
        Part(title="Provenance", body=_provenance(dossier, told)),
        Part(title="What could not be read", body=_list(list(dossier.unreadable))),
    ]
    made = f"Made {iso(now)} by autoreduce-supervisor {version}. Times are UTC."
    return page(title=title, lead=_lead(dossier, waits_for), parts=parts, made=made)


def badge(verdict: str, state: str = "ended") -> str:
    """Return a verdict, or the state of a job without one, as a badge; the word tells, the colour only helps."""
    css = "warn" if not verdict or state != "ended" else "good" if verdict in _GOOD else "bad"
    return f'<span class="badge {css}">{esc(verdict or state, 40)}</span>'


def _lead(dossier: Dossier, waits_for: str) -> str:
    request, words = dossier.request, story.advice(dossier)
    decided = dossier.decided.outcome if dossier.decided is not None else None
    verdict = decided.verdict if decided is not None else ""
    sentence = decided.sentence if decided is not None else story.headline(dossier)
    rows: list[tuple[str, object]] = [("To whoever wrote the script", words.scientist)]
    rows += [("To the operator", words.operator)] if words.operator not in ("", words.scientist) else []
    rows += [("Waits for", waits_for)] if waits_for else []
    rows += [("Job", request.job), ("Version", request.version), ("Priority", request.priority)]
    rows += [("Repetition of", request.resubmit_of)] if request.resubmit_of else []
    rows += [("Also of this run", ", ".join(dossier.siblings[:10]))] if dossier.siblings else []
    return f'<p>{badge(verdict, dossier.state)}</p><p class="sentence">{esc(sentence)}</p>{facts(rows)}'


def _usage(told: Attempt | None, usage: UsageCurve) -> str:
    if told is None:
        return ""
    rows = []
    for limit, (value, most) in story.used(told.exit).items():
        if value is None:
            continue
        of = story.amount(limit, most) if most else "none"
        share = f"{100 * value / most:.0f} %" if most else ""
        rows.append((limit, story.amount(limit, value, measured=True), of, share))
    ceilings = told.exit.get("ceilings_hit")
    reached = [str(one) for one in ceilings[:_ENTRIES]] if isinstance(ceilings, list) else []
    return "".join(
        [
            memory_chart(usage),
            _cpu_charts(usage),
            _moments(usage),
            table("Used and allowed", ("limit", "used", "allowed", "share"), rows, numbers=(1, 2, 3)),
            f"<p>Reached without ending the run: {esc(', '.join(reached))}.</p>" if reached else "",
            folded("The samples as a table", _samples(usage)),
        ]
    )


def memory_chart(usage: UsageCurve) -> str:
    """Return memory over time against its limit."""
    limit = usage.memory_limit
    of = f"limit {format_size(limit)}" if limit else "no limit"
    peak = format_size(usage.peak, measured=True)
    shared = f"; the samples count shared pages too, up to {format_size(usage.sampled)}" if usage.counts_shared else ""
    return curve(
        "Memory over time",
        f"Memory: peak {peak}, {of}, over {format_duration(usage.span)}{shared}",
        [(sample.t, float(sample.rss)) for sample in usage.samples],
        span=usage.span,
        limit=limit,
        moments=[moment.t for moment in usage.moments],
        across=format_duration,
        up=format_size,
        steps=readable_size,
    )


def _cpu_charts(usage: UsageCurve) -> str:
    samples, moments = usage.samples, [moment.t for moment in usage.moments]
    total = samples[-1].cpu if samples else 0.0
    busy = [
        (after.t, max(0.0, after.cpu - before.cpu) / (after.t - before.t))
        for before, after in itertools.pairwise(samples)
        if after.t - before.t > 1e-3
    ]
    drawings = curve(
        "Processors in use over time",
        f"Processors in use: {format_duration(total)} of processor time in {format_duration(usage.span)}",
        busy,
        span=usage.span,
        limit=None,
        moments=moments,
        across=format_duration,
        up=lambda value: f"{value:.3g}",
    )
    if usage.cpu_limit is None:
        return drawings
    return drawings + curve(
        "Processor time against its limit",
        f"Processor time: {format_duration(total)} of {format_duration(usage.cpu_limit)}",
        [(sample.t, sample.cpu) for sample in samples],
        span=usage.span,
        limit=usage.cpu_limit,
        moments=moments,
        across=format_duration,
        up=format_duration,
        steps=readable_time,
    )


def _moments(usage: UsageCurve) -> str:
    if not usage.moments:
        return ""
    told = "".join(f"<li>{esc(m.text)} at {esc(format_duration(m.t))}</li>" for m in usage.moments)
    return f'<ol class="moments">{told}</ol>'


def _samples(usage: UsageCurve) -> str:
    step = max(1, -(-len(usage.samples) // _SAMPLES))
    rows = [
        (format_duration(s.t), format_size(s.rss, measured=True), format_duration(s.cpu), s.processes)
        for s in usage.samples[::step]
    ]
    return table("Samples", ("time", "memory", "processor time", "processes"), rows, numbers=(0, 1, 2, 3))


def _attempts(dossier: Dossier) -> str:
    rows = []
    for attempt in dossier.attempts:
        epoch, outcome = attempt.epoch, attempt.outcome
        how = "under way" if outcome is None else outcome.kind
        why = "" if outcome is None else outcome.sentence or outcome.why
        rows.append(
            (
                attempt.n,
                epoch.host if epoch is not None else "",
                moment_of(epoch.time) if epoch is not None else "",
                "yes" if attempt.run is not None else "no",
                how,
                outcome.verdict if outcome is not None else "",
                why,
            )
        )
    return table("Attempts", ("epoch", "host", "claimed", "began", "outcome", "verdict", "why"), rows)


def _results(dossier: Dossier, told: Attempt | None) -> str:
    failed = dossier.promoted is not None and dossier.promoted.kind != "done" and dossier.later is None
    places = [(place.mode, place.kept if failed else place.path, len(place.files)) for place in dossier.places]
    body = table("Where results and logs lie", ("kind", "path", "files"), places, numbers=(2,))
    outputs = told.exit.get("outputs") if told is not None else None
    files = [file for file in outputs if isinstance(file, dict)] if isinstance(outputs, list) else []
    rows = [
        (file.get("path"), format_size(story.number(file.get("size")) or 0.0), file.get("sha256") or "")
        for file in files[:_OUTPUTS]
    ]
    body += table("Files", ("path", "size", "sha256"), rows, numbers=(1,))
    more = len(files) - len(rows)
    return body + (f"<p>and {more} more</p>" if more > 0 else "") or "<p>None.</p>"


def _said(told: Attempt | None) -> str:
    if told is None:
        return ""
    trace, message = told.exit.get("traceback"), told.exit.get("message")
    parts = [f"<p>{esc(message)}</p>" if isinstance(message, str) and message else ""]
    parts.append(log("Traceback", trace) if isinstance(trace, str) else "")
    parts += [log(f"End of {name[:40]}", text) for name, text in sorted(told.tails.items())[:_ENTRIES]]
    return "".join(parts)


def _limits_and_guards(told: Attempt | None) -> str:
    if told is None:
        return ""
    limits, guards = _object(told.exit.get("limits")), _object(told.exit.get("guards"))
    bounds = [(name, _limit(name, value)) for name, value in list(limits.items())[:_ENTRIES]]
    walls = [(name, value) for name, value in list(guards.items())[:_ENTRIES]]
    return table("Limits", ("limit", "value"), bounds) + table("Guards", ("guard", "in force"), walls)


def _limit(name: str, value: Any) -> str:
    number = story.number(value)
    if number is None:
        return "none"
    if name in {"memory", "output", "file_size", "log", "tmp"}:
        return format_size(number)
    return format_duration(number) if name in {"wall", "cpu", "grace"} else f"{number:g}"


def _provenance(dossier: Dossier, told: Attempt | None) -> str:
    request = dossier.request
    run = told.run if told is not None else None
    rows: list[tuple[str, object]] = [
        ("Message", f"{request.family}, sha256 {request.digest}"),
        ("Script", f"sha256 {request.script_digest}" if request.script_digest else "on disk, found by the instrument"),
        *[("Data", path) for path in request.data[:_ENTRIES]],
        *([("Software", request.software)] if request.software else []),
        *([("Supervisor", run.version), ("Host", run.host)] if run is not None else []),
    ]
    records = [f"{place.path}/{file}" for place in dossier.places for file in place.files if file.endswith(".json")]
    rows += [("Record", path) for path in records[:4]]
    return facts(rows)


def _list(rows: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{esc(row)}</li>" for row in rows[:_ENTRIES]) + "</ul>" if rows else ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
