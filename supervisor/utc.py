"""Times as records for people and programs have them: UTC, to the millisecond, in the form of ISO 8601."""

from __future__ import annotations

import time


def moment_of(at: float) -> str:
    """Return a time for a table: "2026-03-01 12:00:00", UTC; "" for one that no calendar has."""
    return iso(at)[:19].replace("T", " ")


def iso(at: float) -> str:
    """Return a time (seconds since 1970) such as "2026-03-01T12:00:00.250Z"; "" for one that no calendar has."""
    milliseconds = round(at * 1000) if -1e11 < at < 1e12 else None
    if milliseconds is None:
        return ""
    whole, rest = divmod(milliseconds, 1000)
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{rest:03d}Z"
    except (OverflowError, ValueError, OSError):
        return ""
