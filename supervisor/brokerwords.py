"""What a broker's own words mean: its ERROR texts, its refusals, and how often it promised to beat. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisor.broker import BrokerSettings

#: Characters of a broker's own words that reach an event; Classic appends whole Java stack traces.
_LONGEST = 300

#: How ERROR frames say "wrong user or password" or "not yours": Classic, Artemis, RabbitMQ.
_DENIED = re.compile(r"password|credential|login|authenti|authoriz|access refused|security|denied", re.IGNORECASE)


def said(headers: Mapping[str, str], body: bytes, settings: BrokerSettings) -> str:
    """Return the text of an ERROR frame in one bounded line, without control characters and without our password."""
    text = headers.get("message") or body.decode(errors="replace")
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return settings.redact(line)[:_LONGEST] or "no reason given"


def denies_access(words: str) -> bool:
    """Tell whether the broker turned us down for who we are, which only a person can change."""
    return _DENIED.search(words) is not None


def refusal(host: str, words: str, settings: BrokerSettings) -> tuple[str, bool]:
    """Return the sentence for an ERROR instead of CONNECTED, and whether to come back slowly."""
    if not denies_access(words):
        return f"broker {host} refused the connection: {words}", False
    who = f'of user "{settings.user}"' if settings.user is not None else "(none were given)"
    return f"broker refused the credentials {who} at {host}: {words}", True


def silence_seconds(answer: str, settings: BrokerSettings) -> float | None:
    """Return how long the broker may be silent, in seconds; None if it promises no beats.

    Args:
        answer: The `heart-beat` header of CONNECTED; its first number is the broker's own interval in milliseconds,
            and the larger one of both sides counts (STOMP 1.2, "Heart-beating").
        settings: Our wish, and how many intervals are too many.
    """
    promised = answer.partition(",")[0].strip()
    if not (promised.isascii() and promised.isdecimal()) or int(promised) == 0:
        return None
    return max(int(promised), settings.heartbeat_ms) / 1000 * settings.silence_factor
