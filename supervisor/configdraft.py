"""A configuration being written from an old worker's: its keys are read one by one, faults are gathered, all is told.

Pure. The result is TOML with a comment at each key on where it came from, and at the end what was not taken over.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import tomlkit

from supervisor import shown
from supervisor.tomltext import toml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tomlkit.items import InlineTable, String, Table

#: Old keys whose value is never repeated.
_SECRET: Final = ("pwd", "password", "token", "secret", "uri", "url")
_WIDTH: Final = 108
#: Longest value of the old file in a sentence, in characters.
_LONGEST: Final = 80
#: Longest list that stands on one line, in characters.
_LINE: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    key: str
    value: Any
    why: str


class Draft:
    """Reads the keys of an old file and gathers those of the new one."""

    def __init__(self, old: Mapping[str, Any]) -> None:
        self._old = old
        self._known: set[str] = set()
        self._tables: dict[str, list[_Row]] = {}
        #: What is wrong with the old file: one sentence each.
        self.problems: list[str] = []
        #: Old keys that have no place in the new file, each with why.
        self.left_out: list[tuple[str, str]] = []

    def text(self, key: str, example: str, *, empty: bool = False) -> str | None:
        """Returns a text of the old file; None where it has none, or it is no text (which is noted)."""
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, str) and value.isprintable() and (empty or value.strip()):
            return value.strip()
        self.wrong(key, "must be a text on one line" + ("" if empty else " that is not empty"), example)
        return None

    def texts(self, key: str, example: str) -> list[str] | None:
        """Returns a list of texts of the old file; None where it has none, or it is no such list (which is noted)."""
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(one, str) and one.strip() and one.isprintable() for one in value):
            return [one.strip() for one in value]
        self.wrong(key, "must be a list of texts", example)
        return None

    def number(self, key: str, default: float, most: float, example: str, *, whole: bool = False) -> float:
        """Returns a number of the old file above zero and up to `most`, or the default of the old worker."""
        value = self._take(key)
        if value is None:
            return default
        kind = int if whole else (int, float)
        if isinstance(value, kind) and not isinstance(value, bool) and 0 < value <= most and math.isfinite(value):
            return value
        self.wrong(key, f"must be a {'whole ' if whole else ''}number above 0, at most {most:g}", example)
        return default

    def raw(self, key: str) -> Any:
        """Returns a value of the old file as it stands, None where it has none."""
        return self._take(key)

    def has(self, key: str) -> bool:
        """Says whether the old file has a key."""
        return key in self._old

    def wrong(self, key: str, what: str, example: str) -> None:
        """Notes a fault of the old file."""
        shown_value = "" if any(word in key.lower() for word in _SECRET) else _shown(self._old.get(key)) + " "
        self.problems.append(f"{shown.line(key, _LONGEST)}: {shown_value}{what}; write for example {example}")

    def put(self, table: str, key: str, value: Any, why: str) -> None:
        """Adds a key to the new file, with a comment."""
        self._tables.setdefault(table, []).append(_Row(key=key, value=value, why=why))

    def leave(self, why: str, *keys: str) -> None:
        """Says of old keys why they have no place in the new file."""
        for key in keys:
            self._known.add(key)
            if key in self._old:
                self.left_out.append((key, why))

    def finish(self) -> None:
        """Says of every key that nobody asked for that it is not known."""
        for key in self._old:
            if key not in self._known:
                self.left_out.append((key, "is no key of the old worker"))

    def toml(self, heading: Sequence[str]) -> str:
        """Returns the new file."""
        document = tomlkit.document()
        for line in heading:
            document.add(tomlkit.comment(shown.line(line)))
        for name, rows in self._tables.items():
            document.add(tomlkit.nl())
            table = tomlkit.table()
            for row in rows:
                _add(table, row)
            parent, _, last = name.rpartition(".")
            if parent:
                document[parent].append(last, table)  # [a] was put before [a.b]
            else:
                document.add(name, table)
        if self.left_out:
            document.add(tomlkit.nl())
            document.add(tomlkit.comment("Keys of the old file that were not taken over:"))
            for key, why in self.left_out:
                for line in _wrapped(f"{shown.line(key, _LONGEST)}: {why}."):
                    document.add(tomlkit.comment(line))
        # tomlkit ends a table within a table by a blank line of its own.
        return tomlkit.dumps(document).replace("\n\n\n", "\n\n")

    def _take(self, key: str) -> Any:
        self._known.add(key)
        return self._old.get(key)


def _add(table: Table, row: _Row) -> None:
    for line in _wrapped(row.why):
        table.add(tomlkit.comment(line))
    table.add(row.key, _item(row.value))


def _item(value: Any) -> Any:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        array = tomlkit.array()
        for entry in value:
            array.append(_item(entry))
        array.multiline(len(toml(value)) > _LINE)
        return array
    if isinstance(value, dict):
        return _inline(value)
    return tomlkit.item(value)


def _string(value: str) -> String:
    return tomlkit.string(value, literal="\\" in value and "'" not in value)


def _inline(value: dict[str, Any]) -> InlineTable:
    table = tomlkit.inline_table()
    for key, content in value.items():
        table.append(key, _item(content))
    return table


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_on_hyphens=False, break_long_words=False)


def _shown(value: Any) -> str:
    """Returns a value of the old file for a sentence; lists and tables by their kind, they may hold anything."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, int) and value.bit_length() > 256:
        return "so large a number"
    text = toml(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
