"""Trying interpreters and isolation again for a supervisor that serves: a process of its own, since that has threads.

Boxes are built between fork and exec by Python code, which a process with threads must not run (DESIGN §3, "Why a
nursery"). The supervisor starts this module as a program, hands the tables of the configuration to its standard input,
and reads what works from its standard output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from supervisor import config, offers
from supervisor.nurserylink import clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds that all trials together may take: each interpreter has a minute of its own.
_PATIENCE = 600.0
#: Characters of what a failing child says.
_LONGEST = 300


class Untried(Exception):
    """Nothing could be tried; the sentence says why."""


def ask(document: Mapping[str, Any]) -> offers.Offers:
    """Try what the tables of a configuration name, in a child.

    Args:
        document: tables that have passed the model.

    Raises:
        Untried: the child did not come to an answer.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-m", "supervisor.reprobe"],
            input=json.dumps(document),
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            env=clean_environment(),
            cwd="/",
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as trouble:
        raise Untried(f"interpreters could not be tried: {trouble}") from trouble
    if child.returncode:
        said = (child.stderr.strip().splitlines() or [f"status {child.returncode}"])[-1][:_LONGEST]
        raise Untried(f"interpreters could not be tried: {said}")
    return offers.Offers.from_json(json.loads(child.stdout))


def main() -> int:
    """Read tables, try, and print what works."""
    settings = config.validate(json.load(sys.stdin), "the configuration")
    json.dump(offers.find_out(settings).to_json(), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
