"""Strict JSON from strangers: bytes become an object, or a sentence and as much of the object as could be read.

Refused are bytes that are no UTF-8, doubled keys, numbers that are none, half characters, and what is too long or too
deep. Reading goes on after a fault where it can, since an answer should still say which run it is about.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

#: Longest text, in bytes. ActiveMQ's own frame limit in production is 100 MB; a script has at most a few hundred kB.
MAX_BYTES = 16 * 1024 * 1024
#: Deepest nesting; real messages have four levels.
MAX_DEPTH = 50

#: Longest integer, in digits: the interpreter refuses 4300, and no real number has a tenth of that.
_MAX_DIGITS = 400
#: How JSON writes a half character; decoded UTF-8 holds none by itself.
_HALF_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class NotStrict(ValueError):
    """The bytes are no strict JSON object; the text says why."""

    def __init__(self, text: str, partial: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        #: As much as could be read, itself strict; None when nothing could.
        self.partial = partial


def read_object(body: bytes) -> dict[str, Any]:
    """Reads one JSON object.

    Raises:
        NotStrict: With what could be read of it, where that is an object.
    """
    if len(body) > MAX_BYTES:
        raise NotStrict(f"the message has {len(body)} bytes; at most {MAX_BYTES} are taken")
    notes = _Notes()
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        notes.fault = f"the message is not UTF-8 text (byte {error.start})"
        text = body.decode("utf-8-sig", "replace")
    try:
        value = json.loads(
            text,
            object_pairs_hook=notes.pairs,
            parse_constant=notes.constant,
            parse_float=notes.decimal,
            parse_int=notes.integer,
        )
    except RecursionError:
        raise NotStrict(f"the message is nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise NotStrict(notes.fault or f"the message is not JSON: {error.msg} at {where}") from None
    if not isinstance(value, dict):
        raise NotStrict(notes.fault or f"the message is {kind(value)} in JSON, not an object")
    if _depth(value) > MAX_DEPTH:
        flat = {key: content for key, content in value.items() if not isinstance(content, dict | list)}
        raise NotStrict(f"the message is nested deeper than {MAX_DEPTH} levels", flat)
    if not notes.fault and _HALF_ESCAPE.search(text) and _half_characters(value):
        notes.fault = "the message contains half a character (a lone surrogate), which is no text"
    if notes.fault:
        raise NotStrict(notes.fault, value)
    return value


def kind(value: Any) -> str:
    """Returns what a value of JSON is, in words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def shown(value: Any) -> str:
    """Returns a stranger's value for a sentence: one printable line, and short."""
    text = value if isinstance(value, str) else json.dumps(value)
    short = text if len(text) <= 80 else text[:80] + "..."
    return "'" + "".join(char if char.isprintable() else ascii(char)[1:-1] for char in short) + "'"


class _Notes:
    """The first fault met while the standard parser runs; what is faulty becomes null, and the parse goes on."""

    def __init__(self) -> None:
        self.fault = ""

    def pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen:
                    self._note(f"the message has the key {shown(name)} twice")
                seen.add(name)
        return result

    def constant(self, name: str) -> None:
        self._note(f"the message contains {name}, which is not JSON")

    def decimal(self, text: str) -> float | None:
        value = float(text)
        if math.isfinite(value):
            return value
        self._note(f"the message contains the number {shown(text)}, which is too large")
        return None

    def integer(self, text: str) -> int | None:
        if len(text) <= _MAX_DIGITS:
            return int(text)
        self._note(f"the message contains a number of {len(text)} digits, which is too large")
        return None

    def _note(self, fault: str) -> None:
        self.fault = self.fault or fault


def _depth(value: Any) -> int:
    """Returns the depth of nesting, counted level by level: recursion into a stranger's value could overflow."""
    deepest, level = 0, [value]
    while level and deepest <= MAX_DEPTH:
        level = [inner for outer in level for inner in _inside(outer)]
        deepest += 1
    return deepest


def _half_characters(value: Any) -> bool:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str) and _SURROGATE.search(one):
            return True
        if isinstance(one, dict):
            left.extend(one)
        left.extend(_inside(one))
    return False


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
