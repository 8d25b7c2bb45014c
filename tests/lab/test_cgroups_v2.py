"""Control groups of version 2 under systemd: the host tests in a delegated service, and a service that has nothing."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

SERVICE = (
    "systemd-run --quiet --wait --pipe -p WorkingDirectory=/mnt/work"
    " --setenv=PYTHONPATH=/mnt/work:/mnt/work/packages --setenv=PYTHONDONTWRITEBYTECODE=1"
)
#: Prints what a process of the service gets, and what a box in it would be held by.
TELL = """
import json
from sandbox.cgroups import Groups
from sandbox.linux import cgroupfs
groups = Groups.find()
print(json.dumps([groups.available, groups.guards(), groups.reason, cgroupfs.positions()[""]]))
"""


@pytest.mark.parametrize("user", ["root", "svc"])
def test_the_host_tests_of_control_groups_pass_in_a_delegated_service(guest, user):
    pytest_line = (
        "python3 -m pytest -q -p no:cacheprovider --timeout 240 --basetemp /tmp/of-tests tests/host/test_cgroups.py"
    )

    done = guest(
        f"{SERVICE} -p Delegate=yes -p User={user} {pytest_line} || exit; find /sys/fs/cgroup -name 'autoreduce*'"
    )

    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "/sys/fs/cgroup/" not in done.stdout, done.stdout


@pytest.mark.parametrize("user", ["root", "svc"])
def test_boxes_stand_before_the_word_in_a_delegated_service(guest, user):
    """On a host whose mounts are shared, and where an ordinary user proves level hostile."""
    chosen = "stands or stopped or given_up or mounted or shared or outside or larger or elsewhere"
    pytest_line = (
        "python3 -m pytest -q -p no:cacheprovider --timeout 240 --basetemp /tmp/of-tests tests/host/test_gates.py"
        f" -k '{chosen}'"
    )

    done = guest(
        f"{SERVICE} -p Delegate=yes -p User={user} {pytest_line} || exit; find /sys/fs/cgroup -name 'autoreduce*'"
    )

    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "/sys/fs/cgroup/" not in done.stdout, done.stdout


def told(guest, properties):
    done = guest(f"cat > /tmp/tell.py <<'END'\n{TELL}\nEND\n{SERVICE} {properties} python3 /tmp/tell.py")
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_a_delegated_service_moves_to_its_leaf_and_holds_memory_processes_and_cpu(guest):
    available, guards, reason, position = told(guest, "-p Delegate=yes -p User=svc")

    assert available, reason
    assert guards == {
        "memory": "cgroup-v2", "processes": "cgroup-v2", "cpu": "cgroup-v2", "kill": "cgroup.kill",
    }  # fmt: skip
    assert position.endswith(".service/supervisor")


def test_a_service_without_delegation_gets_no_group_and_is_told_why(guest):
    available, guards, reason, position = told(guest, "-p User=svc")

    assert (available, guards) == (False, {})
    assert "Delegate=yes" in reason
    assert position.endswith(".service")
