"""The usage curve as lines of text: memory against its limit over time, with the moments that ended the run (pure)."""

from __future__ import annotations

import itertools
import textwrap
from typing import TYPE_CHECKING, Final

from sandbox.limits import format_duration, format_size
from supervisor.terminal import BLOCKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.outcome import Sample
    from supervisor.usagecurve import Moment, UsageCurve

#: A full cell and its eighths (Unicode, Block Elements), and the same in ASCII.
ASCII: Final = " .:#"
#: Room for the scale at the left: "1023.9 MiB " and the axis.
_SCALE: Final = 11
#: Columns of the picture itself, at least and at most: a wider one tells no more.
_NARROWEST: Final = 16
_WIDEST: Final = 200
#: Letters below the axis for the moments, in their order.
_LETTERS: Final = "ABCDEFGHIJKLMNOP"


def curve(usage: UsageCurve, width: int, height: int, *, blocks: bool = True) -> list[str]:
    """Return the picture as lines, none for a run without two samples.

    The line of the limit is drawn through the picture; the highest memory of each stretch of time is shown, for a peak
    is what matters. Letters below the axis stand for the moments named underneath.

    Args:
        usage: what was measured.
        width: columns of the terminal; no line is longer, down to 30 of them.
        height: lines of the picture itself, at least 2.
        blocks: whether the encoding has block characters; ASCII otherwise.
    """
    if len(usage.samples) < 2:
        return []
    columns = max(_NARROWEST, min(_WIDEST, width - _SCALE - 3))
    peaks = stretches(usage.samples, usage.span, columns)
    limit = usage.memory_limit
    # A limit that is far away would press the curve flat: it is named in the first line then.
    highest = max(usage.peak, *(peak for peak in peaks if peak is not None), 1.0)
    drawn = limit is not None and limit <= 8 * highest
    top = max(highest, limit or 0.0) if drawn else highest
    of = f"limit {format_size(limit)}" if limit is not None else "no limit"
    peak = format_size(usage.peak or highest, measured=True)
    rows = textwrap.wrap(f"memory over {format_duration(usage.span)}; peak {peak}, {of}", max(width, _NARROWEST))
    at = round((limit or 0.0) / top * height) if drawn else 0
    cells = [_column(peak, top, height, blocks=blocks) for peak in peaks]
    rule = "─" if blocks else "-"
    for line in range(height, 0, -1):
        row = "".join(cell[line - 1] for cell in cells)
        if drawn and line == max(1, at):
            row = row.replace(" ", rule)
        label = "limit" if drawn and line == max(1, at) and line != height else _label(line, height, top)
        rows.append(f"{label:>{_SCALE}} {'│' if blocks else '|'}{row}".rstrip())
    rows += _axis(usage, columns, blocks=blocks)
    if usage.counts_shared:
        rows.append(f"samples also count pages shared with others: {format_size(usage.sampled)} at most")
    return [row for long in rows for row in (textwrap.wrap(long, width) if len(long) > max(width, 30) else [long])]


def stretches(samples: Sequence[Sample], span: float, columns: int) -> list[float | None]:
    """Return the highest memory in each of `columns` stretches of `span` seconds, bytes.

    A stretch without a sample has the straight line between its neighbours; None: before the first sample, after the
    last.
    """
    peaks: list[float | None] = [None] * columns
    for sample in samples:
        at = min(columns - 1, int(sample.t / span * columns))
        peaks[at] = max(peaks[at] or 0.0, float(sample.rss))
    known = [n for n, peak in enumerate(peaks) if peak is not None]
    for first, last in itertools.pairwise(known):
        low, high = peaks[first] or 0.0, peaks[last] or 0.0
        for n in range(first + 1, last):
            peaks[n] = low + (high - low) * (n - first) / (last - first)
    return peaks


def _column(peak: float | None, top: float, height: int, *, blocks: bool) -> str:
    """The cells of one column, the lowest first."""
    glyphs = BLOCKS if blocks else ASCII
    parts = len(glyphs) - 1
    # Something that is there shows as at least the lowest glyph.
    filled = 0 if peak is None else max(int(peak > 0), round(peak / top * height * parts))
    return "".join(glyphs[min(parts, max(0, filled - n * parts))] for n in range(height))


def _label(line: int, height: int, top: float) -> str:
    if line == height:
        return format_size(top, measured=True)
    return format_size(top / 2, measured=True) if height >= 6 and line == height // 2 else ""


def _axis(usage: UsageCurve, columns: int, *, blocks: bool) -> list[str]:
    marks = [" "] * columns
    # What happened in one stretch of time shares its letter: a limit, and the TERM that it led to.
    by_column: dict[int, list[Moment]] = {}
    for moment in usage.moments:
        by_column.setdefault(min(columns - 1, int(moment.t / usage.span * columns)), []).append(moment)
    names = []
    for letter, (at, moments) in zip(_LETTERS, by_column.items(), strict=False):
        marks[at] = letter
        told = ", ".join(moment.text for moment in moments)
        names.append(f"{letter} {told} at {format_duration(moments[0].t)}")
    indent = " " * (_SCALE + 1)
    end = format_duration(usage.span)
    rows = [f"{'0':>{_SCALE}} {('└' if blocks else '+')}{('─' if blocks else '-') * columns}"]
    below = "".join(marks).rstrip()
    rows += [f"{indent} {below}"] if below else []
    rows.append(f"{indent} 0 s{end:>{max(1, columns - 3)}}")
    return rows + [f"{indent} {name}" for name in names]
