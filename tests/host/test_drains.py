"""Drained hosts, and the two long ways to stop, with real supervisors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest
from embedded import PATIENCE, Embedded
from waiting import wait_until

from sandbox.linux import proctree
from supervisor import drains, hosts, rundir

GATED = """
import os, time
def main(input_file, output_dir):
    while not os.path.exists({gate!r}):
        time.sleep(0.05)
    return ''
"""
LOCK = {"beat": "200 ms", "self_kill_after": "30 s", "takeover_after": "30 min"}


@pytest.fixture
def site(tmp_path):
    with Embedded(tmp_path / "a", host={"id": "host-a", "slots": 2}, lock=LOCK) as made:
        yield made


def gated(site, run=1):
    return site.message(GATED.format(gate=site.path("gate")), run=run, rb=f"RB{run}")


def open_gate(site):
    with open(site.path("gate"), "w"):
        pass


def second(site, tmp_path):
    paths = tomllib.loads(Path(site.config).read_text())["paths"]
    store = {"path": site.store, "poll": "100 ms"}
    return Embedded(tmp_path / "b", host={"id": "host-b"}, lock=LOCK, paths=paths, store=store)


def began(site, verb, *arguments):
    return subprocess.Popen(
        site.command(verb, *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=site.folder
    )


def state(site):
    return json.loads(site.verb("status", "--json").stdout)


def test_a_drained_host_leaves_new_runs_to_others_and_ends_its_own(site, tmp_path):
    site.start()
    mine = site.submit(gated(site))
    site.wait_running(mine)
    said = site.verb("drain", "--why", "new kernel")
    assert (said.returncode, "host host-a is drained" in said.stdout) == (0, True), said.stderr
    assert state(site)["drained"]["why"] == "new kernel"
    assert "new kernel" in site.verb("status").stdout
    theirs = site.submit(site.message(run=2, rb="RB2"))
    with second(site, tmp_path) as other:
        other.start()
        assert site.wait_published(theirs).host == "host-b"
        open_gate(site)
        assert site.wait_published(mine).host == "host-a"


def test_a_drain_survives_a_restart_and_a_resume_ends_it(site):
    site.start()
    assert site.verb("drain").returncode == 0
    site.restart()
    job = site.submit(site.message())
    wait_until(lambda: hosts.read_beat(site.layout, "host-a").state == drains.DRAINED, PATIENCE, "the drain")
    wait_until(lambda: state(site)["waiting"] == 1, PATIENCE, "the job to be seen")
    assert "drained before" in site.verb("drain").stdout
    assert "host-a is drained" in site.verb("runs").stdout
    assert not os.path.exists(site.place(job).attempts)
    said = site.verb("resume")
    assert (said.returncode, said.stdout) == (0, "host host-a takes new runs and messages again\n")
    assert site.wait_published(job).host == "host-a"
    assert "nothing changes" in site.verb("resume").stdout


def test_a_host_can_be_drained_before_it_serves_and_a_wrong_name_is_told(site):
    site.start()
    site.stop()
    said = site.verb("drain", "--host", "host-a")
    assert "when it serves again" in said.stdout
    wrong = site.verb("drain", "--host", "host-x")
    assert (wrong.returncode, "host-a" in wrong.stderr) == (2, True)


def test_stop_wait_ends_the_supervisor_after_its_last_run_and_leaves_no_drain(site):
    site.start()
    job = site.submit(gated(site))
    site.wait_running(job)
    with began(site, "stop", "--wait") as waits:
        line = waits.stdout.readline()
        assert f"one run is under way for 0 s: job {job} (RB RB1)" in line
        late = site.submit(site.message(run=2, rb="RB2"))
        assert rundir.serving(site.run_dir) is not None
        open_gate(site)
        rest = waits.stdout.read()
        assert waits.wait(PATIENCE) == 0, rest
    assert "no run was under way" in rest
    assert site.wait_final(job).verdict == "completed"
    assert not os.path.exists(site.place(late).attempts)
    assert rundir.serving(site.run_dir) is None
    assert drains.read_drain(site.layout, "host-a") is None


@pytest.mark.parametrize("how", ["timeout", "hangup"])
def test_a_stop_that_waited_in_vain_leaves_the_host_serving_as_before(site, how):
    site.start()
    job = site.submit(gated(site))
    site.wait_running(job)
    with began(site, "stop", "--wait", *(["--timeout", "1 s"] if how == "timeout" else [])) as waits:
        assert "waiting for one run" in waits.stdout.readline()
        if how == "hangup":
            waits.send_signal(signal.SIGHUP)
        rest = waits.stdout.read()
        assert waits.wait(PATIENCE) == 70
    assert ("not stopped: one run is under way" in rest) == (how == "timeout")
    assert rundir.serving(site.run_dir) is not None
    assert drains.read_drain(site.layout, "host-a") is None
    assert site.wait_published(site.submit(site.message(run=2, rb="RB2"))).verdict == "completed"


def test_stop_kill_gives_runs_back_and_another_host_runs_them(site, tmp_path):
    site.start()
    jobs = [site.submit(gated(site, run)) for run in (1, 2)]
    records = [site.wait_running(job) for job in jobs]
    with second(site, tmp_path) as other:
        other.start()
        said = site.verb("stop", "--kill")
        assert said.returncode == 0, said.stdout + said.stderr
        for job, record in zip(jobs, records, strict=True):
            assert f"ending job {job}" in said.stdout
            assert not proctree.carriers(record.token)
            assert site.cells(job).outcome(1).kind == "released"
        assert rundir.serving(site.run_dir) is None
        open_gate(site)
        assert {site.wait_published(job).host for job in jobs} == {"host-b"}
    assert drains.read_drain(site.layout, "host-a") is None


def test_a_drain_of_before_stays_after_a_stop_that_waits(site):
    site.start()
    assert site.verb("drain", "--why", "mine").returncode == 0
    assert site.verb("stop", "--wait").returncode == 0
    assert drains.read_drain(site.layout, "host-a").why == "mine"
