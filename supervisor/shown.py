"""Printing to people: strangers' text can neither move a cursor nor ring a bell, and no encoding makes a verb fail.

Script output, run numbers, RB numbers and job ids come from strangers. Whatever does not print (control characters,
bidirectional overrides, halves of surrogate pairs) is shown as an escape.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence


def line(text: object, longest: int = 0) -> str:
    r"""Return `text` on one line: what does not print is escaped, the end is cut to `longest` characters (0: never)."""
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))
    return shown if not longest or len(shown) <= longest else shown[: max(0, longest - 3)] + "..."


def lines(text: str, last: int) -> list[str]:
    r"""Return the `last` lines of a text, each made safe; tabs become blanks, \r before \n is dropped."""
    rows = text.replace("\r\n", "\n").rstrip("\n").split("\n") if text.strip() else []
    return [line(row.expandtabs(8)) for row in rows[-last:]]


def moment(at: float, now: float) -> str:
    """Return a time (seconds since 1970) as this host's clock shows it; the day only where it is not today."""
    try:
        there, here = time.localtime(at), time.localtime(now)
    except (OverflowError, ValueError, OSError):
        return "at a time that is none"
    same_day = there[:3] == here[:3]
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S", there)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines whose columns stand below each other; no lines for no rows."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip() for cells in rows]


def say(*rows: str) -> None:
    """Print `rows` to standard output."""
    _print(sys.stdout, rows)


def complain(*rows: str) -> None:
    """Print `rows` to standard error."""
    _print(sys.stderr, rows)


def encodable(row: str, stream: TextIO) -> str:
    """Return `row` with letters that the stream's encoding lacks escaped: a C or Latin-1 locale must not end a verb."""
    encoding = stream.encoding or "utf-8"
    return row.encode(encoding, "backslashreplace").decode(encoding)


def _print(stream: TextIO, rows: tuple[str, ...]) -> None:
    for row in rows:
        print(encodable(row, stream), file=stream)  # that is its task
