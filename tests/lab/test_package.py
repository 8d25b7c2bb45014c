"""The Debian packages under systemd 252: install, restart, hangs, and an upgrade at two moments lose no run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.test_units import held_by_groups, once

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "0.1.0", "0.2.0"


@pytest.fixture(scope="module")
def share(tmp_path_factory):
    """The packages of two versions, as `make deb` makes them, and the drivers."""
    place = tmp_path_factory.mktemp("package")
    for name, version in (("1", OLD), ("2", NEW)):
        build = [sys.executable, ROOT / "packaging" / "deb.py", place / "debs" / name, "--version", version]
        subprocess.run(build, check=True, timeout=600)
    (place / "support").mkdir()
    for name in ("embedded.py", "waiting.py"):
        shutil.copy(ROOT / "tests/support" / name, place / "support")
    for name in ("unitsdriver.py", "packagedriver.py"):
        shutil.copy(ROOT / "tests/lab" / name, place)
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    return place


@pytest.fixture
def facts(machine, share, activemq, queues, monkeypatch):
    """`facts(event)` boots a machine, has the event happen, and returns its facts and what the producer was told."""
    monkeypatch.setenv("LAB_TIMEOUT", "2200")
    named = {name: queues(name) for name in ("pending", "started", "complete", "error")}
    order = {"versions": {"1": OLD, "2": NEW}, "port": activemq.port, "queues": named}
    (share / "order.json").write_text(json.dumps(order))
    disk = share / "disk.img"
    disk.unlink(missing_ok=True)
    with open(disk, "wb") as file:
        os.truncate(file.fileno(), 256 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", str(disk)], check=True)

    def happen(event):
        done = machine(share, f"python3 /mnt/work/packagedriver.py {event}", port=activemq.port)
        assert done.returncode == 0, done.stdout
        print(done.stdout)
        return json.loads(done.stdout.strip().splitlines()[-1])

    return happen


def test_a_day_with_the_package_loses_no_run(facts):
    day = facts("day")

    installed = day["installed"]
    assert installed["enabled"] == ["enabled", "enabled"]
    assert installed["active"] is False, "nobody has configured it yet"
    assert installed["current"] == OLD
    assert installed["folders"] == ["autoreduce 750", "autoreduce 750", "autoreduce 700"]
    assert installed["check_config"]["status"] == 0, installed["check_config"]
    assert installed["verify"] == ""
    for name, line in installed["security"].items():
        print(name, line)
        assert float(line.split(": ")[1].split()[0]) < 5.0
    assert day["submit"]["status"] == 0, day["submit"]

    assert day["after_restart"] == [True, True]
    reload = day["reload"]
    assert [status == 0 for status in reload["statuses"]] == [True, False, True], reload
    assert reload["same"]
    assert "nonsense" in reload["journal"]
    store, loop = day["hanging_store"], day["hanging_loop"]
    assert "hanging" in store["told"]
    assert store["same"], "a store that hangs ends nobody"
    assert loop["restarts"] == store["restarts"] + 1
    assert loop["alive"] == [True, True]
    assert "Watchdog timeout" in loop["journal"]
    assert "in run" in loop["journal"], "where it hung stands in the journal"

    assert day["upgrade"]["status"] == 0, day["upgrade"]
    after = day["after_upgrade"]
    assert after == {"alive": [True, True], "current": NEW, "enabled": ["disabled", "enabled"], "old_stays": True}
    once(day["stories"], OLD, OLD, NEW, NEW)
    held_by_groups(day["stories"])
    for run in ("7", "1", "2", "3", "4"):
        assert day["lines"].count(f" rb=RB{run} instrument=ENGINX run={run} verdict=completed ") == 1


def test_an_upgrade_between_the_end_of_a_script_and_its_commit_commits_it_once(facts):
    seen = facts("between")

    assert seen["alive"] == [True, True], "a shepherd outlives the package that it came from"
    assert seen["undecided"] == [True, True]
    assert seen["upgrade"]["status"] == 0, seen["upgrade"]
    assert seen["another"]
    assert seen["current"] == NEW
    once(seen["stories"], OLD, OLD)
