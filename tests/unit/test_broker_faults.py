"""The link against brokers that misbehave: small servers on loopback that do what the test says."""

from __future__ import annotations

import logging
import os
import random
import threading
import time

import pytest
from brokerevents import Heard, make_link
from scriptedbroker import ScriptedBroker
from waiting import wait_until

from supervisor.backoff import Backoff
from supervisor.broker import (
    Acked,
    AckLost,
    BrokerSettings,
    Connected,
    DeliveryToken,
    Disconnected,
    Refused,
    Sent,
    Trouble,
    Unknown,
)
from supervisor.brokerlink import BrokerLink

PASSWORD = "correct-horse-battery"


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def linked(heard):
    """Makes started links, and stops them at the end."""
    links = []

    def make(*ports, **settings):
        link = make_link(heard, *ports, **settings)
        links.append(link)
        link.start()
        return link

    yield make
    for link in links:
        link.stop(0.2)


def answers_everything(conversation):
    conversation.welcome()
    while True:
        conversation.confirm(conversation.read())


def mute(conversation):
    conversation.until_closed()


# -- connecting


def test_a_mute_broker_is_given_up_and_the_next_one_is_used(heard, linked):
    with ScriptedBroker(mute) as dead, ScriptedBroker(answers_everything) as alive:
        link = linked(dead.port, alive.port, connect_timeout=0.5)

        heard.wait(Connected)

        assert "sent no CONNECTED in 0.5 s" in heard.of(Trouble)[0].text
        assert link.state().host == f"127.0.0.1:{alive.port}"
        assert link.state().attempts == 0


def test_a_closed_port_is_reported_with_its_cause(heard, linked):
    with ScriptedBroker(mute) as gone:
        port = gone.port

    link = linked(port)

    trouble = heard.wait(Trouble, 2)
    assert trouble[0].text == f"cannot connect to broker 127.0.0.1:{port}: Connection refused"
    assert link.state().last_error == trouble[0].text
    assert link.state().attempts >= 2
    assert not link.connected


def test_a_broker_that_closes_at_once_is_tried_again(heard, linked):
    def script(conversation):
        if conversation.number > 2:
            answers_everything(conversation)

    with ScriptedBroker(script) as broker:
        linked(broker.port)

        heard.wait(Connected)

        assert len(heard.of(Trouble)) >= 2
        assert heard.of(Disconnected) == []


def test_a_broker_of_an_older_protocol_is_refused(heard, linked):
    def script(conversation):
        conversation.read("CONNECT")
        conversation.write("CONNECTED", version="1.1")
        conversation.until_closed()

    with ScriptedBroker(script) as broker:
        linked(broker.port)

        assert "speaks STOMP 1.1, not 1.2" in heard.wait(Trouble)[0].text


def test_refused_credentials_are_named_but_the_password_never(heard, linked, caplog):
    caplog.set_level(logging.DEBUG)

    def script(conversation):
        headers = conversation.read("CONNECT").headers
        conversation.write("ERROR", message=f"bad login {headers['login']} / {headers['passcode']}")

    with ScriptedBroker(script) as broker:
        link = linked(broker.port, user="reducer", password=PASSWORD, backoff=Backoff())

        text = heard.wait(Trouble)[0].text

        assert text.startswith(f'broker refused the credentials of user "reducer" at 127.0.0.1:{broker.port}')
        everything = f"{heard.all()} {link.state()} {caplog.text} {link._settings}"
        assert PASSWORD not in everything
        assert broker.accepted == 1  # the slow back-off: half a minute at least


def test_the_librarys_log_never_shows_a_frame_even_at_debug(heard, linked, caplog):
    logging.getLogger("stomp.py").setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    with ScriptedBroker(answers_everything) as broker:
        link = linked(broker.port, user="reducer", password=PASSWORD)
        heard.wait(Connected)
        link.send("a", "q", "the whole script", {})
        heard.answer("a")

    heard.wait(Disconnected)
    assert PASSWORD not in caplog.text
    assert "the whole script" not in caplog.text
    logging.getLogger("stomp.py").setLevel(logging.NOTSET)


def test_a_subscription_that_is_denied_is_no_connection(heard, linked):
    def script(conversation):
        conversation.read("CONNECT")
        conversation.write("CONNECTED", version="1.2")
        receipt = conversation.read("SUBSCRIBE").headers["receipt"]
        conversation.write("ERROR", message="user reducer is not authorized to read", receipt_id=receipt)
        conversation.until_closed()

    with ScriptedBroker(script) as broker:
        linked(broker.port, subscriptions=("jobs",))

        wait_until(lambda: any("not authorized" in t.text for t in heard.of(Trouble)), 30, "the denial")

        assert heard.of(Connected) == []


def test_a_subscription_that_is_never_confirmed_is_no_connection(heard, linked):
    def script(conversation):
        conversation.read("CONNECT")
        conversation.write("CONNECTED", version="1.2")
        conversation.until_closed()

    with ScriptedBroker(script) as broker:
        linked(broker.port, subscriptions=("jobs",), receipt_timeout=0.5)

        wait_until(lambda: any("no receipt for SUBSCRIBE" in t.text for t in heard.of(Trouble)), 30, "the time-out")

        assert heard.of(Connected) == []


def test_each_queue_has_a_subscription_id_of_its_own_and_every_subscribe_a_window_and_a_receipt(heard, linked):
    seen = []

    def script(conversation):
        conversation.read("CONNECT")
        conversation.write("CONNECTED", version="1.2")
        for _ in range(3):
            frame = conversation.read("SUBSCRIBE")
            seen.append(frame.headers)
            conversation.confirm(frame)
        conversation.until_closed()

    with ScriptedBroker(script) as broker:
        linked(broker.port, subscriptions=("a", "/queue/b", "c"), prefetch=7)
        heard.wait(Connected)

    assert [h["destination"] for h in seen] == ["/queue/a", "/queue/b", "/queue/c"]
    assert len({h["id"] for h in seen}) == 3
    assert len({h["receipt"] for h in seen}) == 3
    assert {h["ack"] for h in seen} == {"client-individual"}
    assert {h["activemq.prefetchSize"] for h in seen} == {"7"}


def test_a_message_that_overtakes_the_subscription_receipt_is_delivered_after_connected(heard, linked):
    def script(conversation):
        conversation.read("CONNECT")
        conversation.write("CONNECTED", version="1.2")
        frame = conversation.read("SUBSCRIBE")
        conversation.write("MESSAGE", b"early", subscription=frame.headers["id"], ack="1", message_id="1")
        conversation.confirm(frame)
        conversation.until_closed()

    with ScriptedBroker(script) as broker:
        linked(broker.port, subscriptions=("jobs",))

        assert heard.delivered(1)[0].body == b"early"
        kinds = [type(event).__name__ for event in heard.all() if not isinstance(event, Trouble)]
        assert kinds[:2] == ["Connected", "Delivered"]


def test_every_attempt_asks_for_heartbeats_anew(heard, linked):
    asked = []

    def script(conversation):
        asked.append(conversation.read("CONNECT").headers.get("heart-beat"))
        conversation.write("CONNECTED", version="1.2", heart_beat="0,0")

    with ScriptedBroker(script) as broker:
        linked(broker.port, heartbeat_ms=3000)
        heard.wait(Connected, 3)

    assert set(asked) == {"3000,3000"}
    assert "no heart-beats" in heard.of(Trouble)[0].text


# -- TLS


def test_a_tls_host_never_hears_a_word_in_clear(heard, linked):
    first = []

    def script(conversation):
        first.append(conversation.sock.recv(4096))
        conversation.sock.sendall(b"CONNECTED\nversion:1.2\n\n\0")

    with ScriptedBroker(script) as broker:
        linked(broker.port, tls=True, user="reducer", password=PASSWORD)

        assert "TLS handshake" in heard.wait(Trouble)[0].text

    assert first
    assert all(hello[0] == 0x16 for hello in first)  # a TLS handshake record (RFC 8446, 5.1)
    assert not any(PASSWORD.encode() in hello for hello in first)


@pytest.mark.parametrize("name", ["ca_file", "cert_file"])
def test_a_missing_tls_file_is_named_and_nothing_is_dialled(heard, linked, tmp_path, name):
    missing = str(tmp_path / "missing.pem")
    with ScriptedBroker(mute) as broker:
        linked(broker.port, tls=True, **{name: missing})

        text = heard.wait(Trouble, 2)[0].text

        assert text == f'cannot read broker {name} "{missing}": No such file or directory'
        assert broker.accepted == 0


def test_a_ca_file_that_is_no_certificate_is_named(heard, linked, tmp_path):
    wrong = tmp_path / "ca.pem"
    wrong.write_text("not a certificate")
    with ScriptedBroker(mute) as broker:
        linked(broker.port, tls=True, ca_file=str(wrong))

        assert f'ca_file "{wrong}" holds no PEM certificate' in heard.wait(Trouble)[0].text


# -- an established connection


def test_a_broker_that_falls_silent_is_left_and_its_sends_are_unknown_not_suspect(heard, linked):
    def script(conversation):
        if conversation.number > 1:
            answers_everything(conversation)
        conversation.welcome(beats="300,300")
        conversation.until_closed()

    with ScriptedBroker(script) as broker:
        link = linked(broker.port, heartbeat_ms=300)
        heard.wait(Connected)
        link.send("a", "q", "body", {})

        answer = heard.answer("a")

        assert isinstance(answer, Unknown)
        assert answer.written
        assert "silent" in heard.wait(Disconnected)[0].why
        heard.wait(Connected, 2)
        link.send("a", "q", "body", {})
        assert heard.answers("a", 2)[1] == Sent(key="a")


def test_a_broker_that_stops_reading_blocks_neither_the_caller_nor_the_link(heard, linked):
    def script(conversation):
        conversation.welcome(beats="0,0")
        release.wait(60)

    release = threading.Event()
    with ScriptedBroker(script) as broker:
        link = linked(broker.port, receipt_timeout=4.0)
        heard.wait(Connected)
        for number in range(60):
            link.send(number, "q", "x" * 400_000, {})
        assert heard.of(Disconnected) == []  # the caller was through before the stuck socket was given up

        why = heard.wait(Disconnected)[0].why

        assert "no receipt for SEND in 4 s" in why
        answers = heard.of(Unknown)
        assert sorted(answer.key for answer in answers) == list(range(60))
        assert answers[0].written
        assert not answers[-1].written
        release.set()


def test_stop_is_bounded_while_the_broker_does_not_read(heard, linked):
    def script(conversation):
        conversation.welcome(beats="0,0")
        release.wait(60)

    release = threading.Event()
    with ScriptedBroker(script) as broker:
        link = linked(broker.port, receipt_timeout=60.0)
        heard.wait(Connected)
        for number in range(60):
            link.send(number, "q", "x" * 400_000, {})
        began = time.monotonic()

        link.stop(0.5)

        assert time.monotonic() - began < 10
        assert "did not confirm within 0.5 s" in heard.wait(Disconnected)[0].why
        assert len(heard.of(Unknown)) == 60
        release.set()


def test_an_error_that_names_a_send_refuses_this_one_and_the_connection_goes_on(heard, linked):
    def script(conversation):
        conversation.welcome()
        while True:
            frame = conversation.read()
            if frame.body == b"bad":
                conversation.write("ERROR", message="no such thing", receipt_id=frame.headers["receipt"])
            else:
                conversation.confirm(frame)

    with ScriptedBroker(script) as broker:
        link = linked(broker.port)
        heard.wait(Connected)
        for key, body in (("a", "good"), ("b", "bad"), ("c", "good")):
            link.send(key, "q", body, {})

        assert heard.answer("c") == Sent(key="c")
        assert heard.answer("a") == Sent(key="a")
        refused = heard.answer("b")
        assert isinstance(refused, Refused)
        assert not refused.suspect
        assert "no such thing" in refused.why
        assert heard.of(Disconnected) == []


def test_the_close_after_a_named_error_does_not_make_the_next_send_a_suspect(heard, linked):
    def script(conversation):
        conversation.welcome()
        if conversation.number > 1:
            while True:
                conversation.confirm(conversation.read())
        frames = [conversation.read("SEND"), conversation.read("SEND")]
        conversation.write("ERROR", message="no", receipt_id=frames[0].headers["receipt"])

    with ScriptedBroker(script) as broker:
        link = linked(broker.port)
        heard.wait(Connected)
        link.send("bad", "q", "x", {})
        link.send("innocent", "q", "y", {})

        assert isinstance(heard.answer("bad"), Refused)
        assert isinstance(heard.answer("innocent"), Unknown)


def test_a_poisonous_send_among_many_is_found_and_all_others_get_through(heard, linked):
    def script(conversation):
        conversation.welcome()
        while True:
            frame = conversation.read()
            if frame.body == b"poison":
                conversation.write("ERROR", message="too much")  # names nothing, as Classic does for a large frame
                return
            conversation.confirm(frame)

    with ScriptedBroker(script) as broker:
        link = linked(broker.port)
        heard.wait(Connected)
        open_keys = set(range(30))
        suspected = 0
        rounds = 0
        while open_keys and rounds < 20:
            rounds += 1
            before = {key: len(heard.answers(key, 0)) for key in open_keys}
            for key in sorted(open_keys):
                link.send(key, "q", "poison" if key == 11 else "fine", {})
            for key in sorted(open_keys):
                answer = heard.answers(key, before[key] + 1)[-1]
                if isinstance(answer, Refused):
                    assert key == 11
                    assert answer.suspect
                    suspected += 1
                if isinstance(answer, Sent) or (key == 11 and suspected == 3):
                    open_keys.discard(key)
            wait_until(lambda: link.connected or not open_keys, 30, "the next connection")

        assert suspected == 3
        everything_else = {event.key for event in heard.of(Sent)}
        assert everything_else == set(range(30)) - {11}


def test_a_connection_that_ends_answers_every_send_once_and_before_disconnected(heard, linked):
    def script(conversation):
        conversation.welcome()
        for _ in range(5):
            conversation.confirm(conversation.read("SEND"))
        conversation.read("SEND")

    with ScriptedBroker(script) as broker:
        link = linked(broker.port)
        heard.wait(Connected)
        for key in range(20):
            link.send(key, "q", "x", {})
        heard.wait(Disconnected)

        for key in range(20):
            assert len(heard.answers(key, 1)) == 1
        assert {event.key for event in heard.of(Sent)} == set(range(5))


def test_bytes_that_are_no_utf8_arrive_as_they_are(heard, linked):
    def script(conversation):
        conversation.welcome(subscriptions=1)
        head = b"MESSAGE\nsubscription:0\nack:1\nmessage-id:1\nname:caf\xe9\\c\\n\n\n"
        conversation.sock.sendall(head + b'{"run": "\xff\xfe"}\0')
        conversation.until_closed()

    with ScriptedBroker(script) as broker:
        linked(broker.port, subscriptions=("jobs",))

        message = heard.delivered(1)[0]

        assert message.body == b'{"run": "\xff\xfe"}'
        assert message.headers["name"] == "caf\ufffd:\n"


def test_a_body_with_nul_and_content_length_arrives_whole(heard, linked):
    def script(conversation):
        conversation.welcome(subscriptions=1)
        body = b"a\0b\0\n\nc" * 5000
        conversation.write("MESSAGE", body, subscription="0", ack="1", content_length=str(len(body)))
        conversation.until_closed()

    with ScriptedBroker(script) as broker:
        linked(broker.port, subscriptions=("jobs",))

        assert heard.delivered(1)[0].body == b"a\0b\0\n\nc" * 5000


@pytest.mark.parametrize("beats", [b"\n" * 2, b"\n" * 7, b"\r\n" * 3], ids=repr)
def test_frames_behind_beats_that_have_gathered_arrive(heard, linked, beats):
    body = b"a\0\n\nb"

    def script(conversation):
        conversation.welcome(subscriptions=1)
        head = b"MESSAGE\nsubscription:0\nack:%d\nmessage-id:1\n"
        whole = b"content-length:%d\n\n%b\0" % (len(body), body)
        conversation.sock.sendall(beats + head % 1 + b"\nfirst\0" + beats + head % 2 + whole + beats + head % 3)
        conversation.sock.sendall(b"\nlast\0" + beats)
        ack = conversation.read("ACK")
        conversation.sock.sendall(beats)
        conversation.confirm(ack)
        conversation.until_closed()

    with ScriptedBroker(script) as broker:
        link = linked(broker.port, subscriptions=("jobs",))

        messages = heard.delivered(3)
        link.ack(messages[0].token, "first")

        assert [message.body for message in messages] == [b"first", body, b"last"]
        assert heard.wait(Acked)[0].key == "first"


def test_a_very_long_header_of_the_broker_is_taken_and_one_of_ours_is_refused_here(heard, linked):
    def script(conversation):
        conversation.welcome(subscriptions=1)
        conversation.write("MESSAGE", b"x", subscription="0", ack="1", long="h" * 100_000)
        while True:
            conversation.confirm(conversation.read())

    with ScriptedBroker(script) as broker:
        link = linked(broker.port, subscriptions=("jobs",))
        assert len(heard.delivered(1)[0].headers["long"]) == 100_000

        link.send("a", "q", "x", {"long": "h" * 100_000})

        answer = heard.answer("a")
        assert isinstance(answer, Refused)
        assert not answer.suspect
        assert "headers take" in answer.why
        assert link.connected


@pytest.mark.parametrize(
    "headers",
    [{"subscription": "0"}, {"ack": "1"}, {"subscription": "9", "ack": "1"}],
    ids=["no ack", "no sub", "other"],
)
def test_a_message_that_could_not_be_acknowledged_ends_the_connection(heard, linked, headers):
    def script(conversation):
        conversation.welcome(subscriptions=1)
        conversation.write("MESSAGE", b"x", **headers)
        conversation.until_closed()

    with ScriptedBroker(script) as broker:
        linked(broker.port, subscriptions=("jobs",))

        assert "without a subscription or ack header" in heard.wait(Disconnected)[0].why


@pytest.mark.parametrize(
    "junk",
    [b"RECEIPT\n\n\0", b"CONNECTED\nversion:1.2\nheart-beat:x\n\n\0", b"MESSAGE\nsubscription:0\n", b"CONNECTED\n\n\0"],
    ids=["receipt without id", "bad beats", "half a frame", "connected twice"],
)
def test_a_broken_frame_ends_the_connection_and_the_next_one_works(heard, linked, junk):
    def script(conversation):
        if conversation.number > 1:
            answers_everything(conversation)
        conversation.welcome()
        conversation.sock.sendall(junk)
        if not junk.startswith(b"MESSAGE"):
            conversation.until_closed()

    with ScriptedBroker(script) as broker:
        link = linked(broker.port)
        heard.wait(Disconnected)
        heard.wait(Connected, 2)

        link.send("a", "q", "x", {})

        assert heard.answer("a") == Sent(key="a")


def test_a_receipt_nobody_asked_for_changes_nothing(heard, linked):
    def script(conversation):
        conversation.welcome()
        conversation.write("RECEIPT", receipt_id="send-77-77")
        while True:
            frame = conversation.read()
            conversation.confirm(frame)
            conversation.confirm(frame)

    with ScriptedBroker(script) as broker:
        link = linked(broker.port)
        heard.wait(Connected)
        for key in range(10):
            link.send(key, "q", "x", {})
        heard.wait(Sent, 10)
        link.stop(10)

        assert len(heard.of(Sent)) == 10
        assert heard.of(Disconnected)[0].why == "stopped"


def test_an_ack_is_confirmed_once_and_a_second_one_is_lost(heard, linked):
    def script(conversation):
        conversation.welcome(subscriptions=1)
        conversation.write("MESSAGE", b"x", subscription="0", ack="ID\\c1")
        acks.append(conversation.read("ACK"))
        conversation.confirm(acks[0])
        conversation.until_closed()

    acks = []
    with ScriptedBroker(script) as broker:
        link = linked(broker.port, subscriptions=("jobs",))
        token = heard.delivered(1)[0].token
        assert link.state().unacked == 1

        link.ack(token, "first")
        link.ack(token, "second")

        assert heard.wait(Acked) == [Acked(key="first")]
        assert heard.wait(AckLost)[0].key == "second"
        assert acks[0].headers["id"] == "ID\\c1"
        assert link.state().unacked == 0


def test_an_ack_the_broker_refuses_ends_the_connection_so_that_the_message_comes_again(heard, linked):
    def script(conversation):
        conversation.welcome(subscriptions=1)
        conversation.write("MESSAGE", b"x", subscription="0", ack=f"a{conversation.number}")
        frame = conversation.read("ACK")
        if conversation.number == 1:
            conversation.write("ERROR", message="Unexpected ACK", receipt_id=frame.headers["receipt"])
            conversation.until_closed()
        conversation.confirm(frame)
        conversation.until_closed()

    with ScriptedBroker(script) as broker:
        link = linked(broker.port, subscriptions=("jobs",))
        link.ack(heard.delivered(1)[0].token, "k")
        lost = heard.wait(AckLost)[0]

        assert lost.key == "k"
        assert "Unexpected ACK" in lost.why
        link.ack(heard.delivered(2)[1].token, "k")
        assert heard.wait(Acked) == [Acked(key="k")]


def test_a_token_of_an_older_connection_is_worthless_at_once(heard, linked):
    with ScriptedBroker(answers_everything) as broker:
        link = linked(broker.port)
        heard.wait(Connected)

        link.ack(DeliveryToken(generation=0, ack_id="x"), "k")

        assert [event.key for event in heard.of(AckLost)] == ["k"]


# -- the caller


def test_without_a_connection_sends_and_acks_are_answered_at_once(heard):
    link = make_link(heard, 1)

    link.send("a", "q", "x", {})
    link.ack(DeliveryToken(generation=1, ack_id="x"), "k")

    assert heard.all()[0] == Unknown(key="a", why="not sent: no broker is connected", written=False)
    assert heard.all()[1].key == "k"
    link.stop(1)


@pytest.mark.parametrize(
    ("queue", "body", "headers"),
    [("a,b", "x", {}), ("q?x=y", "x", {}), ("q", "a\0b", {}), ("q", "x", {"k": "a\r\nreceipt:1"}), ("q", "\ud800", {})],
)
def test_what_no_frame_can_carry_is_refused_without_a_broker(heard, queue, body, headers):
    link = make_link(heard, 1)

    link.send("a", queue, body, headers)

    answer = heard.answer("a")
    assert isinstance(answer, Refused)
    assert not answer.suspect


@pytest.mark.parametrize("names", [("a,b",), ("a", "/queue/a"), ("",)])
def test_subscriptions_that_cannot_work_are_refused_at_once(heard, names):
    with pytest.raises(ValueError, match=r"destination|twice"):
        make_link(heard, 1, subscriptions=names)


def test_a_receiver_that_raises_does_not_end_the_link(linked, caplog):
    heard = Heard()

    def emit(event):
        heard(event)
        raise RuntimeError("the loop is broken")

    with ScriptedBroker(answers_everything) as broker:
        link = BrokerLink(BrokerSettings(hosts=(("127.0.0.1", broker.port, False),)), (), emit, rng=random.Random(1))
        link.start()
        heard.wait(Connected)
        link.send("a", "q", "x", {})

        assert heard.answer("a") == Sent(key="a")
        link.stop(10)

    assert "An event of the broker link was lost: Connected" in caplog.text


def test_stop_ends_a_back_off_and_a_connect_that_hangs(heard):
    with ScriptedBroker(mute) as broker:
        links = [make_link(heard, broker.port, connect_timeout=60.0), make_link(heard, 1, backoff=Backoff())]
        for link in links:
            link.start()
        wait_until(lambda: broker.accepted == 1, 30, "the mute broker's connection")
        heard.wait(Trouble)

        began = time.monotonic()
        for link in links:
            link.stop(10)

        assert time.monotonic() - began < 9
        assert not any(link._thread.is_alive() for link in links)


def test_stop_writes_what_is_queued_and_waits_for_the_receipts(heard, linked):
    with ScriptedBroker(answers_everything) as broker:
        link = linked(broker.port)
        heard.wait(Connected)
        for key in range(500):
            link.send(key, "q", "x", {})

        link.stop(30)

        assert len(heard.of(Sent)) == 500
        assert heard.all()[-1] == Disconnected(gen=1, why="stopped")
        link.send("late", "q", "x", {})
        assert isinstance(heard.answer("late"), Unknown)


def test_a_link_is_started_once(heard):
    link = make_link(heard, 1)
    link.stop(1)

    with pytest.raises(RuntimeError, match="started once"):
        link.start()


def test_no_thread_and_no_descriptor_is_left_after_many_connections(heard, linked):
    def script(conversation):
        conversation.welcome(beats="1000,1000")

    with ScriptedBroker(script) as broker:
        linked(broker.port, heartbeat_ms=1000, backoff=Backoff(base_seconds=0.001, cap_seconds=0.002))
        heard.wait(Disconnected, 5)

        def ours():
            # The server keeps one descriptor for each connection that it accepted; the rest is ours.
            return len(os.listdir("/proc/self/fd")) - broker.accepted

        before = ours()
        heard.wait(Disconnected, 60)

        wait_until(lambda: ours() <= before + 10, 30, "descriptors to be closed")
        writers = [t for t in threading.enumerate() if t.name.startswith(("broker-writer", "broker-watchdog"))]
        assert len(writers) <= 2


def test_a_broker_that_confirms_the_goodbye_before_the_rest_is_left_with_every_receipt(heard, linked):
    def script(conversation):
        def store_slowly(frames):
            said_goodbye.wait(0.3)
            for frame in frames:
                conversation.confirm(frame)

        conversation.welcome()
        frames = [conversation.read("SEND") for _ in range(3)]
        threading.Thread(target=store_slowly, args=(frames,), daemon=True).start()
        goodbye = conversation.read("DISCONNECT")
        said_goodbye.set()
        conversation.confirm(goodbye)

    said_goodbye = threading.Event()
    with ScriptedBroker(script) as broker:
        link = linked(broker.port)
        heard.wait(Connected)
        for number in range(3):
            link.send(number, "q", "x", {})

        link.stop(30)

        assert [event.key for event in heard.of(Sent)] == [0, 1, 2]
        assert heard.of(Unknown) == []
        assert heard.of(Disconnected)[0].why == "stopped"


def test_a_large_message_on_a_slow_line_is_no_silence(heard, linked):
    def script(conversation):
        conversation.welcome(beats="300,300", subscriptions=1)
        head = f"MESSAGE\nsubscription:0\nack:1\nmessage-id:1\ncontent-length:{len(body)}\n\n".encode()
        for lot in (head, *(body[at : at + 100] for at in range(0, len(body), 100)), b"\0"):
            conversation.sock.sendall(lot)
            time.sleep(0.1)  # the line's own pace: three silences' worth until the frame is whole
        conversation.until_closed()

    body = b"x" * 2500
    with ScriptedBroker(script) as broker:
        linked(broker.port, subscriptions=("jobs",), heartbeat_ms=300)

        assert heard.delivered(1)[0].body == body
        assert heard.of(Disconnected) == []
