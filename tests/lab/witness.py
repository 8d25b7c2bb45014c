"""On the file server, beside the store: one clock for all hosts, and a place where their processes meet.

    python3 witness.py PORT LOG

A line `mark TEXT` is written to LOG with the time and answered, so that what one process marked before another began to
mark stands before it, whatever the clocks of their hosts say. A line `meet KEY COUNT` is answered when COUNT have come.
Standard library only: the boxes' scripts speak to it too, in three lines of their own.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
import time
from collections import Counter

#: Seconds after which those who came to a meeting go on without the others; their test fails of what they then find.
_PATIENCE = 300.0


class Witness(socketserver.ThreadingTCPServer):
    """Writes marks down in the order in which they come, and has processes wait for one another."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, log: str) -> None:
        """Listen on `port` of every address of this machine; marks go to the file `log`."""
        super().__init__(("0.0.0.0", port), _Spoken)  # a network of virtual machines only
        self._log = open(log, "a", encoding="utf-8")  # noqa: SIM115  # for life
        self._met: Counter[str] = Counter()
        self._changed = threading.Condition()

    def mark(self, text: str) -> None:
        """Write `text` down with the time of this machine."""
        with self._changed:
            print(f"{time.time():.3f}", text, file=self._log, flush=True)

    def meet(self, key: str, count: int) -> bool:
        """Wait until `count` have come to `key`; False when they did not."""
        with self._changed:
            self._met[key] += 1
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._met[key] >= count, _PATIENCE)


class _Spoken(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, Witness)
        for line in self.rfile:
            word, _, rest = line.decode().strip().partition(" ")
            if word == "mark":
                server.mark(rest)
                self.wfile.write(b"written\n")
            elif word == "meet":
                key, _, count = rest.rpartition(" ")
                self.wfile.write(b"met\n" if server.meet(key, int(count)) else b"alone\n")


class Line:
    """A connection to the witness."""

    def __init__(self, host: str, port: int) -> None:
        """Call the witness at `host`."""
        self._socket = socket.create_connection((host, port), 60)
        self._socket.settimeout(None)
        self._answers = self._socket.makefile("rb")

    def _ask(self, line: str) -> bytes:
        self._socket.sendall(line.encode() + b"\n")
        return self._answers.readline().strip()

    def mark(self, text: str) -> None:
        """Have `text` written down; returns when it is."""
        assert self._ask(f"mark {text}") == b"written"

    def meet(self, key: str, count: int) -> None:
        """Wait for the others."""
        answer = self._ask(f"meet {key} {count}")
        assert answer == b"met", f"only some came to {key}: {answer!r}"


if __name__ == "__main__":
    with Witness(int(sys.argv[1]), sys.argv[2]) as witness:
        witness.serve_forever()
