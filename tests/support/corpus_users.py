"""The hostile corpus for an ordinary user: a copy of what it needs, another uid, and on demand control groups of his.

A folder of the test user cannot be read by others, nor can his Python; so it is the system's Python that runs a copy,
with the packages of this environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.linux import cgroupfs

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Nobody of any host.
STRANGER = 4243
ROOT = Path(__file__).parents[2]
_CONTROLLERS = ("memory", "pids", "cpu", "cpuacct", "freezer")


def run_all(level: str, *, delegated: bool, choice: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Runs cases as an ordinary user, and returns for each what `corpus.py --json` says.

    Args:
        level: of the boxes.
        delegated: whether root hands him a group of each controller of version 1.
        choice: numbers, names or groups; none means all.
    """
    python = _python()
    with contextlib.ExitStack() as made:
        yard = Path(made.enter_context(tempfile.TemporaryDirectory(prefix="corpus", dir="/var/tmp")))
        yard.chmod(0o755)
        ours = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "sandbox", yard / "sandbox", ignore=ours)
        shutil.copytree(ROOT / "tests" / "support", yard / "tests" / "support", ignore=ours)
        shutil.copytree(ROOT / "tests" / "host" / "corpus", yard / "tests" / "host" / "corpus", ignore=ours)
        work = yard / "work"
        work.mkdir()
        os.chown(work, STRANGER, STRANGER)
        groups = made.enter_context(_handed_over()) if delegated else []
        enter = "".join(f"echo $$ > {group}/cgroup.procs && " for group in groups)
        become = f"exec setpriv --reuid={STRANGER} --regid={STRANGER} --clear-groups"
        words = [python, "-B", str(yard / "tests/support/corpus.py"), "--json", "--level", level, "--folder", str(work)]
        packages = sysconfig.get_path("purelib")
        done = subprocess.run(
            ["/bin/sh", "-c", f'{enter}{become} "$@"', "sh", *words, *choice],
            capture_output=True,
            text=True,
            cwd=work,
            env={
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "PYTHONPATH": f"{yard}:{yard}/tests/support:{packages}",
                "CORPUS_PACKAGES": packages,
            },
            check=False,
        )
    assert done.returncode in {0, 1}, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def _python() -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = f"/usr/bin/python{version}"
    if not os.access(python, os.X_OK):
        raise AssertionError(f"no {python}, which every user may run; as root: apt-get install -y python{version}")
    packages = sysconfig.get_path("purelib")
    drop = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
    seen = subprocess.run([*drop, "ls", packages], capture_output=True, check=False)
    if seen.returncode:
        raise AssertionError(f"an ordinary user cannot read {packages}; make the checkout where every user may read")
    return python


@contextlib.contextmanager
def _handed_over() -> Iterator[list[str]]:
    """Makes one group of each controller below where this process stands, and gives it to the stranger."""
    folders = cgroupfs.own_folders(cgroupfs.hierarchies(), cgroupfs.positions())
    made = []
    try:
        for controller in _CONTROLLERS:
            if controller not in folders:
                pytest.skip(f"no controller {controller} of version 1 here")
            group = os.path.join(folders[controller], f"corpus-{os.getpid()}")
            if group not in made:
                os.mkdir(group)
                made.append(group)
                for name in (".", "cgroup.procs", "tasks"):
                    os.chown(os.path.join(group, name), STRANGER, STRANGER)
        yield made
    finally:
        for group in made:
            os.rmdir(group)
