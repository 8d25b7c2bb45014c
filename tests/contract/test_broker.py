"""The link against a real ActiveMQ Classic and a real Artemis, by TLS and without: what the design builds on is so."""

from __future__ import annotations

import time

import pytest
from activemq import ActiveMQ
from brokerevents import Heard, make_link
from stompclient import StompClient
from waiting import wait_until

from supervisor import request
from supervisor.broker import Acked, AckLost, Connected, Delivered, Disconnected, Refused, Sent
from supervisor.brokerkinds import KINDS, SMALLEST_MESSAGE

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("both brokers")]

#: The shortest message that means something to us.
SHORTEST = '{"instrument":"GEM","run_number":1,"cancel":true}'


def kind_of(way):
    (kind,) = [kind for kind in KINDS if kind.name == way.kind]
    return kind


def identity(message):
    """What makes a message the same whenever it comes, without a producer's job-id."""
    return request.job_id({key: value for key, value in message.headers.items() if key != "job-id"})


def wait_holds(client, queue, count):
    """Wait until so many messages lie in a queue: Artemis gives a receipt a moment before it counts."""
    wait_until(lambda: client.count(queue) == count, 30, f"{count} messages in {queue}, not {client.count(queue)}")


# -- deliveries


def test_a_message_is_delivered_as_it_was_sent_and_gone_after_its_ack(way, client, queues, heard, linked):
    body = '{"rb_number": 1, "note": "µ-Teilchen: \\n"}'
    before = int(time.time() * 1000)
    client.send(queues("in"), body, {"job-id": "7:1\\a", "priority": "9"})
    after = int(time.time() * 1000)
    link = linked(heard, way.port, subscriptions=(queues("in"),), **way.settings)

    message = heard.delivered(1)[0]
    assert message.queue == queues("in")
    assert message.body == body.encode()
    assert message.headers["job-id"] == "7:1\\a"
    assert request.priority(message.headers) == 9
    assert before - 1000 <= request.broker_time_ms(message.headers) <= after + 1000
    assert message.headers["message-id"]
    assert message.headers["persistent"] == "true"
    assert link.state().unacked == 1

    link.ack(message.token, "job")
    assert heard.wait(Acked) == [Acked(key="job")]
    assert link.state().unacked == 0
    wait_holds(client, queues("in"), 0)


def test_the_kind_of_broker_is_known_by_what_it_calls_itself(plain_way, heard, linked):
    link = linked(heard, plain_way.port, **plain_way.settings)

    assert link._session.kind == kind_of(plain_way)


def test_an_unacknowledged_message_comes_again_as_the_same_one_and_the_old_token_is_worthless(
    way, client, queues, heard, linked
):
    client.send(queues("in"), "job")
    link = linked(heard, way.port, subscriptions=(queues("in"),), **way.settings)
    first = heard.delivered(1)[0]

    link._session._wire.sever()  # the network is cut
    second = heard.delivered(2)[1]

    assert identity(second) == identity(first)
    assert second.headers["timestamp"] == first.headers["timestamp"]
    assert second.headers["redelivered"] == "true"
    assert (second.headers["message-id"] == first.headers["message-id"]) is (way.kind == "classic")
    link.ack(first.token, "stale")
    assert heard.wait(AckLost)[0].key == "stale"
    link.ack(second.token, "fresh")
    assert heard.wait(Acked) == [Acked(key="fresh")]
    wait_holds(client, queues("in"), 0)


def test_two_messages_with_the_same_text_are_two(plain_way, client, queues, heard, linked):
    for _ in range(2):
        client.send(queues("in"), "job")
    linked(heard, plain_way.port, subscriptions=(queues("in"),), **plain_way.settings)

    first, second = heard.delivered(2)

    assert identity(first) != identity(second)
    assert request.producer_sequence(first.headers) < request.producer_sequence(second.headers)


def test_what_a_stopped_link_held_goes_to_another_host(way, client, queues, heard, linked):
    client.send(queues("in"), "job")
    link = linked(heard, way.port, subscriptions=(queues("in"),), **way.settings)
    first = heard.delivered(1)[0]

    link.stop(10)
    other = Heard()
    linked(other, way.port, subscriptions=(queues("in"),), **way.settings)

    assert identity(other.delivered(1)[0]) == identity(first)
    assert heard.all()[-1] == Disconnected(gen=1, why="stopped")


@pytest.mark.parametrize("size", [len(SHORTEST), 2 * SMALLEST_MESSAGE, 20_000])
def test_no_more_than_the_prefetch_window_is_held_and_an_ack_makes_room(plain_way, size, client, queues, heard, linked):
    window = 4
    for number in range(12):
        client.send(queues("jobs"), f"{number}".ljust(size))
    link = linked(
        heard,
        plain_way.port,
        subscriptions=(queues("jobs"), queues("marks")),
        **{"prefetch": window, **plain_way.settings},
    )
    heard.delivered(1, queues("jobs"))

    # What the broker sends is in order: had it sent one more job, it would be here before the mark.
    client.send(queues("marks"), "mark")
    heard.delivered(1, queues("marks"))
    held = heard.delivered(1, queues("jobs"))
    print(f"{plain_way.kind}: {len(held)} messages of {size} bytes under plain_way with a prefetch of {window}")
    assert [message.body.strip() for message in held] == [str(number).encode() for number in range(len(held))]
    assert len(held) == window if plain_way.kind == "classic" else 1 <= len(held) <= window

    # Each one that is acknowledged makes room for another, to the last.
    done = 0
    while done < 12:
        link.ack(heard.delivered(done + 1, queues("jobs"))[done].token, done)
        done += 1
        heard.wait(Acked, done)
        assert len(heard.delivered(1, queues("jobs"))) <= done + window
    wait_holds(client, queues("jobs"), 0)


def test_a_full_window_of_one_queue_does_not_hold_back_another(plain_way, client, queues, heard, linked):
    for number in range(5):
        client.send(queues("pending"), str(number))
    linked(
        heard,
        plain_way.port,
        subscriptions=(queues("pending"), queues("cancel")),
        **{"prefetch": 1, **plain_way.settings},
    )
    heard.delivered(1, queues("pending"))

    client.send(queues("cancel"), "cancel")

    assert heard.delivered(1, queues("cancel"))[0].body == b"cancel"
    assert len(heard.delivered(1, queues("pending"))) == 1


def test_urgent_messages_come_first(plain_way, client, queues, heard, linked):
    for priority in ("0", "4", "9"):
        client.send(queues("in"), priority, {"priority": priority})
    linked(heard, plain_way.port, subscriptions=(queues("in"),), **plain_way.settings)

    found = [message.body for message in heard.delivered(3)]
    # Classic sorts within its window only where its policy says so; the store sorts by the header in any case.
    assert found == [b"9", b"4", b"0"] or plain_way.kind == "classic"
    assert sorted(request.priority(message.headers) for message in heard.delivered(3)) == [0, 4, 9]


def test_an_ack_that_the_broker_does_not_know_is_lost_and_the_link_recovers(plain_way, client, queues, heard, linked):
    client.send(queues("in"), "job")
    link = linked(heard, plain_way.port, subscriptions=(queues("in"),), **plain_way.settings)
    token = heard.delivered(1)[0].token
    link._session._held["999999,999999"] = False  # as if the broker had forgotten it

    link.ack(type(token)(generation=token.generation, ack_id="999999,999999"), "k")

    assert "refused the ACK" in heard.wait(AckLost)[0].why
    assert heard.delivered(2)[1].body == b"job"


def test_a_large_message_is_delivered_whole(way, client, queues, heard, linked):
    body = "µ" * 300_000
    client.send(queues("in"), body)
    link = linked(heard, way.port, subscriptions=(queues("in"),), **way.settings)

    message = heard.delivered(1)[0]

    assert message.body == body.encode()
    link.ack(message.token, "k")
    assert heard.wait(Acked) == [Acked(key="k")]


# -- sends


@pytest.mark.parametrize("text_messages", [True, False])
def test_a_sent_message_is_stored_as_text_or_as_bytes(way, client, queues, heard, linked, text_messages):
    link = linked(heard, way.port, **{"text_messages": text_messages, **way.settings})

    link.send("r1", queues("out"), "Größe: ∞\n", {"event-id": "a:b\\c"})

    assert heard.answer("r1") == Sent(key="r1")
    message = client.receive(queues("out"))
    assert message.body.decode() == "Größe: ∞\n"
    assert message.headers["event-id"] == "a:b\\c"
    assert message.headers["persistent"] == "true"
    if way.kind == "classic":  # Artemis counts the length of either anew; its own list says which it stored
        assert ("content-length" in message.headers) is not text_messages


def test_an_artemis_without_prefixes_keeps_our_replies_and_hands_us_what_producers_of_today_send(
    own_broker, queues, heard, linked
):
    """It makes a topic of an address that is new to it, unless it is told otherwise, and drops what nobody hears."""
    broker = own_broker("artemis", prefixes=False)
    with StompClient(broker.port) as client:
        client.send(queues("nobody"), "x")
        assert client.count(f"/queue/{queues('nobody')}") == 0  # confirmed, and gone
        link = linked(heard, broker.port, subscriptions=(queues("in"),))

        client.send(queues("in"), "job")  # as today, with no word about routing
        link.send("r", queues("out"), "reply", {})

        assert heard.delivered(1)[0].body == b"job"
        assert heard.answer("r") == Sent(key="r")
        listen = {"destination": f"/queue/{queues('out')}", "id": "late", "ack": "auto", "subscription-type": "ANYCAST"}
        client.write("SUBSCRIBE", listen)
        assert client.read().body == b"reply"


def test_a_reply_waits_in_its_queue_for_a_consumer_that_comes_later(plain_way, queues, heard, linked):
    link = linked(heard, plain_way.port, **plain_way.settings)
    link.send("r1", queues("out"), "x", {})
    assert heard.answer("r1") == Sent(key="r1")

    with StompClient(plain_way.broker.port) as late:
        assert late.receive(queues("out")).body == b"x"


@pytest.mark.parametrize("changed", ["nothing", "body", "event"])
def test_a_copy_of_a_reply_is_dropped_by_a_broker_that_can_and_nothing_but_a_copy(
    plain_way, changed, client, queues, heard, linked
):
    link = linked(heard, plain_way.port, **plain_way.settings)
    for number, (body, event) in enumerate(
        (("x", "e:1"), ("y" if changed == "body" else "x", "e:2" if changed == "event" else "e:1"))
    ):
        link.send(number, queues("out"), body, {"event-id": event})
        assert heard.answer(number) == Sent(key=number)

    copies = 1 if kind_of(plain_way).dedupe_header and changed == "nothing" else 2
    wait_holds(client, queues("out"), copies)


def test_many_sends_at_once_keep_their_order(way, client, queues, heard, linked):
    link = linked(heard, way.port, **way.settings)
    body = "x" * 700
    count = 500
    for number in range(count):
        link.send(number, queues("out"), body, {"n": str(number)})
    heard.wait(Sent, count)

    assert [event.key for event in heard.of(Sent)] == list(range(count))
    assert [m.headers["n"] for m in client.browse(queues("out"))[:50]] == [str(number) for number in range(50)]


def test_stop_sends_what_is_queued_first(way, client, queues, heard, linked):
    link = linked(heard, way.port, **way.settings)
    for number in range(200):
        link.send(number, queues("out"), "x", {})

    link.stop(30)

    assert len(heard.of(Sent)) == 200
    wait_holds(client, queues("out"), 200)


def test_nothing_is_delivered_after_stop_has_begun(plain_way, client, queues, heard, linked):
    link = linked(heard, plain_way.port, subscriptions=(queues("in"),), **plain_way.settings)
    link.stop(10)

    client.send(queues("in"), "late")

    wait_holds(client, queues("in"), 1)
    assert heard.of(Delivered) == []


def test_idle_connections_are_kept_up_by_beats_alone(every_way, queues, linked):
    # Without beats in both directions either side would give up within this idle time.
    beats = {"heartbeat_ms": 500, "silence_factor": 8.0}
    listening = {}
    for way in every_way:
        queue = queues(f"{way.kind} {way.tls}".replace(" ", "."))
        heard = Heard()
        link = linked(heard, way.port, subscriptions=(queue,), **{**beats, **way.settings})
        listening[queue] = (way, heard, link)
    since = max(link.state().since for _, _, link in listening.values())

    wait_until(lambda: time.monotonic() - since > 5.0, 30, "more than eight intervals to pass")

    for queue, (way, heard, link) in listening.items():
        assert link.connected
        with StompClient(way.broker.port) as client:
            client.send(queue, "still there")
        assert heard.delivered(1)[0].token.generation == 1
        assert heard.of(Disconnected) == []


def test_an_oversize_send_is_the_suspect_and_all_others_go_through(activemq, queues, heard, linked):
    """Classic alone has a limit of its own for a frame, and closes without naming the one that passed it."""
    assert isinstance(activemq, ActiveMQ)
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
    with StompClient(activemq.port) as client:
        stored = {message.headers["n"] for message in client.browse(queues("out"))}
    assert stored == {str(key) for key in range(20)} - {"5"}


# -- a drained host


def test_messages_that_a_drained_host_holds_go_to_another_and_its_replies_are_sent(
    plain_way, client, queues, heard, linked
):
    link = linked(heard, plain_way.port, subscriptions=(queues("in"),))
    for number in range(3):
        client.send(queues("in"), f'{{"n": {number}}}', {"job-id": f"job-{number}"})
    held = heard.delivered(3)
    link.ack(held[0].token, "first")
    heard.wait(Acked)

    link.take_messages(False)
    assert "what is taken from the queues has changed" in heard.wait(Disconnected)[0].why
    heard.wait(Connected, 2)
    other = Heard()
    linked(other, plain_way.port, subscriptions=(queues("in"),))
    assert {message.headers["job-id"] for message in other.delivered(2)} == {"job-1", "job-2"}

    link.send("reply", queues("out"), "done", {})
    assert heard.answer("reply") == Sent(key="reply")
    assert link.connected
    assert len(heard.of(Delivered)) == 3

    link.take_messages(True)
    heard.wait(Connected, 3)
    assert link.connected


def test_a_link_that_begins_drained_takes_no_message_until_it_is_resumed(plain_way, client, queues, heard, linked):
    client.send(queues("in"), "{}", {"job-id": "one"})
    link = make_link(heard, plain_way.port, subscriptions=(queues("in"),))
    link.take_messages(False)
    link.start()
    try:
        heard.wait(Connected)
        link.send("reply", queues("out"), "done", {})
        heard.answer("reply")
        assert not heard.of(Delivered)
        link.take_messages(True)
        assert heard.delivered(1)[0].headers["job-id"] == "one"
    finally:
        link.stop(2)
