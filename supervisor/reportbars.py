"""Bars and stretches of time in a report, as inline SVG (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor.reportframe import BOTTOM, LEFT, WIDE, Frame, figure, ticks
from supervisor.reportpage import esc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def bars(name: str, description: str, rows: Sequence[tuple[str, float, str]], written: Callable[[float], str]) -> str:
    """Return one bar for each row, the longest as long as there is room; empty for none.

    Args:
        name: title of the drawing.
        description: what it shows, in numbers.
        rows: the name of a bar, its value, and its class: `bar`, `bar-good`, `bar-bad`.
        written: writes a value.
    """
    if not rows:
        return ""
    most = max(value for _, value, _ in rows) or 1.0

    def draw(width: int) -> str:
        left = 150 if width == WIDE else 120
        room = width - left - 60
        parts = []
        for n, (word, value, css) in enumerate(rows):
            y = n * 26
            long = max(2.0, value / most * room)
            parts.append(f'<text x="{left - 10}" y="{y + 18}" text-anchor="end">{esc(word, 18)}</text>')
            parts.append(f'<rect class="{css}" x="{left}" y="{y + 4}" width="{long:.1f}" height="18" rx="3"/>')
            parts.append(f'<text class="strong" x="{left + long + 8:.1f}" y="{y + 18}">{esc(written(value))}</text>')
        return "".join(parts)

    return figure(name, description, draw, height=26 * len(rows) + 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A stretch of a timeline, seconds."""

    begin: float
    end: float
    #: What was going on, and the class of its bar.
    text: str
    css: str


def lanes(
    name: str, description: str, rows: Sequence[tuple[str, Sequence[Stretch]]], across: Callable[[float], str]
) -> str:
    """Return stretches of time on lanes below each other; empty for none.

    Args:
        name: title of the drawing.
        description: what it shows, in numbers.
        rows: the name of a lane and its stretches, in seconds since the beginning.
        across: writes seconds.
    """
    end = max((stretch.end for _, stretches in rows for stretch in stretches), default=0.0)
    if end <= 0:
        return ""
    height = 30 * len(rows) + BOTTOM + 6

    def draw(width: int) -> str:
        frame = Frame(width=width, height=height, right=end, top=1.0)
        parts = ticks(frame, across, cells=5 if width == WIDE else 3)
        for n, (word, stretches) in enumerate(rows):
            y = 4 + 30 * n
            parts.append(f'<text class="strong" x="{LEFT - 8}" y="{y + 17}" text-anchor="end">{esc(word, 12)}</text>')
            for stretch in stretches:
                x = frame.x(stretch.begin)
                long = max(2.0, frame.x(stretch.end) - x)
                hint = f"<title>{esc(stretch.text)}: {esc(across(stretch.end - stretch.begin))}</title>"
                place = f'x="{x:.1f}" y="{y}" width="{long:.1f}" height="24" rx="3"'
                parts.append(f'<rect class="{stretch.css}" {place}>{hint}</rect>')
        return "".join(parts)

    return figure(name, description, draw, height=height)
