"""Brokers of both kinds that die, freeze and come back, alone and in a fail-over list."""

from __future__ import annotations

import pytest
from bothbrokers import KINDS
from brokerevents import Heard
from scriptedbroker import ScriptedBroker
from stompclient import StompClient

from supervisor import request
from supervisor.broker import Acked, Connected, Disconnected, Sent, Trouble, Unknown

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("mortal brokers")]


@pytest.fixture(scope="module", params=list(KINDS))
def mortal(request, tmp_path_factory, papers):
    """A broker of each kind that the tests here may kill and freeze; each leaves it running."""
    broker = KINDS[request.param](tmp_path_factory.mktemp("mortal"), keystore=papers.keystore)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def door(request, mortal, papers):
    """Its port, and what a link needs there."""
    if request.param:
        return mortal.tls_port, {"tls": True, "host": "localhost", "ca_file": str(papers.authority)}
    return mortal.port, {}


def test_after_a_power_cut_held_messages_come_again_and_sends_go_out(mortal, door, queues, heard, linked):
    port, settings = door
    with StompClient(mortal.port) as client:
        for number in range(3):
            client.send(queues("jobs"), f"{number}".ljust(300))
    link = linked(heard, port, subscriptions=(queues("jobs"),), **{"heartbeat_ms": 30_000, **settings})
    first = heard.delivered(3)
    link.ack(first[0].token, "done")
    heard.wait(Acked)

    # It is noticed long before the next beat; the library alone would spin until then, with TLS.
    mortal.kill()
    assert "closed" in heard.wait(Disconnected, timeout=20)[0].why
    link.send("r", queues("out"), "while down", {})
    assert heard.answer("r") == Unknown(key="r", why="not sent: no broker is connected", written=False)
    mortal.start()

    again = heard.delivered(5)[3:]
    assert sorted(map(_identity, again)) == sorted(map(_identity, first[1:]))
    assert heard.of(Connected)[1].gen == again[0].token.generation
    link.send("r", queues("out"), "reply", {})
    assert heard.answers("r", 2)[1] == Sent(key="r")
    with StompClient(mortal.port) as client:
        assert [m.body for m in client.browse(queues("out"))] == [b"reply"]


def test_a_frozen_broker_is_noticed_by_its_missing_beats_and_used_when_it_thaws(mortal, door, queues, heard, linked):
    port, settings = door
    link = linked(heard, port, **{"heartbeat_ms": 1000, **settings})
    mortal.freeze()
    link.send("r", queues("out"), "x", {})

    answer = heard.answer("r")
    assert isinstance(answer, Unknown)
    assert answer.written
    assert "silent" in heard.wait(Disconnected)[0].why

    mortal.thaw()
    heard.wait(Connected, 2)
    link.send("r", queues("out"), "x", {})
    assert heard.answers("r", 2)[1] == Sent(key="r")


def test_a_link_to_a_frozen_broker_can_still_be_stopped(mortal, door, heard, linked):
    port, settings = door
    link = linked(heard, port, **{"heartbeat_ms": 1000, **settings})

    mortal.freeze()
    try:
        assert "silent" in heard.wait(Disconnected)[0].why
        link.stop(0.5)
        assert not link.connected
    finally:
        mortal.thaw()


# -- the fail-over list


def _mute(conversation):
    conversation.until_closed()


@pytest.mark.parametrize("first", ["refuses", "is mute", "is no STOMP broker"])
def test_a_first_broker_that_is_none_is_passed_over(first, mortal, queues, heard, linked):
    def babble(conversation):
        conversation.sock.sendall(b"220 ftp.example\r\n")
        conversation.until_closed()

    with ScriptedBroker(babble if first == "is no STOMP broker" else _mute) as dead:
        if first == "refuses":
            dead.__exit__()
        link = linked(heard, dead.port, mortal.port, connect_timeout=1.0)

        assert link.state().host == f"127.0.0.1:{mortal.port}"
        assert f"127.0.0.1:{dead.port}" in heard.of(Trouble)[0].text
        link.send("r", queues("out"), "x", {})
        assert heard.answer("r") == Sent(key="r")


@pytest.mark.parametrize("mortal", ["classic"], indirect=True)
def test_the_other_broker_takes_over_when_the_one_in_use_dies_and_the_first_again_when_that_one_does(
    mortal, other, queues, linked
):
    """Two brokers of different kinds, which share no messages: what each was sent, it keeps."""
    heard = Heard()
    link = linked(heard, mortal.port, other.port, subscriptions=(queues("in"),))
    used = [link.state().host]
    for turn, broker in enumerate((mortal, other, mortal), start=1):
        with StompClient(broker.port) as client:
            client.send(queues("in"), f"turn {turn}")
        message = heard.delivered(turn)[-1]
        assert message.body == f"turn {turn}".encode()
        link.ack(message.token, turn)
        heard.wait(Acked, turn)
        link.send(turn, queues("out"), f"reply {turn}", {"event-id": f"e:{turn}"})
        assert heard.answer(turn) == Sent(key=turn)
        if turn < 3:
            broker.kill()
            heard.wait(Connected, turn + 1)
            used.append(link.state().host)
            broker.start()

    assert used == [f"127.0.0.1:{broker.port}" for broker in (mortal, other, mortal)]
    with StompClient(mortal.port) as client:
        assert [m.body for m in client.browse(queues("out"))] == [b"reply 1", b"reply 3"]
    with StompClient(other.port) as client:
        assert [m.body for m in client.browse(queues("out"))] == [b"reply 2"]


@pytest.fixture
def other(own_broker):
    """A broker of the other kind."""
    return own_broker("artemis")


def _identity(message):
    return request.job_id(message.headers)
