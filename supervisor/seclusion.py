"""What closes the box of a run: its level, and what is shown to its script (DESIGN §6, "Levels", "The tree").

Worked out by the supervisor from the configuration and what the host has proven, and carried to the shepherd in the
plan as plain JSON.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sandbox.closure import Closure
from sandbox.levels import LEVELS
from supervisor.pathtext import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from supervisor.settings import Settings

#: Arguments of `sandbox.box.Box` that are tuples and travel as lists.
_TUPLES = ("interpreter", "input_files", "allowed_roots", "script_args", "readable", "hidden")


def level_for(floor: str, proven: str) -> str:
    """Return the level of a run's box (pure).

    `contained` wherever the host proves it, though less may be allowed. `hostile` only where it is asked for: its
    results lie in memory, which not every run can afford.

    Args:
        floor: what the run must get at least.
        proven: what the host proves; not below the floor, or the run is not taken.
    """
    return max(floor, min(proven, "contained", key=LEVELS.index), key=LEVELS.index)


def of_run(
    settings: Settings, proven: str, closure: Closure | None, *, instrument: str, rb: str, cycle: str
) -> dict[str, Any]:
    """Return the arguments of a run's `Box` that close it, as plain JSON.

    Args:
        settings: the configuration in force.
        proven: the level that this host proves.
        closure: what the run's interpreter needs, None where it is not known yet.
        instrument: upper case.
        rb: its number, one path component.
        cycle: ditto, "" where the data lies in none.
    """
    own = settings.instrument_for(instrument)
    return {
        "level": level_for(settings.floor_for(instrument), proven),
        "network": own.network,
        "readable": readable(own.read_only, instrument=instrument, rb=rb, cycle=cycle),
        "hidden": [os.path.abspath(path) for path in (settings.store.path, settings.service.run_dir)],
        "closure": closure_to_json(closure),
    }


def readable(paths: Iterable[str], *, instrument: str, rb: str, cycle: str) -> list[str]:
    """Return the paths that an instrument's `read_only` names for one run (pure)."""
    parts = {"instrument": instrument, "rb": rb, "cycle": cycle}
    # A path that needs a cycle means nothing for data that lies in none.
    return [expand(path, parts) for path in paths if cycle or "{cycle}" not in path]


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
