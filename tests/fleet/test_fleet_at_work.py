"""Two well hosts with much to do, as the production defaults have it: order, slot use, hand-over, overtaking.

AUTOREDUCE_RUNS and AUTOREDUCE_RBS make it smaller or larger. Each test prints the line for docs/evidence.md.
"""

from __future__ import annotations

import os

import pytest
from brokertrace import BrokerTrace
from fleetfigures import hand_overs, slot_use, spread
from fleethistory import checked, figures
from fleetofhosts import Fleet
from scenarios import queue_names
from stompclient import StompClient

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("fleet at work")]

RUNS = int(os.environ.get("AUTOREDUCE_RUNS", "200"))
RBS = int(os.environ.get("AUTOREDUCE_RBS", "20"))
#: Of each host; this machine is small, and a slot of a production host has cores of its own.
SLOTS = 2
#: What a production host has (etc/autoreduce/supervisor.toml), but for the slots.
PRODUCTION = {"poll": "1 s", "slots": str(SLOTS)}
#: Seconds for all of it; a stuck fleet is to fail, not to hang.
LONG = 1800.0


@pytest.fixture
def queues():
    return queue_names()


@pytest.fixture
def trace(activemq, queues):
    with BrokerTrace(activemq.port, {key: name for key, name in queues.items() if key != "pending"}) as trace:
        yield trace


def test_two_hosts_do_200_runs_of_20_rbs_in_order_and_without_overlap(activemq, queues, trace, tmp_path):
    with Fleet(
        tmp_path / "fleet", "one", "other", broker_port=activemq.port, queues=queues, values=PRODUCTION
    ) as fleet:
        fleet.start()
        with StompClient(activemq.port) as client:
            for number in range(RUNS):
                job = f"job{number}"
                body = fleet.message(job, str(5000 + number), str(1410001 + number % RBS), seconds=2.0, tick=0.1)
                fleet.send_by(client, job, body)
        fleet.until(lambda: all(map(fleet.is_published, fleet.accepted)), "every run to be told", LONG)
        fleet.settle()
        trace.wait(fleet.accepted)
        history = checked(fleet, trace)
        share = slot_use(history, dict.fromkeys(fleet.hosts, SLOTS))
        passed = hand_overs(history)
        by_host = {name: sum(run.host == name for run in history.runs) for name in fleet.hosts}
        print(f"\nEVIDENCE {RUNS} runs of {RBS} RBs on 2 hosts with {SLOTS} slots each: {figures(history)}; {by_host}")
        print(f"EVIDENCE slot-seconds with an eligible head used: {share:.1%}")
        print(f"EVIDENCE lock idle between two runs of an RB, {spread([one.lock_idle for one in passed])}")
        print(f"EVIDENCE the same across hosts, {spread([one.lock_idle for one in passed if one.across])}")
        assert len(history.runs) == RUNS
        assert min(by_host.values()) > 0
        assert share >= 0.9


def test_an_rb_passes_from_host_to_host_within_a_second(activemq, queues, trace, tmp_path):
    """The next run can be done by the other host only, and its slots are free."""
    own = {
        name: {"more": f"[instrument.{not_its}]\nenabled = false\n"}
        for name, not_its in (("one", "BEER"), ("other", "ALF"))
    }
    times = max(4, RUNS // 10)
    with Fleet(
        tmp_path / "fleet", "one", "other", broker_port=activemq.port, queues=queues, values=PRODUCTION, own=own
    ) as fleet:
        fleet.start()
        for number in range(times):
            job = f"job{number}"
            body = fleet.message(
                job, str(5000 + number), "1410001", seconds=3.0, instrument=("ALF", "BEER")[number % 2]
            )
            fleet.send(job, body)
            fleet.until(lambda job=job: fleet.begun(job), f"{job} to begin")
        fleet.settle()
        trace.wait(fleet.accepted)
        history = checked(fleet, trace)
        passed = [one for one in hand_overs(history) if one.across]
        idle = sorted(one.lock_idle for one in passed)
        print(f"\nEVIDENCE hand-over across hosts, lock idle, {spread(idle)}")
        print(f"EVIDENCE hand-over across hosts, script to script, {spread([one.scripts_apart for one in passed])}")
        assert len(passed) == times - 1
        assert idle[len(idle) // 2] <= 1.0


def test_a_live_run_of_priority_9_overtakes_200_re_runs_of_its_rb(activemq, queues, trace, tmp_path):
    with Fleet(
        tmp_path / "fleet", "one", "other", broker_port=activemq.port, queues=queues, values=PRODUCTION
    ) as fleet:
        gate, never = fleet.base / "go", fleet.base / "never"
        fleet.start()
        fleet.send("first", fleet.message("first", "5000", "1410001", gate=gate))
        fleet.until(lambda: fleet.begun("first"), "the first to begin")
        with StompClient(activemq.port) as client:
            for number in range(RUNS):
                body = fleet.message(f"again{number}", "5000", "1410001", gate=never)
                fleet.send_by(client, f"again{number}", body)
        fleet.until(lambda: len(os.listdir(fleet.layout.waiting)) == RUNS + 1, "all to be journaled")
        fleet.send("live", fleet.message("live", "6000", "1410001"), priority=9)
        fleet.until(lambda: len(os.listdir(fleet.layout.waiting)) == RUNS + 2, "the live run to be journaled")
        gate.touch()
        fleet.until(lambda: fleet.is_published("live"), "the live run to be done")
        first, second, *_ = [run.job for run in fleet.runs()]
        (live,) = fleet.begun("live")
        (before,) = fleet.begun("first")
        print(
            f"\nEVIDENCE priority 9 overtook {RUNS} re-runs; it began {live.begin - before.last:.2f} s after the run before"
        )
        assert (first, second) == ("first", "live")
