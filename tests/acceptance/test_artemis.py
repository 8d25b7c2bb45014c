"""A real supervisor at a real Artemis: runs of every end and a message that comes again, read by the consumer of 2016."""

from __future__ import annotations

import json
import os

import pytest
from acceptancesite import PATIENCE, WRITES
from consumers import WebApp2016
from stompclient import StompClient
from waiting import wait_until

from supervisor import durable, names

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("artemis")]

FAILS = """
def main(input_file, output_dir):
    counts = 1 / 0
"""


@pytest.fixture
def site(make_site, artemis):
    """A site whose broker is Artemis."""
    return make_site(broker=artemis)


@pytest.fixture
def consumer(site):
    """The web application of 2016, which listens from the beginning."""
    consumer = WebApp2016()
    with StompClient(site.broker.port) as client:
        consumer.subscribe(client, {kind: site.queue(kind) for kind in ("started", "complete", "error")})
        yield Listener(consumer, client)


class Listener:
    """A consumer at its connection."""

    def __init__(self, consumer, client):
        self.consumer, self.client = consumer, client

    def shown(self, run, status):
        """Take replies until the page of a run shows a status."""
        self.consumer.listen(self.client, lambda: self.consumer.shown(run.message).status == status, PATIENCE)
        return self.consumer.shown(run.message)

    def all_taken(self):
        """Take what else there is, and check that nothing was refused or came twice."""
        self.consumer.listen_on(self.client)
        assert self.consumer.refused == []
        told = [json.dumps(body, sort_keys=True) for _, body in self.consumer.accepted]
        assert len(told) == len(set(told))


def test_a_good_a_failed_and_a_cancelled_run_are_told_as_today(site, consumer):
    good, failed = site.run(WRITES, run=101, message=""), site.run(FAILS, run=102, message="")
    held, door = site.held(run=103, message="")
    for run in (good, failed, held):
        consumer.consumer.submit(run.message)
        site.send(run)

    assert consumer.shown(good, "Completed").message == ""
    assert (good.result / "result.txt").read_text() == "done"
    assert "ZeroDivisionError" in consumer.shown(failed, "Error").message
    door.rung()
    site.cancel(held)

    assert site.outcome(held).verdict == "cancelled"
    assert [site.outcome(run).verdict for run in (good, failed)] == ["completed", "script_error"]
    consumer.all_taken()
    assert consumer.consumer.shown(held.message).status == "Processing"  # as in 2016, nobody is told of a cancel
    wait_until(lambda: site.client.count(site.queue("pending")) == 0, PATIENCE, "an empty pending queue")


def test_a_message_that_comes_again_under_another_message_id_runs_once(site, consumer):
    """The supervisor dies between journal and ACK; Artemis writes another message-id the second time."""
    run = site.run(WRITES, run=104, message="")
    consumer.consumer.submit(run.message)
    site.arm("supervisor", "broker.ack before")
    site.client.send(site.queue("pending"), json.dumps(run.message))  # without a job-id, as today
    site.wait_killed()
    site.start()

    consumer.shown(run, "Completed")

    (component,) = os.listdir(site.layout.by_run("GEM", "104"))
    place = site.layout.job_component(component)
    wait_until(lambda: site.client.count(site.queue("pending")) == 0, PATIENCE, "an empty pending queue")
    assert os.path.exists(place.redelivered)
    assert len(os.listdir(place.attempts)) == 1
    request = json.loads(durable.read(place.request) or b"{}")
    number = request["headers"]["message-id"].split(",")[1]
    assert names.decode(component) == request["job"] == f"{number}@{request['headers']['timestamp']}"
    consumer.all_taken()
    assert [kind for kind, _ in consumer.consumer.accepted] == ["started", "complete"]
