"""Logging: one line per event to standard error or a file, with the canonical line of each run among them."""

from __future__ import annotations

import logging
import sys


def set_up(path: str) -> None:
    """Log to the file at `path`, or to standard error where it is empty (the journal picks that up)."""
    handler: logging.Handler
    handler = logging.FileHandler(path, encoding="utf-8") if path else logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("stomp").setLevel(logging.WARNING)  # its INFO prints frames
