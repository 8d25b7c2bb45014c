from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.backoff import Backoff


def test_the_ceiling_doubles_from_half_a_second_to_half_a_minute():
    backoff = Backoff()

    ceilings = [backoff.ceiling(failures) for failures in range(10)]

    assert ceilings == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


@given(failures=st.integers(min_value=0, max_value=10**9), jitter=st.floats(min_value=0, max_value=1))
def test_a_delay_lies_between_nothing_and_the_ceiling_however_often_it_failed(failures, jitter):
    backoff = Backoff()

    delay = backoff.delay(failures, jitter)

    assert 0.0 <= delay <= backoff.ceiling(failures) <= 30.0


def test_jitter_spreads_a_fleet_over_the_whole_ceiling():
    backoff = Backoff()

    assert backoff.delay(3, 0.0) == 0.0
    assert backoff.delay(3, 0.5) == 1.0
    assert backoff.delay(3, 1.0) == 2.0


def test_the_slow_delay_is_never_short():
    backoff = Backoff()

    assert backoff.slow_delay(0.0) == 30.0
    assert backoff.slow_delay(1.0) == 60.0


@pytest.mark.parametrize("jitter", [-0.1, 1.1, float("nan")])
def test_jitter_outside_its_range_is_refused(jitter):
    with pytest.raises(ValueError, match="jitter"):
        Backoff().delay(1, jitter)
    with pytest.raises(ValueError, match="jitter"):
        Backoff().slow_delay(jitter)


def test_a_connection_that_lived_a_minute_starts_the_count_anew():
    backoff = Backoff()

    assert backoff.failures_after(7, None) == 8
    assert backoff.failures_after(7, 59.9) == 8
    assert backoff.failures_after(7, 60.0) == 1


@pytest.mark.parametrize(
    "values",
    [{"base_seconds": 0.0}, {"base_seconds": 5.0, "cap_seconds": 1.0}, {"stable_seconds": -1.0}],
)
def test_times_that_cannot_work_are_refused(values):
    with pytest.raises(ValueError, match="back-off"):
        Backoff(**values)
