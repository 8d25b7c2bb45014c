"""Four hosts with a run each: one dies, one freezes, one loses its supervisor, and the fourth takes over what is due.

The story is told once, because the proof of a host's death takes its time; each test looks at one thing of it.
"""

from __future__ import annotations

from types import SimpleNamespace

import faultpoints
import pytest
from brokertrace import BrokerTrace
from fleethistory import checked, figures
from fleetofhosts import Fleet
from scenarios import queue_names

from supervisor import durable

pytestmark = [pytest.mark.xdist_group("hosts that fail"), pytest.mark.timeout(900)]

RBS = ("1410001", "1410002", "1410003", "1410004")


@pytest.fixture(scope="module")
def story(activemq, tmp_path_factory):
    base = tmp_path_factory.mktemp("fleet")
    queues = queue_names()
    replies = {key: name for key, name in queues.items() if key != "pending"}
    with (
        Fleet(
            base, "dies", "freezes", "loses", "stays", broker_port=activemq.port, queues=queues, values={"slots": "1"}
        ) as fleet,
        BrokerTrace(activemq.port, replies) as trace,
    ):
        for site in fleet.hosts.values():
            site.trace()
        yield tell(fleet, trace)


def tell(fleet, trace):
    """Tell the story, and return what was seen on the way."""
    fleet.start()
    first = {rb: f"first-{rb}" for rb in RBS}
    gates = {rb: fleet.base / f"go-{rb}" for rb in RBS}
    for number, rb in enumerate(RBS):
        fleet.send(first[rb], fleet.message(first[rb], str(5000 + number), rb, gate=gates[rb]))
    fleet.until(lambda: len(fleet.runs()) == len(RBS), "each host to run one")
    at = {run.host: fleet_rb for run in fleet.runs() for fleet_rb in RBS if run.job == first[fleet_rb]}
    assert set(at) == set(fleet.hosts), at
    for number, rb in enumerate(RBS * 2):
        name = f"later-{rb}-{number}"
        fleet.send(name, fleet.message(name, str(6000 + number), rb, seconds=0.05))

    fleet["loses"].kill_supervisor()
    fleet.disturb("supervisor", "loses")
    fleet.die("dies")
    fleet.freeze("freezes")
    lapsed = fleet.lapse("freezes")
    for host in ("dies", "freezes", "stays"):
        gates[at[host]].touch()

    due = {job for job in fleet.accepted if at["loses"] not in job}
    fleet.until(lambda: all(map(fleet.is_published, due)), "what is due of the dead and frozen hosts to be done", 90.0)
    alone = epochs_of(fleet, at["loses"])
    fleet.thaw("freezes")
    fleet.until(lambda: not fleet.working("freezes"), "the thawed run to end")
    fleet.start("loses", "dies")
    adopted = epochs_of(fleet, at["loses"])
    gates[at["loses"]].touch()
    fleet.settle()
    trace.wait(fleet.accepted)
    history = checked(fleet, trace)
    print(figures(history))
    return SimpleNamespace(
        fleet=fleet, history=history, at=at, first=first, lapsed=lapsed, alone=alone, adopted=adopted
    )


def epochs_of(fleet, rb):
    """The numbers of the epochs of an RB."""
    return [int(name) for name in durable.listing(fleet.layout.rb(rb).folder("epochs"))]


def of_first(story, host):
    """The epochs in which the run that was under way on a host when it was struck ran, there and elsewhere."""
    return [epoch for epoch in story.history.of_job(story.first[story.at[host]]) if epoch.ran is not None]


def test_the_run_of_a_host_that_died_is_run_again_by_another(story):
    lost, again = of_first(story, "dies")
    assert (lost.host, lost.outcome.kind) == ("dies", "revoked")
    assert "stood still" in lost.outcome.why
    assert (again.host, again.outcome.verdict, again.promoted) == ("stays", "completed", "done")
    # Both of its heartbeats have to stand still for as long as that.
    assert again.at - lost.at >= 12.0


def test_the_run_of_a_host_that_froze_is_run_again_and_what_thaws_publishes_nothing(story):
    assert story.lapsed >= 1, "the frozen host had no lock to lose"
    lost, again = of_first(story, "freezes")
    assert (lost.host, lost.outcome.kind, lost.promoted) == ("freezes", "revoked", None)
    assert (again.host, again.outcome.verdict) == ("stays", "completed")
    told = [r for r in story.history.replies if r.job == story.first[story.at["freezes"]] and r.kind != "started"]
    assert {reply.event.split(":")[1] for reply in told} == {str(again.n)}


def test_a_run_whose_supervisor_is_gone_is_left_to_its_shepherd_and_found_again(story):
    """The host's heartbeat stands still for longer than `takeover_after`, the run's own does not."""
    assert story.alone == story.adopted == [1], "somebody took it over"
    (only,) = of_first(story, "loses")
    assert (only.host, only.outcome.verdict) == ("loses", "completed")


def test_what_waited_behind_is_done_in_order_by_whoever_is_left(story):
    for rb in RBS:
        committed = [epoch.job for epoch in story.history.epochs[rb] if epoch.committed]
        assert committed == sorted(committed, key=lambda job: story.history.jobs[job].order)
        assert len(committed) == 3


def test_a_fleet_reaches_no_fail_point_that_one_host_does_not(story):
    """So that the list of points, at each of which somebody is killed, is the whole list for a fleet as well.

    What only a lost lock leads to has a story of its own there.
    """
    reached = {f"{process} {label}" for trace in story.history.traces.values() for process, label in trace}
    assert len(reached) > 100
    assert reached <= faultpoints.labels(faultpoints.load())
