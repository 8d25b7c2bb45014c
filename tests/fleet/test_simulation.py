"""Simulated fleets: no schedule breaks an invariant, and each broken rule is found by one.

AUTOREDUCE_SEED makes the schedules of the soak come again; AUTOREDUCE_SIMULATED says how many there are. What is found is
shrunk and printed with the command that replays it.
"""

from __future__ import annotations

import os

import pytest

from tests.fleet.sim.mutants import MUTANTS, Mutant
from tests.fleet.sim.schedule import draw
from tests.fleet.sim.search import attempt, found, play, search, smallest

SEED = int(os.environ.get("AUTOREDUCE_SEED", "0"))
SIMULATED = int(os.environ.get("AUTOREDUCE_SIMULATED", "100000"))
#: Parts of the soak, so that workers share it.
PARTS = 10


def no_violation(seeds: range) -> None:
    seed, violation = search(seeds)
    assert seed is None, f"{violation}\n{found(seed)}"


@pytest.mark.parametrize("part", range(2))
def test_no_schedule_breaks_an_invariant(part: int) -> None:
    no_violation(range(part * 2000, (part + 1) * 2000))


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_none_of_a_hundred_thousand_schedules_breaks_an_invariant(part: int) -> None:
    share = SIMULATED // PARTS
    # Schedules of different seeds never overlap: each seed has a range of its own.
    first = SEED * 10_000_000 + 1_000_000 + part * share
    no_violation(range(first, first + share))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_found(mutant: Mutant) -> None:
    seeds = range(mutant.begin, mutant.begin + mutant.within)
    seed, violation = search(seeds, mutant=mutant.name)
    assert seed is not None, f"{mutant.name} is not found within {mutant.within} schedules"
    assert violation.split()[0] in mutant.found_as, violation
    assert not attempt(seed).violation, "the rule itself is broken as well"


def test_a_schedule_replays_to_the_letter() -> None:
    first = attempt(5, trace=True)
    assert first.lines
    assert first == attempt(5, trace=True)


def test_what_is_found_shrinks_and_still_breaks_the_same_invariant() -> None:
    mutant = "takeover-by-the-lock-alone"
    seed, violation = search(range(1000), mutant=mutant)
    assert seed is not None
    small, whole = smallest(seed, mutant=mutant), draw(seed)
    assert len(small.faults) + len(small.messages) < len(whole.faults) + len(whole.messages)
    assert play(small, mutant=mutant).violation.split()[0] == violation.split()[0]
    assert f"--seed {seed}" in found(seed, mutant=mutant)
