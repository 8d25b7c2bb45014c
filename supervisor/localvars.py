"""What `run --vars` names: the variables of a script, as a message would send them or as an instrument keeps them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from supervisor.strictjson import NotStrict, kind, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Name under which instruments keep the defaults of their variables, beside the script.
VARS_NAME = "reduce_vars.py"
_GROUPS = ("standard_vars", "advanced_vars")
_SHAPE = '{"standard_vars": {...}, "advanced_vars": {...}}'


class BadVars(ValueError):
    """The variables cannot be used; the text names the file, the cause and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The variables of one run."""

    #: As in a message's `reduction_arguments`.
    values: Mapping[str, Any] = field(default_factory=dict)
    #: Path of a `reduce_vars.py` underneath; it is a stranger's program and is only ever run inside the box.
    defaults: str | None = None


def read(path: str | None, script: str) -> Variables:
    """Return the variables that a person named.

    Args:
        path: a JSON file, or a Python file named `*.py`; None for none.
        script: path of the script; a `reduce_vars.py` beside it gives the defaults under a JSON file, or alone.

    Raises:
        BadVars: the file cannot be read, or is of another shape.
    """
    if path is not None and path.endswith(".py"):
        _bytes_of(path)
        return Variables(defaults=os.path.abspath(path))
    beside = os.path.join(os.path.dirname(os.path.abspath(script)), VARS_NAME)
    defaults = beside if os.path.isfile(beside) else None
    return Variables(values={} if path is None else decode(_bytes_of(path), path), defaults=defaults)


def decode(body: bytes, path: str) -> dict[str, Any]:
    """Return the variables in a JSON text: `reduction_arguments` as a message has it, or a message that has it (pure).

    Raises:
        BadVars: the text is no strict JSON, or of another shape.
    """
    try:
        values = read_object(body)
    except NotStrict as fault:
        why = str(fault).replace("the message", "it", 1)
        raise BadVars(f'cannot use variables "{path}": {why}; write {_SHAPE}') from None
    found: Any = values.get("reduction_arguments", values)
    if not isinstance(found, dict):
        raise BadVars(f'cannot use variables "{path}": reduction_arguments is {kind(found)}; write {_SHAPE}')
    if found and not any(group in found for group in _GROUPS):
        raise BadVars(f'cannot use variables "{path}": it has neither {" nor ".join(_GROUPS)}; write {_SHAPE}')
    for group in _GROUPS:
        if not isinstance(found.get(group, {}), dict):
            raise BadVars(f'cannot use variables "{path}": {group} is {kind(found[group])}; write {_SHAPE}')
    return found


def _bytes_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise BadVars(f'cannot read variables "{path}": {(error.strerror or str(error)).lower()}') from None
