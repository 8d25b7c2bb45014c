"""Two hosts that are well: hand-over, order, cancel, retry, duplicates and resubmit, each between the one and the other.

One fleet serves all tests of this module, since a supervisor takes its time to start; each test has an RB of its own.
`ALF` runs on `one` only, `BEER` on `other` only, everything else on both.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import uuid

import lease
import pytest
from brokertrace import BrokerTrace
from fleethistory import checked
from fleetofhosts import Fleet
from scenarios import queue_names
from standstill import stand_still

from supervisor import durable

pytestmark = [pytest.mark.xdist_group("two hosts"), pytest.mark.timeout(900)]

ONE, OTHER = "ALF", "BEER"


def only(disabled):
    return {"more": f"[instrument.{disabled}]\nenabled = false\n", "slots": "3"}


@pytest.fixture(scope="module")
def running(activemq, tmp_path_factory):
    queues = queue_names()
    replies = {key: name for key, name in queues.items() if key != "pending"}
    own = {"one": only(OTHER), "other": only(ONE)}
    with (
        Fleet(
            tmp_path_factory.mktemp("fleet"), "one", "other", broker_port=activemq.port, queues=queues, own=own
        ) as fleet,
        BrokerTrace(activemq.port, replies) as trace,
    ):
        for site in fleet.hosts.values():
            site.trace()
        fleet.start()
        yield fleet, trace


@pytest.fixture
def fleet(running):
    """The fleet, quiet before and after; its whole history is judged after each test."""
    fleet, trace = running
    yield fleet
    fleet.settle()
    checked(fleet, trace)


@pytest.fixture
def rb():
    return f"14{uuid.uuid4().int % 100000:05d}"


@pytest.fixture
def trace(running):
    return running[1]


def run_number():
    return str(uuid.uuid4().int % 10**7)


def send(fleet, rb, what, *, run=None, to="", priority=4, **facts):
    """Send a run of `what` and return its job."""
    job = f"{what}-{rb}"
    fleet.send(job, fleet.message(job, run or run_number(), rb, **facts), to=to, priority=priority)
    return job


def begun(fleet, job, times=1):
    """Wait until the script of a job has begun so many times, and return the last."""
    return fleet.until(lambda: len(found := fleet.begun(job)) >= times and found, f"{job} to begin")[-1]


def told(fleet, *jobs):
    fleet.until(lambda: all(map(fleet.is_published, jobs)), f"{jobs} to be published")


def ran(fleet, trace, job):
    """The epochs in which a job ran, when all is told."""
    fleet.settle()
    return [epoch for epoch in checked(fleet, trace).of_job(job) if epoch.ran is not None]


def verdict(fleet, trace, job):
    fleet.settle()
    (epoch,) = [epoch for epoch in checked(fleet, trace).of_job(job) if epoch.committed]
    return epoch.outcome.verdict


def test_the_runs_of_an_rb_pass_from_host_to_host_and_back(fleet, trace, rb):
    jobs = []
    for number in range(6):
        jobs.append(send(fleet, rb, f"turn{number}", instrument=(ONE, OTHER)[number % 2], seconds=1.0))
        begun(fleet, jobs[-1])
    told(fleet, *jobs)
    runs = [run for run in fleet.runs() if run.job in jobs]
    assert [run.job for run in runs] == jobs
    assert [run.host for run in runs] == ["one", "other"] * 3
    gaps = sorted(after.begin - before.last for before, after in itertools.pairwise(runs))
    print(f"hand-over across hosts, {len(gaps)}: median {gaps[len(gaps) // 2]:.2f} s, longest {gaps[-1]:.2f} s")


def test_priority_9_overtakes_what_waits_in_its_rb_on_another_host(fleet, trace, rb):
    gate = fleet.base / f"go-{rb}"
    first = send(fleet, rb, "first", instrument=ONE, gate=gate)
    begun(fleet, first)
    waiting = [send(fleet, rb, f"again{n}", to="one") for n in range(4)]
    live = send(fleet, rb, "live", priority=9, to="other")
    fleet.until(lambda: fleet.is_taken("one") and fleet.is_taken("other"), "all to be journaled")
    gate.touch()
    told(fleet, first, live, *waiting)
    assert [run.job for run in fleet.runs() if run.job.endswith(rb)] == [first, live, *waiting]


def cancel(fleet, run, instrument, to):
    body = {"instrument": instrument, "run_number": run, "cancel": True}
    fleet.send(f"cancel-{uuid.uuid4()}", json.dumps(body).encode(), to=to)
    fleet.until(lambda: fleet.is_taken(to), "the cancel to be taken")


@pytest.mark.parametrize(("serves", "told_host"), [(ONE, "other"), (OTHER, "one")])
def test_a_cancel_that_another_host_takes_ends_a_run_under_way(fleet, trace, rb, serves, told_host):
    run = run_number()
    job = send(fleet, rb, "long", run=run, instrument=serves, gate=fleet.base / "never")
    assert begun(fleet, job).host != told_host
    cancel(fleet, run, serves, told_host)
    told(fleet, job)
    assert verdict(fleet, trace, job) == "cancelled"


def test_a_cancel_that_another_host_takes_ends_what_waits_there_without_a_run(fleet, trace, rb):
    """The RB's lock is held by a run of the one host, the waiting job could run on it alone."""
    run, gate = run_number(), fleet.base / f"go-{rb}"
    first = send(fleet, rb, "first", instrument=ONE, gate=gate)
    begun(fleet, first)
    job = send(fleet, rb, "waits", run=run, instrument=ONE, to="one")
    fleet.until(lambda: fleet.is_taken("one"), "it to be journaled")
    cancel(fleet, run, ONE, "other")
    gate.touch()
    told(fleet, first, job)
    assert (ran(fleet, trace, job), verdict(fleet, trace, job)) == ([], "cancelled")


def test_a_cancel_that_another_host_takes_too_late_changes_nothing(fleet, trace, rb):
    """The run is decided, and its host stands still before the promotion."""
    run = run_number()
    fleet["one"].arm("shepherd", "store.link outcome-committed after", "stop")
    job = send(fleet, rb, "decided", run=run, instrument=ONE)
    held = fleet.until(fleet["one"].stopped, "the shepherd to stand after its commit")
    cancel(fleet, run, ONE, "other")
    os.kill(held.pid, signal.SIGCONT)
    told(fleet, job)
    assert verdict(fleet, trace, job) == "completed"


def test_a_cancel_that_came_to_another_host_before_its_job(fleet, trace, rb):
    run = run_number()
    cancel(fleet, run, ONE, "other")
    assert durable.listing(fleet.layout.cancels)
    job = f"late-{rb}"
    body = fleet.message(job, run, rb, instrument=ONE)
    fleet.submit(job, body, time_ms=int(time.time() * 1000) - 60_000)  # sent before the cancel, and long under way
    told(fleet, job)
    assert (ran(fleet, trace, job), verdict(fleet, trace, job)) == ([], "cancelled")


def test_a_run_whose_data_came_late_is_tried_again_by_another_host(fleet, trace, rb):
    run = run_number()
    job = f"retried-{rb}"
    body = fleet.message(job, run, rb)
    data = fleet.any.data(run)
    counts = data.read_bytes()
    data.unlink()
    first, other = fleet["one"], fleet["other"].child.pid
    # It stands still with the lock in hand, and its supervisor's copy is gone: that one can be stopped without it.
    first.arm("shepherd", "store.fsync-folder not-before after", "stop")
    stand_still(other)
    try:
        fleet.send(job, body, to="one")
        shepherd = fleet.until(first.stopped, "the first attempt to be over but for its outcome")
    finally:
        os.kill(other, signal.SIGCONT)
    lock = os.path.realpath(fleet.layout.rb(rb).root)
    supervisor = first.child.pid
    fleet.until(lambda: not lease.locks_of(supervisor, lock), "the supervisor to have let go of the lock")
    stand_still(supervisor)
    try:
        data.write_bytes(counts)
        os.kill(shepherd.pid, signal.SIGCONT)
        fleet.until(lambda: fleet.begun(job), "another host to try it again")
    finally:
        os.kill(supervisor, signal.SIGCONT)
    told(fleet, job)
    history = ran(fleet, trace, job)
    assert history[0].outcome.kind == "retry"
    assert history[0].host == "one"
    assert (history[-1].host, history[-1].outcome.verdict) == ("other", "completed")


def test_a_message_delivered_again_to_another_host_while_it_runs_does_not_run_twice(fleet, trace, rb):
    gate = fleet.base / f"go-{rb}"
    job = f"twice-{rb}"
    body = fleet.message(job, run_number(), rb, instrument=ONE, gate=gate)
    fleet.send(job, body, to="one")
    begun(fleet, job)
    fleet.send(job, body, to="other")
    fleet.until(lambda: fleet.is_taken("other"), "the second delivery to be acknowledged")
    gate.touch()
    told(fleet, job)
    assert len(ran(fleet, trace, job)) == len(fleet.begun(job)) == 1
    assert os.path.exists(fleet.layout.job(job).redelivered)


def test_a_job_is_resubmitted_on_another_host(fleet, trace, rb):
    job = send(fleet, rb, "first", instrument=ONE)
    told(fleet, job)
    site = fleet["other"]
    command = [sys.executable, "-m", "supervisor.cli", "resubmit", job, "--config", str(site.config)]
    said = subprocess.run(command, env=site.environment(), capture_output=True, text=True, timeout=60, check=True)
    again = said.stdout.strip()
    fleet.makes[again] = fleet.makes[job]
    told(fleet, again)
    assert verdict(fleet, trace, again) == "completed"
    assert [run.host for run in fleet.begun(job)] == ["one", "one"]
