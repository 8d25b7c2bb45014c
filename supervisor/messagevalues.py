"""Single values of a message from a stranger, each read strictly or refused in words (pure).

Lenient where producers differ without meaning it: padded run numbers, an RB as number or text, ``"None"`` for no
arguments, a version as text or null (`reference/peers.md` §4.1). Each reader raises `Fault`, whose text goes behind the
key at fault.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from supervisor.runkey import is_whole, run_value
from supervisor.strictjson import kind, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Most runs, and files, that one message may name; batches in the field have some dozens.
MOST_RUNS = 1000
#: Most digits of a number that names something: 18 fit a signed 64-bit field of any database behind us.
_DIGITS = 18
#: Longest name of a software with its version.
_SOFTWARE = 100
_INSTRUMENT = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
#: Texts that stand for "no value" in messages made by careless code (`reference/peers.md` D18, M7).
_NONE = frozenset({"", "none", "null"})
_NO = _NONE | {"false", "0", "no"}


class Fault(ValueError):
    """A value under `key` is wrong."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def text(message: Mapping[str, Any], key: str, *, needed: bool, empty: bool = False) -> str:
    """Returns a text of a message.

    Args:
        message: The message.
        key: Its key.
        needed: Whether anything else is a fault; if not, anything else is an empty text.
        empty: Whether a blank text will do.
    """
    value = message.get(key)
    if not isinstance(value, str):
        if needed:
            raise Fault(key, f"must be a text, not {kind(value)}")
        return ""
    if needed and not empty and not value.strip():
        raise Fault(key, "is empty")
    return value


def instrument(value: Any) -> str:
    """Returns the name of an instrument, upper case."""
    name = value.strip() if isinstance(value, str) else ""
    if not _INSTRUMENT.fullmatch(name):
        raise Fault("instrument", f"{shown(value)} is no instrument name; it has letters, digits, '_' and '-' only")
    return name.upper()


def experiment(key: str, value: Any, *, needed: bool) -> str:
    """Returns an RB number, or an IPTS, as text in upper case; it is not always a number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        name = str(value)
    elif isinstance(value, str):
        name = value.strip().upper()
    elif needed:
        raise Fault(key, f"must be a number or a text, not {kind(value)}")
    else:
        return ""
    if not name and needed:
        raise Fault(key, "is empty")
    if name and not name.isprintable():
        raise Fault(key, f"{shown(name)} contains characters that no experiment has; write it on one line")
    return name


def run(value: Any) -> str:
    """Returns a run number by value."""
    try:
        number = run_value(value)
    except ValueError as error:
        raise Fault("run_number", str(error)) from None
    if not is_whole(number) or len(number.lstrip("-")) > _DIGITS:
        raise Fault("run_number", f"{shown(value)} is not a whole number of at most {_DIGITS} digits")
    return number


def runs(value: Any) -> tuple[str, ...]:
    """Returns the runs of a message that may have one or a list of them."""
    return tuple(run(one) for one in _listed("run_number", value, "run"))


def run_name(value: Any, numbers: tuple[str, ...]) -> str:
    """Returns the name of a run; of a list of runs that of the batch, as ISIS files it: by its first and its last."""
    return f"batch-{numbers[0]}-{numbers[-1]}" if isinstance(value, list) else numbers[0]


def files(value: Any) -> tuple[str, ...]:
    """Returns the data files of a message that may have one or a list of them."""
    found = _listed("data", value, "file")
    for one in found:
        if not isinstance(one, str):
            inside = "; so must each entry of a list" if isinstance(value, list) else " or a list of texts"
            raise Fault("data", f"must be a text, not {kind(one)}{inside}")
        if not one.strip():
            raise Fault("data", "is empty" if one is value else "has an empty entry; take it out of the list")
    return tuple(found)


def version(value: Any) -> int | None:
    """Returns the version of a run; None if the message names none."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _NONE):
        return None
    try:
        number = run_value(value)
    except ValueError:
        number = ""
    if not is_whole(number) or len(number.lstrip("-")) > _DIGITS:
        raise Fault("run_version", f"{shown(value)} is not a whole number")
    return int(number)


def arguments(value: Any, *, lenient: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns standard and advanced variables; a cancel runs nothing, so its arguments are not judged."""
    key = "reduction_arguments"
    try:
        groups = _table(key, value)
        return (
            _table(key, groups.get("standard_vars"), "standard_vars"),
            _table(key, groups.get("advanced_vars"), "advanced_vars"),
        )
    except Fault:
        if lenient:
            return {}, {}
        raise


def software(value: Any) -> str:
    """Returns name and version of the software that a run asks for; a plain text is taken as it is."""
    if isinstance(value, dict):
        parts = [_part_of_software(value.get(name), name) for name in ("name", "version")]
        found = " ".join(part for part in parts if part)
    else:
        found = _part_of_software(value)
    if not found.isprintable() or len(found) > _SOFTWARE:
        raise Fault("software", f"{shown(found)} is no name with a version; write at most {_SOFTWARE} plain characters")
    return found


def truthy(value: Any) -> bool:
    """Tells yes from no by JSON truth; a text that says no is no."""
    return value.strip().lower() not in _NO if isinstance(value, str) else bool(value)


def _listed(key: str, value: Any, noun: str) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    if not value:
        raise Fault(key, f"is an empty list; name at least one {noun}")
    if len(value) > MOST_RUNS:
        raise Fault(key, f"lists {len(value)} {noun}s; name at most {MOST_RUNS} in one message")
    return value


def _part_of_software(value: Any, part: str = "") -> str:
    if value is None or isinstance(value, str):
        return (value or "").strip() if part or str(value).strip().lower() not in _NONE else ""
    if part and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    what = f"{part} must be a text" if part else "must be an object with name and version"
    raise Fault("software", f"{what}, not {kind(value)}")


def _table(key: str, value: Any, part: str = "") -> dict[str, Any]:
    if value is None or (isinstance(value, str) and value.strip().lower() in _NONE):
        return {}
    if not isinstance(value, dict):
        raise Fault(key, f"{part + ' ' if part else ''}must be an object, not {kind(value)}")
    return value
