from __future__ import annotations

from dataclasses import replace

import pytest
from claimsite import Site
from storemaking import request

from supervisor import claim, durable, journal, records, waiting
from supervisor.attempts import History, history
from supervisor.cells import RbCells, link_final, read_final
from supervisor.claim import Claimed, Ended, Left
from supervisor.flock import acquire
from supervisor.rblock import LostLock, RbLock, read_counter
from supervisor.records import Cancel, Epoch, Final, Outcome


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_a_fresh_claim_links_epoch_one_beats_and_keeps_the_lock(site):
    result = site.claim()
    assert isinstance(result, Claimed)
    assert (result.errand, result.rb, result.n, result.request) == ("run", "1", 1, site.request)
    assert site.cells.epoch(1) == Epoch(host="h0", boot="boot-1", job="101", time=5000.0)
    assert read_counter(site.layout.rb("1").lock).epoch == 1
    assert not site.is_free()
    result.lock.close()


def test_a_held_lock_is_left_alone(site):
    lock = acquire(site.layout.rb("1").lock)
    assert site.claim() == Left(why="another run of this RB holds its lock")
    lock.close()


def test_an_undecided_epoch_of_ours_without_a_shepherd_is_revoked_and_the_next_opened(site):
    site.epoch(1)
    result = site.claim()
    assert isinstance(result, Claimed)
    assert result.n == 2
    outcome = site.cells.outcome(1)
    assert (outcome.kind, outcome.by, outcome.host) == ("revoked", "supervisor", "h0")
    assert "no shepherd began" in outcome.why
    result.lock.close()


@pytest.mark.parametrize(
    ("alive", "boxes_end", "revoked"), [(True, True, False), (False, False, False), (False, True, True)]
)
def test_an_epoch_with_run_json_is_revoked_when_shepherd_and_box_are_gone(site, alive, boxes_end, revoked):
    site.epoch(1)
    site.run_json(1, pid=7)
    site.alive = {7} if alive else set()
    site.boxes_end = boxes_end
    result = site.claim()
    assert (site.cells.outcome(1) is not None) is revoked
    if revoked:
        result.lock.close()
    else:
        assert isinstance(result, Left)
        assert result.cool_down
        assert site.is_free()


def test_an_epoch_of_our_host_before_its_reboot_is_revoked_whatever_its_processes_were(site):
    site.epoch(1, boot="boot-0")
    site.run_json(1, pid=7)
    site.alive = {7}
    site.claim().lock.close()
    assert "rebooted" in site.cells.outcome(1).why


def test_another_hosts_epoch_is_revoked_only_when_both_counters_stand_still(site):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    assert isinstance(site.claim(), Left)
    site.clock += 179.0
    assert isinstance(site.claim(), Left)
    site.clock += 1.0
    result = site.claim()
    assert isinstance(result, Claimed)
    assert site.cells.outcome(1).kind == "revoked"
    result.lock.close()


def test_a_silent_host_is_watched_while_the_file_server_keeps_its_lock(site):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    lock = acquire(site.layout.rb("1").lock)  # as the server keeps it for a dead host until its lease is over
    assert isinstance(site.claim(), Left)
    site.clock += 90.0
    assert isinstance(site.claim(), Left)
    lock.close()
    site.clock += 90.0
    result = site.claim()
    assert isinstance(result, Claimed)
    assert site.cells.outcome(1).kind == "revoked"
    result.lock.close()


def test_a_beat_seen_while_its_lock_is_held_counts_anew(site):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    lock = acquire(site.layout.rb("1").lock)
    assert isinstance(site.claim(), Left)
    site.clock += 170.0
    lock.beat(1)
    assert isinstance(site.claim(), Left)
    lock.close()
    site.clock += 170.0
    assert isinstance(site.claim(), Left)
    assert site.cells.outcome(1) is None


@pytest.mark.parametrize("moving", ["host", "run"])
def test_one_moving_heartbeat_alone_keeps_the_epoch(site, moving):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    for turn in range(2, 6):
        assert isinstance(site.claim(), Left)
        site.clock += 200.0
        if moving == "host":
            site.beat_host("h9", turn)
        else:
            site.beat_run(1)
    assert isinstance(site.claim(), Left)
    assert site.cells.outcome(1) is None
    assert site.is_free()


@pytest.mark.parametrize("kind", ["retry", "released", "revoked"])
def test_an_epoch_that_is_decided_without_a_commit_is_followed_at_once(site, kind):
    site.epoch(1, host="h9")
    site.cells.link_outcome(1, Outcome(kind=kind))
    result = site.claim()
    assert result.n == 2
    result.lock.close()


def test_a_commit_without_final_and_promoted_ends_in_an_errand_and_opens_nothing(site):
    site.epoch(1, host="h9")
    site.cells.link_outcome(1, Outcome(kind="committed", targets=[{"path": "/t", "staging": "/s", "mode": "replace"}]))
    result = site.claim()
    assert isinstance(result, Claimed)
    assert (result.errand, result.n, result.request.job) == ("promote", 1, "101")
    assert read_final(site.layout.job("101")) == Final(rb="1", n=1)
    assert site.cells.last() == 1
    result.lock.close()


def test_a_commit_without_targets_is_promoted_on_the_spot(site):
    site.epoch(1, job="100")
    journal.journal(site.layout, request("100"))
    site.cells.link_outcome(1, Outcome(kind="committed"))
    result = site.claim()
    assert (result.errand, result.n) == ("run", 2)
    assert site.cells.promoted(1).kind == "done"
    assert read_final(site.layout.job("100")) == Final(rb="1", n=1)
    result.lock.close()


def test_a_finished_job_is_only_tidied(site):
    site.epoch(1)
    site.cells.link_outcome(1, Outcome(kind="committed"))
    assert site.claim(tidy=True) == Left(why="nothing is left undone")
    assert site.cells.last() == 1
    assert site.is_free()


def _before_the_epoch(site, monkeypatch, act):
    """Do `act` after everything was read and before the next epoch is linked."""
    link = RbCells.link_epoch

    def act_then_link(cells, n, epoch):
        act()
        return link(cells, n, epoch)

    monkeypatch.setattr(RbCells, "link_epoch", act_then_link)


def test_a_cancel_linked_meanwhile_ends_the_job_without_a_run(site, monkeypatch):
    _before_the_epoch(site, monkeypatch, lambda: journal.cancel_job(site.layout.job("101"), Cancel(who="a", time_ms=1)))
    result = site.claim()
    assert result == Ended(request=site.request, n=1, verdict="cancelled")
    assert site.cells.outcome(1).verdict == "cancelled"
    assert site.cells.promoted(1).kind == "done"
    assert read_final(site.layout.job("101")) == Final(rb="1", n=1)
    assert site.is_free()


def test_a_cancel_remembered_meanwhile_ends_it_too(site, monkeypatch):
    cancel = Cancel(who="a", time_ms=2000, instrument="ENGINX", run="101")
    path = site.layout.path("cancels", "k")
    _before_the_epoch(site, monkeypatch, lambda: durable.link_new(path, records.to_record(cancel), "remembered-cancel"))
    assert isinstance(site.claim(), Ended)


def test_a_remembered_cancel_that_another_host_moves_to_the_cell_meanwhile_is_seen(site, monkeypatch):
    cancel = Cancel(who="a", time_ms=2000, instrument="ENGINX", run="101", written=site.wall)
    durable.link_new(site.layout.path("cancels", "k"), records.to_record(cancel), "remembered-cancel")
    exists = durable.exists
    moved = []

    def exists_then_move(path):
        answer = exists(path)
        if path.endswith("/cancel") and not moved:
            moved.append(path)
            journal.match_remembered(site.layout, site.wall)
        return answer

    monkeypatch.setattr(durable, "exists", exists_then_move)
    assert isinstance(site.claim(), Ended)


@pytest.mark.parametrize("what", ["final", "waiting"])
def test_a_job_that_was_over_before_its_lock_was_won_burns_no_epoch(site, what):
    """Nothing in `waiting/` leads to a finished job: an epoch of it would stay undecided if the claimer died in it."""
    if what == "final":
        link_final(site.layout.job("101"), Final(rb="1", n=1))
    else:
        durable.remove(site.layout.path("waiting", waiting.entry_of(site.request).name), "waiting")
    result = site.claim()
    assert isinstance(result, Left)
    assert (result.why, result.cool_down) == ("its job is over", False)
    assert site.cells.last() == 0
    assert site.is_free()


@pytest.mark.parametrize("what", ["final", "not_before", "waiting", "disabled"])
def test_facts_that_changed_meanwhile_release_the_epoch(site, monkeypatch, what):
    place = site.layout.job("101")

    def act():
        if what == "final":
            link_final(place, Final(rb="1", n=1))
        elif what == "not_before":
            durable.replace(place.not_before, records.pack({"time": site.wall + 60}), "not-before")
        elif what == "waiting":
            durable.remove(site.layout.path("waiting", waiting.entry_of(site.request).name), "waiting")
        else:
            site.enabled = False

    _before_the_epoch(site, monkeypatch, act)
    result = site.claim()
    assert isinstance(result, Left)
    assert "facts changed" in result.why
    assert site.cells.outcome(1).kind == "released"
    assert site.is_free()


def test_a_job_that_is_overtaken_meanwhile_is_released(site):
    assert isinstance(site.claim(overtaken=lambda: True), Left)
    assert site.cells.outcome(1).kind == "released"


def test_a_job_whose_shepherds_died_too_often_gives_up(site):
    for n in (1, 2, 3):
        site.epoch(n)
        site.run_json(n)
        site.cells.link_outcome(n, Outcome(kind="revoked", by="supervisor"))
    swept = site.claim()  # decided at once; a shepherd only sweeps what the lost attempts have staged
    assert isinstance(swept, Claimed)
    swept.lock.close()
    assert (swept.errand, swept.history.abandoned) == ("repair", (1, 2, 3))
    assert site.cells.outcome(4).verdict == "gave_up"


def test_a_job_that_no_host_could_take_for_too_long_ends_as_refused_without_a_run(site):
    site.enabled, site.refuses = False, True
    assert isinstance(site.claim(), Ended)
    assert site.cells.outcome(1).verdict == "refused"
    assert read_final(site.layout.job("101")) == Final(rb="1", n=1)
    assert site.is_free()


def test_only_attempts_that_ran_and_were_lost_without_a_reason_of_ours_are_counted(site):
    kinds = [
        ("revoked", "supervisor", True),
        ("revoked", "self", True),
        ("revoked", "supervisor", False),
        ("retry", "shepherd", True),
        ("released", "shepherd", True),
        ("revoked", "watch", True),
    ]
    for n, (kind, by, ran) in enumerate(kinds, 1):
        site.epoch(n)
        durable.make_folder(site.layout.job("101").attempt(n), "attempt")
        if ran:
            site.run_json(n)
        site.cells.link_outcome(n, Outcome(kind=kind, by=by))
    site.epoch(7)
    durable.make_folder(site.layout.job("101").attempt(7), "attempt")
    assert history(site.layout.job("101"), site.cells) == History(
        epochs=(1, 2, 3, 4, 5, 6), lost=1, retries=1, abandoned=(1, 2, 3, 4, 5, 6)
    )


def test_an_epoch_that_another_linked_first_is_left(site, monkeypatch):
    _before_the_epoch(site, monkeypatch, lambda: site.epoch(1, host="h9"))
    monkeypatch.setattr(RbCells, "link_epoch", lambda cells, n, epoch: False)
    assert isinstance(site.claim(), Left)
    assert site.is_free()


def test_a_lock_lost_between_flock_and_start_is_closed_and_the_epoch_stays_for_later(site, monkeypatch):
    def lost(self, n):
        raise LostLock("EIO")

    monkeypatch.setattr(RbLock, "beat", lost)
    result = site.claim()
    assert isinstance(result, Left)
    assert result.cool_down
    assert site.is_free()
    monkeypatch.undo()
    result = site.claim()
    assert result.n == 2
    assert site.cells.outcome(1).kind == "revoked"
    result.lock.close()


def test_trouble_of_the_store_closes_the_lock(site, monkeypatch):
    def fail(*args):
        raise OSError(5, "EIO")

    monkeypatch.setattr(claim, "history", fail)
    with pytest.raises(OSError, match="EIO"):
        site.claim()
    assert site.is_free()


def test_releasing_says_whether_it_was_in_time(site):
    site.epoch(1)
    assert site.claimer.release("1", 1, "nursery")
    site.epoch(2)
    site.cells.link_outcome(2, Outcome(kind="committed"))
    assert not site.claimer.release("1", 2, "nursery")


# --- takes that were left ------------------------------------------------------------------------------------------


def _promoted_with_take(site, host, boot="boot-1", pid=7):
    site.promoted(1)
    site.take(1, host, boot=boot, pid=pid)


@pytest.mark.parametrize(
    ("boot", "alive", "left"), [("boot-1", True, False), ("boot-1", False, True), ("boot-0", True, True)]
)
def test_a_take_of_ours_whose_maker_is_gone_is_repaired_before_the_next_epoch(site, boot, alive, left):
    _promoted_with_take(site, "h0", boot=boot)
    site.alive = {7} if alive else set()
    result = site.claim()
    assert (result.errand, result.n) == (("repair", 1) if left else ("run", 2))
    result.lock.close()


def test_a_take_of_a_silent_host_is_looked_after_once_in_a_while_and_keeps_nobody_waiting(site):
    _promoted_with_take(site, "h9")
    site.beat_host("h9", 1)
    assert site.claimer.left_take(site.cells) is None
    site.clock += 181.0
    result = site.claim()
    assert (result.errand, result.n) == ("repair", 1)
    result.lock.close()
    result = site.claim()
    assert (result.errand, result.n) == ("run", 2)
    result.lock.close()
    assert site.claimer.left_take(site.cells) is None
    site.clock += 181.0
    assert site.claimer.left_take(site.cells) == 1
    site.beat_host("h9", 2)
    assert site.claimer.left_take(site.cells) is None


def test_an_epoch_that_names_an_unknown_job_is_left_for_people(site):
    site.epoch(1, job="nobody")
    site.cells.link_outcome(1, Outcome(kind="committed", targets=[{"path": "/t", "staging": "/s", "mode": "replace"}]))
    durable.make_folder(site.layout.job("nobody").root, "job")
    result = site.claim()
    assert isinstance(result, Left)
    assert "unknown job" in result.why
    assert replace(site.request, job="x").job == "x"
