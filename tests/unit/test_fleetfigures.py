"""Slot-seconds and hand-overs of made-up histories."""

from __future__ import annotations

import pytest
from fleetfigures import hand_overs, slot_use, spread
from history import History, SeenEpoch, SeenJob
from recordedruns import RecordedRun

from supervisor.records import Outcome


def epoch(n, job, at, end, host="one"):
    outcome = Outcome(kind="committed", verdict="completed", time=end - 0.1)
    return SeenEpoch(n=n, job=job, host=host, at=at, ran=at, outcome=outcome, promoted="done", promoted_at=end)


def history(**by_rb):
    """One host with one RB a keyword: its epochs; every job was journaled at 100."""
    jobs = {
        e.job: SeenJob(job=e.job, rb=rb, order=(5, 0, 0, e.job), journaled=100.0)
        for rb, es in by_rb.items()
        for e in es
    }
    runs = [
        RecordedRun(job=e.job, host=e.host, pid=1, begin=e.at + 0.5, last=e.promoted_at - 0.5, ended=True)
        for es in by_rb.values()
        for e in es
    ]
    return History(jobs=jobs, epochs=by_rb, runs=runs)


def test_a_slot_that_stands_idle_while_a_head_waits_is_lost():
    # 10 s run, 10 s lost, 10 s run; before that nothing is lost.
    assert slot_use(history(A=[epoch(1, "a", 100.0, 110.0), epoch(2, "b", 120.0, 130.0)]), {"one": 1}) == pytest.approx(
        2 / 3
    )


def test_a_head_that_waits_while_every_slot_is_used_loses_nothing():
    both = history(A=[epoch(1, "a", 100.0, 110.0)], B=[epoch(1, "b", 110.0, 120.0)])
    assert slot_use(both, {"one": 1}) == pytest.approx(1.0)
    assert slot_use(both, {"one": 1, "other": 1}) == pytest.approx(2 / 3)


def test_slots_without_an_eligible_head_are_not_lost():
    """One RB gives work to one slot, however many there are."""
    assert slot_use(history(A=[epoch(1, "a", 100.0, 110.0), epoch(2, "b", 110.0, 120.0)]), {"one": 8}) == pytest.approx(
        1.0
    )


def test_a_hand_over_is_across_hosts_or_not_and_has_two_lengths():
    found = hand_overs(
        history(
            A=[epoch(1, "a", 100.0, 110.0), epoch(2, "b", 112.0, 120.0, "other"), epoch(3, "c", 120.5, 130.0, "other")]
        )
    )
    assert [(one.across, one.lock_idle, one.scripts_apart) for one in found] == [(True, 2.0, 3.0), (False, 0.5, 1.5)]
    assert spread([one.lock_idle for one in found]) == "2: median 1.25 s, p90 2.00 s, longest 2.00 s"


def test_a_job_that_came_after_the_end_of_the_one_before_is_no_hand_over():
    late = history(A=[epoch(1, "a", 100.0, 110.0), epoch(2, "b", 112.0, 120.0)])
    late.jobs["b"] = SeenJob(job="b", rb="A", order=(5, 0, 0, "b"), journaled=111.0)
    assert hand_overs(late) == []
