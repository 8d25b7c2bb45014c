"""Percentiles agree with the standard library, whatever the values and the order in which they came."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.percentiles import Spread, percentile

values = st.lists(st.floats(0, 1e15) | st.integers(0, 1 << 50).map(float), min_size=2, max_size=300)


@given(values)
def test_percentiles_are_those_of_the_standard_library(numbers):
    expected = statistics.quantiles(numbers, n=100, method="inclusive")

    spread = Spread(numbers)

    for share in (1, 50, 95, 99):
        assert spread.percentile(share) == pytest.approx(expected[share - 1], rel=1e-9, abs=1e-9)
    assert spread.percentile(0) == min(numbers)
    assert spread.percentile(100) == spread.largest == max(numbers)


@given(values, st.floats(0, 100), st.floats(0, 100))
def test_a_higher_share_is_never_less_and_none_leaves_the_values(numbers, one, other):
    ordered = sorted(numbers)
    low, high = sorted((one, other))

    assert percentile(ordered, low) <= percentile(ordered, high) * (1 + 1e-12)
    assert ordered[0] <= percentile(ordered, low) * (1 + 1e-12)
    assert percentile(ordered, high) <= ordered[-1] * (1 + 1e-12)


def test_of_no_value_every_percentile_is_nothing():
    assert (Spread().percentile(99), Spread().largest, len(Spread())) == (0.0, 0.0, 0)


def test_a_value_added_after_a_percentile_was_asked_counts():
    spread = Spread([3.0, 1.0])
    assert spread.percentile(100) == 3.0

    spread.add(9.0)

    assert (spread.percentile(100), spread.percentile(50)) == (9.0, 3.0)
