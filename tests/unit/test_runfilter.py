"""The filters of `runs`, without a store."""

from __future__ import annotations

import pytest

from supervisor.runfilter import RunFilter, moment_since


@pytest.mark.parametrize(
    ("asked", "lists"),
    [
        ({}, ("running", "waiting", "finished")),
        ({"host": "a"}, ("running", "finished")),
        ({"verdict": "crash"}, ("finished",)),
        ({"state": "waiting"}, ("waiting",)),
        ({"state": "waiting", "host": "a"}, ()),
        ({"state": "running", "verdict": "crash"}, ()),
    ],
)
def test_only_lists_in_which_such_a_job_can_stand_are_looked_into(asked, lists):
    assert RunFilter(**asked).lists == lists


def test_a_job_is_taken_where_it_meets_every_filter():
    asked = RunFilter(instrument="HIFI", host="a", since=100.0)
    assert asked.takes("HIFI", 100.0, "a", "crash")
    assert not asked.takes("HIFI", 99.0, "a")
    assert not asked.takes("HIFI", 100.0, "b")
    assert not asked.takes(None, 100.0, "a")


def test_since_is_how_long_ago_or_a_time():
    assert moment_since("2 h", 10_000.0) == 2_800.0
    assert moment_since("1970-01-02T00:00:00Z", 0.0) == 86_400.0
    with pytest.raises(ValueError, match="is no time"):
        moment_since("soon", 0.0)
