"""One identity: root with `service.user` makes what needs root and becomes that user; units tell and wait for each other.

As an ordinary user the same services run as that user, which is then named in `service.user`.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import pytest
from embedded import Embedded
from waiting import wait_until

from sandbox import delegation
from sandbox.cgroups import Groups
from sandbox.linux import cgroupfs, proctree
from supervisor import pinned, rundir
from supervisor.notify import VARIABLE
from supervisor.nurserylink import NurseryGone, NurseryLink

#: One after the other: on version 1 of control groups all that serve as a user of their own share folders with a fixed
#: name, and each test takes away the ones that it found missing.
pytestmark = pytest.mark.xdist_group("folders of the service user")

ROOT = os.geteuid() == 0
#: A user of every host that no other test is.
USER = pwd.getpwnam("daemon") if ROOT else pwd.getpwuid(os.geteuid())
#: Waits until the gate stands beside its data.
HELD = """
import os, time
def main(input_file, output_dir):
    while not os.path.exists(os.path.join(os.path.dirname(input_file), "gate")):
        time.sleep(0.02)
    open(os.path.join(output_dir, "uid.txt"), "w").write(str(os.getuid()))
"""


def python():
    """A Python that the service user may run, of our own version: one in root's home is none."""
    if not ROOT:
        return sys.executable
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}", "/usr/bin/python3"):
        ask = [candidate, "-I", "-c", f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"]
        with contextlib.suppress(OSError):
            if subprocess.run(ask, user=USER.pw_uid, group=USER.pw_gid, extra_groups=[], check=False).returncode == 0:
                return candidate
    version = f"python3.{sys.version_info.minor}"
    raise AssertionError(f"no {version} that every user may run; as root: apt-get install -y {version}")


class Unit(Embedded):
    """A site outside of everybody's home, whose services are started by a Python that the service user may run."""

    def command(self, verb, *arguments):
        return [python(), "-m", "supervisor.cli", verb, *arguments, "--config", self.config]

    @contextlib.contextmanager
    def as_user(self):
        if not ROOT:
            yield
            return
        os.setegid(USER.pw_gid)
        os.seteuid(USER.pw_uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    def begin(self):
        """Submit a run that waits at the gate, as the service user would, and return its job and its `run.json`."""
        who = {"user": USER.pw_uid, "group": USER.pw_gid, "extra_groups": []} if ROOT else {}
        message = json.dumps(self.message(HELD))
        submit, environment = self.command("submit", "-"), self._environment()
        done = subprocess.run(
            submit,
            input=message,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd="/",
            **who,
        )
        assert done.returncode == 0, done.stderr
        job = done.stdout.strip()
        return job, self.wait_running(job)

    def nursery(self):
        with self.as_user():  # each side refuses anybody else
            return super().nursery()

    def let_go(self):
        with open(os.path.join(self.data, "gate"), "w"):
            pass


@pytest.fixture(scope="module")
def code():
    """Our code and what it needs, where every user may read."""
    folder = tempfile.mkdtemp(prefix="identity-code")
    os.chmod(folder, 0o755)
    here = os.path.dirname(os.path.dirname(pinned.__file__))
    for package in ("supervisor", "sandbox"):
        source = os.path.join(here, package)
        shutil.copytree(source, os.path.join(folder, package), ignore=shutil.ignore_patterns("__pycache__"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def site(code):
    folder = tempfile.mkdtemp(prefix="identity")
    os.chmod(folder, 0o755)
    before = set(delegation.handed_over(cgroupfs.hierarchies(), USER.pw_uid).values())
    import pydantic

    packages = os.path.dirname(os.path.dirname(pydantic.__file__))
    isolation = {"require": "contained", "allow_unsafe": False}
    service = {"user": USER.pw_name}
    with Unit(folder, service=service, isolation=isolation, interpreter={"argv": [python()]}) as site:
        site.environment = {"PYTHONPATH": f"{code}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"}
        os.chown(site.archive, USER.pw_uid, USER.pw_gid)
        yield site
    shutil.rmtree(folder)
    for made in set(delegation.handed_over(cgroupfs.hierarchies(), USER.pw_uid).values()) - before:
        Groups.at({"memory": made}).sweep(lambda name: False)
        os.rmdir(made)


def identity_of(pid):
    """What the kernel says of a process: its four user ids, its supplementary groups, and whose its files in /proc are."""
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return set(status["Uid"].split()), status["Groups"].split(), os.stat(f"/proc/{pid}").st_uid


def stands(place, token):
    return any(os.path.exists(os.path.join(folder, f"autoreduce-{token}")) for folder in place.values())


def test_everything_runs_as_the_service_user_and_a_run_is_reduced(site):
    site.start()
    job, ran = site.begin()
    me = {str(USER.pw_uid)}
    for pid in (site.process.pid, site.nursery(), ran.shepherd.pid):
        uids, groups, owner = identity_of(pid)
        assert uids == me
        assert owner == USER.pw_uid, "not dumpable: it could write no maps of a user namespace"
        assert not ROOT or groups == []
    assert {os.stat(path).st_uid for path in (site.run_dir, site.store, site.path("spool"))} == {USER.pw_uid}
    site.let_go()
    assert site.wait_published(job).verdict == "completed"
    with open(site.result("uid.txt")) as file:
        assert file.read() == str(USER.pw_uid)
    guards = site.why(job)["guards"]
    assert (guards["level"], guards["identity"]) == ("contained", "user" if USER.pw_uid else "root")
    if ROOT and delegation.fixed_folders(cgroupfs.hierarchies(), delegation.fixed_name(USER.pw_uid)):
        assert guards["memory"] == guards["processes"] == "cgroup-v1"
    said = site.log_text()
    assert "CAUTION: this serves as root" not in said
    assert not ROOT or f"Serving as {USER.pw_name}" in said


def test_a_successor_finds_and_ends_the_control_group_of_a_shepherd_that_was_killed(site):
    site.start()
    _, ran = site.begin()
    places = rundir.places(site.run_dir)
    assert (
        places or not ROOT or not delegation.fixed_folders(cgroupfs.hierarchies(), delegation.fixed_name(USER.pw_uid))
    )
    if places:
        group = Groups.at(places[0]).existing(ran.token)
        wait_until(lambda: not group.is_empty(), 60, "the script to begin in its group")
    site.kill()
    os.kill(ran.shepherd.pid, signal.SIGKILL)
    site.start()
    site.let_go()
    wait_until(lambda: not proctree.carriers(ran.token), 60, "the box to be ended")
    wait_until(lambda: not any(stands(place, ran.token) for place in places), 60, "the group to be removed")


def test_a_folder_that_is_not_the_user_s_is_named_and_for_root_with_its_remedy(site):
    os.mkdir(site.store, 0o500)
    done = site.verb("serve")
    assert done.returncode == (78 if ROOT else 70)
    assert site.store in done.stderr
    assert not ROOT or f"chown -R {USER.pw_name} {site.store}" in done.stderr


@pytest.mark.parametrize("named", [True, False])
def test_root_does_not_write_into_the_store_of_the_service_user(site, named):
    site.start()
    if not named:
        site.configure(service={"user": ""})
    with open(site.path("message.json"), "w") as file:
        file.write("{}")
    done = site.verb("submit", site.path("message.json"))
    if ROOT:
        assert done.returncode == 70
        assert f"sudo -u '{USER.pw_name if named else f'#{USER.pw_uid}'}'" in done.stderr
    else:
        assert "sudo" not in done.stderr


def test_what_root_starts_in_the_background_is_the_user_s_and_root_stops_it(site):
    started = site.verb("start")
    assert started.returncode == 0, started.stderr
    who = rundir.serving(site.run_dir)
    assert identity_of(who.pid)[0] == {str(USER.pw_uid)}
    stopped = site.verb("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert not proctree.alive(who)


# The units of a service manager


@pytest.fixture
def manager(site):
    """The socket of a service manager, and what it has heard."""
    address = os.path.join(site.folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        os.chmod(address, 0o666)
        listener.settimeout(60)
        site.environment[VARIABLE] = address

        def hear(beginning):
            while True:
                word = listener.recv(4096).decode()
                if word.startswith(beginning):
                    return word

        yield hear


def test_the_nursery_is_a_unit_that_stays_while_supervisors_are_killed_and_each_says_when_it_is_ready(site, manager):
    with open(site.log, "ab") as log:
        nursery = subprocess.Popen(site.command("nursery"), env=site._environment(), stdout=log, stderr=log)
    try:
        assert manager("READY=1") == "READY=1"
        assert site.nursery() == nursery.pid
        serve = Unit.command
        site.command = lambda verb, *words: [
            *serve(site, verb, *words),
            *(["--nursery-unit"] if verb == "serve" else []),
        ]
        site.start()
        assert manager("READY=1") == "READY=1"
        assert "of 2 slots run" in manager("STATUS=")
        job, ran = site.begin()
        site.kill()
        site.start()
        assert proctree.alive(proctree.Identity(ran.shepherd.pid, ran.shepherd.start))
        site.let_go()
        assert site.wait_published(job).verdict == "completed"
        assert site.stop() == 0
        assert manager("STOPPING=1")
        assert nursery.poll() is None
        nursery.send_signal(signal.SIGTERM)
        assert manager("STOPPING=1")
        assert nursery.wait(60) == 0
    finally:
        nursery.kill()
        nursery.wait()


def test_a_nursery_of_a_version_that_is_not_served_any_more_ends_with_0(site):
    os.mkdir(site.run_dir)
    os.chown(site.run_dir, USER.pw_uid, USER.pw_gid)
    rundir.write_local(site.run_dir, rundir.IDENTITY_FILE, {"version": pinned.code_version()})
    os.chmod(os.path.join(site.run_dir, rundir.IDENTITY_FILE), 0o644)
    command = [python(), "-m", "supervisor.nursery", "--run-dir", site.run_dir, "--stays", "--idle", "0.1"]
    with subprocess.Popen(command, env=site._environment()) as nursery:
        wait_until(lambda: os.path.exists(site.path("run", f"nursery-{pinned.code_version()}.sock")), 60, "the nursery")
        with pytest.raises(subprocess.TimeoutExpired):
            nursery.wait(8)  # longer than a turn of its loop
        rundir.write_local(site.run_dir, rundir.IDENTITY_FILE, {"version": "another"})
        assert nursery.wait(60) == 0


def test_a_nursery_is_of_no_other_version_than_its_code(site):
    os.mkdir(site.run_dir)
    command = [sys.executable, "-m", "supervisor.nursery", "--run-dir", site.run_dir, "--version", "0.0.7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "version 0.0.7 was asked for" in done.stderr
    assert os.listdir(site.run_dir) == []


def test_a_supervisor_whose_nursery_is_a_unit_starts_none_and_names_the_unit(tmp_path, monkeypatch):
    monkeypatch.setattr("supervisor.nurserylink._START", 0.1)
    link = NurseryLink(str(tmp_path), "1.2.3", str(tmp_path / "log"), start=False)
    with pytest.raises(NurseryGone, match=r"systemctl start autoreduce-nursery@1\.2\.3"):
        link.ensure()
    assert os.listdir(tmp_path) == []
