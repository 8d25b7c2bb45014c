"""How the store does: each task for itself, ever more rarely, with one sentence for one trouble."""

from __future__ import annotations

import errno
import os

from supervisor.storehealth import StoreHealth, Trouble, trouble_of


def full(path="/store/a"):
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def test_a_task_that_fails_is_left_ever_longer_and_others_are_not():
    health = StoreHealth()
    pauses = [health.failed("take", full(), float(n), 1000.0 + n) for n in range(6)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert not health.is_due("take", 14.9)
    assert health.is_due("take", 15.0)
    assert health.is_due("scan", 0.0)


def test_one_sentence_for_one_trouble_however_many_paths_it_meets():
    health = StoreHealth()
    health.failed("take", full("/store/a"), 0.0, 1000.0)
    first = health.trouble
    health.failed("take", full("/store/b"), 1.0, 1001.0)
    assert health.trouble == first
    assert '"/store/a"' in first.why
    assert "(ENOSPC)" in first.why
    health.failed("take", OSError(errno.EIO, "", "/store/c"), 2.0, 1002.0)
    assert "(EIO)" in health.trouble.why
    assert health.trouble.since == 1000.0


def test_what_has_failed_for_the_longest_time_is_told_until_all_is_well():
    health = StoreHealth()
    health.failed("scan", full("/store/a"), 0.0, 1000.0)
    health.failed("beat", full("/store/b"), 1.0, 1001.0)
    health.well("scan", 1002.0)
    assert health.trouble.since == 1001.0
    assert health.last is None
    health.well("beat", 1003.0)
    assert health.trouble is None
    assert (health.last.since, health.last.until) == (1000.0, 1003.0)  # the whole of it, whoever was the last to go on


def test_a_task_that_nobody_does_any_more_is_forgotten():
    health = StoreHealth()
    health.failed("claim 1", full(), 0.0, 1000.0)
    health.forget(60.0, 1060.0)
    assert health.trouble is not None
    health.forget(71.0, 1071.0)
    assert health.trouble is None
    assert health.last.until == 1071.0


def test_a_trouble_survives_its_record_and_a_spoilt_one_tells_nothing():
    trouble = Trouble(why="cannot", since=1.0, until=2.0)
    assert trouble_of(trouble.to_json()) == trouble
    for spoilt in ({}, {"why": 1, "since": 1.0}, {"why": "x", "since": "y"}, {"why": "x", "since": 1, "until": None}):
        assert trouble_of(spoilt) is None
