"""What this host offers to runs: the interpreters that work on it, and the isolation it proves.

Tried once, when the service starts and still has one thread; an instrument that the host cannot serve is stepped over
by it, and its runs wait for a host that can, or for an operator (DESIGN §5, "Order"; §6, "Interpreter profile").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.interpreter import Interpreter, Unfit, probe
from supervisor import floors
from supervisor.profiles import NoProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisor.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What a host found out about itself."""

    #: Highest isolation level it proves.
    level: str = floors.PROVEN
    #: Interpreters that work, by the name of their profile.
    working: Mapping[str, Interpreter] = field(default_factory=dict)
    #: Profiles that do not, each with why.
    failing: Mapping[str, str] = field(default_factory=dict)

    def why_not(self, settings: Settings, instrument: str, software: str = "") -> str:
        """Return why this host cannot serve a run, "" where it can (pure).

        Args:
            settings: the configuration in force.
            instrument: upper case.
            software: what the message asks for; unknown software is not this host's fault, and no reason here.
        """
        floor = settings.floor_for(instrument)
        if not floors.enough(floor, self.level):
            return f'isolation "{floor}" is required for {instrument}, and this host proves "{self.level}" only'
        if not self.failing:
            return ""  # asked for each job that waits, at each look: nothing is worked out where all is well
        try:
            profile = settings.interpreter_for(instrument, software)
        except NoProfile:
            return ""
        return self.failing.get(profile.name, "")


def find_out(settings: Settings) -> Offers:
    """Try every profile in a box; the caller has one thread, and `spool.path` exists."""
    working: dict[str, Interpreter] = {}
    failing: dict[str, str] = {}
    known: dict[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], Interpreter | str] = {}
    for profile in settings.interpreter.profiles().each():
        same = (profile.argv, tuple(sorted(profile.env.items())))
        if same not in known:
            try:
                known[same] = probe(profile.argv, profile.env, settings.spool.path)
            except Unfit as unfit:
                known[same] = str(unfit)
        found = known[same]
        if isinstance(found, str):
            failing[profile.name] = found
        else:
            working[profile.name] = found
    return Offers(working=working, failing=failing)
