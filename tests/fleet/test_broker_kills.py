"""A real ActiveMQ dies, or the supervisor dies while it speaks with it: every reply comes, each copy the same."""

from __future__ import annotations

import pytest
from activemq import ActiveMQ
from invariants import Reader, check, snapshot
from scenarios import RUN, STORIES, gated, has_begun, let_go, open_site, send, signs
from stompclient import StompClient
from victims import kill

pytestmark = pytest.mark.xdist_group("own broker")


@pytest.fixture
def broker(tmp_path):
    """A broker of this test alone, since it dies."""
    broker = ActiveMQ(tmp_path / "broker")
    broker.start()
    yield broker
    broker.kill()


def _send_gated(site):
    site.serve()
    send(site, "again", site.message(RUN, gated("two"), variables={"signs": str(signs(site))}))
    site.until(lambda: has_begun(site), "the script to begin")


def _settle(site):
    def told():
        with StompClient(site.broker_port) as client:
            return client.count(site.settings.queues.complete) and not client.count(site.settings.queues.pending[0])

    site.until(told, "the terminal reply and the acknowledgement")
    site.settle()


@pytest.mark.parametrize("also", ["", "supervisor", "shepherd"])
def test_a_broker_that_dies_while_a_run_is_going_gets_every_reply_when_it_is_back(also, broker, tmp_path):
    """The run ends while there is no broker at all; with it die nobody, the supervisor, or the shepherd."""
    story = STORIES["message"]
    with open_site(tmp_path / "site", story, broker.port) as site:
        _send_gated(site)
        before = snapshot(site, story)
        with Reader(site, story):
            broker.kill()
            if also:
                assert kill(site, also)
            let_go(site)
            site.until((site.archive / story.results[0].path / ".run").exists, "the result")
            broker.start()
            site.spare(broker.pid)
            _settle(site)
        check(site, story, before)


@pytest.mark.parametrize("label", ["broker.ack", "broker.acked", "broker.send", "broker.sent"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_supervisor_and_broker_die_together_while_they_speak(label, moment, broker, tmp_path):
    """What the broker kept of the last frame nobody knows: at least one reply, byte for byte the same, and one run."""
    story = STORIES["message"]
    with open_site(tmp_path / "site", story, broker.port) as site:
        site.serve()
        before = snapshot(site, story)
        site.hold_nth("supervisor", f"{label} {moment}", 1, lambda: (broker.kill(), kill(site, "supervisor")))
        with Reader(site, story):
            story_body = site.message(RUN, gated("two"), variables={"signs": str(signs(site))})
            let_go(site)
            send(site, "again", story_body)
            site.until(lambda: not site.holding, f"{label} {moment} to be reached")
            broker.start()
            site.spare(broker.pid)
            _settle(site)
        check(site, story, before)
