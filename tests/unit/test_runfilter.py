"""The filters of `runs`, without a store."""

from __future__ import annotations

import pytest

from supervisor.runfilter import RunFilter


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
