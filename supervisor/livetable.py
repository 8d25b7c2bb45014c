"""Looking again and again: one picture that is drawn anew on a terminal, pictures one after another anywhere else."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, TextIO

from supervisor.shown import encodable

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Seconds between two looks where nobody says more, and the fewest and most.
USUAL = 2.0
_LEAST = 0.1
_MOST = 86400.0


def seconds(text: str) -> float:
    """Return a pause from the command line, in seconds.

    Raises:
        ValueError: it is no number from 0.1 to 86400.
    """
    pause = float(text)
    if not _LEAST <= pause <= _MOST:
        raise ValueError(text)
    return pause


class LiveTable:
    """Lines that stand where those of the look before stood."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._live = stream.isatty()

    def show(self, *rows: str) -> None:
        """Show the lines of one look.

        What does not fit the terminal is cut, with its number: a picture that scrolls cannot be drawn in place.

        Raises:
            OSError: nobody reads any more.
        """
        shown = [encodable(row, self._stream) for row in rows]
        if self._live:
            width, height = shutil.get_terminal_size()
            # Home, each line with what is left of the old one taken away, and all below it (ECMA-48: CUP, EL, ED).
            picture = "".join(f"{row}\x1b[K\n" for row in fitting(shown, width, height - 1))
            self._stream.write(f"\x1b[H{picture}\x1b[J")
        else:
            self._stream.write("".join(f"{row}\n" for row in shown))
        self._stream.flush()


def fitting(rows: Sequence[str], width: int, height: int) -> list[str]:
    """Return what of `rows` fits `height` lines of `width` characters (pure)."""
    cut = [row if len(row) <= width else row[: max(0, width - 3)] + "..." for row in rows]
    if len(cut) <= height:
        return cut
    kept = max(0, height - 1)
    return [*cut[:kept], f"... and {len(cut) - kept} lines more"[:width]]
