"""What a defect would look like: each switch breaks one rule in the adapters, and the search has to find it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken rule, and the word with which its violation begins."""

    name: str
    #: Invariants of which one is seen broken.
    found_as: tuple[str, ...]
    #: Seeds within which it must be found.
    within: int
    #: The first of them. Rules that take thousands of schedules to show are looked for near one that shows them.
    begin: int = 0


MUTANTS = (
    Mutant("commit-without-the-cell", ("I3",), 3000, 2500),
    Mutant("no-reread-after-the-epoch", ("I8", "I6", "I3"), 1000),
    Mutant("promoted-before-placed", ("I1", "I10"), 3000),
    Mutant("takeover-on-one-heartbeat", ("I2", "I11"), 3000),
    Mutant("published-before-promoted", ("I4",), 500),
    Mutant("stale-reread", ("I8", "I6", "I3"), 3000),
    Mutant("self-kill-later-than-takeover", ("I2",), 3000),
    Mutant("takeover-by-the-lock-alone", ("I2", "I11"), 1000),
    Mutant("ack-before-journal", ("I1",), 2000, 800),
    Mutant("final-not-linked-by-the-claimer", ("I1", "I3"), 6000, 2800),
    Mutant("no-look-before-the-start", ("I2", "I11"), 5000, 1100),
    Mutant("no-proof-after-a-reboot", ("I1", "I7"), 1000),
    Mutant("attempts-not-counted", ("I9",), 2000),
    Mutant("arrival-before-priority", ("I6",), 500),
    Mutant("dead-host-never-published-for", ("I1",), 2000, 1000),
    Mutant("lost-lock-uses-a-place", ("I7",), 500),
    Mutant("redelivery-runs-again", ("I1", "I3"), 1000),
)
