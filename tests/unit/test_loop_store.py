"""The loop and its poller while the store is away: bounded, in order, nothing told twice, and the state says why."""

from __future__ import annotations

import errno
import os
import random
import time
from dataclasses import replace

import pytest
from storemaking import request

from supervisor import config, durable, intake, journal, polled
from supervisor.broker import Connected, Delivered, DeliveryToken, Disconnected, Sent
from supervisor.drains import Drain
from supervisor.hostfacts import HostFacts
from supervisor.layout import Layout
from supervisor.loop import Loop
from supervisor.offers import Offers
from supervisor.order import Head
from supervisor.storeformat import UnknownStore
from supervisor.storepoller import Poller
from supervisor.waiting import Entry


class Link:
    """A connected broker link that notes what it is told."""

    connected = True

    def __init__(self):
        self.acked = []
        self.sent = []
        self.takes = []

    def ack(self, token, key):
        self.acked.append(token)

    def send(self, key, queue, body, headers):
        self.sent.append(key)

    def take_messages(self, wanted):
        self.takes.append(wanted)


class Orders:
    """A poller that notes what it is told, and stands still if wanted."""

    def __init__(self):
        self.all = []
        self.last_turn = time.monotonic()
        self.waits_for = ""

    def order(self, command):
        self.all.append(command)

    def of(self, kind):
        return [command for command in self.all if isinstance(command, kind)]


class Desk:
    """A loop with a link and a poller that only take notes."""

    def __init__(self):
        self.states = []
        self.loop = Loop(config.load(None), 2, {}, on_state=self.states.append, luck=random.Random(0))
        self.link = self.loop._link = Link()
        self.orders = self.loop._poller = Orders()

    def tell(self, *events):
        for event in events:
            self.loop._take(event)

    def turn(self):
        self.loop._reconcile()

    def close(self):
        for fd in (self.loop._wake_r, self.loop._wake_w):
            os.close(fd)


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.close()


def delivered(number, generation=1):
    token = DeliveryToken(generation=generation, ack_id=str(number))
    return Delivered(token=token, queue="pending", headers={}, body=b"{}")


def finished(job="one", *, stands_in=False):
    reply = {"queue": "complete", "body": "{}", "headers": {}}
    return polled.Finished(job=job, rb_part="1", started=None, started_sent=False, terminal=reply, stands_in=stands_in)


def test_a_broker_that_comes_and_goes_while_the_store_hangs_piles_up_nothing(desk):
    for generation in range(100):
        desk.tell(*(delivered(number, generation) for number in range(20)), Disconnected(gen=generation, why="gone"))
    assert len(desk.orders.of(polled.Take)) == 64
    assert desk.loop._held == []


def test_what_is_held_back_is_handed_over_in_order_as_the_store_takes_it(desk):
    desk.tell(*(delivered(number) for number in range(70)))
    first = desk.orders.of(polled.Take)
    assert [take.key.ack_id for take in first] == [str(number) for number in range(64)]
    desk.tell(polled.Taken(key=first[0].key, what="new"))
    assert [take.key.ack_id for take in desk.orders.of(polled.Take)] == [str(number) for number in range(65)]
    for take in first[1:]:
        desk.tell(polled.Taken(key=take.key, what="new"))
    assert [take.key.ack_id for take in desk.orders.of(polled.Take)] == [str(number) for number in range(70)]
    assert [token.ack_id for token in desk.link.acked] == [str(number) for number in range(64)]


def test_poison_that_comes_twice_before_it_is_told_is_acknowledged_twice(desk):
    poison = intake.examine(b"{", {"job-id": "one"}, desk.loop._settings, host="h", hostname="h", now=0.0)
    tokens = [delivered(number).token for number in range(2)]
    desk.tell(*(polled.Poisoned(key=token, poison=poison, told=False) for token in tokens))
    desk.turn()
    desk.tell(Sent(key=f"poison {poison.digest}"))
    desk.turn()
    assert desk.link.sent == [f"poison {poison.digest}"]
    assert desk.link.acked == tokens


def test_a_told_job_is_not_told_again_before_its_mark_is_durable(desk):
    scan = polled.Scanned(heads=(), finished=(finished(),), waiting=1)
    desk.tell(scan)
    desk.turn()
    desk.tell(Sent(key="job one"))
    desk.turn()
    for _ in range(5):  # the mark cannot be written: each look at the store shows the job as it was
        desk.tell(scan)
        desk.turn()
    assert desk.link.sent == ["job one"]
    assert desk.orders.of(polled.Mark) == [polled.Mark(what="published", job="one")]
    desk.tell(polled.Marked(what="published", job="one"))
    for _ in range(3):
        desk.tell(polled.Scanned(heads=(), finished=(), waiting=0))
    assert desk.loop._telling.is_clear


def test_replies_of_silent_hosts_that_waited_for_a_broker_are_looked_up_again_before_they_are_sent(desk):
    desk.link.connected = False
    desk.tell(polled.Scanned(heads=(), finished=(finished("own"), finished("others", stands_in=True)), waiting=2))
    desk.turn()
    desk.loop._next_scan = time.monotonic() + 100
    desk.link.connected = True
    desk.tell(Connected(gen=2, server="a broker"))
    desk.turn()
    assert desk.link.sent == ["job own"]
    assert len(desk.orders.of(polled.Scan)) == 1, "a scan at once tells whether that host is still silent"
    desk.tell(polled.Scanned(heads=(), finished=(finished("others", stands_in=True),), waiting=1))
    desk.turn()
    assert desk.link.sent == ["job own", "job others"]
    desk.tell(Sent(key="job others"), Connected(gen=3, server="a broker"))
    desk.turn()
    assert polled.Mark(what="published", job="others") in desk.orders.of(polled.Mark), "what was told is told once"


def test_one_look_at_a_time_is_asked_for_however_much_trouble_is_told(desk):
    desk.turn()
    for number in range(50):
        desk.tell(polled.StoreTrouble(why=f"trouble {number}", since=1.0))
        desk.loop._next_scan = 0.0
        desk.turn()
    assert len(desk.orders.of(polled.Scan)) == 1
    desk.tell(polled.NotScanned(pause=0.0))
    desk.turn()
    assert len(desk.orders.of(polled.Scan)) == 2


def test_the_state_says_what_is_in_the_way_since_when_and_what_is_held(desk):
    desk.tell(polled.StoreTrouble(why="cannot fsync x", since=1000.0), delivered(1), delivered(2))
    desk.turn()
    said = desk.states[-1]
    assert (said["store"], said["store_since"], said["held"]) == ("cannot fsync x", 1000.0, 2)
    desk.tell(polled.StoreWell())
    desk.turn()
    assert (desk.states[-1]["store"], desk.states[-1]["store_since"], desk.states[-1]["held"]) == ("well", None, 0)


def test_a_poller_that_is_silent_for_three_beats_hangs_in_the_call_that_is_named(desk):
    desk.orders.waits_for = 'link "/store/x"'
    desk.orders.last_turn -= 31.0
    desk.turn()
    said = desk.states[-1]
    assert said["store"] == 'hanging: no answer to link "/store/x"'
    assert said["store_since"] == pytest.approx(time.time() - 31.0, abs=5.0)
    desk.turn()
    assert desk.states[-1] is said
    desk.orders.last_turn = time.monotonic()
    desk.turn()
    assert desk.states[-1]["store"] == "well"


def test_a_store_that_has_outgrown_this_version_ends_the_service(desk):
    with pytest.raises(UnknownStore, match="upgrade this host"):
        desk.tell(polled.Outgrown(why="format 2; upgrade this host"))


# The poller


@pytest.fixture
def poller(tmp_path):
    layout = Layout(str(tmp_path / "store"))
    journal.open_store(layout, create=True)
    facts = HostFacts(host="here", hostname="here", boot="boot", code_version="0")
    told = []
    made = Poller(config.load(None), layout, facts, None, Offers(), told.append)
    made.told = told
    return made


class Store:
    """Stands for all that the poller does: notes the tries, and refuses what it is told to."""

    def __init__(self, poller, monkeypatch):
        self.tries = []
        self.refused = set()
        monkeypatch.setattr(poller, "_do", self.do)

    def do(self, command):
        self.tries.append(command.job)
        if command.job in self.refused or "all" in self.refused:
            raise OSError(errno.EIO, os.strerror(errno.EIO), f"/store/{command.job}")


def mark(job):
    return polled.Mark(what="published", job=job)


def test_a_store_that_is_away_is_asked_once_in_each_pause(poller, monkeypatch):
    store = Store(poller, monkeypatch)
    store.refused = {"all"}
    for job in "abc":
        poller._attempt(mark(job))
    poller._attempt(mark("a"))
    assert [command.job for command in poller._postponed] == ["a", "b", "c"]
    store.tries.clear()
    poller._try_again()
    assert store.tries == ["a"]
    assert {command.job for command in poller._postponed} == {"a", "b", "c"}
    store.refused = set()
    poller._try_again()
    assert poller._postponed == []
    assert isinstance(poller.told[-1], polled.StoreWell)


def test_one_record_that_cannot_be_written_keeps_no_other(poller, monkeypatch):
    store = Store(poller, monkeypatch)
    store.refused = {"all"}
    for job in "abcd":
        poller._attempt(mark(job))
    store.refused = {"b"}
    for _ in range(2):
        poller._try_again()
    assert [command.job for command in poller._postponed] == ["b"]
    assert isinstance(poller.told[-1], polled.StoreTrouble)


def test_a_claim_that_fails_is_given_back_with_a_growing_pause_and_a_look_too(poller, monkeypatch):
    store = Store(poller, monkeypatch)

    class Head:
        rb = "1"

    claim = polled.Claim(head=Head())
    monkeypatch.setattr(polled.Claim, "job", property(lambda _: "claim"), raising=False)
    monkeypatch.setattr(polled.Scan, "job", property(lambda _: "scan"), raising=False)
    store.refused = {"all"}
    for _ in range(3):
        poller._attempt(claim)
        poller._attempt(polled.Scan())
    pauses = [event.cool_down for event in poller.told if isinstance(event, polled.NotClaimed)]
    assert pauses == [1.0, 2.0, 4.0]
    assert [event.pause for event in poller.told if isinstance(event, polled.NotScanned)] == pauses
    assert poller._postponed == []


def test_a_message_that_meets_a_spoilt_record_is_not_acknowledged_and_takes_no_place(poller, desk, monkeypatch):
    place = poller._layout.job("one")
    durable.make_folder(place.root, "job")
    durable.replace(place.request, b"spoilt", "request")
    monkeypatch.setattr(intake, "examine", lambda *_, **__: intake.Run(request=request("one")))
    take = polled.Take(key=delivered(1).token, body=b"{}", headers={})
    poller._attempt(take)
    assert [type(event) for event in poller.told if not isinstance(event, polled.Damaged)] == [polled.NotTaken]
    desk.tell(delivered(1), *poller.told)
    assert desk.loop._taking == set()
    assert desk.link.acked == []


def test_descriptions_do_not_pile_up(poller):
    for running in range(1000):
        poller.order(polled.Describe(slots=1, running=running, state="running"))
    assert poller._orders.empty()
    assert poller._described.running == 999


def test_the_poller_rests_while_all_its_tasks_are_in_trouble(poller):
    for task in ("runs", "beat", "prune"):
        poller._health.failed(task, OSError(errno.EIO, "x"), time.monotonic(), time.time())
    assert poller._pause() > 0.5


def head(job, rb):
    entry = Entry(rank=5, time_ms=1, sequence=0, job=job, instrument="GEM", rb=rb)
    return Head(entry=entry, rb=rb, job=job)


def drained():
    return polled.Drained(drain=Drain(host="here", who="anna", time=1.0, why="new kernel"))


def test_a_drained_loop_claims_nothing_takes_nothing_and_does_both_again_when_resumed(desk):
    heads = tuple(head(f"job{number}", rb=str(number)) for number in range(2))
    desk.tell(drained(), delivered(1), polled.Scanned(heads=heads, finished=(), waiting=2))
    desk.turn()
    assert desk.link.takes == [False]
    assert desk.orders.of(polled.Take) == []
    assert desk.orders.of(polled.Claim) == []
    assert desk.states[-1]["drained"] == {"by": "anna", "since": 1.0, "why": "new kernel"}
    desk.tell(polled.Drained(drain=None), delivered(2), polled.Scanned(heads=heads, finished=(), waiting=2))
    desk.turn()
    assert desk.link.takes == [False, True]
    assert len(desk.orders.of(polled.Take)) == 1
    assert len(desk.orders.of(polled.Claim)) == 2
    assert desk.states[-1]["drained"] == {}


def test_a_drained_loop_still_ends_what_needs_no_slot_and_tells_what_is_decided(desk):
    cancelled = replace(head("one", rb="1"), slotless=True)
    desk.tell(drained(), polled.Scanned(heads=(cancelled,), finished=(finished("two"),), waiting=2))
    desk.turn()
    assert [claim.head for claim in desk.orders.of(polled.Claim)] == [cancelled]
    assert desk.link.sent == ["job two"]
