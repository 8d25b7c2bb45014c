"""A store in trouble: nothing is lost or acknowledged too early, nobody ends or spins, and all goes on by itself."""

from __future__ import annotations

import os
import time

import pytest
from fleetsite import RB, FleetSite
from invariants import check, snapshot
from scenarios import RUN, STORIES, gated, has_begun, let_go, outcomes, queue_names, signs, submit_gated
from stompclient import StompClient
from troubles import ERRNOS, PLACES, beat, go_through, is_meant, is_quiet, pending, send, told

from supervisor import durable

#: Tries of a store in trouble in one place of one site: each task is left alone for a second and more.
MOST_HITS = 60


def _site(tmp_path, activemq) -> FleetSite:
    return FleetSite(tmp_path / "site", broker_port=activemq.port, queues=queue_names())


def _go_through(site: FleetSite, meetings) -> None:
    site.serve()
    for number, (place, errno) in enumerate(meetings):
        hits = go_through(site, number, place, errno)
        assert hits <= MOST_HITS, f"{place.name} was tried {hits} times: the process spins"
    site.until(lambda: is_quiet(site), "the site to be quiet")
    assert site.restarts == 0, "the supervisor ended"
    for text in ("Traceback", "defect"):
        assert text not in site.log()


@pytest.mark.parametrize("part", range(3))
def test_each_place_meets_trouble_and_goes_on(part, tmp_path, activemq):
    """Each place once, with another answer of the store each; the soak goes through all of them."""
    meetings = [(place, ERRNOS[number % len(ERRNOS)]) for number, place in enumerate(PLACES)]
    with _site(tmp_path, activemq) as site:
        _go_through(site, meetings[part::3])


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("errno", ERRNOS, ids=str)
def test_each_place_meets_each_trouble(errno, tmp_path, activemq):
    with _site(tmp_path, activemq) as site:
        _go_through(site, [(place, errno) for place in PLACES])


def test_messages_stay_with_the_broker_while_the_store_is_away_and_all_run_when_it_is_back(tmp_path, activemq):
    """More messages than the window holds, a broker that hands them out, and a store that takes none."""
    with _site(tmp_path, activemq) as site:
        site.serve()
        site.trouble({"label": "store.*", "errno": "ESTALE"})
        for number in range(30):
            send(site, number)
        site.until(lambda: is_meant(told(site), "ESTALE"), "status to tell")
        assert pending(site) == 30
        assert not durable.listing(site.layout.waiting)
        site.trouble()
        site.until(lambda: pending(site) == 0, "every message to be taken")
        site.until(lambda: is_quiet(site), "the site to be quiet")
        for number in range(30):
            (cell,) = durable.listing(site.layout.rb(str(2000 + number)).folder("outcomes"))
            assert cell
        assert site.restarts == 0


def test_a_reply_whose_mark_cannot_be_written_is_not_sent_again_and_again(tmp_path, activemq):
    """On a full disk everything can be read, the finished job too; it was told, and only its mark waits."""
    with _site(tmp_path, activemq) as site:
        site.serve()
        site.trouble({"label": "store.touch published before", "errno": "ENOSPC"})
        send(site, 0)
        site.until(lambda: is_meant(told(site), "ENOSPC"), "status to tell")
        tries = len(site.hits())
        site.until(lambda: len(site.hits()) >= tries + 3, "the mark to be tried again")  # scans go on meanwhile
        with StompClient(activemq.port) as client:
            assert client.count(site.settings.queues.complete) == 1
        site.trouble()
        site.until(lambda: is_quiet(site), "the site to be quiet")
        with StompClient(activemq.port) as client:
            assert client.count(site.settings.queues.complete) == 1


@pytest.mark.parametrize("errno", ["EIO", "ESTALE"])
def test_a_lost_lock_ends_the_run_which_runs_again(errno, tmp_path):
    """The lock's own descriptor says so; the store is away at that moment, so the revoking waits for it."""
    story = STORIES["rerun"]
    with FleetSite(tmp_path / "site") as site:
        story.prepare(site)
        before = snapshot(site, story)
        submit_gated(site, "again", "two")
        site.until(lambda: has_begun(site), "the script to begin")
        script = site.victims().script
        site.trouble(*({"process": "shepherd", "label": label, "errno": errno} for label in ("store.*", "lock.*")))
        site.until(lambda: site.victims().script != script, "the box to be ended")
        assert set(outcomes(site)) == {1}, "nothing can be decided while the store is away"
        let_go(site)
        site.trouble()
        site.settle()
        kinds = {n: (found["kind"], found["by"]) for n, found in outcomes(site).items()}
        assert kinds == {1: ("committed", "shepherd"), 2: ("revoked", "self"), 3: ("committed", "shepherd")}
        check(site, story, before)


@pytest.mark.parametrize("how", [{"errno": "ENOSPC"}, {"hang": True}], ids=["refused", "hanging"])
def test_a_run_whose_beats_do_not_reach_the_store_ends_itself(how, tmp_path):
    story = STORIES["rerun"]
    with FleetSite(tmp_path / "site") as site:
        site.config.write_text(site.config.read_text().replace('"60 s"', '"1500 ms"').replace('"120 s"', '"3 s"'))
        story.prepare(site)
        before = snapshot(site, story)
        submit_gated(site, "again", "two")
        site.until(lambda: has_begun(site), "the script to begin")
        script = site.victims().script
        site.trouble({"process": "shepherd", "label": "lock.beat before", **how})
        site.until(lambda: site.victims().script != script, "the box to be ended")
        let_go(site)
        site.trouble()
        site.settle()
        assert [found["kind"] for found in outcomes(site).values()] == ["committed", "revoked", "committed"]
        assert outcomes(site)[2]["by"] == "self"
        check(site, story, before)


def test_a_cancel_is_seen_on_a_full_disk(tmp_path):
    """The curve of the usage cannot be written; the cancel, which came before, is looked at all the same."""
    story = STORIES["cancel"]
    with FleetSite(tmp_path / "site") as site:
        story.prepare(site)
        before = snapshot(site, story)
        submit_gated(site, "again", "two")
        site.until(lambda: has_begun(site), "the script to begin")
        usage = site.layout.job("again").attempt(2) + "/usage.jsonl"
        os.path.exists(usage) and os.unlink(usage)
        os.mkdir(usage)  # what is to be appended there fails, as on a full disk
        site.submit("cancel", site.cancellation(RUN))
        site.settle()
        check(site, story, before)


def test_the_runs_of_a_supervisor_that_starts_in_trouble_are_found_when_it_is_over(tmp_path):
    story = STORIES["rerun"]
    with FleetSite(tmp_path / "site") as site:
        story.prepare(site)
        before = snapshot(site, story)
        submit_gated(site, "again", "two")
        site.until(lambda: has_begun(site), "the script to begin")
        site.kill_supervisor()
        site.trouble({"process": "supervisor", "label": "store.list waiting", "errno": "EIO"})
        site.start()
        site.until(lambda: is_meant(told(site), "EIO"), "status to tell")
        site.trouble()
        state = site.base / "run" / "state.json"
        site.until(lambda: '"job": "again"' in state.read_text(), "the run to be found")
        let_go(site)
        site.settle()
        check(site, story, before)


def test_a_claim_whose_release_fails_keeps_no_lock(tmp_path):
    """The shepherd says nothing for 30 s, and just then the store takes no outcome: the lock must not stay with us."""
    with FleetSite(tmp_path / "site") as site:
        site.serve()
        site.arm("nursery", "nursery.fork before", "stop")
        site.submit("again", site.message(RUN, gated("two"), variables={"signs": str(signs(site))}))
        site.trouble({"process": "supervisor", "label": "store.link outcome-released before", "errno": "EIO"})
        process = site.until(site.stopped, "the nursery to stand")
        os.kill(process.pid, 9)
        site.until(site.hits, "the release to fail")
        site.trouble()
        let_go(site)
        site.settle()
        found = outcomes(site)
        assert found[max(found)]["kind"] == "committed", found
        assert durable.exists(site.layout.rb(RB).lock)


def test_the_heartbeat_says_what_is_in_the_way_while_it_can_be_written(tmp_path, activemq):
    with _site(tmp_path, activemq) as site:
        site.serve()
        began = time.time()
        site.trouble({"label": "store.link request before", "errno": "EDQUOT"})
        send(site, 0)
        lasting = site.until(lambda: beat(site).trouble, "the heartbeat to tell")
        assert is_meant(lasting["why"], "EDQUOT")
        assert lasting["until"] == 0.0
        assert began <= lasting["since"] <= time.time()
        site.trouble()
        over = site.until(lambda: beat(site).trouble.get("until") and beat(site).trouble, "the end to be told")
        assert over["why"] == lasting["why"]
        site.until(lambda: is_quiet(site), "the site to be quiet")
