"""Runs and cancels are compared by value (defect D11: a run of the monitor never met a cancel of the web app)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.runkey import CancelKey, is_whole, run_value


@pytest.mark.parametrize(
    "value", ["75513", "00075513", 75513, 75513.0, "75513.0", "75513.", " 75513 ", "+75513", "075513.000"]
)
def test_every_way_to_write_a_run_number_is_one_run(value):
    assert run_value(value) == "75513"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), ("000", "0"), (-0.0, "0"), ("-0", "0"), (-2, "-2"), ("-002", "-2"), (1e20, "100000000000000000000")],
)
def test_zero_and_negative_numbers_have_one_form(value, text):
    assert run_value(value) == text


@pytest.mark.parametrize(
    "text", ["75513a", "GEM75513", "75513.5", "1e3", "\uff17\uff15\uff15\uff11\uff13", "7_5", "", "0x10"]
)
def test_text_that_is_no_whole_number_stays_text(text):
    assert run_value(f" {text} ") == text
    assert not is_whole(text)


@pytest.mark.parametrize("value", [True, None, [75513], {"run": 1}, math.nan, math.inf, -math.inf])
def test_what_is_no_number_and_no_text_is_refused(value):
    with pytest.raises(ValueError, match="a run number"):
        run_value(value)


def test_a_number_beyond_the_interpreters_digits_is_refused_in_our_words():
    with pytest.raises(ValueError, match="no run number"):
        run_value(10**5000)


@given(st.integers(min_value=-(10**30), max_value=10**30), st.integers(0, 12))
def test_padding_never_matters(number, zeros):
    sign, digits = ("-", str(-number)) if number < 0 else ("", str(number))
    assert run_value(f"{sign}{'0' * zeros}{digits}") == run_value(number) == str(number)


@given(st.one_of(st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_value_made_twice_is_the_same(value):
    assert run_value(run_value(value)) == run_value(value)


def test_a_number_too_long_for_the_interpreter_is_compared_as_text():
    assert run_value("0" * 10 + "9" * 6000) == "9" * 6000


def test_the_instrument_is_part_of_the_key():
    gem = CancelKey(instrument="GEM", run="75513", version=0)
    wish = CancelKey(instrument="WISH", run="75513", version=0)

    assert not gem.matches(wish)
    assert gem.matches(CancelKey(instrument="GEM", run=run_value("00075513"), version=0))


def test_a_cancel_without_version_means_every_version():
    every = CancelKey(instrument="GEM", run="1")

    assert every.matches(CancelKey(instrument="GEM", run="1", version=7))
    assert CancelKey(instrument="GEM", run="1", version=7).matches(every)
    assert not CancelKey(instrument="GEM", run="1", version=7).matches(CancelKey(instrument="GEM", run="1", version=8))
