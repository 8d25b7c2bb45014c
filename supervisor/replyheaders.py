"""Facts of a run as STOMP headers of its reply: one short printable line each (pure, standard library only)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Longest header value in bytes: ActiveMQ's STOMP codec ends a connection whose header line exceeds 10 kB.
_BYTES = 2048
#: Facts that fit a header line each; the larger ones go as JSON while they are short enough.
_FACTS = ("attempt", "epoch", "host", "verdict", "sentence", "usage", "limits", "isolation", "provenance")


def of_facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Returns the headers ``supervisor-<fact>``; `facts` is plain JSON and holds a ``job_id``."""
    headers = {"supervisor-job-id": line(facts["job_id"])}
    for name in _FACTS:
        value = facts.get(name)
        if value is None:
            continue
        text = value if isinstance(value, str) else json.dumps(value, allow_nan=False)
        # A sentence is worth its beginning; half a JSON object is worth nothing.
        if isinstance(value, str) or len(text.encode()) <= _BYTES:
            headers[f"supervisor-{name}"] = line(text)
    return headers


def line(text: str) -> str:
    """Returns one printable line, short enough for a broker; a line break would begin another header."""
    printable = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return printable.encode()[:_BYTES].decode(errors="ignore")
