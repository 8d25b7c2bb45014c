"""The code that a process runs: its version, and how it stays the same while a link is switched to another one.

Upgrades put a version beside the other and switch a link (`docs/how-to/serve.md`). A process that was started through
the link would load modules of the new version into the old one, and start a nursery of the new one under the old name.
Stdlib only: the nursery imports this.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys

import sandbox
import supervisor


def code_version() -> str:
    """Return the version of the installed distribution that this process runs."""
    return importlib.metadata.version("autoreduce-supervisor")


def pin() -> None:
    """Resolve the links in every path by which this process, and what it starts, finds code."""
    sys.path[:] = [os.path.realpath(entry) if os.path.isabs(entry) else entry for entry in sys.path]
    for package in (supervisor, sandbox):
        package.__path__ = [os.path.realpath(entry) for entry in package.__path__]
    sys.executable = program(sys.executable)
    if "PYTHONPATH" in os.environ:
        entries = os.environ["PYTHONPATH"].split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(
            os.path.realpath(entry) if os.path.isabs(entry) else entry for entry in entries
        )


def program(path: str) -> str:
    """Return `path` with the links of its folder resolved.

    The last link stays: it leads from a virtual environment to the Python that it was made with, and Python finds the
    environment by it (https://docs.python.org/3/library/site.html, pyvenv.cfg).
    """
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) if path else path
