"""What a stream of the script said, in bounded memory: its head and its tail, with the number of bytes between."""

from __future__ import annotations

from typing import Final

#: A script that says more than this many times its limit is ended.
FLOOD_FACTOR: Final = 64


class LogSpool:
    """Keeps the first and the last half of `limit` bytes of a stream and counts all of it.

    Any bytes are taken: no lines, no encoding, no end are assumed.
    """

    def __init__(self, limit: int) -> None:
        """Makes an empty spool.

        Args:
            limit: bytes that are kept at most, at least 2.
        """
        self.limit = limit
        #: Bytes that were fed.
        self.total = 0
        self._head_room = limit - limit // 2
        self._tail_room = limit // 2
        self._head = bytearray()
        # A ring once it is full: the oldest byte is then at `_oldest`.
        self._tail = bytearray()
        self._oldest = 0

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the stream."""
        self.total += len(data)
        room = self._head_room - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data or not self._tail_room:
            return
        data = data[-self._tail_room :]
        room = self._tail_room - len(self._tail)
        if room > 0:
            self._tail += data[:room]
            data = data[room:]
        while data:
            piece = data[: self._tail_room - self._oldest]
            self._tail[self._oldest : self._oldest + len(piece)] = piece
            self._oldest = (self._oldest + len(piece)) % self._tail_room
            data = data[len(piece) :]

    @property
    def left_out(self) -> int:
        """Bytes of the middle that were dropped."""
        return self.total - len(self._head) - len(self._tail)

    def text(self) -> bytes:
        """Returns what was kept; where bytes are missing, a line of ours says how many."""
        tail = bytes(self._tail[self._oldest :] + self._tail[: self._oldest])
        if not self.left_out:
            return bytes(self._head) + tail
        return bytes(self._head) + f"\n[... {self.left_out} bytes left out ...]\n".encode("ascii") + tail
