"""A host dies with its hands full, and whoever takes over is killed, or freezes, on each step of the way.

AUTOREDUCE_SEED has nothing to say here: every point of the path is taken once.
"""

from __future__ import annotations

import pytest
import takeoverstory
from brokertrace import BrokerTrace
from fleethistory import checked, figures
from fleetofhosts import QUICK_LOCKS, Fleet
from scenarios import queue_names
from takeoverstory import DIES, PATH

pytestmark = pytest.mark.timeout(900)

VALUES = QUICK_LOCKS | {"slots": "5"}
#: Those of the path at which somebody is killed in each run of the tests; all others in the soak.
FEW = (
    ("supervisor", "store.link outcome-revoked after"),
    ("shepherd", "archive.rename in before"),
    ("supervisor", "broker.send after"),
)
LONG = 180.0


@pytest.fixture
def fleet(activemq, tmp_path):
    queues = queue_names()
    with Fleet(
        tmp_path / "fleet", DIES, "takes", "third", broker_port=activemq.port, queues=queues, values=VALUES
    ) as fleet:
        yield fleet


@pytest.fixture
def trace(fleet):
    replies = {key: name for key, name in fleet.queues.items() if key != "pending"}
    with BrokerTrace(fleet.broker_port, replies) as trace:
        yield trace


def end(fleet, trace):
    """Have all of it told, then the dead host back, and judge the history."""
    fleet.until(lambda: all(map(fleet.is_published, fleet.accepted)), "everything to be told", LONG)
    fleet.start(DIES)
    fleet.settle(LONG)
    trace.wait(fleet.accepted)
    history = checked(fleet, trace)
    print(f"\n{figures(history)}")
    return history


def test_whoever_takes_over_is_killed_on_the_way_and_comes_again(fleet, trace):
    takeoverstory.leave(fleet)
    fleet.start("takes")
    fleet.die(DIES)
    takeoverstory.gate(fleet).touch()
    for process, label in FEW:
        fleet["takes"].arm(process, label)
        fleet.until(lambda: not fleet["takes"].armed, f"{process} at {label} to be reached", LONG)
        if process != "supervisor":  # a supervisor is noted when its service manager brings it back
            fleet.disturb(process, "takes")
    history = end(fleet, trace)
    assert {e.host for epochs in history.epochs.values() for e in epochs} == {DIES, "takes"}


@pytest.mark.soak
@pytest.mark.parametrize(("process", "label"), PATH)
def test_whoever_takes_over_is_killed_at_each_point_of_the_path(process, label, fleet, trace):
    takeoverstory.leave(fleet)
    fleet.start("takes")
    fleet.die(DIES)
    takeoverstory.gate(fleet).touch()
    fleet["takes"].arm(process, label)
    fleet.until(lambda: not fleet["takes"].armed, f"{process} at {label} to be reached", LONG)
    end(fleet, trace)


@pytest.mark.soak
@pytest.mark.parametrize(("process", "label"), PATH)
def test_whoever_takes_over_freezes_at_each_point_of_the_path_and_a_third_goes_on(process, label, fleet, trace):
    takeoverstory.leave(fleet)
    fleet.start("takes")
    fleet.die(DIES)
    takeoverstory.gate(fleet).touch()
    fleet["takes"].arm(process, label, "stop")
    fleet.until(fleet["takes"].stopped, f"{process} at {label} to be reached", LONG)
    fleet.freeze("takes")
    fleet.lapse("takes")
    fleet.start("third")
    fleet.until(lambda: all(map(fleet.is_published, fleet.accepted)), "everything to be told", LONG)
    fleet.thaw("takes")
    end(fleet, trace)
