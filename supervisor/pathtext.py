"""Text from strangers on its way into a path: single components, templates, the cycle in a path.

An instrument, RB or run becomes exactly one path component or is refused, by the key of the message it came from.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Placeholders that a directory template may use.
PLACEHOLDERS = ("instrument", "cycle", "rb", "run", "facility", "version")
#: Placeholders that the path of an instrument's own script may use: it is there before any run.
SCRIPT_PLACEHOLDERS = ("instrument", "facility")
#: Placeholders of the folder of a run's version.
VERSION_PLACEHOLDERS = ("version",)
#: Longest instrument, RB or run in a path, in bytes: with the fixed parts of a log name it stays below NAME_MAX (255).
_COMPONENT_BYTES = 100
#: The last one in the path wins, in any letter case, as the 2016 worker's greedy match had it.
_CYCLE = re.compile(r"cycle_([0-9]{2}_[0-9]+)", re.IGNORECASE | re.ASCII)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class BadPath(ValueError):
    """A path cannot be made from what a message says; the sentence names the key of the message."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}")
        #: Key of the message, such as ``data``, ``instrument``, ``rb_number`` or ``run_number``.
        self.key = key


def component(key: str, text: str) -> str:
    """Returns the text unchanged if it is fit to be one path component.

    Raises:
        BadPath: Empty, too long, with a separator of either system or a control character, beginning with a dot, or
            with space at an end (two names that look alike). The sentence names `key`.
    """
    if not text:
        raise BadPath(key, "is empty; a result folder cannot be named after it")
    refuse_odd_text(key, text)
    if "/" in text or "\\" in text:
        raise BadPath(key, f"{shown(text)} contains a path separator; it must be one name")
    if text.startswith("."):
        raise BadPath(key, f"{shown(text)} begins with a dot; it must be a plain name")
    if text != text.strip():
        raise BadPath(key, f"{shown(text)} begins or ends with a space; write it without")
    if len(text.encode()) > _COMPONENT_BYTES:
        raise BadPath(key, f"{shown(text)} has more than {_COMPONENT_BYTES} bytes; it must be a short name")
    return text


def cycle_of(path: str) -> str | None:
    """Returns the cycle that a path names last (``15_1`` from ``.../cycle_15_1/GEM75513.nxs``), or None."""
    found = _CYCLE.findall(path)
    return str(found[-1]) if found else None


def expand(template: str, values: Mapping[str, str]) -> str:
    """Fills the placeholders of a directory template; braces inside a value mean nothing."""
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)


def template_problem(template: str, placeholders: Sequence[str] = PLACEHOLDERS) -> str | None:
    """Returns what is wrong with the template of an absolute path that may use `placeholders`, or None."""
    if not template.startswith("/"):
        return "must be an absolute path"
    return _parts_problem(template, placeholders)


def name_problem(template: str, placeholders: Sequence[str]) -> str | None:
    """Returns what is wrong with the template of a single folder's name, or None; an empty one stands for no folder."""
    if "/" in template or "\\" in template or template.startswith("."):
        return "must be the name of one folder, without a separator and not beginning with a dot"
    return _parts_problem(template, placeholders)


def fixed_part(template: str) -> str:
    """Returns the folder that every path made from a template lies below."""
    return template.partition("{")[0].rpartition("/")[0] or "/"


def _parts_problem(template: str, placeholders: Sequence[str]) -> str | None:
    known = [f"{{{name}}}" for name in placeholders]
    if "%s" in template:
        return f"must name its parts: write {_listed(known)} instead of %s"
    unknown = [name for name in _PLACEHOLDER.findall(template) if name not in placeholders]
    if unknown or set("{}") & set(_PLACEHOLDER.sub("", template)):
        return f"must use only {' '.join(known)}" + (f", not {{{unknown[0]}}}" if unknown else "; a brace stands alone")
    if ".." in template.split("/"):
        return "must not contain '..'"
    if any(ord(char) < 32 for char in template):
        return "must not contain control characters"
    return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


def plain(path: str) -> str:
    """Returns an absolute path without doubled or trailing slashes (POSIX gives ``//`` at the start a meaning)."""
    return posixpath.normpath("/" + path.lstrip("/"))


def refuse_odd_text(key: str, text: str) -> None:
    """Refuses text with control characters or half characters, which no name on disk should have.

    Raises:
        BadPath: The sentence names `key`.
    """
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise BadPath(key, f"{shown(text)} contains a control character")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise BadPath(key, f"{shown(text)} contains a lone surrogate, which is no text")


def shown(text: str) -> str:
    """Returns a stranger's text for a sentence: one printable line, and short; backslashes stay single."""
    short = text if len(text) <= 120 else text[:100] + f"... ({len(text)} characters)"
    return "'" + "".join(char if char.isprintable() else ascii(char)[1:-1] for char in short) + "'"
