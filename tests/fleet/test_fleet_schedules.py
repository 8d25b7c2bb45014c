"""Random misfortunes of fleets of two and three hosts: whatever befalls them, the history has no violation.

AUTOREDUCE_SEED makes the schedules come again; AUTOREDUCE_FLEET_SCHEDULES says how many there are. A fleet lives for a
part of them, since supervisors take their time to start; AUTOREDUCE_FLEET_ONLY=7 plays schedule 7 alone.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from activemq import ActiveMQ
from brokertrace import BrokerTrace
from fleethistory import checked, figures
from fleetofhosts import QUICK_LOCKS, Fleet
from misfortunes import Misfortune, draw
from scenarios import queue_names
from violations import copies

SEED = int(os.environ.get("AUTOREDUCE_SEED", "0"))
SCHEDULES = int(os.environ.get("AUTOREDUCE_FLEET_SCHEDULES", "500"))
ONLY = os.environ.get("AUTOREDUCE_FLEET_ONLY", "")
#: Schedules that one fleet goes through.
_EACH = 10
PARTS = [[int(ONLY)]] if ONLY else [list(range(n, min(n + _EACH, SCHEDULES))) for n in range(0, SCHEDULES, _EACH)]
#: Seconds for one schedule to come right; a machine may be busy with other tests.
LONG = 300.0

pytestmark = pytest.mark.soak


@pytest.fixture
def broker(tmp_path):
    """A broker that dies and falls silent."""
    broker = ActiveMQ(tmp_path / "broker")
    broker.start()
    yield broker
    broker.kill()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part[0]}-{part[-1]}")
def test_random_misfortunes_of_a_fleet(part, broker, tmp_path):
    queues = queue_names()
    names = ["one", "other", "third"][: 2 + part[0] // _EACH % 2]
    replies = {key: name for key, name in queues.items() if key != "pending"}
    seen: Counter[str] = Counter()
    values = QUICK_LOCKS | {"slots": "2"}
    with (
        Fleet(tmp_path / "fleet", *names, broker_port=broker.port, queues=queues, values=values) as fleet,
        BrokerTrace(broker.port, replies) as trace,
    ):
        fleet.start()
        for number in part:
            schedule = draw(SEED, number, names)
            print(f"\nseed {SEED}, schedule {number}: {len(schedule.asked)} messages; {schedule.text()}", flush=True)
            misfortune = Misfortune(fleet, broker, schedule, f"{number:03d}")
            fleet.until(lambda played=misfortune: played.over, "the schedule to be over", LONG)
            fleet.until(fleet.is_taken, "every message to be taken", LONG)
            fleet.settle(LONG)
            history = checked(fleet, trace)
            seen.update(len(schedule.strokes) * ["strokes"])
        trace.wait({job for job in fleet.accepted if _answers(history, job)})
        history = checked(fleet, trace)
        print(
            f"\nEVIDENCE {len(names)} hosts, schedules {part[0]} to {part[-1]} of seed {SEED}: {seen['strokes']} strokes, {figures(history)}, 0 violations"
        )
        assert not copies(history)["again after nothing"]


def _answers(history, job):
    epoch = history.epoch(history.jobs[job].rb, history.jobs[job].final)
    return bool(epoch.outcome.replies)
