"""Fences with real supervisors: a host that was fenced and lives ends itself; one that is dead is taken over at once."""

from __future__ import annotations

import os
import signal
import time
import tomllib
from pathlib import Path

import pytest
from embedded import PATIENCE, Embedded

from sandbox.linux import proctree
from supervisor import fences
from supervisor.cells import link_final
from supervisor.exitcodes import CONFIG, FENCED, OK, USAGE
from supervisor.fences import Fence
from supervisor.records import Epoch, Final, Outcome, Promoted

#: Waits for a file, which its test makes.
GATED = """
import os, time
def main(input_file, output_dir):
    while not os.path.exists({gate!r}):
        time.sleep(0.05)
    return ''
"""
#: Far longer than these tests: nothing here is taken over by the timer.
LOCK = {"beat": "200 ms", "self_kill_after": "30 s", "takeover_after": "30 min"}


@pytest.fixture
def site(tmp_path):
    with Embedded(tmp_path / "a", host={"id": "host-a", "slots": 1}, lock=LOCK) as made:
        yield made


def gated(site, **keys):
    return site.message(GATED.format(gate=site.path("gate")), **keys)


def kinds(site, job):
    """What became of each epoch of the job's RB, "" while it is undecided."""
    cells = site.cells(job)
    outcomes = [cells.outcome(n) for n in range(1, cells.last() + 1)]
    return [outcome.kind if outcome is not None else "" for outcome in outcomes]


def decided(site, host):
    """A job that a host has decided and promoted, and of which nobody was told."""
    job = site.submit(site.message(run=98, rb=98))
    cells = site.cells(job)
    cells.make("98")
    cells.link_epoch(1, Epoch(host=host, boot=proctree.boot_id(), job=job, time=time.time()))
    cells.link_outcome(1, Outcome(kind="committed", verdict="script_error", sentence="a test"))
    link_final(site.place(job), Final(rb="98", n=1))
    cells.link_promoted(1, Promoted(kind="done"))
    return job


def test_a_supervisor_whose_boot_is_fenced_ends_its_run_and_itself_and_serves_again_when_that_is_lifted(site):
    site.start()
    job = site.submit(gated(site))
    record = site.wait_running(job)
    refused = site.verb("fence", "--host", "host-a", "--confirm-dead")
    assert (refused.returncode, "this host itself" in refused.stderr) == (USAGE, True)
    # As another host would, whose operator is wrong: this one lives.
    fences.link_fence(site.layout, Fence(host="host-a", boot=proctree.boot_id(), who="anna", time=time.time()))
    assert site.process.wait(PATIENCE) == FENCED, site.log_text()
    said = site.log_text()
    assert 'host "host-a" was declared dead in this boot' in said
    assert "operator anna" in said
    assert not proctree.alive(proctree.Identity(record.shepherd.pid, record.shepherd.start)), "its run goes on"
    assert not proctree.carriers(record.token), "a process of its box lives"
    assert kinds(site, job) == ["released"]
    began = time.monotonic()
    again = site.verb("serve")
    assert again.returncode == FENCED, again.stderr
    assert time.monotonic() - began < PATIENCE
    assert "fence --host host-a --lift" in again.stderr
    assert kinds(site, job) == ["released"], "a fenced supervisor claimed"
    lifted = site.verb("fence", "--host", "host-a", "--lift")
    assert lifted.returncode == OK, lifted.stderr
    site.start()
    with open(site.path("gate"), "w"):
        assert site.wait_published(job).verdict == "completed"
    assert kinds(site, job) == ["released", "committed"]


def test_the_runs_of_a_dead_host_are_run_by_another_as_soon_as_it_is_fenced(site, tmp_path):
    site.start()
    job = site.submit(gated(site))
    site.wait_running(job)
    site.end_everything()  # the machine is off
    untold = decided(site, "host-a")
    paths = tomllib.loads(Path(site.config).read_text())["paths"]
    tables = {"host": {"id": "host-b"}, "lock": LOCK, "paths": paths, "store": {"path": site.store, "poll": "100 ms"}}
    with Embedded(tmp_path / "b", **tables) as other:
        other.start()
        # A run behind it in the order is done: by then the supervisor has looked at the RB of the first, and left it.
        site.wait_published(site.submit(site.message(run=99, rb=99)))
        assert kinds(site, job) == [""]
        assert not os.path.exists(site.place(untold).published), "host-a may live: it sends its replies itself"
        early = other.verb("fence", "--host", "host-a")
        assert (early.returncode, f"job {job}" in early.stdout) == (USAGE, True)
        fenced = other.verb("fence", "--host", "host-a", "--confirm-dead")
        assert fenced.returncode == OK, fenced.stderr
        with open(site.path("gate"), "w"):
            outcome = site.wait_published(job)
        assert (outcome.verdict, outcome.host) == ("completed", "host-b")
        site.wait_published(untold)
        assert kinds(site, job) == ["revoked", "committed"]
        assert "fenced by operator" in site.cells(job).outcome(1).why
        assert other.verb("fence", "--host", "host-b", "--confirm-dead").returncode != OK
        lifted = other.verb("fence", "--host", "host-a", "--lift")
        assert lifted.returncode == OK, lifted.stderr


def test_a_second_supervisor_under_one_host_id_is_told_who_has_it_since_when(site):
    site.start()
    second = site.verb("serve")
    assert second.returncode == CONFIG, second.stderr
    for fact in ('"host-a" is in use', "this machine", f"pid {site.process.pid}", proctree.boot_id()[:8], "since 20"):
        assert fact in second.stderr
    assert site.process.poll() is None
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(PATIENCE) == OK
