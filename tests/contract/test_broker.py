"""The broker link against a real ActiveMQ Classic: what the design builds on must be so."""

from __future__ import annotations

import logging
import time

import pytest
from activemq import ActiveMQ
from brokerevents import Heard, make_link
from certificates import make_authority, make_server_keystore
from stompclient import StompClient
from waiting import wait_until

from supervisor.backoff import Backoff
from supervisor.broker import (
    Acked,
    AckLost,
    Connected,
    Delivered,
    Disconnected,
    Refused,
    Sent,
    Trouble,
    Unknown,
)

pytestmark = pytest.mark.broker


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def linked():
    """Makes started links, and stops them at the end."""
    links = []

    def make(heard, *ports, **settings):
        link = make_link(heard, *ports, **settings)
        links.append(link)
        link.start()
        heard.wait(Connected)
        return link

    yield make
    for link in links:
        link.stop(2)


@pytest.fixture
def own_broker(tmp_path):
    """Makes brokers that the test may kill and freeze."""
    brokers = []

    def make(**settings):
        broker = ActiveMQ(tmp_path / f"broker{len(brokers)}", **settings)
        brokers.append(broker)
        broker.start()
        return broker

    yield make
    for broker in brokers:
        broker.kill()


@pytest.fixture
def client(activemq):
    with StompClient(activemq.port) as plain:
        yield plain


# -- deliveries


def test_a_message_is_delivered_as_it_was_sent_and_gone_after_its_ack(activemq, client, queues, heard, linked):
    body = '{"rb_number": 1, "note": "µ-Teilchen: \\n"}'
    client.send(queues("in"), body, {"job-id": "7:1\\a", "priority": "9"})
    link = linked(heard, activemq.port, subscriptions=(queues("in"),))

    message = heard.delivered(1)[0]
    assert message.queue == queues("in")
    assert message.body == body.encode()
    assert message.headers["job-id"] == "7:1\\a"
    assert message.headers["priority"] == "9"
    assert message.headers["message-id"]
    assert link.state().unacked == 1

    link.ack(message.token, "job")
    assert heard.wait(Acked) == [Acked(key="job")]
    assert link.state().unacked == 0
    assert client.count(queues("in")) == 0


def test_an_unacknowledged_message_comes_again_with_the_same_id_and_the_old_token_is_worthless(
    activemq, client, queues, heard, linked
):
    client.send(queues("in"), "job")
    link = linked(heard, activemq.port, subscriptions=(queues("in"),))
    first = heard.delivered(1)[0]

    link._session._wire.sever()  # the network is cut
    second = heard.delivered(2)[1]

    assert second.headers["message-id"] == first.headers["message-id"]
    assert second.headers["redelivered"] == "true"
    link.ack(first.token, "stale")
    assert heard.wait(AckLost)[0].key == "stale"
    link.ack(second.token, "fresh")
    assert heard.wait(Acked) == [Acked(key="fresh")]
    assert client.count(queues("in")) == 0


def test_what_a_stopped_link_held_goes_to_another_host(activemq, client, queues, heard, linked):
    client.send(queues("in"), "job")
    link = linked(heard, activemq.port, subscriptions=(queues("in"),))
    first = heard.delivered(1)[0]

    link.stop(10)
    other = Heard()
    linked(other, activemq.port, subscriptions=(queues("in"),))

    assert other.delivered(1)[0].headers["message-id"] == first.headers["message-id"]
    assert heard.all()[-1] == Disconnected(gen=1, why="stopped")


def test_no_more_than_the_prefetch_window_is_held_and_an_ack_makes_room(activemq, client, queues, heard, linked):
    for number in range(6):
        client.send(queues("jobs"), str(number))
    link = linked(heard, activemq.port, subscriptions=(queues("jobs"), queues("marks")), prefetch=2)
    heard.delivered(2, queues("jobs"))

    # What the broker sends is in order: had it sent a third job, it would be here before the mark.
    client.send(queues("marks"), "mark")
    heard.delivered(1, queues("marks"))
    held = heard.delivered(2, queues("jobs"))
    assert [message.body for message in held] == [b"0", b"1"]

    link.ack(held[0].token, 0)
    assert heard.delivered(3, queues("jobs"))[2].body == b"2"


def test_a_full_window_of_one_queue_does_not_hold_back_another(activemq, client, queues, heard, linked):
    for number in range(5):
        client.send(queues("pending"), str(number))
    linked(heard, activemq.port, subscriptions=(queues("pending"), queues("cancel")), prefetch=1)
    heard.delivered(1, queues("pending"))

    client.send(queues("cancel"), "cancel")

    assert heard.delivered(1, queues("cancel"))[0].body == b"cancel"
    assert len(heard.delivered(1, queues("pending"))) == 1


def test_an_ack_that_the_broker_does_not_know_is_lost_and_the_link_recovers(activemq, client, queues, heard, linked):
    client.send(queues("in"), "job")
    link = linked(heard, activemq.port, subscriptions=(queues("in"),))
    token = heard.delivered(1)[0].token
    link._session._held["no-such-id"] = False  # as if the broker had forgotten it

    link.ack(type(token)(generation=token.generation, ack_id="no-such-id"), "k")

    assert "Unexpected ACK" in heard.wait(AckLost)[0].why
    assert heard.delivered(2)[1].body == b"job"


# -- sends


@pytest.mark.parametrize("text_messages", [True, False])
def test_a_sent_message_is_stored_as_text_or_as_bytes(client, queues, heard, linked, text_messages):
    link = linked(heard, client.port, text_messages=text_messages)

    link.send("r1", queues("out"), "Größe: ∞\n", {"event-id": "a:b\\c"})

    assert heard.answer("r1") == Sent(key="r1")
    message = client.receive(queues("out"))
    assert message.body.decode() == "Größe: ∞\n"
    assert message.headers["event-id"] == "a:b\\c"
    assert message.headers["persistent"] == "true"
    assert ("content-length" in message.headers) is not text_messages


def test_five_hundred_sends_a_second_keep_their_order(activemq, client, queues, heard, linked):
    link = linked(heard, activemq.port)
    body = "x" * 700
    count = 3000
    began = time.monotonic()
    for number in range(count):
        link.send(number, queues("out"), body, {"n": str(number)})
    heard.wait(Sent, count)
    seconds = time.monotonic() - began

    print(f"{count / seconds:.0f} sends/s")
    assert count / seconds >= 500
    assert [event.key for event in heard.of(Sent)] == list(range(count))
    assert [m.headers["n"] for m in client.browse(queues("out"))[:50]] == [str(number) for number in range(50)]


def test_an_oversize_send_is_the_suspect_and_all_others_go_through(activemq, client, queues, heard, linked):
    link = linked(heard, activemq.port)
    open_keys = set(range(20))
    suspected = 0
    for _ in range(20):
        before = {key: len(heard.answers(key, 0)) for key in open_keys}
        for key in sorted(open_keys):
            link.send(key, queues("out"), "x" * (1_300_000 if key == 5 else 100), {"n": str(key)})
        for key in sorted(open_keys):
            answer = heard.answers(key, before[key] + 1)[-1]
            if isinstance(answer, Refused):
                assert (key, answer.suspect) == (5, True)
                suspected += 1
            if isinstance(answer, Sent) or (key == 5 and suspected == 3):
                open_keys.discard(key)
        if not open_keys:
            break
        wait_until(lambda: link.connected, 30, "the next connection")

    assert suspected == 3
    stored = {message.headers["n"] for message in client.browse(queues("out"))}
    assert stored == {str(key) for key in range(20)} - {"5"}


def test_stop_sends_what_is_queued_first(activemq, client, queues, heard, linked):
    link = linked(heard, activemq.port)
    for number in range(200):
        link.send(number, queues("out"), "x", {})

    link.stop(30)

    assert len(heard.of(Sent)) == 200
    assert client.count(queues("out")) == 200


# -- brokers that die


def test_after_kill_and_restart_of_the_broker_held_messages_come_again_and_sends_go_out(own_broker, heard, linked):
    broker = own_broker()
    with StompClient(broker.port) as client:
        for number in range(3):
            client.send("jobs", str(number))
    link = linked(heard, broker.port, subscriptions=("jobs",))
    first = heard.delivered(3)
    link.ack(first[0].token, "done")
    heard.wait(Acked)

    broker.kill()
    assert "closed" in heard.wait(Disconnected)[0].why
    link.send("r", "out", "while down", {})
    assert heard.answer("r") == Unknown(key="r", why="not sent: no broker is connected", written=False)
    broker.start()

    again = heard.delivered(5)[3:]
    assert [m.headers["message-id"] for m in again] == [m.headers["message-id"] for m in first[1:]]
    assert heard.of(Connected)[1].gen == again[0].token.generation
    link.send("r", "out", "reply", {})
    assert heard.answers("r", 2)[1] == Sent(key="r")
    with StompClient(broker.port) as client:
        assert [m.body for m in client.browse("out")] == [b"reply"]


def test_the_other_broker_of_the_list_is_used_when_one_is_dead(activemq, own_broker, queues, heard, linked):
    broker = own_broker()
    link = linked(heard, broker.port, activemq.port)
    assert link.state().host == f"127.0.0.1:{broker.port}"

    broker.kill()
    heard.wait(Connected, 2)

    assert link.state().host == f"127.0.0.1:{activemq.port}"
    link.send("r", queues("out"), "x", {})
    assert heard.answer("r") == Sent(key="r")


def test_a_frozen_broker_is_noticed_by_its_missing_beats(own_broker, heard, linked):
    broker = own_broker()
    link = linked(heard, broker.port, heartbeat_ms=1000)
    broker.freeze()
    link.send("r", "out", "x", {})

    answer = heard.answer("r")
    assert isinstance(answer, Unknown)
    assert answer.written
    assert "silent" in heard.wait(Disconnected)[0].why

    broker.thaw()
    heard.wait(Connected, 2)
    link.send("r", "out", "x", {})
    assert heard.answers("r", 2)[1] == Sent(key="r")


def test_an_idle_connection_is_kept_up_by_beats_alone(activemq, client, queues, heard, linked):
    # Without beats in both directions either side would give up within this idle time.
    link = linked(heard, activemq.port, subscriptions=(queues("in"),), heartbeat_ms=400, silence_factor=8.0)
    since = link.state().since

    wait_until(lambda: time.monotonic() - since > 4.5, 30, "more than eight intervals to pass")

    assert link.connected
    client.send(queues("in"), "still there")
    assert heard.delivered(1)[0].token.generation == 1
    assert heard.of(Disconnected) == []


# -- credentials and TLS


def test_a_wrong_password_is_told_without_the_password_and_the_right_one_works(own_broker, heard, linked, caplog):
    caplog.set_level(logging.DEBUG)
    broker = own_broker(user="reducer", password="right-Pa55")
    wrong = make_link(heard, broker.port, user="reducer", password="wrong-Pa55", backoff=Backoff())
    wrong.start()

    text = heard.wait(Trouble)[0].text
    wrong.stop(5)

    assert text.startswith(f'broker refused the credentials of user "reducer" at 127.0.0.1:{broker.port}')
    assert wrong.state().last_error == text
    right = Heard()
    link = linked(right, broker.port, user="reducer", password="right-Pa55")
    link.send("r", "out", "x", {})
    assert right.answer("r") == Sent(key="r")
    said = f"{heard.all()}{right.all()}{wrong.state()}{wrong._settings}{caplog.text}"
    assert "wrong-Pa55" not in said
    assert "right-Pa55" not in said


def test_no_credentials_where_some_are_needed_is_told(own_broker, heard):
    broker = own_broker(user="reducer", password="right-Pa55")
    link = make_link(heard, broker.port, backoff=Backoff())
    link.start()

    assert "credentials (none were given)" in heard.wait(Trouble)[0].text
    link.stop(5)


def test_tls_works_with_the_right_authority_and_only_with_it(tmp_path, own_broker, heard, linked):
    authority = make_authority(tmp_path, "right")
    stranger = make_authority(tmp_path, "wrong")
    broker = own_broker(keystore=make_server_keystore(tmp_path, authority))
    secured = {"tls": True, "host": "localhost", "ca_file": str(authority), "heartbeat_ms": 30_000}

    # Given the right authority, a connection delivers, sends large bodies and acknowledges.
    with StompClient(broker.port) as client:
        client.send("jobs", "x" * 500_000)
        link = linked(heard, broker.tls_port, subscriptions=("jobs",), **secured)
        message = heard.delivered(1)[0]
        assert message.body == b"x" * 500_000
        link.ack(message.token, "k")
        for number in range(600):  # more than the library's TLS queue takes without its io thread
            link.send(number, "out", "y" * 2000, {})
        heard.wait(Sent, 600)
        assert heard.wait(Acked) == [Acked(key="k")]
        assert client.count("jobs") == 0
        assert client.count("out") == 600

    # Given a wrong authority, or a name the certificate does not bear, there is none.
    for settings in ({"ca_file": str(stranger)}, {"host": "127.0.0.1"}, {"ca_file": None}):
        refused = Heard()
        distrusting = make_link(refused, broker.tls_port, **(secured | settings))
        distrusting.start()
        assert "is not trusted" in refused.wait(Trouble)[0].text
        assert refused.of(Connected) == []
        distrusting.stop(5)

    # When the broker dies, that is noticed long before the next beat (the library alone would spin until then).
    broker.kill()
    assert "closed" in heard.wait(Disconnected, timeout=15)[0].why
    broker.start()
    heard.wait(Connected, 2)
    link.send("again", "out", "z", {})
    assert heard.answer("again") == Sent(key="again")


def test_a_frozen_tls_broker_is_noticed_and_the_link_can_still_be_stopped(tmp_path, own_broker, heard, linked):
    authority = make_authority(tmp_path, "right")
    broker = own_broker(keystore=make_server_keystore(tmp_path, authority))
    link = linked(heard, broker.tls_port, tls=True, host="localhost", ca_file=str(authority), heartbeat_ms=1000)

    broker.freeze()

    assert "silent" in heard.wait(Disconnected)[0].why
    link.stop(0.5)
    assert not link.connected


def test_nothing_is_delivered_after_stop_has_begun(activemq, client, queues, heard, linked):
    link = linked(heard, activemq.port, subscriptions=(queues("in"),))
    link.stop(10)

    client.send(queues("in"), "late")

    assert client.count(queues("in")) == 1
    assert heard.of(Delivered) == []
