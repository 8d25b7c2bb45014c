"""`doctor --peer` between two machines on a real NFSv4.2 export: on good mounts, on such as break locks, and at start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomlkit

pytestmark = [pytest.mark.lab, pytest.mark.timeout(5400)]

ROOT = Path(__file__).resolve().parents[2]
SITE = "/var/lib/peer-site"


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Everything that was said on the machines, by case and host."""
    share = tmp_path_factory.mktemp("peer")
    source = tmp_path_factory.mktemp("source")
    for name in ("supervisor", "sandbox", "examples", "etc"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(share / "packages"), str(source)], check=True, timeout=300)
    for host in "sab":
        (share / f"{host}.toml").write_text(tomlkit.dumps(config(host)))
    (share / "said").mkdir()
    lab = Path(os.environ.get("LAB", ROOT.parent / "shared" / "lab"))
    assert os.access(lab / "vm-run", os.X_OK), f"there is no lab at {lab}; name it: make lab LAB=<folder of vm-run>"
    done = subprocess.run(
        ["bash", Path(__file__).with_name("peerprobe.sh"), lab],
        env={"LAB_TIMEOUT": "3600", "LAB_LEASE": "15", **os.environ, "LAB_SHARE": str(share)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=5300,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    return Said(share / "said")


def config(host):
    return {
        "broker": {"url": "none"},
        "store": {"path": "/shared/store"},
        "host": {"id": host, "slots": 1},
        "service": {"run_dir": f"{SITE}/run"},
        "spool": {"path": f"{SITE}/spool"},
        "paths": {
            "windows_prefixes": [],
            "archive_directory": "/var/tmp/{instrument}/{rb}/{run}",
            "ceph_directory": "/var/tmp/ceph/{rb}/{run}",
            "excitation_directory": "/var/tmp/excitation/{rb}",
            "data_roots": ["/usr/share"],
            "result_roots": ["/var/tmp"],
        },
        "interpreter": {"argv": ["/usr/bin/python3"]},
        "isolation": {"require": "none", "allow_unsafe": True},
    }


class Said:
    def __init__(self, folder):
        self._folder = folder

    def text(self, name):
        return (self._folder / name).read_text()

    def status(self, case, host):
        return int(self.text(f"{case}.{host}.status"))

    def report(self, case):
        """The report of a probe; both hosts show the same."""
        one, two = self.text(f"{case}.a"), self.text(f"{case}.b")
        assert one == two, self.text(f"{case}.a.err") + self.text(f"{case}.b.err")
        return json.loads(one)

    def found(self, case):
        return {each["name"]: each for each in self.report(case)["findings"]}


def test_a_good_mount_passes_every_step(said):
    report = said.report("good")
    for each in report["findings"]:
        print(each["status"].upper(), f"{each['name']}: {each['text']}")
    assert (said.status("good", "a"), said.status("good", "b")) == (0, 0)
    assert [each["name"] for each in report["findings"] if each["status"] == "fail"] == []
    assert report["same_machine"] is False
    grounds = [facts["ground"] for facts in report["sides"].values()]
    assert [each["kind"] for each in grounds] == ["nfs4", "nfs4"]
    assert all({"vers=4.2", "hard", "local_lock=none"} <= set(each["options"]) for each in grounds)
    assert [each["lease"] for each in grounds] == [15.0, 15.0]
    assert len({facts["boot"] for facts in report["sides"].values()}) == 2
    assert "no overlap, no lost count" in said.found("good")["many locks"]["text"]


def test_a_name_is_absent_through_a_folder_kept_open_when_a_fresh_look_has_it(said):
    found = said.found("good")
    print(found["sight through a folder kept open"]["text"])
    assert found["sight of new names"]["status"] == "pass"


def test_an_option_that_the_kernel_does_not_take_up_is_judged_by_what_is_in_force(said):
    """NFSv4 knows no local_lock: the mount is asked for local locks, shows none, and excludes all the same.

    A mount whose locks do stay on its host cannot be made of NFSv4; tests/unit/test_probesteps.py plays one.
    """
    assert "local_lock=none" in said.text("local.mount.b")
    found = said.found("local")
    assert (said.status("local", "a"), said.status("local", "b")) == (0, 0)
    assert [name for name, each in found.items() if each["status"] == "fail"] == []
    assert "no overlap, no lost count" in found["many locks"]["text"]


def test_a_soft_mount_fails_by_its_options_alone(said):
    failing = {name for name, each in said.found("soft").items() if each["status"] == "fail"}
    assert failing == {"mount of b: nfs4 at /shared"}


def test_the_file_server_itself_is_told_at_once_that_its_own_folder_is_no_mount(said):
    assert said.status("local", "s") == 1
    assert "which no other host can see" in said.text("local.s.err")


def test_a_host_serves_only_after_the_probe_and_not_on_a_mount_that_was_changed(said):
    assert said.status("before", "a") == 78
    assert "no passed probe names host a on nfs4 (h1:/ at /shared)" in said.text("before.a.err")
    assert said.status("after", "a") == 0, said.text("after.a.err")
    assert json.loads(said.text("after_status.a"))["unproven"] == ""
    assert said.status("after_stop", "a") == 0
    assert said.status("changed", "b") == 78
    assert "mounted soft" in said.text("changed.b.err")
