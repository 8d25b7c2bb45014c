"""Heartbeats and answers to pings: the form of SNS, the words of strangers, and how often."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor import heartbeat
from supervisor.heartbeat import BURST, LONGEST_PING, SUSPICIONS, BadPing, Signs
from supervisor.settings_messages import Queues

NAMES = Queues(heartbeat="/topic/BEAT", ping="/topic/PING").names
CONTENT = heartbeat.body("analysis7", 4711, {"waiting": 3})


def signs(**changed):
    return Signs(**{"queue": "/topic/BEAT", "every": 30.0, "forbidden": NAMES, **changed})


def ping(**keys):
    return json.dumps(keys).encode()


def test_a_heartbeat_has_the_keys_that_monitors_of_sns_read_and_ours_below_one_more():
    assert CONTENT == {
        "src_name": "analysis7",
        "role": "postprocessing",
        "status": "0",
        "pid": "4711",
        "supervisor": {"waiting": 3},
    }


def test_what_is_told_of_a_host_are_counts_and_ages_and_never_a_job():
    state = {
        "slots": 4,
        "running": [{"job": "secret"}],
        "waiting": 7,
        "store": "hanging: no answer to fsync",
        "store_since": 90.0,
        "broker": "connected",
        "undeliverable": 1,
        "disabled": {"GEM": "disabled by somebody"},
    }

    told = heartbeat.facts({"version": "1.0", "level": "hostile"}, state, oldest=40.0, now=100.0, published=12)

    assert told == {
        "version": "1.0",
        "level": "hostile",
        "slots": 4,
        "running": 1,
        "waiting": 7,
        "oldest_waiting_seconds": 60.0,
        "published": 12,
        "store": "hanging: no answer to fsync",
        "store_trouble_seconds": 10.0,
        "disabled": ["GEM"],
        "broker": "connected",
        "undeliverable": 1,
    }


def test_before_anything_is_known_nothing_is_claimed():
    told = heartbeat.facts({}, {}, oldest=0.0, now=100.0, published=0)

    assert told["store"] == "not looked at yet"
    assert told["oldest_waiting_seconds"] is None


def test_a_heartbeat_is_due_at_once_and_then_after_each_pause():
    made = signs()

    assert [made.due(now) for now in (1.0, 2.0, 30.9, 31.0, 31.1, 200.0, 200.1)] == [
        True, False, False, True, False, True, False,
    ]  # fmt: skip


def test_without_a_queue_none_is_due():
    assert not signs(queue="").due(1.0)


def test_a_heartbeat_is_not_stored_and_expires_when_the_next_ones_should_have_come():
    sign = signs().sign(CONTENT, 1000.0)

    assert sign.queue == "/topic/BEAT"
    assert sign.headers == {"persistent": "false", "expires": "1090000"}
    assert json.loads(sign.body) == CONTENT


def test_the_answer_is_laid_over_the_keys_of_the_ping():
    sign = signs().answer(ping(reply_to="/queue/PING_TEST", src_name="asks", mine=[1]), CONTENT, now=1.0, wall=1.0)

    assert sign.queue == "/queue/PING_TEST"
    assert json.loads(sign.body) == {"reply_to": "/queue/PING_TEST", "mine": [1], **CONTENT}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "JSON"),
        (b"[]", "object"),
        (b'{"reply_to": "a", "reply_to": "b"}', "twice"),
        (ping(), "no text reply_to"),
        (ping(reply_to=3), "no text reply_to"),
        (ping(reply_to=""), "names no queue"),
        (ping(reply_to="/queue/"), "names no queue"),
        (ping(reply_to="/temp-queue/a"), "names no queue"),
        (ping(reply_to="a,b"), "syntax"),
        (ping(reply_to="a>"), "syntax"),
        (ping(reply_to="a?consumer.prefetch=1"), "syntax"),
        (ping(reply_to="a\nreceipt:1"), "plain name"),
        (ping(reply_to="a b"), "plain name"),
        (ping(reply_to="\u202ea"), "plain name"),
        (ping(reply_to="a" * 201), "plain name"),
        (ping(reply_to="a", more="x" * LONGEST_PING), "bytes"),
        (ping(reply_to="/queue/ReductionPending"), "meaning of its own"),
        (ping(reply_to="ReductionPending"), "meaning of its own"),
        (ping(reply_to="/queue/REDUCTION.COMPLETE"), "meaning of its own"),
        (ping(reply_to="/topic/PING"), "meaning of its own"),
        (ping(reply_to="/topic/BEAT"), "meaning of its own"),
    ],
)
def test_a_hostile_ping_is_not_answered(body, why):
    with pytest.raises(BadPing, match=why):
        signs().answer(body, CONTENT, now=1.0, wall=1.0)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(body):
    with contextlib.suppress(BadPing):
        where, asking = heartbeat.asked(body, NAMES)
        assert where.startswith("/")
        assert json.dumps(asking)


def test_a_flood_of_pings_is_answered_in_bounds():
    made = signs()

    def answered(now):
        try:
            made.answer(ping(reply_to="/queue/me"), CONTENT, now=now, wall=1.0)
        except BadPing:
            return False
        return True

    assert sum(answered(1000.0) for _ in range(1000)) == BURST
    assert sum(answered(1005.0) for _ in range(1000)) == 5
    assert sum(answered(9000.0) for _ in range(1000)) == BURST


def test_a_heartbeat_that_the_broker_refuses_ends_heartbeats_and_one_that_it_closed_on_does_after_some():
    made = signs()
    assert made.refused(suspect=False)
    assert not made.due(1.0)

    made = signs()
    assert [made.refused(suspect=True) for _ in range(SUSPICIONS)] == [False] * (SUSPICIONS - 1) + [True]
    assert not made.due(1.0)


def test_suspicions_are_forgotten_when_one_is_accepted():
    made = signs()
    for _ in range(3 * SUSPICIONS):
        assert not made.refused(suspect=True)
        made.accepted()
    assert made.due(1.0)
