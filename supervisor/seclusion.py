"""What closes the box of a run: its level, and what is shown to its script (DESIGN §6, "Levels", "The tree").

Worked out by the supervisor from the configuration and what the host has proven, and carried to the shepherd in the
plan as plain JSON.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from supervisor.boxarguments import closure_to_json
from supervisor.pathtext import expand

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.closure import Closure
    from supervisor.settings import Settings


def of_run(settings: Settings, closure: Closure | None, *, instrument: str, rb: str, cycle: str) -> dict[str, Any]:
    """Return the arguments of a run's `Box` that close it, as plain JSON.

    The level is the floor itself, on every host the same: `hostile` has its results in memory, which not every run can
    afford, and a site that allows `none` has scripts that need it. A host that cannot prove it does not take the run.

    Args:
        settings: the configuration in force.
        closure: what the run's interpreter needs, None where it is not known yet.
        instrument: upper case.
        rb: its number, one path component.
        cycle: ditto, "" where the data lies in none.
    """
    own = settings.instrument_for(instrument)
    return {
        "level": settings.floor_for(instrument),
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
