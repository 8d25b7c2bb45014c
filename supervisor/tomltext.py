"""Values and keys of a configuration written as TOML, on one line and without a letter that a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
#: Longest part of a key in a sentence, in characters.
_LONGEST: Final = 80


def toml(value: Any) -> str:
    """Writes a value as TOML; backslashes stand in single quotes, where they mean themselves."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = "\\" in value and "'" not in value and value.isprintable()
        return f"'{value}'" if plain else _quoted(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{bare(key)} = {toml(content)}" for key, content in value.items())
        return f"{{ {inner} }}" if value else "{}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(toml(content) for content in value) + "]"
    return str(value)


def bare(key: str) -> str:
    """Writes one part of a key as TOML: in quotes only where it must be."""
    return key if _BARE.fullmatch(key) else _quoted(key)


def path(keys: Iterable[str]) -> str:
    """Writes a key with its sections, each part short enough for a sentence."""
    return ".".join(bare(key if len(key) <= _LONGEST else key[:_LONGEST] + "...") for key in keys)


def _quoted(text: str) -> str:
    """Writes a text as a TOML string on one line, without a letter that a terminal would obey."""
    escaped = (f"\\{c}" if c in '"\\' else c if c.isprintable() else _escape(ord(c)) for c in text)
    return f'"{"".join(escaped)}"'


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
