"""Heartbeats and pings at real brokers, from a real loop: what SNS's monitors read is what comes."""

from __future__ import annotations

import json
import os
import random
import threading
import time

import pytest

from supervisor import config
from supervisor.broker import BrokerSettings, Connected
from supervisor.brokerlink import BrokerLink
from supervisor.loop import Loop
from supervisor.stompframe import destination

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("both brokers")]

OWN = {"host": "h", "hostname": "analysis7", "version": "1.0", "level": "none", "limits": {"memory": 8}}


class NoStore:
    """A poller that has nothing to tell."""

    waits_for = ""

    @property
    def last_turn(self):
        return time.monotonic()

    def order(self, command):
        return None


@pytest.fixture
def watched(plain_way, queues):
    """A loop at a broker, connected; returns its settings."""
    named = {
        "pending": queues("in"),
        "heartbeat": f"/topic/{queues('beat')}",
        "ping": f"/topic/{queues('ping')}",
        "heartbeat_every": "1 s",
    }
    text = "[queues]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in named.items())
    settings = config.parse(text, "test")
    loop = Loop(settings, 3, {}, on_state=lambda _: None, luck=random.Random(0), own=OWN)
    connected = threading.Event()

    def hear(event):
        loop.tell(event)
        if isinstance(event, Connected):
            connected.set()

    at = BrokerSettings(hosts=(("127.0.0.1", plain_way.port, False),))
    link = BrokerLink(at, settings.queues.subscriptions, hear, rng=random.Random(0))
    thread = threading.Thread(target=loop.run, args=(NoStore(), link))

    def start():
        link.start()
        thread.start()
        assert connected.wait(30)
        return settings.queues

    yield settings.queues, start
    loop.stop()
    loop.wake()
    thread.join(30)
    link.stop(5)
    for fd in (loop._wake_r, loop._wake_w):
        os.close(fd)


def subscribe(client, name, number):
    """Hear a topic or queue from now on."""
    routing = {"subscription-type": "MULTICAST" if name.startswith("/topic/") else "ANYCAST"}
    client._confirmed("SUBSCRIBE", {"destination": destination(name), "id": number, "ack": "auto", **routing})


def heard(client, number, timeout=30.0):
    message = client._next("MESSAGE", timeout, subscription=number)
    assert message is not None, "nothing came"
    return message


def ask(client, queues, body):
    client.send(queues.ping, body, {"persistent": "false", "destination-type": "MULTICAST"})


def test_heartbeats_come_again_and_again_in_the_form_of_sns(watched, client):
    queues, start = watched
    subscribe(client, queues.heartbeat, "900")
    start()

    first, second = (heard(client, "900") for _ in range(2))

    for message in (first, second):
        beat = json.loads(message.body)
        assert (beat["src_name"], beat["role"], beat["status"]) == ("analysis7", "postprocessing", "0")
        assert beat["pid"] == str(os.getpid())
        assert beat["supervisor"]["slots"] == 3
        assert beat["supervisor"]["version"] == "1.0"
        assert message.headers.get("persistent", "false") == "false"


def test_a_ping_is_answered_where_it_says_and_a_hostile_one_changes_nothing(watched, client, queues):
    named, start = watched
    start()
    answer_to = f"/queue/{queues('answers')}"
    subscribe(client, answer_to, "901")

    ask(client, named, "no json")
    ask(client, named, json.dumps({"reply_to": named.pending[0]}))
    ask(client, named, json.dumps({"reply_to": answer_to, "mine": "kept", "pid": "mine"}))

    answer = json.loads(heard(client, "901").body)
    assert answer["mine"] == "kept"
    assert answer["pid"] == str(os.getpid())
    assert answer["supervisor"]["broker"] == "connected"
    assert client.count(named.pending[0]) == 0


def test_a_flood_of_pings_leaves_the_loop_its_time_and_is_answered_in_bounds(watched, client, queues):
    named, start = watched
    start()
    answer_to = f"/queue/{queues('answers')}"
    for _ in range(60):
        ask(client, named, json.dumps({"reply_to": answer_to}))
    last = f"/queue/{queues('last')}"
    subscribe(client, last, "902")
    while True:  # the bound leaves room for one more after a second at most
        ask(client, named, json.dumps({"reply_to": last}))
        if client._next("MESSAGE", 1.0, subscription="902") is not None:
            break

    assert 10 <= client.count(answer_to) < 40
