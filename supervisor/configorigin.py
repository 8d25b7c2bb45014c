"""Where in a configuration text each key stands: the line, for keys in every form that TOML has.

No kept library tells lines: tomllib and tomlkit give values alone. The text was read by tomllib before it comes here,
so this scanner only finds where keys and values begin and end; what a key means (quotes, escapes, dots) tomllib itself
is asked. A test holds both to the same keys for any document.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A place in a document: names of keys, and positions in lists.
Place = tuple[str | int, ...]

_BLANK: Final = re.compile(r"[ \t]*")
_BETWEEN: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
#: Texts first: the first three alternatives end where their own quotes say, up to two more quotes being content.
_PLAIN_VALUE: Final = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*'|[^,\]}#\r\n]+''', re.DOTALL
)


class Lines:
    """The lines of the keys and tables of one text."""

    def __init__(self, text: str) -> None:
        """Scans a text.

        Args:
            text: A TOML document that tomllib has read without complaint.
        """
        #: Line of each place, counted from 1; of a table, the first that speaks of it.
        self.lines: dict[Place, int] = {}
        self._text = text
        self._at = 0
        self._counted = (0, 1)
        #: How often each list of tables, [[so]], has been begun.
        self._begun: dict[Place, int] = {}
        self._scan()

    def of(self, place: Sequence[str | int]) -> int | None:
        """Returns the line of a place, or None where the text does not speak of it.

        Names of instruments and RBs are found in any letter case, as the model reads them.
        """
        wanted = tuple(place)
        if wanted in self.lines:
            return self.lines[wanted]
        folded = _folded(wanted)
        return next((line for found, line in self.lines.items() if _folded(found) == folded), None)

    def _scan(self) -> None:
        table: Place = ()
        while True:
            self._pass(_BETWEEN)
            if self._at >= len(self._text):
                return
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Place:
        """Reads [a.b] or [[a.b]] and returns where the keys below it belong."""
        line = self._line()
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        place: Place = ()
        keys = self._key()
        for number, key in enumerate(keys, 1):
            place = (*place, key)
            self.lines.setdefault(place, line)
            if place in self._begun and not (many and number == len(keys)):
                place = (*place, self._begun[place] - 1)
        if many:
            self._begun[place] = self._begun.get(place, 0) + 1
            place = (*place, self._begun[place] - 1)
        self.lines.setdefault(place, line)
        self._at += 2 if many else 1
        return place

    def _pair(self, table: Place) -> None:
        """Reads key = value below a table."""
        line = self._line()
        place = table
        for key in self._key():
            place = (*place, key)
            self.lines.setdefault(place, line)
        self._at += 1  # the equals sign
        self._pass(_BLANK)
        self._value(place)

    def _value(self, place: Place) -> None:
        opening = self._text[self._at]
        if opening not in "[{":
            self._pass(_PLAIN_VALUE)
            return
        self._at += 1
        position = 0
        while True:
            self._pass(_BETWEEN)
            if self._text[self._at] in "]}":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
            elif opening == "{":
                self._pair(place)
            else:
                self.lines.setdefault((*place, position), self._line())
                self._value((*place, position))
                position += 1

    def _key(self) -> list[str]:
        """Reads a key with its dots, up to the sign after it."""
        begin = self._at
        while True:
            self._pass(_BLANK)
            self._pass(_KEY_PART)
            self._pass(_BLANK)
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        inner: Any = tomllib.loads(self._text[begin : self._at].strip(" \t") + " = 0")
        parts = []
        while isinstance(inner, dict):
            ((part, inner),) = inner.items()
            parts.append(part)
        return parts

    def _pass(self, what: re.Pattern[str]) -> None:
        match = what.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _line(self) -> int:
        at, line = self._counted
        line += self._text.count("\n", at, self._at)
        self._counted = (self._at, line)
        return line


def _folded(place: Place) -> Place:
    return tuple(_fold(part) for part in place)


def _fold(part: str | int) -> str | int:
    return part.strip().upper() if isinstance(part, str) else part
