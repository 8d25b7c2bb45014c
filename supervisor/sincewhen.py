"""The `--since` of verbs that look back: how long ago, or a day or a time."""

from __future__ import annotations

import argparse
import datetime as dt
import time

from sandbox.limits import LimitError, parse_duration


def moment_since(text: str, now: float) -> float:
    """Read the argument of `--since`.

    Args:
        text: how long ago ("2 h", "7 d"), or a day or a time by this host's clock ("2026-03-01", "2026-03-01 12:00",
            also with an offset or "Z": ISO 8601).
        now: seconds since 1970.

    Returns:
        Seconds since 1970.

    Raises:
        ValueError: it is neither.
    """
    try:
        return now - parse_duration(text)
    except LimitError:
        pass
    try:
        return dt.datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f'"{text}" is no time: write for example "2 h", "7 d" or "2026-03-01 12:00"') from None


def since(text: str) -> float:
    """Return what `--since` says, by the clock of now; the `type` of the argument.

    Raises:
        argparse.ArgumentTypeError: it is no time.
    """
    try:
        return moment_since(text, time.time())
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None
