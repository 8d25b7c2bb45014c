"""The configurations of etc/broker/ load in the real brokers, and do what the how-to says of them."""

from __future__ import annotations

import pytest
from brokerevents import Heard, make_link
from shippedbrokers import BROKERS, USERS

from supervisor.broker import Acked, Connected, Disconnected, Refused, Sent, Trouble

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("both brokers")]

PENDING, COMPLETE = "/queue/ReductionPending", "/queue/ReductionComplete"
#: More than the ten after which Artemis gives a message up unless it is told otherwise.
CONNECTIONS = 12


@pytest.fixture(scope="module", params=list(BROKERS))
def shipped(request, tmp_path_factory, papers):
    broker = BROKERS[request.param](tmp_path_factory.mktemp(request.param), keystore=papers.keystore)
    broker.start(timeout=240)
    yield broker
    broker.kill()


@pytest.fixture
def login(shipped, papers):
    """`login(user, *queues)` connects by TLS with a checked certificate, and returns the link and what it hears."""
    links = []

    def make(user, *subscriptions, password=None):
        heard = Heard()
        who = {"user": user, "password": password or USERS[user]}
        tls = {"tls": True, "host": "localhost", "ca_file": str(papers.authority)}
        link = make_link(heard, shipped.tls_port, subscriptions=subscriptions, **who, **tls)
        links.append(link)
        link.start()
        return link, heard

    yield make
    for link in links:
        link.stop(5)


def answer(link, heard, queue, body="{}", **headers):
    link.send(body, queue, body, headers)
    return heard.answer(body)


def test_a_message_goes_from_the_producer_to_the_supervisor_and_its_reply_back(login):
    web, said = login("producer", COMPLETE)
    host, heard = login("autoreduce", PENDING)
    heard.wait(Connected)
    said.wait(Connected)
    assert answer(web, said, PENDING, '{"run": 1}') == Sent(key='{"run": 1}')
    message = heard.delivered(1)[0]
    host.ack(message.token, "taken")
    heard.wait(Acked)
    assert answer(host, heard, COMPLETE, '{"done": 1}') == Sent(key='{"done": 1}')
    reply = said.delivered(1)[0]
    assert reply.body == b'{"done": 1}'
    web.ack(reply.token, "read")
    said.wait(Acked)


def test_a_message_that_many_connections_held_is_delivered_all_the_same(login):
    web, said = login("producer")
    said.wait(Connected)
    answer(web, said, PENDING, '{"run": 2}')
    for number in range(CONNECTIONS):
        host, heard = login("autoreduce", PENDING)
        print("connection", number)
        assert heard.delivered(1)[0].body == b'{"run": 2}'
        host.stop(10)
    host, heard = login("autoreduce", PENDING)
    host.ack(heard.delivered(1)[0].token, "taken")
    heard.wait(Acked)


@pytest.mark.parametrize(("user", "queue"), [("producer", COMPLETE), ("autoreduce", PENDING), ("producer", "/queue/x")])
def test_nobody_sends_where_he_has_no_business(login, user, queue):
    link, heard = login(user)
    heard.wait(Connected)
    link.send("key", queue, "{}", {})
    assert not isinstance(heard.answer("key"), Sent)
    assert heard.of(Refused) or heard.of(Disconnected)


@pytest.mark.parametrize("user", ["producer", "autoreduce"])
def test_nobody_reads_what_is_for_others(login, user):
    _link, heard = login(user, PENDING if user == "producer" else COMPLETE)
    said = heard.wait(Trouble)[0].text
    assert "did not confirm the subscriptions" in said or "not authorized to read" in said
    assert not heard.of(Connected)


def test_a_wrong_password_is_refused(login):
    _link, heard = login("autoreduce", password="wrong")
    assert "autoreduce" in heard.wait(Trouble)[0].text
    assert not heard.of(Connected)
