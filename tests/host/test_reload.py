"""Reload with a real supervisor: what is applied, what is refused, and what runs meanwhile."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest
from embedded import PATIENCE, Embedded
from waiting import wait_until

from sandbox.limits import GiB
from supervisor import rundir

#: Runs until the file that the message names is there.
PATIENT = """\
import os, time
import reduce_vars
def main(input_file, output_dir):
    while not os.path.exists(reduce_vars.standard_vars["gate"]):
        time.sleep(0.02)
"""


@pytest.fixture
def site(tmp_path):
    with Embedded(tmp_path) as made:
        yield made


def status(site):
    return json.loads(site.verb("status", "--json").stdout)


def memory_of(site, job):
    """Return the limit that a run had, as its own record has it."""
    with open(site.place(job).exit(1)) as file:
        return json.load(file)["outcome"]["limits"]["memory"]


def patient(site, gate, **keys):
    arguments = {"standard_vars": {"gate": gate}, "advanced_vars": {}}
    return site.submit(site.message(PATIENT, reduction_arguments=arguments, **keys))


def test_a_run_in_flight_keeps_its_limits_and_the_next_gets_the_new_ones(site):
    site.start()
    gate = site.path("gate")
    first = patient(site, gate)
    site.wait_running(first)
    site.configure(limits={"memory": "3 GiB"})
    said = site.verb("reload")
    assert (said.returncode, said.stdout) == (0, "applied: limits.memory\n"), said.stderr
    second = patient(site, gate, run=75514, rb=1510112)
    site.wait_running(second)
    with open(gate, "w"):
        pass
    site.wait_published(first)
    site.wait_published(second)
    assert memory_of(site, first) == 2 * GiB
    assert memory_of(site, second) == 3 * GiB


def test_a_wrong_file_is_refused_with_every_problem_and_the_old_one_stays(site):
    site.start()
    site.configure(limits={"memory": "a lot", "wal": "2 h"}, store={"pol": 1})
    said = site.verb("reload")
    assert said.returncode == 78
    for word in ("limits.memory", "limits.wal", "store.pol", "nothing was changed"):
        assert word in said.stderr
    assert "limits.wal" in site.log_text()
    site.configure()
    shown = status(site)["config"]["problems"]
    assert len(shown) == 3
    assert "a reload was refused" in site.verb("status").stdout
    assert site.wait_published(site.submit(site.message())).verdict == "completed"
    assert site.verb("reload").returncode == 0
    wait_until(lambda: status(site)["config"]["problems"] == [], PATIENCE, "status to forget the refusal")


def test_keys_that_need_a_restart_are_named_and_the_others_are_applied(site):
    site.start()
    site.configure(
        store={"path": site.path("other")}, broker={"heartbeat": "20 s"}, host={"slots": 1}, limits={"wall": "1 min"}
    )
    diff = json.loads(site.verb("config", "diff", "--json").stdout)["changes"]
    assert {(row["key"], row["restart"]) for row in diff} == {
        ("broker.heartbeat", True), ("store.path", True), ("host.slots", False), ("limits.wall", False),
    }  # fmt: skip
    said = site.verb("reload")
    assert said.stdout == "applied: host.slots, limits.wall\nneeds a restart: broker.heartbeat, store.path\n"
    wait_until(lambda: status(site)["slots"] == 1, PATIENCE, "the new slots")
    assert "needs a restart: broker.heartbeat, store.path" in site.verb("status").stdout
    left = json.loads(site.verb("config", "diff", "--json").stdout)["changes"]
    assert {row["key"] for row in left} == {"broker.heartbeat", "store.path"}
    assert site.wait_published(site.submit(site.message())).verdict == "completed"


def test_an_interpreter_that_a_reload_brings_is_tried_and_used_and_one_that_fails_is_refused(site):
    site.start()
    site.configure(interpreter={"instrument": {"ENGINX": {"argv": ["/bin/false"]}}})
    said = site.verb("reload")
    assert said.returncode == 78
    assert "interpreter.instrument.ENGINX: " in said.stderr
    link = site.path("python")
    os.symlink(sys.executable, link)
    site.configure(interpreter={"instrument": {"ENGINX": {"argv": [link]}}})
    said = site.verb("reload")
    assert said.returncode == 0, said.stderr
    job = site.submit(site.message())
    assert site.wait_published(job).verdict == "completed"
    with open(site.result("reduction_log", "reduction.json")) as file:
        assert json.load(file)["interpreter"]["argv"] == [link]


def test_the_signal_alone_reloads_and_two_at_once_are_both_answered(site):
    site.start()
    site.configure(limits={"memory": "3 GiB"})
    who = rundir.serving(site.run_dir)
    os.kill(who.pid, signal.SIGHUP)
    os.kill(who.pid, signal.SIGHUP)
    wait_until(lambda: "applied: limits.memory" in site.log_text(), PATIENCE, "the reload")
    assert site.verb("reload").stdout.startswith("applied: nothing")


def test_nobody_there_is_status_3(site):
    assert site.verb("reload").returncode == 3
    assert site.verb("config", "diff").returncode == 3
