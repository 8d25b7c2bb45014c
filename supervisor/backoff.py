"""How long to wait before the next try: full jitter under a doubling ceiling, decided without clock or dice."""

from __future__ import annotations

from dataclasses import dataclass

#: Above this exponent every sensible ceiling has met its cap; it keeps `2 ** failures` a small number for ever.
_MAX_EXPONENT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """A back-off with full jitter, so that a fleet that lost its broker in one second does not return in one second.

    The waiting time is drawn evenly between nothing and a ceiling that doubles with each failure. The dice are the
    caller's: `jitter` is a number from 0 to 1.
    """

    #: Ceiling after the first failure, in seconds.
    base_seconds: float = 0.5
    #: The ceiling never passes this, in seconds. A try against a broker that does not answer lasts up to 30 s more
    #: (connect, TLS, CONNECTED), so that service is back within 60 s after the broker is.
    cap_seconds: float = 30.0
    #: What lived at least this long, in seconds, counts as healthy, and the ceiling starts anew.
    stable_seconds: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.base_seconds <= self.cap_seconds:
            raise ValueError(
                f"back-off base {self.base_seconds} s must be above 0 and not above the cap {self.cap_seconds} s"
            )
        if self.stable_seconds < 0:
            raise ValueError(f"back-off stable time {self.stable_seconds} s must not be negative")

    def ceiling(self, failures: int) -> float:
        """Return the longest wait after so many failures in a row, in seconds; the first failure is 1."""
        if failures < 1:
            return 0.0
        return float(min(self.cap_seconds, self.base_seconds * 2 ** min(failures - 1, _MAX_EXPONENT)))

    def delay(self, failures: int, jitter: float) -> float:
        """Return the wait in seconds after so many failures in a row.

        Raises:
            ValueError: `jitter` lies outside 0 to 1.
        """
        return self.ceiling(failures) * _fraction(jitter)

    def slow_delay(self, jitter: float) -> float:
        """Return the wait in seconds after an answer that only a person can change, such as refused credentials.

        It lies between the cap and twice the cap from the first time on: a broker that counts wrong passwords must not
        lock the account.

        Raises:
            ValueError: `jitter` lies outside 0 to 1.
        """
        return self.cap_seconds * (1.0 + _fraction(jitter))

    def failures_after(self, failures: int, lived_seconds: float | None) -> int:
        """Return the number of failures in a row after one more end.

        Args:
            failures: The number before.
            lived_seconds: How long the thing worked before it ended, or None if it never did.
        """
        if lived_seconds is not None and lived_seconds >= self.stable_seconds:
            return 1
        return failures + 1


def _fraction(jitter: float) -> float:
    if not 0.0 <= jitter <= 1.0:
        raise ValueError(f"jitter {jitter} must lie between 0 and 1")
    return jitter
