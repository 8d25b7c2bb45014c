"""The frame of a drawing in a report: axes and letters as inline SVG (pure).

Two drawings, of which the style sheet shows one, so that letters keep their size. A drawing says in its title and
description what a table beside it says in numbers; nothing is told by colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from supervisor.reportpage import esc

if TYPE_CHECKING:
    from collections.abc import Callable

#: Widths of the two drawings, pixels: the column of the page on a wide and on a narrow screen.
WIDE, NARROW = 980, 350
HEIGHT: Final = 230
#: Room around a drawing, for its letters.
LEFT, RIGHT, TOP, BOTTOM = 74, 14, 22, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The axes of one drawing: from values to pixels."""

    width: int
    height: int
    #: The largest values of both axes, more than 0.
    right: float
    top: float
    #: The smallest value of the axis across.
    begin: float = 0.0

    def x(self, value: float) -> float:
        """Pixels from the left."""
        share = min(1.0, max(0.0, (value - self.begin) / ((self.right - self.begin) or 1.0)))
        return LEFT + share * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return self.height - BOTTOM - min(1.0, max(0.0, value / self.top)) * (self.height - TOP - BOTTOM)


def figure(name: str, description: str, draw: Callable[[int], str], height: int = HEIGHT) -> str:
    """Return both drawings with their title and description; `draw` makes the content of one of a width."""
    drawings = "".join(
        f'<svg class="{css}" viewBox="0 0 {width} {height}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{esc(name)}</title><desc>{esc(description)}</desc>{draw(width)}</svg>"
        for css, width in (("wide", WIDE), ("narrow", NARROW))
    )
    return f"<figure>{drawings}<figcaption>{esc(description)}</figcaption></figure>"


def grid(frame: Frame, across: Callable[[float], str], up: Callable[[float], str], *, cells: int) -> list[str]:
    """Return lines and values of the axis up, and the ticks across."""
    parts = []
    for n in range(5):
        value = frame.top * n / 4
        y = frame.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{frame.width - RIGHT}" y2="{y:.1f}"/>')
        if n % 2 == 0:
            parts.append(
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{esc(up(value) if n else "0")}</text>'
            )
    return parts + ticks(frame, across, cells=cells)


def ticks(frame: Frame, across: Callable[[float], str], *, cells: int) -> list[str]:
    """Return the values of the axis across, one more than there are cells."""
    parts = []
    for n in range(cells + 1):
        value = frame.begin + (frame.right - frame.begin) * n / cells
        x = frame.x(value)
        anchor = "start" if n == 0 else "end" if n == cells else "middle"
        parts.append(f'<text x="{x:.1f}" y="{frame.height - 8}" text-anchor="{anchor}">{esc(across(value))}</text>')
    return parts
