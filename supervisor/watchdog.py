"""Whether a service manager that watches may still be told that this supervisor is alive (pure).

The loop asks in each of its turns, so a loop that hangs asks no more and is not told of. The store poller is the other
thread without which nothing goes on. While it waits for a call into the store no restart helps: the next supervisor
would wait for the same call, and `status` says so meanwhile. A poller that makes no turn for long and waits for no
call is a defect that only a restart cures.
"""

from __future__ import annotations

#: Seconds without a turn of the poller, and without any call seen under way, after which it is taken for dead. Longer
#: than all that it waits for beside the store: a nursery that is started (30 s), and a box that is ended (5 s).
PATIENCE = 90.0


class Watchdog:
    """What the loop has seen of the poller."""

    def __init__(self) -> None:
        """Begin with a poller that lives."""
        self._turn = 0.0
        self._idle_since: float | None = None

    def lives(self, now: float, last_turn: float, waits_for: str) -> bool:
        """Look at the poller, and say whether the process may be called alive.

        Args:
            now: monotonic seconds.
            last_turn: when the poller began its last turn, monotonic seconds.
            waits_for: the call into the store that it has not come back from, "" for none.
        """
        if waits_for or last_turn != self._turn or self._idle_since is None:
            self._turn, self._idle_since = last_turn, now
        return now - self._idle_since < PATIENCE
