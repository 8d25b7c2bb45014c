"""Telling: replies go out in order, marks follow receipts, and nothing that is told is told again by an old scan."""

from __future__ import annotations

import pytest

from supervisor import intake, polled
from supervisor.broker import DeliveryToken
from supervisor.config import load
from supervisor.meter import UNMETERED
from supervisor.publication import SUSPICIONS
from supervisor.telling import Telling

GAP = 0.5
STARTED = {"queue": "started", "body": "s", "headers": {}}
TERMINAL = {"queue": "complete", "body": "t", "headers": {}}


class Link:
    """A link that notes what it is told."""

    def __init__(self):
        self.connected = True
        self.sent = []
        self.acked = []

    def send(self, key, queue, body, headers):
        self.sent.append((key, queue))

    def ack(self, token, key):
        self.acked.append(token)


class Receipts(type(UNMETERED)):
    """A meter that notes of what there were receipts."""

    def __init__(self):
        self.of = []

    def told(self, reply):
        self.of.append(reply)


@pytest.fixture
def link():
    return Link()


@pytest.fixture
def marks():
    return []


@pytest.fixture
def meter():
    return Receipts()


@pytest.fixture
def telling(marks, meter):
    return Telling(lambda mark: marks.append((mark.what, mark.job)), meter)


def finished(job="one", *, started=None, stands_in=False):
    return polled.Finished(
        job=job, rb_part="1", started=started, started_sent=False, terminal=TERMINAL, stands_in=stands_in
    )


def poison():
    made = intake.examine(b"{", {"job-id": "one"}, load(None), host="h", hostname="h", now=0.0)
    assert isinstance(made, intake.Poison)
    return made


def test_a_job_is_told_in_order_with_the_gap_and_marked_after_each_receipt(telling, link, marks, meter):
    telling.begin("one", STARTED)
    assert not telling.tell(link, 10.0, GAP)
    telling.scanned([finished(started=STARTED)])
    telling.sent("job one", 11.0)
    telling.tell(link, 11.1, GAP)
    assert link.sent == [("job one", "started")]
    assert telling.wakes_at(GAP) == 11.5
    telling.tell(link, 11.5, GAP)
    telling.sent("job one", 12.0)
    assert telling.tell(link, 12.0, GAP), "told to the end"
    assert link.sent == [("job one", "started"), ("job one", "complete")]
    assert marks == [("started", "one"), ("published", "one")]
    assert (meter.of, telling.published) == (["started", "terminal"], 1)


@pytest.mark.parametrize(("scanning", "stale_scans"), [(False, 0), (True, 1)])
def test_what_is_told_is_forgotten_when_no_scan_can_show_it_any_more(telling, link, scanning, stale_scans):
    telling.scanned([finished()])
    telling.tell(link, 0.0, GAP)
    telling.sent("job one", 0.0)
    telling.tell(link, 0.0, GAP)
    for _ in range(3):  # its mark cannot be written
        telling.scanned([finished()])
        telling.tell(link, 1.0, GAP)
    telling.marked("one", scanning=scanning)
    for _ in range(stale_scans):  # this one began before the mark
        telling.scanned([finished()])
        telling.tell(link, 2.0, GAP)
        assert not telling.is_clear
    telling.scanned([])
    assert telling.is_clear
    assert len(link.sent) == 1


def test_the_mark_of_another_job_changes_nothing(telling):
    telling.marked("stranger", scanning=False)
    assert telling.is_clear


def test_nothing_is_sent_while_the_broker_is_away(telling, link):
    link.connected = False
    telling.scanned([finished()])
    assert not telling.tell(link, 0.0, GAP)
    assert link.sent == []
    link.connected = True
    telling.tell(link, 1.0, GAP)
    assert link.sent == [("job one", "complete")]


def test_without_a_broker_the_store_is_the_reply(telling, marks):
    telling.begin("one", STARTED)
    telling.tell(None, 0.0, GAP)
    telling.scanned([finished(started=STARTED)])
    assert telling.tell(None, 0.0, GAP), "there is nobody for whom to wait"
    assert marks == [("started", "one"), ("published", "one")]


def test_every_delivery_of_a_message_that_is_nothing_is_acknowledged_when_its_sender_is_told(telling, link, marks):
    bad, tokens = poison(), [DeliveryToken(generation=1, ack_id=str(number)) for number in range(2)]
    for token in tokens:
        telling.poisoned(bad, token)
    telling.tell(link, 0.0, GAP)
    assert link.acked == []
    telling.sent(f"poison {bad.digest}", 1.0)
    assert not telling.tell(link, 1.0, GAP), "it is no job"
    assert (link.acked, marks) == (tokens, [("told", bad.digest)])
    assert telling.is_clear


def test_a_delivery_of_a_lost_connection_is_not_acknowledged(telling, link):
    bad = poison()
    telling.poisoned(bad, DeliveryToken(generation=1, ack_id="1"))
    telling.disconnected()
    telling.tell(link, 0.0, GAP)
    telling.sent(f"poison {bad.digest}", 1.0)
    telling.tell(link, 1.0, GAP)
    assert link.acked == []


def test_a_reply_that_the_broker_will_not_have_is_counted_logged_and_marked(telling, link, marks, caplog):
    telling.scanned([finished()])
    telling.tell(link, 0.0, GAP)
    telling.unsure("job one", "too large", suspect=False, certain=True)
    assert telling.tell(link, 1.0, GAP)
    assert (telling.undeliverable, marks) == (1, [("published", "one")])
    assert "A reply of job one is undeliverable: too large." in caplog.text


def test_the_replies_of_a_silent_host_are_left_to_it_when_the_broker_is_back_unless_the_broker_closed_on_one(
    telling, link
):
    link.connected = False
    telling.scanned([finished("own"), finished("others", stands_in=True)])
    assert telling.stand_in_no_more()
    link.connected = True
    telling.tell(link, 0.0, GAP)
    assert [key for key, _ in link.sent] == ["job own"]

    telling.scanned([finished("suspect", stands_in=True)])
    telling.tell(link, 1.0, GAP)
    telling.unsure("job suspect", "closed", suspect=True)
    assert SUSPICIONS > 1
    assert not telling.stand_in_no_more(), "else its count began anew for ever"


def test_receipts_of_what_is_not_known_any_more_change_nothing(telling, marks):
    telling.sent("job gone", 0.0)
    telling.unsure("job gone", "closed", suspect=True)
    assert (marks, telling.is_clear, telling.wakes_at(GAP)) == ([], True, None)
