"""Disable and enable between two supervisors on one store."""

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
def sites(tmp_path):
    for name in ("a", "b"):
        os.makedirs(tmp_path / name)
    with Embedded(tmp_path / "a", host={"id": "a"}) as one, Embedded(tmp_path / "b") as other:
        other.store, other.archive, other.data, other.layout = one.store, one.archive, one.data, one.layout
        other.configure(host={"id": "b"})
        yield one, other


def waits(site):
    return json.loads(site.verb("status", "--json").stdout).get("disabled", {})


def test_the_word_of_one_host_keeps_the_runs_of_both_and_lets_those_under_way_go_on(sites):
    one, other = sites
    one.start()
    other.start()
    gate = one.path("gate")
    arguments = {"standard_vars": {"gate": gate}, "advanced_vars": {}}
    under_way = one.submit(one.message(PATIENT, reduction_arguments=arguments))
    one.wait_running(under_way)
    said = other.verb("disable", "enginx", "--why", "bank 2 is away")
    assert said.returncode == 0, said.stderr
    for site in sites:
        wait_until(lambda s=site: waits(s), PATIENCE, "both hosts to heed it")
        assert "bank 2 is away" in site.verb("status").stdout
    kept = one.submit(one.message(run=75514, rb=1510112))
    free = one.submit(one.message(run=75515, rb=1510113, instrument="GEM"))
    assert one.wait_published(free).verdict == "completed", "another instrument goes on"
    with open(gate, "w"):
        pass
    assert one.wait_published(under_way).verdict == "completed", "what runs goes on"
    assert not os.path.exists(one.place(kept).attempts)
    assert "instrument ENGINX is disabled since" in one.why(kept)["waits_for"]
    assert one.verb("enable", "ENGINX").returncode == 0
    assert one.wait_published(kept).verdict == "completed"
    for site in sites:
        wait_until(lambda s=site: not waits(s), PATIENCE, "status to forget it")


def test_a_disabled_instrument_stays_so_over_a_restart_and_its_runs_can_be_cancelled(sites):
    one, _ = sites
    one.start()
    one.verb("disable", "ENGINX")
    one.restart()
    wait_until(lambda: waits(one), PATIENCE, "the word to be heeded")
    job = one.submit(one.message())
    one.verb("cancel", job)
    assert one.wait_published(job).verdict == "cancelled"
