"""The lab: a throw-away virtual machine with systemd and cgroup version 2; its folder is named by LAB (`make lab`)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.twohosts import MEASURED

ROOT = Path(__file__).resolve().parents[2]
#: What the guest's own Python needs to run our tests; it has no network.
PACKAGES = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py", "pytest_timeout", "psutil")


def pytest_configure(config):
    config.addinivalue_line("markers", "lab: needs a virtual machine of the lab, run by make lab")


def pytest_terminal_summary(terminalreporter):
    """Say what was measured, a line for each case."""
    if MEASURED:
        terminalreporter.section("measured between hosts")
        for line in MEASURED:
            terminalreporter.write_line(line)


def machine_of(share, command, *, port=0, seconds=600):
    """Run a shell line as root in a fresh machine that sees `share` as /mnt/work; return it done.

    The machine is ended after so many seconds.

    A port of this host's loopback is broker:PORT in the machine, which has no other network.
    """
    vm_run = Path(os.environ.get("LAB", ROOT.parent / "shared" / "lab")) / "vm-run"
    assert os.access(vm_run, os.X_OK), f"there is no lab at {vm_run.parent}; name it: make lab LAB=<folder of vm-run>"
    return subprocess.run(
        [vm_run, command],
        env={"LAB_TIMEOUT": str(seconds), **os.environ, "LAB_SHARE": str(share), "LAB_HOST_PORTS": str(port or "")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=4 * seconds,
    )


@pytest.fixture
def machine():
    """`machine(share, command, port=, seconds=)`; see `machine_of`."""
    return machine_of


@pytest.fixture(scope="session")
def guest(tmp_path_factory):
    """`guest(command)` runs a shell line as root in a fresh machine, in a copy of this checkout, and returns it done."""
    share = tmp_path_factory.mktemp("share")
    shutil.copy(ROOT / "pyproject.toml", share)
    for folder in ("sandbox", "tests/host", "tests/support"):
        shutil.copytree(ROOT / folder, share / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (share / "tests/host/conftest.py").unlink()  # it is about the Pythons of this host
    (share / "packages").mkdir()
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        origin = Path(found.origin if found and found.origin else "")
        assert origin.exists(), f"{name} is missing; make lint brings it"
        if origin.name == "__init__.py":
            shutil.copytree(origin.parent, share / "packages" / name)
        else:
            shutil.copy(origin, share / "packages")
    for plugin in Path(importlib.util.find_spec("pytest_timeout").origin).parent.glob("pytest_timeout-*.dist-info"):
        shutil.copytree(plugin, share / "packages" / plugin.name)
    subprocess.run(["chmod", "-R", "a+rX", str(share)], check=True)  # the guest's users read it

    return lambda command, **options: machine_of(share, command, **options)
