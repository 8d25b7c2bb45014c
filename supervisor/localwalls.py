"""How the box of `run`, `replay` and `demo` is closed: at the highest level that this host proves, and told so at once.

Production has proven its level when it started; a command at a desk proves it now, with the very interpreter that will
run the script.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.interpreter import Unfit, probe
from supervisor import floors, offers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.closure import Closure
    from supervisor.profiles import Profile
    from supervisor.settings import Settings

_TOLD = {
    "none": "isolation none: limits are kept and all is measured; the script can read and write what you can",
    "contained": "isolation contained: limits are kept and all is measured; the script sees its data, its results and "
    "its interpreter, nothing else",
    "hostile": "isolation hostile: limits are kept and all is measured; the script sees its data, its results and its "
    "interpreter, nothing else, and writes into memory alone",
}


class NoWalls(Exception):
    """The isolation that was asked for cannot be had; the sentence says why and what mends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What closes one box."""

    level: str = "none"
    closure: Closure | None = None
    network: bool = False

    def told(self) -> str:
        """Return the first line of a command."""
        if self.level == "none":
            return _TOLD["none"]
        network = "; it has the network" if self.network else "; no network"
        root = "; as root it keeps user id 0, in a user namespace" if os.geteuid() == 0 else ""
        return _TOLD[self.level] + network + root


def walls_for(
    profile: Profile, settings: Settings, spool: str, *, asked: str | None = None, instrument: str = ""
) -> Walls:
    """Prove what this host holds, and return how the box of a run is closed.

    Args:
        profile: the interpreter.
        settings: the configuration; only a level that it names itself is a floor.
        spool: existing folder for the trials.
        asked: the least level by the command line; "none" asks for no walls at all.
        instrument: whose settings hold, "" for none.

    Raises:
        NoWalls: less can be had than was asked for.
        OSError: a trial could not be made.
    """
    if asked == "none":
        return Walls()
    floor = asked or (settings.floor_for(instrument) if "isolation" in settings.model_fields_set else "none")
    found = offers.find_out_with((profile,), spool)
    if profile.name in found.failing:
        raise NoWalls(f"{found.failing[profile.name]}; or give --isolation none if you trust the script")
    level = found.level
    if not floors.enough(floor, level):
        raise NoWalls(
            f'isolation "{floor}" cannot be had: this host proves "{level}" only; '
            "`autoreduce-supervisor doctor` says what it lacks"
        )
    network = settings.instrument_for(instrument).network if instrument else False
    return Walls(level=level, closure=found.closures.get(profile.name), network=network)


def behind(argv: tuple[str, ...], env: Mapping[str, str], spool: str) -> tuple[str, ...]:
    """Return the interpreter that a program leads to, () when it leads to none but itself.

    Args:
        argv: the program; with arguments of its own it is more than a way to another.
        env: its variables; ditto.
        spool: existing folder for the trial.
    """
    if len(argv) != 1 or env:
        return ()
    try:
        found = probe(argv, env, spool).executable
    except Unfit:
        return ()
    same = os.path.realpath(found) == os.path.realpath(argv[0])
    return () if same or not os.access(found, os.X_OK) else (found,)
