"""Logging: one line per event to standard error or a file, as text or JSON, with the canonical line of each run.

A record may carry `facts`: keys with plain values, which JSON has as keys of its own and text at the end as
`key=value`. Whatever a stranger wrote stays on its line: control characters are escaped, and a line has an end. Where
standard error is the journal's own stream, a line begins with its priority (sd-daemon(3)), and text has no time.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from supervisor.shown import line

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Set by systemd where a stream is connected to the journal: device and inode (systemd.exec(5)).
JOURNAL_STREAM = "JOURNAL_STREAM"
#: Longest line, characters; the journal cuts at 48 KiB.
LONGEST = 16_000
#: Longest value of a fact, characters.
_LONGEST_FACT = 4_000
#: Level to priority (syslog(3)).
_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
#: Letters of a value that stands in text without quotes.
_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/+-@")


def is_journal(named: str, device: int, inode: int) -> bool:
    """Say whether a stream is that which systemd `named` as the journal's (pure)."""
    return named == f"{device}:{inode}"


def logfmt(facts: Mapping[str, Any]) -> str:
    """Return facts as `key=value` on one line; what is not known is `-`, and text with blanks is quoted (pure)."""
    return " ".join(f"{key}={_value(value)}" for key, value in facts.items())


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.12g}"
    if not isinstance(value, str):
        return line(value, _LONGEST_FACT)
    if value and value != "-" and _BARE.issuperset(value):
        return value[:_LONGEST_FACT]
    shown = line(value[:_LONGEST_FACT].replace("\\", "\\\\")).replace('"', '\\"')
    return f'"{shown}"'


class TextLines(logging.Formatter):
    """Lines for people."""

    def __init__(self, *, journal: bool) -> None:
        """Write for the journal, or with a time."""
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; a traceback of ours follows on lines of its own."""
        said = record.getMessage()
        facts = getattr(record, "facts", None)
        if facts:
            said = f"{said} {logfmt(facts)}" if said else logfmt(facts)
        rows = [line(said, LONGEST)]
        if record.exc_info:
            rows += [line(row, LONGEST) for row in self.formatException(record.exc_info).splitlines()]
        if self._journal:
            return "\n".join(f"<{_priority(record)}>{row}" for row in rows)
        return "\n".join([f"{_time(record)} {record.levelname} {rows[0]}", *rows[1:]])


class JsonLines(logging.Formatter):
    """One object in each line."""

    def __init__(self, *, journal: bool) -> None:
        """Write for the journal, or without priorities."""
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the object of a record; facts are keys of its own."""
        said: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": line(record.getMessage(), LONGEST),
        }
        for key, value in (getattr(record, "facts", None) or {}).items():
            said[key] = line(value, _LONGEST_FACT) if isinstance(value, str) else value
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)[-LONGEST:]
        text = json.dumps(said, default=str)
        return f"<{_priority(record)}>{text}" if self._journal else text


def _priority(record: logging.LogRecord) -> int:
    known = [level for level in _PRIORITIES if level <= record.levelno]
    return _PRIORITIES[max(known)] if known else 7


def _time(record: logging.LogRecord) -> str:
    """Return the time of a record as UTC, to the millisecond."""
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def formatter(style: str, *, journal: bool) -> logging.Formatter:
    """Return how lines are written.

    Args:
        style: "text" or "json".
        journal: the journal reads them.
    """
    return JsonLines(journal=journal) if style == "json" else TextLines(journal=journal)


def set_up(path: str, style: str = "text") -> None:
    """Log to the file at `path`, or to standard error where it is empty (the journal picks that up).

    Args:
        path: the file.
        style: "text" or "json".

    Raises:
        OSError: the file cannot be written.
    """
    handler: logging.Handler
    handler = logging.FileHandler(path, encoding="utf-8") if path else logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(style, journal=not path and _stderr_is_journal(os.environ)))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("stomp").setLevel(logging.WARNING)  # its INFO prints frames


def _stderr_is_journal(environ: Mapping[str, str]) -> bool:
    try:
        there = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # no stream, or one of a test
        return False
    return is_journal(environ.get(JOURNAL_STREAM, ""), there.st_dev, there.st_ino)
