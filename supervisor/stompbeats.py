"""The heart-beats of a STOMP stream: taken out before the library reads it (pure).

A broker that has nothing to say sends a line end from time to time (STOMP 1.2, "Heart-beating"). Those that gather
while our process stands still, or is busy, are read in one go with the frame behind them, and stomp.py 9.0 then takes
the two line ends for the blank line that ends the headers of a frame: it drops the frame without a word (`__read` and
`parse_frame`), a RECEIPT as well as a MESSAGE. The broker would keep such a message for us for as long as the
connection lives.
"""

from __future__ import annotations

import re
from typing import Final

_LINE_ENDS: Final = b"\r\n"
#: Where headers end, and the header that says how long the body is; as stomp.py sees them, so that both agree.
_HEADERS_END: Final = re.compile(rb"\n\n|\r\n\r\n")
_LENGTH: Final = re.compile(rb"^content-length:\s*([0-9]+)", re.MULTILINE)


class Beats:
    """The heart-beats of one connection; knows by what was read before whether a line end belongs to a frame."""

    def __init__(self) -> None:
        self._between = True
        self._head = bytearray()
        #: Bytes of the body that may be anything, as content-length has it; None within the headers.
        self._any: int | None = None

    def taken_from(self, data: bytes) -> bytes:
        """Return what was read without the line ends between frames; one of them if there is nothing else.

        Args:
            data: the next bytes of the stream, one at least.
        """
        kept = bytearray()
        at = 0
        while at < len(data):
            if self._between:
                at = len(data) - len(data[at:].lstrip(_LINE_ENDS))
                if at == len(data):
                    break
                self._between = False
            end = self._end(data, at)
            kept += data[at:end]
            at = end
        return bytes(kept) or b"\n"

    def _end(self, data: bytes, at: int) -> int:
        """Return where the frame ends that goes on at `at`, or the end of `data`."""
        if self._any is None:
            nul = data.find(b"\0", at)
            stop = len(data) if nul < 0 else nul
            before = len(self._head)
            self._head += data[at:stop]
            found = _HEADERS_END.search(self._head, max(0, before - 3))
            if found is None:
                return self._over(nul) if nul >= 0 else len(data)
            length = _LENGTH.search(self._head, 0, found.start())
            self._any = max(0, int(length[1]) - (len(self._head) - found.end())) if length else 0
            self._head.clear()
            at = stop
        passed = min(self._any, len(data) - at)
        self._any -= passed
        nul = data.find(b"\0", at + passed)
        return self._over(nul) if nul >= 0 else len(data)

    def _over(self, nul: int) -> int:
        self._between = True
        self._any = None
        self._head.clear()
        return nul + 1
