"""The arguments of a box as they travel from supervisor to shepherd: plain JSON, and back (standard library only)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.closure import Closure

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Arguments of `sandbox.box.Box` that are tuples and travel as lists.
_TUPLES = ("interpreter", "input_files", "allowed_roots", "script_args", "readable", "hidden")


def closure_to_json(closure: Closure | None) -> dict[str, Any] | None:
    """Return a closure as plain JSON."""
    return None if closure is None else {"folders": list(closure.folders), "links": dict(closure.links)}


def closure_from_json(record: Mapping[str, Any] | None) -> Closure | None:
    """Return the closure of `closure_to_json`."""
    return None if record is None else Closure(folders=tuple(record["folders"]), links=dict(record["links"]))


def box_arguments(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a `Box` that travelled as JSON in their own types."""
    fields = {name: tuple(value) if name in _TUPLES else value for name, value in record.items()}
    return fields | {"closure": closure_from_json(record.get("closure"))}
