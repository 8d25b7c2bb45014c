"""An operator's word in the store: a record that holds by standing there, whatever can be read of it. Stdlib only."""

from __future__ import annotations

import pwd
from typing import TYPE_CHECKING, TypeVar

from supervisor import durable, records

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

#: Who gave a word whose record cannot be read.
UNREADABLE = "an operator whose record cannot be read"


def read_word(kind: type[T], path: str, unreadable: T) -> T | None:
    """Return the word at `path` by a fresh look; None where none stands.

    Args:
        kind: the record's class.
        path: where it stands.
        unreadable: what it says where it cannot be read: whoever wrote it wanted that.

    Raises:
        OSError: the store cannot be used.
    """
    data = durable.read(path)
    if data is None:
        return None
    try:
        return records.from_record(kind, path, data)
    except records.CorruptRecord:
        return unreadable


def operator(environ: Mapping[str, str], uid: int) -> str:
    """Return who gives his word: the person behind sudo, or the user (pure but for passwd)."""
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = f"uid {uid}"
    behind = environ.get("SUDO_USER", "")
    return f"{behind} (as {user})" if behind and behind != user else user
