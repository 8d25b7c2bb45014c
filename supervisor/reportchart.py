"""Curves and dots of a report against their limits, as inline SVG (pure)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from supervisor.reportframe import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDE, Frame, figure, grid
from supervisor.reportpage import esc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LETTERS: Final = "ABCDEFGHIJKLMNOP"


def curve(
    name: str,
    description: str,
    points: Sequence[tuple[float, float]],
    *,
    span: float,
    limit: float | None,
    moments: Sequence[float],
    across: Callable[[float], str],
    up: Callable[[float], str],
    steps: Callable[[float], float] | None = None,
) -> str:
    """Return a curve over time as two drawings; empty for less than two points.

    Args:
        name: title of the drawing.
        description: what it shows, in numbers.
        points: seconds and values, in the order of time.
        span: seconds that the axis covers, more than 0.
        limit: a line across; one above 4 times the highest value is named and not drawn.
        moments: seconds of what happened, drawn as lines with letters.
        across: writes seconds.
        up: writes values.
        steps: the next readable value above one, for the axis; decimal where it is None.
    """
    if len(points) < 2:
        return ""
    highest = max(value for _, value in points)
    drawn = limit is not None and limit <= 4 * highest
    top = _readable_top(max(highest, limit or 0.0) if drawn else highest, steps)

    def draw(width: int) -> str:
        frame = Frame(width=width, height=HEIGHT, right=span, top=top)
        line = " ".join(f"{frame.x(t):.1f},{frame.y(value):.1f}" for t, value in _thinned(points, width))
        first, last = frame.x(points[0][0]), frame.x(points[-1][0])
        ground = frame.y(0)
        parts = [
            *grid(frame, across, up, cells=5 if width == WIDE else 3),
            f'<polygon class="area" points="{first:.1f},{ground:.1f} {line} {last:.1f},{ground:.1f}"/>',
            f'<polyline class="curve" points="{line}"/>',
        ]
        if limit is not None:
            parts += _limit(frame, limit, f"limit {up(limit)}", drawn=drawn)
        return "".join([*parts, *_moments(frame, moments)])

    return figure(name, description, draw)


def dots(
    name: str,
    description: str,
    points: Sequence[tuple[float, float, bool]],
    *,
    limit: float | None,
    across: Callable[[float], str],
    up: Callable[[float], str],
    steps: Callable[[float], float] | None = None,
) -> str:
    """Return one dot for each run, filled where it was good; empty for none.

    Args:
        name: title of the drawing.
        description: what it shows, in numbers.
        points: when (seconds since 1970), value, and whether the run was good.
        limit: as for `curve`.
        across: writes times.
        up: writes values.
        steps: as for `curve`.
    """
    if not points:
        return ""
    highest = max(*(value for _, value, _ in points), 1e-9)
    drawn = limit is not None and limit <= 10 * highest
    top = _readable_top(max(highest, limit or 0.0) if drawn else highest, steps)
    begin, end = min(t for t, _, _ in points), max(t for t, _, _ in points)
    room = max((end - begin) * 0.03, 1.0)

    def draw(width: int) -> str:
        frame = Frame(width=width, height=HEIGHT, begin=begin - room, right=end + room, top=top)
        parts = grid(frame, across, up, cells=4 if width == WIDE else 1)
        if limit is not None:
            parts += _limit(frame, limit, f"limit {up(limit)}", drawn=drawn)
        parts += [
            f'<circle class="{"dot" if good else "dot-bad"}" cx="{frame.x(t):.1f}" cy="{frame.y(value):.1f}" r="4"/>'
            for t, value, good in points
        ]
        return "".join(parts)

    return figure(name, description, draw)


def _limit(frame: Frame, limit: float, text: str, *, drawn: bool) -> list[str]:
    if not drawn:
        told = f"{text}, above this drawing"
        return [f'<text class="limit-text" x="{LEFT + 6}" y="{TOP + 14}">{esc(told)}</text>']
    y = frame.y(limit)
    # The words stand below the line where there is no room above it.
    below = y < TOP + 6
    return [
        f'<line class="limit" x1="{LEFT}" y1="{y:.1f}" x2="{frame.width - RIGHT}" y2="{y:.1f}"/>',
        f'<text class="limit-text" x="{LEFT + 6}" y="{y + 16 if below else y - 6:.1f}">{esc(text)}</text>',
    ]


def _moments(frame: Frame, moments: Sequence[float]) -> list[str]:
    parts, free = [], -1e9
    for letter, t in zip(_LETTERS, moments, strict=False):
        x = frame.x(t)
        parts.append(f'<line class="mark" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{frame.height - BOTTOM}"/>')
        # Letters of moments that lie close stand beside each other.
        at = min(max(x - 4, free), frame.width - 10.0)
        free = at + 11
        parts.append(f'<text class="mark-text" x="{at:.1f}" y="{TOP - 9}">{letter}</text>')
    return parts


def _thinned(points: Sequence[tuple[float, float]], most: int) -> Sequence[tuple[float, float]]:
    """At most about `most` points, of each stretch the highest."""
    if len(points) <= most:
        return points
    size = math.ceil(len(points) / most)
    chunks = [points[n : n + size] for n in range(0, len(points), size)]
    return [max(chunk, key=lambda point: point[1]) for chunk in chunks]


def _readable_top(value: float, steps: Callable[[float], float] | None) -> float:
    if value <= 0:
        return 1.0
    # The least values that a float can hold have no power of ten below them.
    return (readable(value) if steps is None else steps(value)) or 1.0


def readable(value: float, unit: float = 1.0) -> float:
    """Return the next value above one that reads well as the end of an axis, of which the half reads well too.

    Args:
        value: more than 0.
        unit: what it is counted in: 1 MiB for 246 MiB.
    """
    whole = unit * 10.0 ** math.floor(math.log10(value / unit))
    return next((m * whole for m in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if m * whole >= value * (1 - 1e-9)), 10 * whole)


def readable_size(value: float) -> float:
    """Return the same for bytes: 250 MiB above 246 MiB."""
    return readable(value, 1024.0 ** max(0, math.floor(math.log(value, 1024))) if value >= 1 else 1.0)


def readable_time(value: float) -> float:
    """Return the same for seconds: 1 h 30 min above 1 h 20 min."""
    return readable(value, next((unit for unit in (3600.0, 60.0) if value > unit), 1.0))
