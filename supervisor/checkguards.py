"""What `doctor` says of isolation: each guard of this host against the level that its configuration asks for (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox import guardfacts, levels
from sandbox.facilities import DELEGATE
from supervisor.checkup import Finding, caution, failed, passed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.guardfacts import GuardFact
    from sandbox.proving import Proof

_AREA: Final = "guard"
_AS_ROOT: Final = "scripts have the host's uid 0 inside their user namespace, so no level above contained counts"


def findings(proof: Proof, require: str, raised: Iterable[str] = (), *, as_root: bool = False) -> list[Finding]:
    """Return a line for each guard that is in force, and one for each cause that keeps others from it.

    Args:
        proof: what was tried.
        require: what every run must get at least: what it lacks fails.
        raised: what single instruments ask for beyond that: what those lack is a caution, as others may serve them.
        as_root: whether everything runs as root (`floors.attainable`).
    """
    # Level none is no promise that anybody could break.
    needed = set(guardfacts.lacking(require, proof.guards)) if require != "none" else set()
    wanted = {name for level in raised for name in guardfacts.lacking(level, proof.guards)}
    found = [passed(_AREA, fact.name, _held(fact)) for fact in proof.guards.values() if fact.in_force]
    for (why, remedy), names in _by_cause(proof.guards.values()).items():
        name = ", ".join(names)
        if needed.intersection(names):
            found.append(failed(_AREA, name, why, remedy))
        else:
            found.append(caution(_AREA, name, f"{why}{_use(names, wanted)}", remedy))
    found += _by_sampler(proof, needed)
    if as_root:
        make = failed if require == "hostile" else caution
        found.append(make(_AREA, "identity", _AS_ROOT, "write a user of its own as service.user"))
    return found


def _held(fact: GuardFact) -> str:
    count = len(fact.acts)
    return f"{fact.how}; {count} forbidden act{'' if count == 1 else 's'} stopped" if count else fact.how


def _use(names: list[str], wanted: set[str]) -> str:
    """Say what a guard that no run needs would be good for."""
    if wanted.intersection(names):
        return "; instruments that ask for more are left to other hosts"
    for level in levels.LEVELS[1:]:
        if levels.needed(level).intersection(names):
            return f" (level {level} needs it)"
    return ""


def _by_cause(facts: Iterable[GuardFact]) -> dict[tuple[str, str], list[str]]:
    """Gather the guards that are not in force by cause and remedy: one cause is told once."""
    gathered: dict[tuple[str, str], list[str]] = {}
    for fact in facts:
        if not fact.in_force:
            gathered.setdefault((fact.why_not, fact.remedy), []).append(fact.name)
    return gathered


def _by_sampler(proof: Proof, needed: set[str]) -> Iterator[Finding]:
    """Yield what is in force, and not in the way that is asked for: by a sampler where it must be a control group."""
    for name in sorted(needed):
        fact = proof.guards[name]
        if fact.in_force:
            why = proof.facilities.no_groups or "no control group holds it"
            yield failed(
                _AREA, name, f"in force by {fact.how}, and level hostile needs a control group: {why}", DELEGATE
            )
