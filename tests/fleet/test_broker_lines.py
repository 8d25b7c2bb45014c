"""The line between a real supervisor and a real broker fails, while messages come or replies go.

Whatever failed: one job for each message, one run and one outcome for each job, at least one reply of each kind, every
copy the same, and service within a minute after the line is mended.
"""

from __future__ import annotations

import itertools
import os
import random

import pytest
from lines import RECOVERY_SECONDS, LineSite
from relay import Fault

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("broker lines")]

FAULTS = tuple(fault for fault in Fault if fault is not Fault.NONE)
MOMENTS = ("intake", "replies")
#: The few of the common run; the rest is the soak's.
FEW = {
    ("classic", Fault.CUT, "replies"),
    ("classic", Fault.NO_RECEIPTS, "intake"),
    ("artemis", Fault.HALF_OPEN, "intake"),
    ("artemis", Fault.NO_RECEIPTS, "replies"),
}
ALL = [
    pytest.param(*each, id=" ".join(each), marks=() if each in FEW else pytest.mark.soak)
    for each in itertools.product(("classic", "artemis"), FAULTS, MOMENTS)
]


@pytest.fixture
def make_line(request, tmp_path):
    """Makes a site at one of the session's brokers, behind a line of its own."""

    def make(kind, **more):
        broker = request.getfixturevalue({"classic": "activemq", "artemis": "artemis"}[kind])
        return LineSite(tmp_path / "site", broker, **more)

    return make


def intake(line, fault):
    """The line fails when the first message has come and others are on their way."""
    line.let_go()
    line.send(2)
    line.site.until(lambda: len(line.journaled()) >= 1, "the first message to be journaled")
    line.fail(fault)
    line.send(3)
    line.wait_noticed(fault)
    if fault is Fault.SLOW:
        line.site.until(lambda: len(line.journaled()) == 5, "every message to come over a slow line")


def replies(line, fault):
    """The line fails while two runs are under way, which end meanwhile."""
    line.send(2)
    line.site.until(lambda: line.begun() == 2 and line.waiting("started") == 2, "both runs to begin and to be told")
    line.fail(fault)
    line.let_go()
    line.site.until(lambda: line.results() == 2, "both results")
    line.wait_noticed(fault)
    if fault is Fault.SLOW:
        line.site.until(lambda: line.waiting("complete") == 2, "every reply to go over a slow line")
    if fault is Fault.NO_RECEIPTS:
        line.site.until(lambda: line.relay.dropped >= 2, "two receipts to be lost")


@pytest.mark.parametrize(("kind", "fault", "moment"), ALL)
def test_a_line_that_fails_loses_nothing_and_doubles_nothing(kind, fault, moment, make_line):
    with make_line(kind) as line:
        {"intake": intake, "replies": replies}[moment](line, fault)
        line.mend()
        measured = line.settle()

    print(
        f"{kind}, {fault} during {moment}: connected {measured.connected:.1f} s and all told {measured.settled:.1f} s "
        f"after the mending, {line.copies} complete replies, {line.relay.dropped} receipts lost"
    )
    assert measured.connected <= RECOVERY_SECONDS
    if kind == "artemis":
        assert line.copies == len(line.journaled()), "Artemis stored a copy of a reply though it is told which are"


@pytest.mark.parametrize("kind", ["classic", "artemis"])
def test_a_message_behind_beats_that_have_gathered_is_taken(kind, make_line):
    """So they do while a supervisor stands still: stomp.py alone drops the frame behind two of them."""
    with make_line(kind, heartbeat="10 s") as line:
        line.let_go()
        line.fail(Fault.MUTE)
        line.relay.beat(2)
        line.send(1)
        line.site.until(lambda: line.relay.held > 100, "the message to be held behind the beats")
        line.mend()
        line.settle()


@pytest.mark.soak
@pytest.mark.parametrize("fault", [Fault.CUT, Fault.HALF_OPEN])
def test_after_a_long_outage_service_is_back_within_a_minute(fault, make_line):
    """The pauses between tries have grown to their longest by then."""
    with make_line("classic") as line:
        line.let_go()
        line.send(1)
        line.site.until(lambda: line.journaled() and line.waiting("complete") == 1, "the first reply")
        line.fail(fault)
        line.wait_noticed(fault)
        line.send(2)
        for tries in range(line.relay.tries, line.relay.tries + 10):
            line.site.until(lambda wanted=tries: line.relay.tries > wanted, "another try")
        line.mend()
        measured = line.settle()

    print(
        f"{fault} for ten tries: connected {measured.connected:.1f} s after the mending, told {measured.settled:.1f} s"
    )
    assert measured.connected <= RECOVERY_SECONDS


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["classic", "artemis"])
def test_a_line_that_fails_again_and_again_loses_nothing_and_doubles_nothing(kind, make_line):
    """Faults in a row, drawn by the seed, with messages before, in and after each."""
    seed = int(os.environ.get("AUTOREDUCE_SEED", "0"))
    dice = random.Random(seed)
    drawn = [dice.choice(FAULTS) for _ in range(12)]
    print(f"seed {seed}, {kind}: {', '.join(drawn)}")
    with make_line(kind) as line:
        line.let_go()
        worst = 0.0
        for fault in drawn:
            line.send(1)
            line.fail(fault)
            line.send(2)
            line.wait_noticed(fault)
            line.mend()
            line.send(1)
            measured = line.settle()
            worst = max(worst, measured.connected)
        print(f"{kind}: {len(line.journaled())} runs, {line.copies} complete replies, worst recovery {worst:.1f} s")
        assert worst <= RECOVERY_SECONDS
