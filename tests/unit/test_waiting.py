from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storemaking import request

from supervisor import waiting

REQUESTS = st.builds(
    request,
    job=st.text(max_size=300),
    rb=st.text(max_size=300),
    instrument=st.from_regex(r"[A-Za-z0-9_-]{1,60}", fullmatch=True),
    priority=st.integers(-3, 12),
    time_ms=st.integers(-5, 10**16),
    sequence=st.integers(-5, 10**11),
)


@given(REQUESTS)
def test_a_name_is_read_as_the_entry_it_was_made_from(of):
    entry = waiting.entry_of(of)
    assert waiting.parse(entry.name) == entry
    assert len(entry.name.encode()) <= 255
    assert "/" not in entry.name


@given(REQUESTS, REQUESTS)
def test_a_sorted_listing_is_in_the_order_of_priority_time_and_sequence(one, two):
    first, second = waiting.entry_of(one), waiting.entry_of(two)
    key = (first.rank, first.time_ms, first.sequence)
    other = (second.rank, second.time_ms, second.sequence)
    if key != other:
        assert (first.name < second.name) == (key < other) == (first < second)


@given(st.lists(REQUESTS, max_size=8))
def test_entries_sort_by_priority_then_time_then_sequence_then_job(requests):
    entries = sorted(waiting.entry_of(of) for of in requests)
    keys = [(-e.priority, e.time_ms, e.sequence, e.job) for e in entries]
    assert keys == sorted(keys)


@given(REQUESTS)
def test_the_same_request_makes_the_same_name(of):
    assert waiting.entry_of(of).name == waiting.entry_of(of).name


@pytest.mark.parametrize(
    "name", ["", ".tmp.x.1.2", "5000.A.B.C", "x" * 26 + ".A.B.C", "0" * 26 + ".A.B", "0" * 26 + ".A.B.C.D"]
)
def test_a_name_that_is_not_ours_is_passed_over(name):
    assert waiting.parse(name) is None
