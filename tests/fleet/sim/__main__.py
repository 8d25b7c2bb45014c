"""Search for a schedule that breaks an invariant, or replay one: `python -m tests.fleet.sim --seed 7 --trace`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.fleet.sim.mutants import MUTANTS
from tests.fleet.sim.search import attempt, found, search


def main() -> int:
    """Run the schedules that were asked for; 0 when all is well, 1 when a violation was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet.sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the schedule to begin with")
    parser.add_argument("--count", type=int, default=1, help="how many schedules from there on")
    parser.add_argument("--trace", action="store_true", help="print what happened in a schedule")
    parser.add_argument("--whole", action="store_true", help="do not shrink what is found")
    parser.add_argument("--mutant", default="", choices=["", *(mutant.name for mutant in MUTANTS)])
    args = parser.parse_args()
    began = time.process_time()
    if args.count == 1:
        result = attempt(args.seed, mutant=args.mutant, trace=args.trace)
        print("\n".join(result.lines))
        print(f"seed {args.seed}: {result.violation or 'no violation'}")
        violation = result.violation
    else:
        seed, violation = search(range(args.seed, args.seed + args.count), mutant=args.mutant)
        tried = args.count if seed is None else seed - args.seed + 1
        print(
            f"{tried} schedules in {time.process_time() - began:.1f} s of processor time: {violation or 'no violation'}"
        )
        args.seed = args.seed if seed is None else seed
    if violation and not args.whole:
        print(found(args.seed, mutant=args.mutant))
    return 1 if violation else 0


if __name__ == "__main__":
    sys.exit(main())
