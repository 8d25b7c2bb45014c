from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.brokerkinds import (
    ARTEMIS,
    CLASSIC,
    KINDS,
    PORTABLE,
    SMALLEST_MESSAGE,
    kind_of,
    message_number,
    stable_id,
)

EVENT = {"event-id": "job:1:done"}


@pytest.mark.parametrize(
    ("server", "wanted", "kind"),
    [
        ("ActiveMQ/5.17.2", "auto", CLASSIC),
        ("ActiveMQ/6.1.0", "auto", CLASSIC),
        ("ActiveMQ-Artemis/2.44.0 ActiveMQ Artemis Messaging Engine", "auto", ARTEMIS),
        ("RabbitMQ/3.10.8", "auto", PORTABLE),
        ("", "auto", PORTABLE),
        ("", "artemis", ARTEMIS),
        ("ActiveMQ/5.17.2", "portable", PORTABLE),
    ],
)
def test_the_kind_goes_by_the_name_unless_the_configuration_says_it(server, wanted, kind):
    assert kind_of(server, wanted) is kind


@given(prefetch=st.integers(1, 10_000), sizes=st.lists(st.integers(SMALLEST_MESSAGE, 100_000), min_size=1))
def test_a_window_of_bytes_never_holds_more_messages_than_the_prefetch(prefetch, sizes):
    left = int(ARTEMIS.subscribe_headers("/queue/a", prefetch)["consumer-window-size"])
    held = 0
    for size in itertools.cycle(sizes):
        if left <= 0:  # Artemis hands over another message while a byte of the window is free
            break
        held += 1
        left -= size
    assert 1 <= held <= prefetch


def test_the_window_counts_messages_elsewhere():
    for kind in (CLASSIC, PORTABLE):
        assert kind.subscribe_headers("/queue/a", 7) == {"activemq.prefetchSize": "7"}


def test_only_artemis_is_told_how_to_route():
    assert ARTEMIS.subscribe_headers("/queue/a", 1)["subscription-type"] == "ANYCAST"
    assert ARTEMIS.send_headers("/queue/a", {}, b"") == {"destination-type": "ANYCAST"}
    assert ARTEMIS.send_headers("/topic/a", {}, b"") == {"destination-type": "MULTICAST"}
    for kind in (CLASSIC, PORTABLE):
        assert kind.send_headers("/queue/a", EVENT, b"x") == {}


def test_copies_and_nothing_but_copies_bear_the_same_mark():
    def mark(event, body):
        return ARTEMIS.send_headers("/queue/a", {"event-id": event}, body)["_AMQ_DUPL_ID"]

    assert mark("e", b"x") == mark("e", b"x")
    assert len({mark("e", b"x"), mark("e", b"y"), mark("f", b"x")}) == 3
    assert "_AMQ_DUPL_ID" not in ARTEMIS.send_headers("/queue/a", {}, b"x")


def test_an_id_of_artemis_is_the_number_of_the_message_and_its_time():
    assert stable_id("17,16", "1795892273157") == stable_id("2147483656,16", "1795892273157") == "16@1795892273157"
    assert stable_id("17,16", "1795892273157") != stable_id("17,16", "1795892273158")
    assert stable_id("17,16", "") == "16@0"
    assert message_number("17,16") == "16"


@pytest.mark.parametrize("other", ["ID:host-1:2:3", "16", "T_1@@session@@n", "1,2,3", "a,1", ""])
def test_every_other_id_stays_as_it_is(other):
    assert stable_id(other, "5") == other
    assert message_number(other) == other


def test_each_kind_is_described():
    assert {kind.name for kind in KINDS} == {"classic", "artemis", "portable"}
    assert CLASSIC.describe(8) == "ActiveMQ Classic, a window of 8 messages"
    assert ARTEMIS.describe(8) == (
        "Apache Artemis, a window of 1793 bytes, never more than 8 messages; unless max-delivery-attempts is -1 it gives "
        "a message up after 10 deliveries"
    )
