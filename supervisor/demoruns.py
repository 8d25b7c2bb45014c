"""The four runs of the demo, and the examples that they are made with."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.verdict import Verdict

if TYPE_CHECKING:
    from types import ModuleType


class DemoTrouble(Exception):
    """The demo cannot go on; the text says why, and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRun:
    """One measurement, the script that reduces it, and how that must end."""

    instrument: str
    rb: str
    run: int
    script: str
    #: What is about to happen, for people.
    about: str
    expected: Verdict

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.instrument} {self.run}"

    @property
    def job(self) -> str:
        """The id of its job."""
        return f"demo-{self.run}"


#: Two of one experiment, which follow each other, and two of others.
RUNS = (
    DemoRun(
        instrument="DEMO", rb="1510111", run=101, script="reduce.py",
        about="a good reduction", expected=Verdict.completed,
    ),
    DemoRun(
        instrument="DEMO", rb="1510111", run=102, script="bad_script.py",
        about="a script with a mistake", expected=Verdict.script_error,
    ),
    DemoRun(
        instrument="GREEDY", rb="1510112", run=201, script="memory_hog.py",
        about="keeps all it makes in memory", expected=Verdict.memory_limit,
    ),
    DemoRun(
        instrument="PATIENT", rb="1510113", run=301, script="endless.py",
        about="waits for a file that never comes", expected=Verdict.wall_limit,
    ),
)  # fmt: skip


def examples_folder() -> str:
    """Return the folder of the examples: inside the installed package, or beside it in a checkout.

    Raises:
        DemoTrouble: there is none.
    """
    package = os.path.dirname(os.path.abspath(__file__))
    places = (os.path.join(package, "examples"), os.path.join(os.path.dirname(package), "examples"))
    for place in places:
        if os.path.isfile(os.path.join(place, "simulate.py")):
            return place
    raise DemoTrouble(f'cannot find the examples at "{places[0]}"; install the package again')


def load_example(folder: str, name: str) -> ModuleType:
    """Import one of our examples without making its folder importable."""
    spec = importlib.util.spec_from_file_location(f"autoreduce_demo_{name}", os.path.join(folder, f"{name}.py"))
    assert spec is not None  # a path that ends in .py has a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
