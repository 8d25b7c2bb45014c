"""Admission with real runs: their limits never add up to more than the host gives."""

from __future__ import annotations

import json
import os

import pytest
from embedded import PATIENCE, Embedded
from waiting import wait_until

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
    with Embedded(tmp_path, host={"memory": "3 GiB", "slots": 4}) as made:
        yield made


def patient(site, gate, **keys):
    arguments = {"standard_vars": {"gate": gate}, "advanced_vars": {}}
    return site.submit(site.message(PATIENT, reduction_arguments=arguments, **keys))


def status(site):
    return json.loads(site.verb("status", "--json").stdout)


def waiting(site):
    return {row["job"]: row["text"] for row in json.loads(site.verb("runs", "--json").stdout)["waiting"]}


def test_a_run_that_does_not_fit_beside_another_waits_and_everybody_says_why(site):
    site.start()
    gate = site.path("gate")
    first = patient(site, gate)
    site.wait_running(first)
    second = site.submit(site.message(run=75514, rb=1510112))
    why = "needs 2 GiB beside 2 GiB of running limits; this host has 3 GiB"
    wait_until(lambda: status(site)["waits"] == {second: why}, PATIENCE, "status to say why")
    assert "2 GiB of 3 GiB reserved by limits" in site.verb("status").stdout
    wait_until(lambda: waiting(site)[second].endswith(why), PATIENCE, "runs to say why")
    site.restart()
    wait_until(lambda: status(site)["waits"] == {second: why}, PATIENCE, "the next supervisor to know what runs")
    assert not os.path.exists(site.place(second).attempts)
    with open(gate, "w"):
        pass
    assert site.wait_published(first).verdict == "completed"
    assert site.wait_published(second).verdict == "completed"


def test_a_run_that_fits_no_host_is_told_and_refused_when_the_time_is_up(site):
    site.configure(host={"memory": "3 GiB"}, limits={"instrument": {"ENGINX": {"memory": "4 GiB"}}})
    site.start()
    job = site.submit(site.message())
    wait_until(lambda: "4 GiB" in waiting(site).get(job, ""), PATIENCE, "runs to say that no host has room")
    assert "has 3 GiB for runs" in waiting(site)[job]
    site.configure(
        host={"memory": "3 GiB"},
        limits={"instrument": {"ENGINX": {"memory": "4 GiB"}}},
        publish={"unplaceable_after": "1 s"},
    )
    assert site.verb("reload").returncode == 0
    outcome = site.wait_published(job)
    assert outcome.verdict == "refused"
    assert "4 GiB" in outcome.sentence


def test_an_instrument_with_a_bound_has_no_more_runs_at_a_time(site):
    site.configure(host={"slots": 4, "memory": "100 GiB"}, instrument={"ENGINX": {"concurrency": 1}})
    site.start()
    gate = site.path("gate")
    first = patient(site, gate)
    site.wait_running(first)
    second = site.submit(site.message(run=75514, rb=1510112))
    other = site.submit(site.message(run=75515, rb=1510113, instrument="GEM"))
    assert site.wait_published(other).verdict == "completed"
    wait_until(lambda: "concurrency is 1" in status(site)["waits"].get(second, ""), PATIENCE, "status to say why")
    assert not os.path.exists(site.place(second).attempts)
    with open(gate, "w"):
        pass
    assert site.wait_published(second).verdict == "completed"
