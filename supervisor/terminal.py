"""Words and lines for the person in front of a terminal: one live line, plain lines where nobody watches."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, TextIO

from sandbox.limits import format_duration, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Seconds between two pictures of the live line.
_LIVE = 0.2
#: Seconds until the first plain line; each further one comes after twice as long, up to `_RARELY`.
_PLAIN = 10.0
_RARELY = 600.0
#: A cell from empty to full by eighths (Unicode, Block Elements).
BLOCKS = " ▁▂▃▄▅▆▇█"


def printable(text: str) -> str:
    r"""Return a stranger's text fit for a terminal: lines and indentation stay, controls are escaped."""
    lines = text.expandtabs().split("\n")
    return "\n".join("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in lines)


def draws_blocks(stream: TextIO) -> bool:
    """Say whether the encoding of `stream` has block characters and lines."""
    try:
        (BLOCKS + "│└─").encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def of_limit(used: float, limit: float | None) -> str:
    """Return a measured size beside its limit, in the limit's unit: "7.6 of 8 GiB"; without a limit, the size alone."""
    if limit is None:
        return format_size(used, measured=True)
    bound = format_size(limit)
    number, _, unit = bound.partition(" ")
    share = used / limit * float(number)
    return f"{share:.1f} of {bound}" if unit in {"GiB", "TiB"} else f"{share:.0f} of {bound}"


def progress_line(wall: float, cpu: float, rss: float, processes: int, memory_limit: int | None) -> str:
    """Return the line of a run under way: "212 s  cpu 198 s  mem 7.6 of 8 GiB  procs 3"."""
    memory = of_limit(rss, memory_limit)
    return f"{_seconds(wall)}  cpu {_seconds(cpu)}  mem {memory}  procs {processes}"


def _seconds(time_: float) -> str:
    return f"{time_:.0f} s" if time_ < 600 else format_duration(time_)


def curve(values: Sequence[float], top: float, width: int = 60) -> str:
    """Return a curve as one line of blocks, the highest value of each stretch shown; `top` is a full block.

    Args:
        values: measured values in the order of time.
        top: what a full block stands for, more than 0.
        width: characters at most.
    """
    if not values:
        return ""
    width = min(width, len(values))
    edges = [round(n * len(values) / width) for n in range(width + 1)]
    peaks = [max(values[first:end]) for first, end in itertools.pairwise(edges)]
    full = len(BLOCKS) - 1
    # Something that is there shows as at least the lowest block.
    return "".join(BLOCKS[min(full, max(int(peak > 0), round(peak / top * full)))] for peak in peaks)


class LiveLine:
    """One line that is written over and over on a terminal, and now and then as a plain line anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`, from now on."""
        self._stream = stream
        self._live = stream.isatty()
        self._pause = _LIVE if self._live else _PLAIN
        self._due = time.monotonic() + self._pause
        self._shown = False

    def is_due(self) -> bool:
        """Say whether it is time for another picture."""
        return time.monotonic() >= self._due

    def show(self, text: str) -> None:
        """Show `text` in place of what stood there before."""
        if not self._live:
            self._pause = min(2 * self._pause, _RARELY)
        self._due = time.monotonic() + self._pause
        if self._live:
            # Back to the first column, and away with what is longer than the new text (ECMA-48, EL).
            self._stream.write(f"\r  {text}\x1b[K")
        else:
            self._stream.write(f"  {text}\n")
        self._stream.flush()
        self._shown = self._live

    def clear(self) -> None:
        """Take the live line away; plain lines stay."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False
