"""Both units under systemd 252: whatever happens to supervisor, nursery or host, two runs that are alive are not lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from stompclient import StompClient

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "0.1.0", "0.2.0"
SUPPORT = ("embedded.py", "waiting.py")


@pytest.fixture(scope="module")
def share(tmp_path_factory):
    """Two installed versions, the units, and the driver, as the guest sees them."""
    place = tmp_path_factory.mktemp("units")
    source = tmp_path_factory.mktemp("source")
    for name in ("supervisor", "sandbox", "examples", "etc"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    install(source, place / "1" / "packages")
    shutil.copytree(place / "1", place / "2", symlinks=True)
    project = (source / "pyproject.toml").read_text()
    (source / "pyproject.toml").write_text(project.replace(f'\nversion = "{OLD}"', f'\nversion = "{NEW}"'))
    shutil.rmtree(next((place / "2" / "packages").glob("autoreduce_supervisor-*.dist-info")))
    install(source, place / "2" / "packages", "--no-deps", "--upgrade")
    shutil.copytree(ROOT / "etc", place / "etc")
    (place / "support").mkdir()
    for name in SUPPORT:
        shutil.copy(ROOT / "tests/support" / name, place / "support")
    shutil.copy(ROOT / "tests/lab/unitsdriver.py", place)
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    return place


def install(source, target, *options):
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([*pip, *options, str(source)], check=True, timeout=300)


@pytest.fixture
def host(machine, share, activemq, queues):
    """A machine with the units installed, and the broker that it finds."""
    return Host(machine, share, activemq, queues)


class Host:
    def __init__(self, machine, share, activemq, queues):
        self.share = share
        self._machine = machine
        self._activemq = activemq
        self._queues = {name: queues(name) for name in ("pending", "started", "complete", "error")}
        order = {"versions": {"1": OLD, "2": NEW}, "port": activemq.port, "queues": self._queues}
        (share / "order.json").write_text(json.dumps(order))

    def run(self, event, identity="unit"):
        """Boot, have something happen, and return the machine's end."""
        return self._machine(
            self.share, f"python3 /mnt/work/unitsdriver.py {event} {identity}", port=self._activemq.port
        )

    def facts(self, event, identity="unit"):
        done = self.run(event, identity)
        assert done.returncode == 0, done.stdout
        print(done.stdout)
        return json.loads(done.stdout.strip().splitlines()[-1])

    def told(self):
        """How often each run was told to have started, completed or failed."""
        told = {}
        with StompClient(self._activemq.port) as client:
            for name in ("started", "complete", "error"):
                for frame in client.browse(self._queues[name]):
                    of_run = told.setdefault(str(json.loads(frame.body)["run_number"]), Counter())
                    of_run[name] += 1
        return told


#: What the producer of a run hears.
ONCE = {"started": 1, "complete": 1}


def once(stories, *versions):
    """Each run has its result and was told, from one attempt of the version that is said."""
    assert [story["result"] for story in stories] == [True] * len(versions)
    assert [story["reduced_by"] for story in stories] == list(versions)
    assert [[attempt["version"] for attempt in story["attempts"]] for story in stories] == [[v] for v in versions]
    assert {attempt["kind"] for story in stories for attempt in story["attempts"]} == {"committed"}


def held_by_groups(stories):
    assert {story["guards"]["level"] for story in stories} == {"contained"}
    assert {story["guards"]["memory"] for story in stories} == {"cgroup-v2"}
    assert {story["guards"]["processes"] for story in stories} == {"cgroup-v2"}


@pytest.mark.parametrize(("event", "identity"), [("restart", "unit"), ("kill", "unit"), ("kill", "root")])
def test_runs_go_on_while_the_supervisor_is_restarted_or_killed(host, event, identity):
    facts = host.facts(event, identity)

    assert facts["owners"] == ["autoreduce"]
    assert facts["shepherds_alive"] == [True, True]
    once(facts["stories"], OLD, OLD)
    held_by_groups(facts["stories"])
    assert host.told() == {"1": ONCE, "2": ONCE}
    assert "2 of 4 slots run" in facts["status_running"]
    assert "broker connected" in facts["status_running"]
    assert facts["up"]


def test_an_upgrade_leaves_runs_to_the_version_that_began_them_and_begins_the_next_with_the_new_one(host):
    facts = host.facts("upgrade")

    assert facts["shepherds_alive"] == [True, True]
    once(facts["stories"], OLD, OLD, NEW, NEW)
    assert host.told() == dict.fromkeys("1234", ONCE)
    held_by_groups(facts["stories"])
    assert facts["old_nursery"].split() == ["success", "0"]


def test_runs_of_a_nursery_that_was_killed_run_again_and_are_told_once(host):
    facts = host.facts("nursery")

    assert facts["shepherds_alive"] == [False, False], "systemd ends a unit whose main process is killed"
    for story in facts["stories"]:
        assert [attempt["kind"] for attempt in story["attempts"]] == ["revoked", "committed"]
        assert story["result"]
    assert host.told() == {"1": ONCE, "2": ONCE}
    held_by_groups(facts["stories"])
    assert facts["up"]


def test_the_run_of_a_shepherd_that_was_killed_runs_again_and_its_control_group_is_removed_by_the_supervisor(host):
    facts = host.facts("shepherd")

    assert facts["shepherds_alive"] == [False, True]
    killed, other = facts["stories"]
    assert [attempt["kind"] for attempt in killed["attempts"]] == ["revoked", "committed"]
    once([other], OLD)
    assert host.told() == {"1": ONCE, "2": ONCE}
    held_by_groups([killed, other])


def test_a_run_that_the_kernel_ends_for_its_memory_ends_neither_the_nursery_nor_other_runs(host):
    facts = host.facts("oom")

    assert facts["shepherds_alive"] == [True, True]
    once(facts["stories"], OLD, OLD)
    assert host.told() == {"1": ONCE, "2": ONCE, "9": {"started": 1, "error": 1}}


def test_runs_of_a_host_that_is_shut_down_are_given_back_and_run_again_when_it_is_up(host):
    disk = host.share / "disk.img"
    with open(disk, "wb") as file:
        os.truncate(file.fileno(), 256 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", str(disk)], check=True)

    down = host.run("before-shutdown")
    assert down.returncode == 125, down.stdout  # it went down before it could answer
    assert "powering off" in down.stdout, down.stdout
    facts = host.facts("after-boot")

    assert [first[0] for first in facts["first"]] == ["released", "released"]
    assert all("shutdown" in first[1] for first in facts["first"])
    for story in facts["stories"]:
        assert [attempt["kind"] for attempt in story["attempts"]] == ["released", "committed"]
        assert story["result"]
    assert host.told() == {"1": ONCE, "2": ONCE}
