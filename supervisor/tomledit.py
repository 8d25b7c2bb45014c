"""Keys of a TOML file changed in place: comments, order and layout stay (the adapter of tomlkit for that).

What an editor of text gets wrong is worse than no change: the result is read again by the standard library, and must be
the old document with the asked keys and nothing else.
"""

from __future__ import annotations

import contextlib
import copy
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from supervisor.tomltext import bare, path, toml

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence


class CannotEdit(Exception):
    """The file cannot be changed in place; says what to write by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One key to set."""

    #: The tables, outermost first, and the key itself: ("limits", "instrument", "ENGINX", "memory").
    keys: tuple[str, ...]
    value: str | int
    #: Stands behind the key where nothing stands yet.
    comment: str = ""


def edit(text: str, changes: Sequence[Change]) -> str:
    """Return `text` with the changes made; a table that is missing is put at the end.

    A table whose name differs in letter case only is the one that is meant, as everywhere in a configuration.

    Args:
        text: TOML.
        changes: keys to set.

    Raises:
        CannotEdit: it is no TOML, or what came out is not what was asked for.
    """
    try:
        old = tomllib.loads(text)
    except ValueError as error:
        raise CannotEdit(f"it is not valid TOML: {error}") from None
    for change in changes:
        keys = _as_written(old, change.keys)
        expected = _changed(old, keys, change.value)
        for attempt in (_in_place, _at_the_end):
            new = None
            with contextlib.suppress(TOMLKitError, KeyError, TypeError, ValueError, AttributeError):
                new = attempt(text, keys, change)
            if new is not None and _reads_as(new, expected):
                text, old = new, expected
                break
        else:
            raise CannotEdit(f"write by hand: {path(keys)} = {toml(change.value)}")
    return text


def _as_written(document: dict[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys in the letter case in which they stand in the document already."""
    found: list[str] = []
    table: Any = document
    for key in keys:
        known = list(table) if isinstance(table, dict) else []
        same = key if key in known else next((name for name in known if name.strip().upper() == key.upper()), key)
        found.append(same)
        table = table.get(same) if isinstance(table, dict) else None
    return tuple(found)


def _changed(document: dict[str, Any], keys: tuple[str, ...], value: str | int) -> dict[str, Any]:
    new = copy.deepcopy(document)
    table: Any = new
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise CannotEdit(f"{path(keys[:-1])} is no table")
    table[keys[-1]] = value
    return new


def _reads_as(text: str, expected: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == expected
    except ValueError:
        return False


def _in_place(text: str, keys: tuple[str, ...], change: Change) -> str | None:
    """The table is there already, in whatever form: the key is set in it."""
    document = tomlkit.parse(text)
    table: MutableMapping[str, Any] = document
    for key in keys[:-1]:
        table = table[key]
    new = keys[-1] not in table
    table[keys[-1]] = change.value
    item = table[keys[-1]]
    # Behind a key of an inline table a comment would swallow the rest of the line.
    if change.comment and not item.trivia.comment and not isinstance(table, tomlkit.items.InlineTable):
        item.comment(change.comment)
    if new:
        item.trivia.trail = "\n"
    return tomlkit.dumps(document)


def _at_the_end(text: str, keys: tuple[str, ...], change: Change) -> str | None:
    """A table of its own behind all others, as TOML allows wherever its parents stand."""
    lead = text if not text or text.endswith("\n") else text + "\n"
    remark = f"  # {change.comment}" if change.comment else ""
    header = ".".join(bare(key) for key in keys[:-1])
    return f"{lead}{chr(10) if lead else ''}[{header}]\n{bare(keys[-1])} = {toml(change.value)}{remark}\n"
