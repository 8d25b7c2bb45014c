"""Thousands: messages through two supervisors that are killed all the time, and a store in which ten thousand jobs wait.

AUTOREDUCE_MESSAGES and AUTOREDUCE_WAITING make them fewer. Each test prints the line for docs/evidence.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from activemq import ActiveMQ
from brokertrace import BrokerTrace
from fleethistory import checked, figures
from fleetofhosts import Fleet
from fleetsite import FleetSite
from scenarios import queue_names
from stompclient import StompClient
from violations import copies

from supervisor import durable, journal

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("fleet soak")]

MESSAGES = int(os.environ.get("AUTOREDUCE_MESSAGES", "10000"))
WAITING = int(os.environ.get("AUTOREDUCE_WAITING", "10000"))
#: A supervisor is killed each time so many seconds have passed, the one and the other in turn.
KILL_EVERY = 20.0
RBS = 40


@pytest.fixture
def broker(tmp_path):
    """A broker that is killed on the way."""
    broker = ActiveMQ(tmp_path / "broker")
    broker.start()
    yield broker
    broker.kill()


class Producer:
    """Sends messages one by one, a piece at a time; one whose receipt was lost with the broker is sent again."""

    def __init__(self, fleet, count):
        self._fleet = fleet
        self._bodies = {
            f"job{n}": fleet.message(f"job{n}", str(10000 + n), str(1410001 + n % RBS)) for n in range(count)
        }
        self._left = list(self._bodies)

    def send_some(self, most=100):
        """Send up to so many; return how many are left."""
        try:
            with StompClient(self._fleet.broker_port) as client:
                for job in self._left[:most]:
                    self._fleet.send_by(client, job, self._bodies[job])
        except (OSError, AssertionError):
            time.sleep(0.5)  # no broker for a while
        self._left = [job for job in self._left if job not in self._fleet.accepted]
        return len(self._left)


def test_each_of_many_messages_has_one_outcome_and_a_reply_while_supervisors_and_broker_are_killed(broker, tmp_path):
    queues = queue_names()
    replies = {key: name for key, name in queues.items() if key != "pending"}
    killed = {"one": 0, "other": 0, "broker": 0}
    with (
        Fleet(tmp_path / "fleet", "one", "other", broker_port=broker.port, queues=queues) as fleet,
        BrokerTrace(broker.port, replies) as trace,
    ):
        fleet.start()
        producer = Producer(fleet, MESSAGES)
        began = time.monotonic()
        next_kill = began + KILL_EVERY
        last = [(began, 0)]

        def published():
            count = sum(path.name == "published" for path in Path(fleet.layout.path("jobs")).glob("*/*/published"))
            if count > last[-1][1]:
                last.append((time.monotonic(), count))
            assert time.monotonic() - last[-1][0] < 300, f"nothing was told for 5 min after {count}\n{fleet.describe()}"
            return count

        while published() < MESSAGES:
            fleet.turn()
            left = producer.send_some()
            if time.monotonic() >= next_kill:
                who = ("one", "other")[sum(killed.values()) % 2]
                assert fleet.kill(who, "supervisor")
                killed[who] += 1
                next_kill = time.monotonic() + KILL_EVERY
            if killed["broker"] < 2 and last[-1][1] >= MESSAGES * (killed["broker"] + 1) // 3:
                fleet.disturb("broker")
                broker.restart()
                killed["broker"] += 1
            if not left:
                time.sleep(0.5)
        took = time.monotonic() - began
        fleet.settle(600.0)
        fleet.until(fleet.is_taken, "every message to be acknowledged")
        trace.wait(fleet.accepted, 120.0)
        history = checked(fleet, trace)
        print(
            f"\nEVIDENCE {MESSAGES} messages through 2 supervisors in {took:.0f} s ({MESSAGES / took:.1f}/s), killed: "
            f"supervisors {killed['one']} and {killed['other']} times, the broker {killed['broker']} times: "
            f"{figures(history)}, 0 violations"
        )
        assert killed["broker"] == 2
        assert killed["one"]
        assert not copies(history)["again after nothing"]


def fill(site, count, instrument):
    """Journal so many jobs of 20 RBs, all alike; what is measured is the store, not how it was filled."""
    site.submit("wait", site.message("1", "def main(i, o):\n    return ''\n", instrument=instrument))
    model = journal.read_request(site.layout.job("wait"))
    assert model is not None
    for number in range(1, count):
        own = {"job": f"wait{number}", "run": str(number), "rb": str(1410001 + number % 20)}
        journal.journal(site.layout, replace(model, **own, time_ms=model.time_ms + number))


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """Resident bytes, and the most there ever were."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return found["VmRSS"], found["VmHWM"]


def runs_seconds(site):
    """How long `runs` takes, the fastest of five: seconds by the clock, and of cpu."""
    command = [sys.executable, "-m", "supervisor.cli", "runs", "--config", str(site.config)]
    clock, cpu = [], []
    for _ in range(5):
        began, before = time.monotonic(), os.times()
        subprocess.run(command, env=site.environment(), stdout=subprocess.DEVNULL, check=True, timeout=60)
        after = os.times()
        clock.append(time.monotonic() - began)
        spent = after.children_user + after.children_system
        cpu.append(spent - before.children_user - before.children_system)
    return min(clock), min(cpu)


@pytest.mark.parametrize("why", ["every slot is taken", "no host takes its instrument"])
def test_ten_thousand_jobs_that_wait_cost_little(why, tmp_path, monkeypatch):
    disabled = "[instrument.BEER]\nenabled = false\n"
    with FleetSite(tmp_path / "site", values={"poll": "1 s", "beat": "10 s", "more": disabled}) as site:
        monkeypatch.setattr(os, "fsync", lambda _: None)
        fill(site, WAITING, "BEER" if why.startswith("no host") else "GEM")
        monkeypatch.undo()
        if why.startswith("every"):
            gated = "import time\ndef main(i, o):\n    time.sleep(3600)\n"
            for number in range(2):
                body = site.message(f"9{number}", gated).replace(b'"1410001"', b'"99%d"' % number)
                site.submit(f"long{number}", body, priority=9)
        began = time.monotonic()
        site.serve()
        if why.startswith("every"):
            site.until(lambda: _running(site) == 2, "both slots to be taken")
            print(f"\n{WAITING} wait: both slots were taken {time.monotonic() - began:.1f} s after the start")
        assert site.child is not None
        pid = site.child.pid
        time.sleep(10.0)  # what a start costs is not what waiting costs
        began, used = time.monotonic(), cpu_seconds(pid)
        time.sleep(60.0)
        share = (cpu_seconds(pid) - used) / (time.monotonic() - began)
        now, most = memory(pid)
        seconds, of_cpu = runs_seconds(site)
        assert len(durable.listing(site.layout.waiting)) >= WAITING
        print(
            f"\nEVIDENCE {WAITING} jobs wait because {why}: runs {seconds:.2f} s ({of_cpu:.2f} s cpu), supervisor {now / 1e6:.0f} MB "
            f"(most {most / 1e6:.0f} MB), idle {share:.2%} cpu"
        )
        assert seconds < 1.0
        assert most < 150e6
        assert share <= 0.01


def _running(site):
    return len(list(Path(site.layout.path("jobs")).glob("*/long*/attempts/*/run.json")))
