"""The loop and the room of its host: what begins, what waits and why, and what is bounded."""

from __future__ import annotations

import os
import random
import time

import pytest

from sandbox.capacity import Capacity
from sandbox.limits import GiB
from supervisor import polled
from supervisor.admission import Wants
from supervisor.loop import Loop
from supervisor.offers import Offers
from supervisor.order import Head
from supervisor.records import Identity
from supervisor.settings import Settings
from supervisor.waiting import Entry


class Orders:
    """A store poller that notes what it is told."""

    def __init__(self):
        self.all = []
        self.last_turn = time.monotonic()
        self.waits_for = ""

    def order(self, command):
        self.all.append(command)

    def of(self, kind):
        return [command for command in self.all if isinstance(command, kind)]


def settings(**sections):
    return Settings.model_validate(sections)


class Desk:
    """A loop with a poller that only takes notes."""

    def __init__(self, **sections):
        self.states = []
        capacity = Capacity(memory=100 * GiB, cpus=8)
        known = settings(**sections)
        self.loop = Loop(known, 8, {}, on_state=self.states.append, luck=random.Random(0), capacity=capacity)
        self.orders = self.loop._poller = Orders()

    def tell(self, *events):
        for event in events:
            self.loop._take(event)
        self.loop._reconcile()

    def claimed(self):
        return [command.head.rb for command in self.orders.of(polled.Claim)]


@pytest.fixture
def desk():
    made = []

    def make(**sections):
        made.append(Desk(**sections))
        return made[-1]

    yield make
    for one in made:
        for fd in (*one.loop._pidfds, one.loop._wake_r, one.loop._wake_w):
            os.close(fd)


def head(rb, size=1, instrument="ENGINX"):
    entry = Entry(rank=5, time_ms=1_700_000_000_000, sequence=0, job=f"job-{rb}", instrument=instrument, rb=rb)
    return Head(entry=entry, rb=rb, job=entry.job, wants=Wants(instrument=instrument, memory=size * GiB))


def active(rb, size=1):
    me = Identity(pid=os.getpid(), start=0, boot="")
    wants = Wants(instrument="ENGINX", memory=size * GiB)
    return polled.ActiveRun(job=f"job-{rb}", rb=rb, rb_part=rb, n=1, errand="run", shepherd=me, wants=wants)


def scanned(*heads):
    return polled.Scanned(heads=heads, finished=(), waiting=len(heads))


def test_no_run_begins_whose_limit_does_not_fit_beside_those_that_run(desk):
    made = desk(host={"memory": "10 GiB"})
    made.tell(scanned(head("a", 6), head("b", 6), head("c", 4)))
    assert made.claimed() == ["a", "c"]
    why = "needs 6 GiB beside 6 GiB of running limits; this host has 10 GiB"
    assert made.states[-1]["waits"] == {"job-b": why}
    assert made.orders.of(polled.Describe)[-1].waits == {"job-b": why}
    assert made.states[-1]["memory"] == {"limits": 10 * GiB, "room": 10 * GiB}
    made.tell(polled.NotClaimed(rb_part="a", why="", cool_down=1.0), scanned(head("b", 6)))
    assert made.claimed() == ["a", "c", "b"]
    assert made.states[-1]["waits"] == {}


def test_a_run_that_is_decided_leaves_its_room_at_once(desk):
    made = desk(host={"memory": "10 GiB"})
    made.tell(polled.Started(run=active("a", 10)), scanned(head("b", 1)))
    assert made.claimed() == []
    made.tell(polled.Decided(run=active("a", 10)), scanned(head("b", 1)))
    assert made.claimed() == ["b"]
    made.tell(polled.Inspected(run=active("a", 10), kind="committed", verdict="completed", sentence=""))
    assert made.loop._admission.memory == GiB


def test_what_needs_no_slot_needs_no_room(desk):
    made = desk(host={"memory": "1 GiB"})
    made.tell(polled.Started(run=active("a", 1)))
    one = head("b", 9)
    made.tell(scanned(Head(entry=one.entry, rb="b", job=one.job, slotless=True, wants=one.wants)))
    assert made.claimed() == ["b"]


def test_concurrency_bounds_an_instrument_and_no_other(desk):
    made = desk(instrument={"LET": {"concurrency": 1}})
    made.tell(scanned(head("a", 1, "LET"), head("b", 1, "LET"), head("c")))
    assert made.claimed() == ["a", "c"]
    assert made.states[-1]["waits"] == {"job-b": "a run of LET under way here; instrument.LET.concurrency is 1"}


def test_a_reservation_is_looked_at_first_and_ends_when_its_run_may_not_begin(desk):
    made = desk(host={"memory": "10 GiB", "reserve_after": "0 s"})
    made.tell(polled.Started(run=active("a", 8)), scanned(head("big", 9)))
    assert made.loop._admission.reserved == "big"
    made.loop._scan_soon()
    made.loop._scanning = False
    made.tell()
    assert made.orders.of(polled.Scan)[-1].first == "big"
    assert not made.orders.of(polled.Scan)[-1].occupied.fits(Wants(memory=3 * GiB))
    made.tell(scanned(head("small", 2)))
    assert made.loop._admission.reserved == "", "it was cancelled, or another host has it"
    assert made.claimed() == ["small"]


def test_another_configuration_holds_for_what_begins_later(desk):
    made = desk(host={"memory": "10 GiB"})
    made.tell(polled.Started(run=active("a", 8)), scanned(head("b", 4)))
    called = []
    new = settings(host={"memory": "12 GiB", "slots": 3})
    adopt = polled.Adopt(settings=new, offers=Offers(failing={"p": "why"}), done=lambda: called.append(1))
    made.tell(polled.Adopted(command=adopt))
    assert called == [1]
    made.tell(scanned(head("b", 4), head("c", 1)))
    assert made.claimed() == ["b"]
    assert made.states[-1]["slots"] == 3
    assert made.states[-1]["failing"] == {"p": "why"}


def test_sighup_asks_for_a_reload_once(desk):
    made = desk()
    asked = []
    made.loop._on_reload = lambda: asked.append(1)
    made.loop.reload()
    made.tell()
    made.tell()
    assert asked == [1]


def test_the_times_of_service_of_many_rbs_are_bounded(desk):
    made = desk()
    for number in range(5000):
        made.loop._serve(str(number))
    made.loop._serve("3000")
    assert len(made.loop._served) == 4096
    assert list(made.loop._served)[-1] == "3000"
    assert "0" not in made.loop._served
