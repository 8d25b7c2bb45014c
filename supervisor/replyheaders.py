"""Facts of a run as STOMP headers of its reply: one short printable line each (pure, standard library only)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Longest header value in bytes: ActiveMQ's STOMP codec ends a connection whose header line exceeds 10 kB.
_BYTES = 2048
#: Most bytes of all facts together as they go over the wire: brokers bound a frame's headers as a whole as well, and a
#: reply that is refused for its facts would be worse than one without them.
_ALL_BYTES = 4000
#: Facts that fit a header line each; the larger ones go as JSON while they are short enough.
_FACTS = ("attempt", "epoch", "host", "verdict", "sentence", "usage", "limits", "isolation", "provenance")


def of_facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Returns the headers ``supervisor-<fact>``; `facts` is plain JSON and holds a ``job_id``."""
    headers = {"supervisor-job-id": line(facts["job_id"])}
    left = _ALL_BYTES
    for name in _FACTS:
        value = facts.get(name)
        if value is None:
            continue
        text = value if isinstance(value, str) else json.dumps(value, allow_nan=False)
        # A sentence is worth its beginning; half a JSON object is worth nothing.
        if isinstance(value, str) or len(text.encode()) <= _BYTES:
            told = line(text)
            left -= _on_the_wire(told)
            if left >= 0:
                headers[f"supervisor-{name}"] = told
    return headers


def _on_the_wire(text: str) -> int:
    """Returns the bytes of a header value with STOMP 1.2's escapes, which double a colon and a backslash."""
    return len(text.encode()) + text.count(":") + text.count("\\")


def line(text: str) -> str:
    """Returns one printable line, short enough for a broker; a line break would begin another header."""
    printable = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return printable.encode()[:_BYTES].decode(errors="ignore")
