"""The Pythons of this machine under which the harness has to work: every minor version from 3.8 on that can be had."""

from __future__ import annotations

import functools
import glob
import os
import shutil
import subprocess
import sys

#: The oldest version that the harness is written for, and the newest that is looked for by name.
OLDEST, NEWEST = 8, 14


@functools.cache
def pythons() -> dict[str, str]:
    """Return version ("3.8.18") -> path, one for each minor version, oldest first.

    Looked for are PATH, the version manager pyenv of the user and usual places of a machine's own; the running one
    stands for its minor version, so there is always one. An ordinary user does not see those of another's home.
    """
    names = [f"python3.{minor}" for minor in range(OLDEST, NEWEST + 1)]
    managed = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    folders = [f"{managed}/versions/*/bin", "/opt/python*/bin", "/usr/local/bin", "/usr/bin"]
    candidates = [sys.executable]
    candidates += [path for folder in folders for name in names for path in sorted(glob.glob(f"{folder}/{name}"))]
    candidates += [path for path in map(shutil.which, ["python3", *names]) if path]
    found: dict[int, tuple[str, str]] = {}
    for path in dict.fromkeys(candidates):
        version = _version_of(path)
        if version and version[0] == 3 and version[1] >= OLDEST:
            found.setdefault(version[1], (".".join(map(str, version)), path))
    return {version: path for _, (version, path) in sorted(found.items())}


def _version_of(path: str) -> tuple[int, int, int] | None:
    """Return the version of an interpreter, None where it does not run: a manager's shim may only print an error."""
    script = "import sys; print(*sys.version_info[:3])"
    try:
        probe = subprocess.run([path, "-I", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return None
    if probe.returncode != 0:
        return None
    major, minor, micro = map(int, probe.stdout.split())
    return major, minor, micro


def report_line() -> str:
    """Return the line that a test session shows about them."""
    return "harness under: " + ", ".join(pythons())
