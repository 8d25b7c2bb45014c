"""What this host proves: each guard tried by use, and the highest level that the facts allow (DESIGN §6, "Guards").

Theory of operation. First each facility of the kernel is tried by itself, which tells what is missing and what mends
it. Then a real box of level `contained` is built around the interpreter that scripts will have, and one of level
`hostile` where that can be; their script tries each forbidden act. The level is what was proven, never what a version
number promises, and a guard whose act was let through is not in force, whatever its builder said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sandbox import bait, facilities, guardfacts, levels
from sandbox.linux import acts
from sandbox.trialbox import OF_HARD_SCRATCH, ONCE, Tried, try_box

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.closure import Closure
    from sandbox.facilities import Facilities
    from sandbox.guardfacts import GuardFact
    from sandbox.levels import Level

#: What the box of each level tries: together everything, and nothing twice that takes its time.
ASKED: Final[Mapping[Level, tuple[str, ...]]] = {
    "contained": tuple(act for act in acts.ACTS if act not in OF_HARD_SCRATCH),
    "hostile": tuple(act for act in acts.ACTS if act not in ONCE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found out."""

    #: Highest level that the facts prove.
    level: Level
    #: By name, in the order of building.
    guards: Mapping[str, GuardFact]
    facilities: Facilities
    #: Why the interpreter did not start behind the tree, in a box that was built; "" when it did, or none was built.
    unstarted: str = ""


def prove(
    spool: str,
    interpreter: tuple[str, ...],
    closure: Closure | None,
    *,
    env: Mapping[str, str] | None = None,
    cgroup: Literal["auto", "off"] = "auto",
    without: frozenset[str] = frozenset(),
    found: Facilities | None = None,
) -> Proof:
    """Tries everything; takes about half a second, and the caller has one thread.

    Args:
        spool: existing folder, in which boxes and baits are made and removed again.
        interpreter: program and first arguments; one that starts at level "none".
        closure: what it needs beyond the distribution's folders.
        env: variables of its profile.
        cgroup: "off" leaves control groups out.
        without: guards that the boxes are built without; only tests do that.
        found: what the facilities showed; None tries them.

    Raises:
        OSError: a trial could not be set up at all: no process, no file in the spool.
    """
    found = facilities.ask(spool, cgroup) if found is None else found
    tried: list[Tried] = []
    if not found.namespaces:
        with bait.laid_out(spool) as laid:
            for level, asked in ASKED.items():
                if level == "hostile" and not _may_be_hostile(found, tried):
                    break
                tried.append(
                    try_box(
                        level,
                        laid,
                        spool=spool,
                        interpreter=interpreter,
                        env=env or {},
                        closure=closure,
                        cgroup=cgroup,
                        without=without,
                        asked=asked,
                    )
                )
    return judged(found, tried)


def judged(found: Facilities, tried: list[Tried]) -> Proof:
    """Makes the proof of what was found (pure)."""
    guards = guardfacts.facts_of(found, tried)
    unstarted = next((box.sentence for box in tried if _is_unstarted(box)), "")
    return Proof(level=guardfacts.level_of(guards), guards=guards, facilities=found, unstarted=unstarted)


def _is_unstarted(box: Tried) -> bool:
    """Whether a box stood, and its interpreter did not run; "at exec" is the last step of a box that could be built."""
    return not box.started and (box.built or "could not be built at exec" in box.sentence)


def _may_be_hostile(found: Facilities, tried: list[Tried]) -> bool:
    return bool(tried and tried[0].started) and not found.landlock and found.groups.keys() >= levels.BY_GROUP
