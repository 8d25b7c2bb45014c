"""The store protocol under every counterexample of its model, and under schedules drawn by lot.

The real claimers, scanners, store hands and promoters run on a real store and archive; `protocolstage` gives them their
turns. C1 to C17 are the counterexamples of the model, followed step by step: the code must survive each. Where one line
carries the correction, a mutant takes the line away and the same schedule must show the violation.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest
from protocolstage import Stage, Violation

from supervisor import archive, claim, durable, journal, promoting, promotion, records
from supervisor.cells import RbCells
from supervisor.claim import Claimer
from supervisor.hostfacts import HostFacts
from supervisor.promotion import Promotion, staging_name
from supervisor.rblock import RbLock
from supervisor.records import Cancel
from supervisor.scanning import Scanner
from supervisor.storehand import StoreHand
from supervisor.takeover import JobFacts
from supervisor.verbs.opened import OpenStore
from supervisor.verbs.promote import promote


@pytest.fixture
def stage(tmp_path, monkeypatch):
    made = Stage(tmp_path, monkeypatch)
    yield made
    made.close()


# --- claiming ------------------------------------------------------------------------------------------------------


def _run_until(stage, host, label, n=1):
    """The shepherd of epoch n on `host`, standing at `label`."""
    stage.poll(host)
    shepherd = next(a for a in host.shepherds if a.name.endswith(f":run:{n}"))
    stage.until(shepherd, label)
    return shepherd


def _revoke_from(stage, host):
    """Bring the supervisor of another host to where it has its proof and is about to revoke."""
    actor = stage.supervisor(host)
    for _ in range(3):
        stage.pass_time()
        for _ in range(500):
            if actor.at == "store.link outcome-revoked before":
                return actor
            stage.step(actor)
            if actor.at == "idle":
                break
    raise Violation("no proof was found")


def _c1(stage):
    stage.add_job("101")
    h0 = stage.hosts["h0"]
    shepherd = _run_until(stage, h0, "store.link outcome-committed after")
    stage.crash(shepherd)
    stage.settle()
    assert [c["outcome"]["kind"] for c in stage.cells_of("1")] == ["committed"]


def test_C1_a_claimer_links_final_before_it_opens_the_next_epoch(stage):
    _c1(stage)


def test_C1_without_that_line_a_job_is_committed_twice(stage, monkeypatch):
    step = claim.next_step
    monkeypatch.setattr(claim, "next_step", lambda state: step(replace(state, final=True)))
    monkeypatch.setattr("supervisor.storehand.link_final", lambda place, final: True)
    stage.tolerated.add("PROMOTED-WITHOUT-FINAL")
    with pytest.raises(Violation, match="TWO-COMMITS-OF-A-JOB"):
        _c1(stage)


def _c2(stage):
    stage.add_job("101")
    h0, h1 = stage.hosts.values()
    shepherd = _run_until(stage, h0, "store.link started before")
    stage.freeze(h0)
    other = _revoke_from(stage, h1)
    stage.thaw(h0)
    stage.until(other, "store.link outcome-revoked after")
    stage.finish(shepherd)
    assert stage.started == []
    stage.settle()


def test_C2_a_shepherd_looks_whether_its_epoch_is_decided_before_the_box_starts(stage):
    _c2(stage)


def test_C2_without_that_look_a_revoked_run_starts(stage, monkeypatch):
    monkeypatch.setattr(StoreHand, "_look_whether_decided", lambda self: None)
    with pytest.raises(Violation, match="START-AFTER-REVOKED"):
        _c2(stage)


@pytest.mark.parametrize(
    "label", ["store.fsync plan before", "archive.mkdir staging before", "store.link started before"]
)
def test_a_shepherd_that_was_revoked_while_it_stood_still_leaves_no_staging(stage, label):
    """The run that took its place has swept by then what plans named, and nobody comes back to sweep again."""
    stage.add_job("101")
    h0, h1 = stage.hosts.values()
    shepherd = _run_until(stage, h0, label)
    stage.freeze(h0)
    other = _revoke_from(stage, h1)
    stage.until(other, "idle")
    stage.poll(h1)
    for actor in h1.shepherds:
        stage.finish(actor)
    assert [cell["outcome"]["kind"] for cell in stage.cells_of("1")] == ["revoked", "committed"]
    stage.thaw(h0)
    stage.finish(shepherd)
    assert stage.beside("1") == ({}, {}, {})
    stage.settle()


def _lock_without_flock(path):
    """Mutant: whoever wants the RB acts without its flock."""
    durable.make_folder(os.path.dirname(path), "rb")
    return RbLock(os.open(path, os.O_RDWR | os.O_CREAT, 0o660))


def _c3a(stage):
    stage.add_job("101")
    h0, h1 = stage.hosts.values()
    shepherd = _run_until(stage, h0, "store.link started before")
    stage.freeze(h0, lease_ends=False)
    stage.supervisor(h1)
    for _ in range(3):
        stage.pass_time()
        stage.poll(h1)
    assert stage.cells_of("1")[0]["outcome"] is None
    stage.thaw(h0)
    stage.finish(shepherd)
    stage.settle()
    assert len(stage.cells_of("1")) == 1


def test_C3a_a_frozen_holder_is_not_revoked_while_its_flock_stands(stage):
    _c3a(stage)


def test_C3a_revoking_without_the_flock_lets_two_boxes_run(stage, monkeypatch):
    monkeypatch.setattr(claim, "acquire", _lock_without_flock)
    stage.add_job("101")
    h0, h1 = stage.hosts.values()
    shepherd = _run_until(stage, h0, "store.link started before")
    stage.freeze(h0, lease_ends=False)
    other = _revoke_from(stage, h1)
    stage.thaw(h0)
    stage.after(shepherd, "lock.beat")
    stage.until(other, "idle")
    stage.until(next(a for a in h1.shepherds if ":run:2" in a.name), "box turn")
    with pytest.raises(Violation, match="OVERLAP"):
        stage.check()


def _c3b(stage):
    stage.add_job("101")
    h0 = stage.hosts["h0"]
    shepherd = _run_until(stage, h0, "store.rename run before")
    stage.crash(stage.supervisor(h0))
    stage.poll(h0)
    assert stage.cells_of("1")[0]["outcome"] is None, "a living run was revoked"
    stage.finish(shepherd)
    stage.settle()


def test_C3b_a_restarted_supervisor_leaves_a_shepherd_alone_that_has_no_run_json_yet(stage):
    _c3b(stage)


def test_C3b_without_the_flock_it_revokes_a_living_run(stage, monkeypatch):
    monkeypatch.setattr(claim, "acquire", _lock_without_flock)
    with pytest.raises(AssertionError, match="a living run was revoked"):
        _c3b(stage)


def _c4(stage):
    stage.add_job("101")
    h0, h1 = stage.hosts.values()
    stage.die(h1)
    stage.until(stage.supervisor(h0), "store.link epoch after")
    stage.die(h0)
    stage.reboot(h0)
    stage.settle()
    assert [c["outcome"]["kind"] for c in stage.cells_of("1")] == ["revoked", "committed"]


def test_C4_a_host_that_rebooted_clears_its_own_epoch(stage):
    _c4(stage)


def test_C4_without_the_rule_of_the_other_boot_it_is_stuck(stage, monkeypatch):
    proof = claim.proof
    monkeypatch.setattr(claim, "proof", lambda seen: None if seen.same_host and not seen.same_boot else proof(seen))
    with pytest.raises(Violation, match="STUCK"):
        _c4(stage)


def _c5(stage):
    request = stage.add_job("101")
    h1 = stage.hosts["h1"]
    stage.until(stage.supervisor(h1), "store.link epoch before")
    cancel = Cancel(
        who="app", time_ms=request.time_ms, instrument=request.instrument, run=request.run, written=stage.wall
    )
    # by a host that looked into by-run before the job was there
    durable.link_new(stage.layout.path("cancels", "key"), records.to_record(cancel), "remembered-cancel")
    stage.cancelled_before.add(("101", 1))
    stage.settle()
    assert stage.cells_of("1")[0]["outcome"]["verdict"] == "cancelled"
    assert os.listdir(stage.layout.cancels) == []


def test_C5_a_remembered_cancel_is_read_again_after_the_epoch(stage):
    _c5(stage)


def test_C5_without_that_the_cancelled_job_starts(stage, monkeypatch):
    monkeypatch.setattr(journal, "remembered", lambda layout: iter(()))
    with pytest.raises(Violation, match="START-AFTER-CANCEL"):
        _c5(stage)


def _c6(stage):
    request = stage.add_job("101")
    h0, h1 = stage.hosts.values()
    stage.freeze(h0)
    stage.settle()
    journal.index(stage.layout, request)  # by a host that took a duplicate and looked for `final` before it was there
    stage.die(h1)
    stage.thaw(h0)
    stage.settle()


def test_C6_any_host_removes_the_entry_of_a_published_job_that_was_made_again(stage):
    _c6(stage)


def test_C6_without_that_the_entry_stays_for_ever(stage, monkeypatch):
    def gone_if_ours(scanner, entry, rb_cells, n):
        if rb_cells.epoch(n).host == stage.hosts["h0"].id:
            durable.remove(stage.layout.path("waiting", entry.name), "waiting")

    monkeypatch.setattr(Scanner, "_gone", gone_if_ours)
    with pytest.raises(Violation, match="STUCK"):
        _c6(stage)


def _m1(stage):
    stage.add_job("101")
    h0, h1 = stage.hosts.values()
    shepherd = _run_until(stage, h0, "store.link outcome-committed before")
    stage.freeze(h0)
    other = _revoke_from(stage, h1)
    stage.until(other, "idle")
    stage.thaw(h0)
    stage.finish(shepherd)
    stage.settle()
    assert stage.cells_of("1")[0]["outcome"]["kind"] == "revoked"


def test_M1_a_commit_decided_before_the_freeze_finds_the_cell_taken(stage):
    _m1(stage)


def test_M1_without_the_cell_the_outcome_is_replaced(stage, monkeypatch):
    def overwrite(self, n, outcome):
        with durable.effect(f"store.link outcome-{outcome.kind}"):
            durable.replace(self.place.outcome(n), records.to_record(outcome), "outcome")
        return True

    monkeypatch.setattr(RbCells, "link_outcome", overwrite)
    with pytest.raises(Violation, match="OUTCOME-REPLACED"):
        _m1(stage)


def _m2(stage):
    request = stage.add_job("101")
    h1 = stage.hosts["h1"]
    stage.until(stage.supervisor(h1), "store.link epoch before")
    journal.cancel_job(stage.layout.job("101"), Cancel(who="app", time_ms=request.time_ms))
    stage.cancelled_before.add(("101", 1))
    stage.settle()
    assert stage.started == []


def test_M2_what_was_read_before_the_lock_is_read_again_after_the_epoch(stage):
    _m2(stage)


def test_M2_without_reading_again_the_cancelled_job_starts(stage, monkeypatch):
    # The shepherd's own look before the start would save it: it is taken away as well, as in the model.
    monkeypatch.setattr(Claimer, "facts", lambda self, request, past, *, overtaken: JobFacts())
    exists = durable.exists
    monkeypatch.setattr(durable, "exists", lambda path: not path.endswith("/cancel") and exists(path))
    with pytest.raises(Violation, match="START-AFTER-CANCEL"):
        _m2(stage)


def _m9(stage):
    stage.add_job("101")
    h0, h1 = stage.hosts.values()
    shepherd = _run_until(stage, h0, "box turn")
    stage.lease_ends(h0)  # cut off and back: the lock has passed on, the box runs until the next beat
    for _ in range(2):
        stage.pass_time()
        stage.poll(h1)
    for other in h1.shepherds:
        stage.until(other, "box turn")
    stage.check()
    stage.finish(shepherd)
    stage.settle()
    assert [c["outcome"]["kind"] for c in stage.cells_of("1")] == ["revoked", "committed"]
    assert stage.cells_of("1")[0]["outcome"]["by"] == "self"


def test_M9_a_won_flock_alone_revokes_nobody(stage):
    _m9(stage)


def test_M9_takeover_by_the_flock_alone_lets_two_boxes_run(stage, monkeypatch):
    monkeypatch.setattr(claim, "proof", lambda seen: "the flock was won")
    with pytest.raises(Violation, match="OVERLAP"):
        _m9(stage)


def test_M4_a_host_that_is_mute_while_its_run_still_beats_is_not_taken_over(stage):
    stage.add_job("101")
    h0, h1 = stage.hosts.values()
    shepherd = _run_until(stage, h0, "box turn")
    stage.lease_ends(h0)
    place = stage.layout.rb("1")
    for beat in range(100, 104):
        stage.clock += 200.0  # the supervisor of h0 is dead: only the counter in the lock file moves
        with open(place.lock, "r+b") as file:
            file.write(b"%016d%016d" % (1, beat))
        stage.poll(h1)
    assert stage.cells_of("1")[0]["outcome"] is None
    stage.finish(shepherd)
    stage.settle()


# --- promotion: what is taken away ---------------------------------------------------------------------------------


def _without_takes(monkeypatch):
    monkeypatch.setattr(RbCells, "link_take", lambda self, n, take: 1)


def _without_fence(monkeypatch):
    monkeypatch.setattr(Promotion, "_mine", lambda self, target: staging_name(target, self.n, 0))


def _without_look_into_the_aside(monkeypatch):
    monkeypatch.setattr(Promotion, "_put_back_if_newer", lambda self, target, aside: False)


def _as_written(monkeypatch):
    """Promotion before the model: no take, no fence, no look into what was moved aside."""
    _without_takes(monkeypatch)
    _without_fence(monkeypatch)
    _without_look_into_the_aside(monkeypatch)


def _two_jobs(stage):
    first, second = stage.add_job("101"), stage.add_job("102")
    h0, h1 = stage.hosts.values()
    n = stage.commit(first, h0)
    return stage.promoter(h0, first, n), first, second, h0, h1


def _take_over(stage, host, until):
    """Poll on another host until somebody of it stands at `until` in the epoch that is wanted."""
    label, n = until
    for turn in range(24):
        if turn % 2 == 0:  # in between, what is looked after once in a while is not due again
            stage.pass_time()
        stage.poll(host)
        for actor in host.shepherds:
            for _ in range(3000):
                if actor.ended:
                    break
                if actor.at == label and actor.name.endswith(f":{n}"):
                    return actor
                stage.step(actor)
    raise Violation(f"nobody reaches {label} in epoch {n}")


# --- promotion: the counterexamples --------------------------------------------------------------------------------

_FROZEN_AT = (
    "archive.rename fence before",
    "archive.rename fence after",
    "archive.rename aside before",
    "archive.rename aside after",
    "archive.rename in before",
    "archive.rename in after",
    "store.link promoted-done before",
)
_THAWED_AT = (
    ("archive.rename fence after", 1),
    ("archive.rename in before", 1),
    ("store.link promoted-done before", 1),
    ("archive.rename fence after", 2),
    ("archive.rename in before", 2),
    ("archive.rename in after", 2),
    ("store.link promoted-done after", 2),
)


def _c7(stage, frozen_at, thawed_at):
    zombie, _, _, h0, h1 = _two_jobs(stage)
    stage.until(zombie, frozen_at)
    stage.freeze(h0)
    other = _take_over(stage, h1, thawed_at)
    stage.thaw(h0)
    stage.finish(zombie)
    stage.finish(other)
    stage.settle()


@pytest.mark.parametrize("thawed_at", _THAWED_AT, ids=lambda at: f"{at[0].split('.')[1].replace(' ', '_')}_{at[1]}")
@pytest.mark.parametrize("frozen_at", _FROZEN_AT, ids=lambda at: at.split(".")[1].replace(" ", "_"))
def test_C7_a_promoter_that_froze_anywhere_and_lands_late_harms_nothing(stage, frozen_at, thawed_at):
    if frozen_at in ("archive.rename in after", "store.link promoted-done before") and thawed_at[1] == 1:
        thawed_at = ("store.link promoted-done before", 1)  # the taker finds the result in place and renames nothing
    _c7(stage, frozen_at, thawed_at)


def test_C7_promotion_as_written_leaves_the_target_empty(stage, monkeypatch):
    _as_written(monkeypatch)
    with pytest.raises(Violation, match=r"OLDER-OVERWRITES-NEWER|STUCK"):
        _c7(stage, "archive.rename aside before", ("archive.rename in after", 2))


def _c8(stage):
    """The late rename of the older result itself: decided before the freeze, landing when the newer one stands."""
    zombie, _, _, h0, h1 = _two_jobs(stage)
    stage.until(zombie, "archive.rename in before")
    stage.freeze(h0)
    _take_over(stage, h1, ("archive.rename in before", 2))
    stage.thaw(h0)
    stage.step(zombie)
    assert stage.content(stage.target_of("1")) is None, "the older result went in again"
    stage.settle()


def test_C8_the_late_rename_of_an_older_result_finds_no_source(stage):
    _c8(stage)


def test_C8_a_source_that_is_copied_back_lets_the_older_result_in(stage, monkeypatch):
    """Without a source that moves, as with a copy or an exchange, the late rename puts the older result in."""
    import shutil

    def rename_of_a_copy(source, target, what):
        with archive.effect(f"archive.rename {what}"):
            if not os.path.isdir(source) or os.path.exists(target):
                return False
            if what in ("in", "fence"):
                shutil.copytree(source, target)
            else:
                os.rename(source, target)
        return True

    monkeypatch.setattr(archive, "rename", rename_of_a_copy)
    stage.tolerated.add("DONE-BUT-NOT-PLACED")
    with pytest.raises((Violation, AssertionError), match=r"the older result went in again|OLDER"):
        _c8(stage)


def _c9(stage):
    zombie, *_ = _two_jobs(stage)
    stage.give_up = 0.0
    stage.until(zombie, "archive.rename aside after")
    zombie.archive_fails = True
    stage.finish(zombie)
    first = stage.cells_of("1")[0]
    assert first["promoted"]["kind"] == "failed"
    assert stage.content(stage.target_of("1")) == (0, True), "the good result was left aside"
    stage.settle()
    assert stage.content(stage.target_of("1")) == (2, True)


@pytest.fixture
def impatient(tmp_path, monkeypatch):
    """A stage on which every promotion gives up at its first failure."""
    made = Stage(tmp_path, monkeypatch)
    made.give_up = 0.0
    yield made
    made.close()


def test_C9_C17_who_gives_up_puts_back_what_it_moved_aside(impatient):
    _c9(impatient)


def test_C9_C17_without_that_the_good_result_is_left_aside(impatient, monkeypatch):
    monkeypatch.setattr(Promotion, "_newest_aside", lambda self, target, below: None)
    monkeypatch.setattr(promoting, "repair", lambda *rest: None)
    with pytest.raises(AssertionError, match=r"the good result was left aside|OLDER-OVERWRITES-NEWER: None"):
        _c9(impatient)


def _c10(stage):
    zombie, _, _, h0, h1 = _two_jobs(stage)
    stage.until(zombie, "archive.rename aside before")
    zombie.archive_fails = True
    stage.until(zombie, "archive.rename failed before")
    stage.freeze(h0)
    other = _take_over(stage, h1, ("store.link promoted-done before", 1))
    stage.thaw(h0)
    stage.finish(zombie)
    stage.finish(other)
    assert stage.cells_of("1")[0]["promoted"]["kind"] == "done"
    stage.settle()


def test_C10_who_gives_up_late_says_nothing_of_a_result_that_another_placed(impatient):
    _c10(impatient)


def test_C10_giving_up_without_own_staging_says_failed_of_a_placed_result(impatient, monkeypatch):
    keep = Promotion._keep
    monkeypatch.setattr(Promotion, "_keep", lambda self, target: keep(self, target) or True)
    with pytest.raises(Violation, match="FAILED-BUT-PLACED"):
        _c10(impatient)


@pytest.mark.parametrize("dies_at", ["archive.rename failed after", "store.link promoted-failed before"])
@pytest.mark.parametrize("how", ["freeze", "crash"])
def test_C16_a_promoter_that_ended_between_giving_up_and_saying_so_blocks_nobody(impatient, dies_at, how):
    stage = impatient
    zombie, _, _, h0, _ = _two_jobs(stage)
    stage.until(zombie, "archive.rename aside before")
    zombie.archive_fails = True
    stage.until(zombie, dies_at)
    if how == "freeze":
        stage.freeze(h0)
    else:
        stage.crash(zombie)
    stage.settle()
    assert [c["promoted"]["kind"] for c in stage.cells_of("1")] == ["failed", "done"]
    if how == "freeze":
        stage.thaw(h0)
        stage.finish(zombie)
        stage.settle()


def _c11(stage, *, dies):
    zombie, _, _, h0, h1 = _two_jobs(stage)
    stage.until(zombie, "archive.rename aside before")
    stage.freeze(h0)
    _take_over(stage, h1, ("store.unlink take after", 2))
    stage.thaw(h0)
    stage.until(zombie, "archive.rename aside after")
    assert stage.content(stage.target_of("1")) is None
    if dies == "host":
        stage.die(h0)
    else:
        stage.crash(zombie)
    stage.settle()
    assert stage.content(stage.target_of("1")) == (2, True)


@pytest.mark.parametrize("dies", ["shepherd", "host"])
def test_C11_the_take_of_a_late_mover_that_died_is_work_for_any_host(stage, dies):
    _c11(stage, dies=dies)


def test_C11_without_takes_the_target_stays_empty(stage, monkeypatch):
    _without_takes(monkeypatch)
    with pytest.raises(Violation, match="OLDER-OVERWRITES-NEWER"):
        _c11(stage, dies="shepherd")


def _c12(stage, *, late):
    shared = str(stage.archive / "shared")
    stage.rbs.update({"1": shared, "2": shared})
    first, second = stage.add_job("101", rb="1"), stage.add_job("202", rb="2")
    h0, h1 = stage.hosts.values()
    loser = stage.promoter(h1, second, stage.commit(second, h1))
    winner = stage.promoter(h0, first, stage.commit(first, h0))
    if late:
        stage.until(loser, "archive.rename aside before")
    stage.finish(winner)
    stage.finish(loser)
    assert stage.is_of(shared, "1"), "the result of the other RB was replaced"
    assert stage.cells_of("1")[0]["promoted"]["kind"] == "done"
    assert stage.cells_of("2")[0]["promoted"]["kind"] == "failed", "what was not placed is called done"
    stage.settle()


@pytest.mark.parametrize("late", [False, True], ids=["seen at once", "between look and rename"])
def test_C12_a_target_of_another_rb_is_refused_and_never_replaced(stage, late):
    _c12(stage, late=late)


def test_C12_epochs_compared_across_rbs_call_done_what_was_not_placed(stage, monkeypatch):
    monkeypatch.setattr(archive.Content, "is_of", lambda self, rb: True)
    monkeypatch.setattr(Promotion, "_is_in_place", lambda self, there: there is not None and there.epoch >= self.n)
    with pytest.raises(AssertionError, match=r"what was not placed is called done|DONE-BUT-NOT-PLACED"):
        _c12(stage, late=False)


def _c13(stage):
    zombie, _, _, h0, _ = _two_jobs(stage)
    stage.until(zombie, "archive.rename aside before")
    stage.freeze(h0)
    stage.settle()
    assert stage.takes("1") == ["000000000001.1"], "the take of a silent host was removed"
    stage.thaw(h0)
    stage.until(zombie, "archive.rename aside after")
    stage.die(h0)
    stage.settle()
    assert stage.content(stage.target_of("1")) == (2, True)


def test_C13_the_take_of_a_silent_host_stands_until_that_host_is_back(stage):
    _c13(stage)


def test_C13_a_take_removed_by_the_timer_leaves_a_late_mover_unwatched(stage, monkeypatch):
    def remove_all(rb_cells, plan, me):
        for n, k in rb_cells.takes():
            rb_cells.remove_take(n, k)

    monkeypatch.setattr("supervisor.storehand.repair_takes", remove_all)
    with pytest.raises((Violation, AssertionError), match=r"the take of a silent host was removed|OLDER"):
        _c13(stage)


def test_C14_the_fence_is_the_source_name_an_earlier_promoter_cannot_rename_any_more(stage):
    zombie, _, _, h0, h1 = _two_jobs(stage)
    stage.until(zombie, "archive.rename in before")
    stage.freeze(h0)
    other = _take_over(stage, h1, ("archive.rename fence after", 1))
    stage.thaw(h0)
    stage.until(zombie, "archive.rename in after")
    assert stage.content(stage.target_of("1")) is None, "the late rename found its source"
    stage.finish(zombie)
    stage.finish(other)
    stage.settle()


def test_C14_without_the_fence_the_late_rename_finds_its_source(stage, monkeypatch):
    _without_fence(monkeypatch)
    zombie, _, _, h0, h1 = _two_jobs(stage)
    stage.until(zombie, "archive.rename in before")
    stage.freeze(h0)
    _take_over(stage, h1, ("archive.rename in before", 1))
    stage.thaw(h0)
    stage.until(zombie, "archive.rename in after")
    assert stage.content(stage.target_of("1")) == (1, True)


def test_C15_the_target_is_looked_at_again_after_the_fence(stage):
    zombie, _, _, h0, h1 = _two_jobs(stage)
    stage.until(zombie, "archive.rename aside after")
    stage.freeze(h0)
    other = _take_over(stage, h1, ("archive.rename fence before", 1))
    stage.thaw(h0)
    stage.finish(zombie)
    stage.finish(other)
    stage.settle()


def test_C15_a_result_of_this_epoch_that_was_moved_aside_goes_back(stage):
    _c7(stage, "archive.rename aside before", ("archive.rename in after", 1))


def test_C15_without_the_look_into_the_aside_only_the_take_saves_it(stage, monkeypatch):
    _without_look_into_the_aside(monkeypatch)
    _without_takes(monkeypatch)
    with pytest.raises(Violation, match=r"OLDER-OVERWRITES-NEWER|STUCK|DONE-BUT-NOT-PLACED"):
        _c7(stage, "archive.rename aside before", ("store.link promoted-done after", 2))


def _m3(stage):
    promoter, _, _, _, _ = _two_jobs(stage)
    stage.until(promoter, "archive.rename in after")
    stage.crash(promoter)
    stage.settle()


def test_M3_a_promoter_that_died_after_its_rename_is_followed_by_one_that_sees_the_result(stage):
    _m3(stage)


def test_M3_without_the_look_at_run_nobody_ends_the_promotion(stage, monkeypatch):
    monkeypatch.setattr(Promotion, "_is_in_place", lambda self, content: False)
    with pytest.raises(Violation, match="STUCK"):
        _m3(stage)


def test_M5_an_aside_deleted_before_promoted_is_the_loss_of_the_good_copy(stage, monkeypatch):
    def delete_early(self, target, aside):
        archive.remove_tree(aside)
        return False

    monkeypatch.setattr(Promotion, "_put_back_if_newer", delete_early)
    promoter, *_ = _two_jobs(stage)
    with pytest.raises(Violation, match="GOOD-COPY-LOST"):
        stage.finish(promoter)


# --- an operator's word ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen_at", _FROZEN_AT, ids=lambda at: at.split(".")[1].replace(" ", "_"))
def test_a_fenced_host_that_is_dead_leaves_no_take_and_no_result_aside(stage, frozen_at):
    zombie, _, _, h0, _ = _two_jobs(stage)
    stage.until(zombie, frozen_at)
    stage.die(h0)
    stage.settle()
    stage.fence(h0)
    stage.settle()
    assert stage.takes("1") == []
    assert stage.content(stage.target_of("1")) == (2, True)
    assert os.listdir(stage.layout.waiting) == []


@pytest.mark.parametrize("frozen_at", _FROZEN_AT, ids=lambda at: at.split(".")[1].replace(" ", "_"))
def test_a_host_that_was_fenced_and_only_frozen_harms_nothing_when_it_lands_late(stage, frozen_at):
    zombie, _, _, h0, _ = _two_jobs(stage)
    stage.until(zombie, frozen_at)
    stage.freeze(h0)
    stage.fence(h0)
    stage.settle()
    assert stage.takes("1") == [], "the take of a fenced boot stands"
    stage.thaw(h0)
    stage.tolerated |= {"OLDER-OVERWRITES-NEWER"}  # for a moment, without a take: that is what the word was to exclude
    stage.finish(zombie)
    stage.tolerated.clear()
    stage.settle()
    assert stage.content(stage.target_of("1")) == (2, True)


def test_only_a_promoter_that_dies_after_a_wrong_word_leaves_a_result_aside_and_promote_puts_it_back(stage):
    zombie, _, second, h0, h1 = _two_jobs(stage)
    stage.until(zombie, "archive.rename aside before")
    stage.freeze(h0)
    stage.fence(h0)
    stage.settle()
    stage.thaw(h0)
    stage.tolerated |= {"OLDER-OVERWRITES-NEWER"}
    stage.until(zombie, "archive.rename aside after")
    stage.crash(zombie)
    assert stage.content(stage.target_of("1")) is None
    with pytest.raises(Violation, match="STUCK: target of 1"):
        stage.settle()
    facts = HostFacts(host=h1.id, hostname=h1.id, boot=h1.boot, code_version="1")
    store = OpenStore(settings=None, layout=stage.layout, facts=facts)
    text, status = promote(store, second)
    assert (status, "stands again" in text) == (0, True)
    assert stage.content(stage.target_of("1")) == (2, True)
    assert "nothing changes" in promote(store, second)[0]
    stage.settle()


def test_promote_on_a_fenced_host_renames_nothing(stage):
    first = stage.add_job("101")
    h0 = stage.hosts["h0"]
    n = stage.commit(first, h0)
    RbCells(stage.layout.rb("1")).link_promoted(n, records.Promoted(kind="failed", why="a test"))
    stage.fence(h0)
    facts = HostFacts(host=h0.id, hostname=h0.id, boot=h0.boot, code_version="1")
    text, status = promote(OpenStore(settings=None, layout=stage.layout, facts=facts), first)
    assert (status, "declared dead" in text) == (70, True)
    assert stage.takes("1") == []
    assert stage.content(stage.target_of("1")) == (0, True)


@pytest.mark.parametrize("at", ["store.rename run before", "store.link started before", "box turn"])
def test_a_fence_revokes_at_the_next_look_and_a_late_shepherd_publishes_nothing(stage, at):
    stage.add_job("101")
    h0, h1 = stage.hosts.values()
    shepherd = _run_until(stage, h0, at)
    stage.freeze(h0)
    stage.fence(h0)
    stage.poll(h1)
    assert stage.cells_of("1")[0]["outcome"]["why"] == "fenced by operator anna"
    stage.thaw(h0)
    stage.finish(shepherd)
    stage.settle()
    assert [c["outcome"]["kind"] for c in stage.cells_of("1")] == ["revoked", "committed"]


def test_a_fence_without_the_flock_revokes_nothing(stage):
    stage.add_job("101")
    h0, h1 = stage.hosts.values()
    shepherd = _run_until(stage, h0, "box turn")
    stage.fence(h0)  # a word that was wrong: the host lives, and its shepherd has the lock
    for _ in range(3):
        stage.pass_time()
        stage.poll(h1)
    assert stage.cells_of("1")[0]["outcome"] is None
    stage.finish(shepherd)
    assert stage.cells_of("1")[0]["outcome"]["kind"] == "committed"
    assert stage.cells_of("1")[0]["promoted"] is None, "a promoter of a fenced boot renames nothing"
    assert stage.takes("1") == []
    stage.settle()
    assert stage.content(stage.target_of("1")) == (1, True)


def test_a_fence_with_the_flock_left_out_revokes_a_living_run(stage, monkeypatch):
    monkeypatch.setattr(claim, "acquire", _lock_without_flock)
    stage.add_job("101")
    h0, h1 = stage.hosts.values()
    _run_until(stage, h0, "box turn")
    stage.fence(h0)
    stage.poll(h1)
    assert stage.cells_of("1")[0]["outcome"]["why"] == "fenced by operator anna"


def test_replies_of_a_fenced_boot_are_sent_by_others_at_once(stage):
    first = stage.add_job("101")
    h0, h1 = stage.hosts.values()
    stage.finish(stage.promoter(h0, first, stage.commit(first, h0)))
    stage.poll(h1)
    assert not os.path.exists(stage.layout.job("101").published), "h0 lives: it sends them itself"
    stage.fence(h0)
    stage.poll(h1)
    assert os.path.exists(stage.layout.job("101").published)
    stage.settle()


# --- promotion: what the code has beyond the model -----------------------------------------------------------------


def test_a_promoter_that_moved_the_target_aside_after_another_gave_up_puts_it_back(impatient):
    stage = impatient
    first = stage.add_job("101")
    h0, h1 = stage.hosts.values()
    n = stage.commit(first, h0)
    zombie = stage.promoter(h0, first, n, owns_lock=False)  # on a file system whose lost locks answer nothing
    stage.until(zombie, "archive.rename aside before")
    giver = stage.promoter(h1, first, n)
    giver.archive_fails = True
    stage.finish(giver)
    stage.finish(zombie)
    assert stage.content(stage.target_of("1")) == (0, True)
    assert stage.takes("1") == []
    stage.settle()


def test_a_staging_whose_promoter_has_ended_is_taken_whatever_its_number(stage):
    first = stage.add_job("101")
    h0 = stage.hosts["h0"]
    n = stage.commit(first, h0)
    rb_cells = RbCells(stage.layout.rb("1"))
    promoter = stage.promoter(h0, first, n)
    target = promoting.targets_of(rb_cells.outcome(n))[0]
    os.rename(staging_name(target, n, 0), staging_name(target, n, 7))  # take 7 was ended by an operator's `fence`
    stage.finish(promoter)
    assert stage.content(stage.target_of("1")) == (1, True)
    stage.settle()


def test_one_take_stands_over_all_tries_of_a_promoter(stage):
    first = stage.add_job("101")
    h0 = stage.hosts["h0"]
    promoter = stage.promoter(h0, first, stage.commit(first, h0))
    promoter.archive_fails = True
    for _ in range(3):
        stage.until(promoter, "pause")
        assert stage.takes("1") == ["000000000001.1"]
        stage.step(promoter)
    promoter.archive_fails = False
    stage.finish(promoter)
    assert stage.takes("1") == []
    stage.settle()


def test_a_repair_ends_only_the_takes_whose_makers_are_gone(stage):
    first = stage.add_job("101")
    h0 = stage.hosts["h0"]
    n = stage.commit(first, h0)
    living = stage.promoter(h0, first, n)
    stage.after(living, "store.link take")
    stage.lease_ends(h0)
    dead = stage.promoter(h0, first, n)
    stage.after(dead, "store.link take")
    stage.crash(dead)
    stage.finish(stage.repairer(h0, first, n))
    assert stage.takes("1") == ["000000000001.1"]
    stage.finish(living)
    stage.settle()


def test_a_repair_whose_aside_name_is_taken_comes_to_an_end(stage):
    first = stage.add_job("101")
    h0 = stage.hosts["h0"]
    stage.tolerated |= {"OLDER-OVERWRITES-NEWER", "GOOD-COPY-LOST", "DONE-BUT-NOT-PLACED"}
    n = stage.commit(first, h0)
    rb_cells = RbCells(stage.layout.rb("1"))
    target = promoting.targets_of(rb_cells.outcome(n))[0]
    aside = f"{promotion.aside_prefix(target)}1.1.0"
    os.rename(staging_name(target, n, 0), aside)
    for name in (f"{aside}.0", f"{aside}.9"):
        os.mkdir(name)
        with open(os.path.join(name, "old.txt"), "w", encoding="ascii") as file:
            file.write("old")
    stage.finish(stage.repairer(h0, first, n), limit=400)
    assert stage.content(stage.target_of("1")) == (1, True)


def test_a_file_where_the_result_folder_belongs_ends_as_failed(impatient):
    stage = impatient
    first = stage.add_job("101", old=False)
    h0 = stage.hosts["h0"]
    n = stage.commit(first, h0)
    path = stage.target_of("1")
    with open(path, "w", encoding="ascii") as file:
        file.write("a note")
    stage.checking = False  # there is no folder to look into
    stage.finish(stage.promoter(h0, first, n))
    assert stage.cells_of("1")[0]["promoted"]["kind"] == "failed"
    with open(path, encoding="ascii") as file:
        assert file.read() == "a note"


# --- schedules drawn by lot ----------------------------------------------------------------------------------------


def _draw(stage, rng):
    """One schedule: turns in any order, and faults within a budget; then one host goes on alone."""
    faults = {
        "freeze": 2,
        "thaw": 3,
        "crash": 2,
        "supervisor": 1,
        "die": 1,
        "archive": 1,
        "time": 6,
        "cancel": 1,
        "fence": 1,
    }
    jobs = [stage.add_job(str(101 + i), rb="1" if i < 3 else "2") for i in range(rng.choice((2, 3, 4)))]
    if rng.random() < 0.5:
        stage.give_up = 0.0
    rate = rng.choice((0.01, 0.03, 0.06))
    stay = rng.choice((0.5, 0.9, 0.97))
    actor = None
    for _ in range(rng.randrange(150, 900)):
        if rng.random() < rate:
            _fault(stage, rng, faults, jobs)
        up = [host for host in stage.hosts.values() if host.state == "up"]
        for host in up:
            stage.supervisor(host)
        ready = [a for host in up for a in host.actors()]
        if not ready:
            continue
        if actor not in ready or rng.random() > stay:
            working = [a for a in ready if a.at != "idle"]
            actor = rng.choice(working if working and rng.random() < 0.8 else ready)
        stage.step(actor)
    if all(host.state != "up" for host in stage.hosts.values()):
        host = rng.choice(list(stage.hosts.values()))
        (stage.thaw if host.state == "frozen" else stage.reboot)(host)
    stage.settle()
    for host in stage.hosts.values():  # and when all come back, nothing is undone
        if host.state == "frozen":
            stage.thaw(host)
        elif host.state == "dead":
            stage.reboot(host)
    stage.settle()


def _fault(stage, rng, budget, jobs):
    kind = rng.choice([name for name, left in budget.items() if left] or ["none"])
    up = [host for host in stage.hosts.values() if host.state == "up"]
    frozen = [host for host in stage.hosts.values() if host.state == "frozen"]
    shepherds = [actor for host in up for actor in host.shepherds if not actor.ended]
    if kind == "freeze" and up:
        stage.freeze(rng.choice(up))
    elif kind == "thaw" and frozen:
        stage.thaw(rng.choice(frozen))
    elif kind == "crash" and shepherds:
        stage.crash(rng.choice(shepherds))
    elif kind == "supervisor" and up:
        stage.crash(stage.supervisor(rng.choice(up)))
    elif kind == "die" and up:
        stage.die(rng.choice(up))
    elif kind == "fence" and (off := [host for host in stage.hosts.values() if host.state == "dead"]):
        host = rng.choice(off)
        if not stage.is_fenced(host):
            stage.fence(host)
    elif kind == "archive" and shepherds:
        rng.choice(shepherds).archive_fails = True
        stage.schedule.append("the archive fails")
    elif kind == "time":
        stage.pass_time()
    elif kind == "cancel":
        request = rng.choice(jobs)
        stage.schedule.append(f"cancel {request.job}")
        cancel = Cancel(who="app", time_ms=request.time_ms, instrument=request.instrument, run=request.run)
        journal.cancel_run(stage.layout, cancel)
    else:
        return
    budget[kind] -= 1


def _play(folder, seed):
    with pytest.MonkeyPatch.context() as patch:
        rng = random.Random(seed)
        stage = Stage(folder, patch, host_names=rng.choice(("h0 h1", "h0 h1 h2")), looks=rng.random() < 0.5)
        try:
            _draw(stage, rng)
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {error}\n{stage.describe()}") from error
        finally:
            stage.close()


@pytest.mark.parametrize("part", range(4))
def test_schedules_drawn_by_lot_keep_every_invariant_and_come_to_an_end(tmp_path, part):
    for seed in range(50 * part, 50 * part + 50):
        folder = tmp_path / str(seed)
        folder.mkdir()
        _play(folder, seed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_thousands_of_schedules_drawn_by_lot(tmp_path):
    first = int(os.environ.get("AUTOREDUCE_SEED", "0")) * 1_000_003 + 1000
    for seed in range(first, first + 5000):
        folder = tmp_path / str(seed)
        folder.mkdir()
        _play(folder, seed)
