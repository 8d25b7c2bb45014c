"""The report pipe: one JSON object a line, from our own processes inside to the shepherd; never a word of the script.

Records, in the order in which they can come:

    {"stage": s, "errno": n, "detail": t}        a step of the building failed, nothing runs
    {"inside": true, "init": [pid, start]}       the init exists, in a pid namespace of its own; the host's pid of it
    {"script": [pid, start], "init": [pid, start], "at": t, "floor": bytes}   the script exists since second t
    {"signalled": n, "mute": bool}               the signal n was sent to the living script; because nobody was heard
    {"status": raw, "wall": s, "cpu": s, "peak": bytes, "landed": bool, ...}   the script's main process ended
    {"empty": true, "leftovers": n, "killed": n, "cpu": s, ...}           the tree is proven empty; the last record
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

#: Longest text of a detail, in characters; one takes up to 12 bytes of ASCII, and a line
#: below PIPE_BUF (4096, pipe(7)) is atomic: two writers never mix theirs.
_DETAIL_CHARACTERS: Final = 300
#: More than all records of the longest life of a box.
_TOTAL_BYTES: Final = 256 << 10


def write(fd: int, record: dict[str, Any]) -> None:
    """Writes one record; a reader that is gone is not told.

    Args:
        fd: write end of the report pipe.
        record: plain JSON values; `detail` is cut to what fits a line.
    """
    if "detail" in record:
        record["detail"] = str(record["detail"])[:_DETAIL_CHARACTERS]
    line = json.dumps(record, allow_nan=False).encode("ascii") + b"\n"
    try:
        os.write(fd, line)
    except OSError:
        return  # the shepherd is gone; the life pipe says so as well


def failure(stage: str, error: BaseException) -> dict[str, Any]:
    """Makes the record of a step that failed; its number is told apart, and not in the text as well."""
    number = getattr(error, "errno", None) or 0
    text = str(error).removeprefix(f"[Errno {number}] ") or type(error).__name__
    return {"stage": stage, "errno": number, "detail": text}


class ReportReader:
    """Reads records from a non-blocking descriptor, bounded, and remembers the end of the pipe."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        #: Whether every writer is gone.
        self.closed = False
        self._pending = b""
        self._left = _TOTAL_BYTES

    def read(self) -> list[dict[str, Any]]:
        """Reads what has arrived; a line that is no JSON object is left out, a flood ends the reading."""
        while not self.closed:
            try:
                chunk = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                break
            self._left -= len(chunk)
            if not chunk or self._left < 0:
                self.closed = True
            self._pending += chunk
        *lines, self._pending = self._pending.split(b"\n")
        return [record for line in lines if isinstance(record := _parse(line), dict)]


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
