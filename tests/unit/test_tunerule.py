"""The rule of `tune`: kills raise, enough runs lower, bounds hold, and every value can be read and written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.limits import GiB, Limits, MiB
from supervisor.pastrun import KEYS
from supervisor.tunerule import HEADROOM, LOWER, RAISE, Evidence, Rule, round_up, suggest, wanted
from supervisor.tunetext import because, cells, written

RULE = Rule(runs=50, least={"memory": 512 * MiB, "wall": 600.0, "files": 1000}, most={})

#: Below a year in seconds even when doubled: no limit of time is longer.
amounts = st.floats(1.0, 1e7)
keys = st.sampled_from(KEYS)
rules = st.builds(Rule, runs=st.integers(1, 100), least=st.dictionaries(keys, amounts), most=st.just({})) | st.builds(
    Rule, runs=st.just(50), least=st.just({}), most=st.dictionaries(keys, amounts)
)


@st.composite
def evidences(draw):
    ordered = sorted(draw(st.lists(amounts, min_size=4, max_size=4)))
    killed = draw(st.integers(0, 5))
    saved = draw(st.integers(0, killed))
    return Evidence(
        completed=draw(st.integers(1, 200)), p50=ordered[0], p95=ordered[1], p99=ordered[2], largest=ordered[3],
        killed=killed, killed_at=draw(amounts) if killed else 0.0, saved=saved,
        known_need=draw(amounts) if saved else 0.0,
    )  # fmt: skip


def after(key, limit, evidence, rule):
    """The limit that is in force when the suggestion was taken."""
    found = suggest(key, limit, evidence, rule)
    return limit if found.value is None else found.value


def test_a_limit_at_which_one_run_was_killed_is_doubled_whatever_the_number_of_runs():
    found = suggest("memory", 8.0 * GiB, Evidence(killed=1, killed_at=8.0 * GiB, runs=("75513",)), RULE)

    assert (found.what, found.why, found.value) == ("raise", "killed", 16 * GiB)
    assert because(found) == (
        "instead of 8 GiB: 1 run was killed at 8 GiB or less (75513); what they needed is not known: 2 times the limit"
    )


def test_what_a_killed_run_used_when_it_completed_later_counts_with_its_headroom():
    evidence = Evidence(killed=2, killed_at=8.0 * GiB, saved=1, known_need=20.0 * GiB)

    assert suggest("memory", 8.0 * GiB, evidence, RULE).value == 26 * GiB  # 25, in steps of 2


def test_a_limit_that_was_raised_since_is_left_alone():
    found = suggest("memory", 16.0 * GiB, Evidence(killed=3, killed_at=4.0 * GiB), RULE)

    assert (found.what, found.value) == ("keep", None)


def test_memory_that_hundreds_of_runs_never_used_is_given_back():
    evidence = Evidence(completed=212, p50=1.0 * GiB, p95=1.5 * GiB, p99=1.8 * GiB, largest=1.9 * GiB)

    found = suggest("memory", 8.0 * GiB, evidence, RULE)

    assert (found.what, found.why, found.value) == ("lower", "unused", 2.5 * GiB)
    assert "of 212 completed runs the 99th percentile is 1.8 GiB, the largest 1.9 GiB" in because(found)


def test_few_runs_lower_nothing():
    evidence = Evidence(completed=49, p50=1.0, p95=1.0, p99=1.0, largest=1.0)

    assert suggest("memory", 8.0 * GiB, evidence, RULE).why == "few"
    assert suggest("memory", 8.0 * GiB, replace(evidence, completed=50), RULE).value == 512 * MiB


def test_a_bound_below_what_runs_need_is_told_and_lowers_nothing():
    evidence = Evidence(completed=500, p50=6.0 * GiB, p95=6.0 * GiB, p99=6.0 * GiB, largest=6.0 * GiB)
    rule = replace(RULE, most={"memory": 2.0 * GiB})

    assert (suggest("memory", 8.0 * GiB, evidence, rule).why, suggest("memory", 1.0 * GiB, evidence, rule).value) == (
        "bounded",
        2 * GiB,
    )


def test_no_limit_is_left_so():
    assert suggest("cpu", None, Evidence(completed=500, p99=1.0, largest=1.0), RULE).why == "none"


@given(keys, amounts, evidences(), rules, st.integers(1, 5), amounts)
def test_more_kills_never_lead_to_a_lower_limit(key, limit, evidence, rule, more, killed_at):
    worse = replace(evidence, killed=evidence.killed + more, killed_at=max(evidence.killed_at, killed_at))

    assert after(key, limit, worse, rule) >= after(key, limit, evidence, rule)


@given(keys, amounts, evidences(), rules)
def test_a_suggestion_differs_from_the_limit_and_keeps_to_the_rule(key, limit, evidence, rule):
    found = suggest(key, limit, evidence, rule)

    low, high = rule.least.get(key, 0.0), rule.most.get(key, float("inf"))
    if found.what == "keep":
        assert found.value is None
        return
    assert found.value != limit
    assert low <= found.value <= high
    if found.what == "lower":
        assert evidence.completed >= rule.runs
        assert found.value <= LOWER * limit
        assert found.value >= evidence.largest
        assert found.value >= evidence.p99 * HEADROOM[key]
        assert found.value >= RAISE * evidence.killed_at
    else:
        assert found.value >= min(high, evidence.largest)


@given(keys, amounts, evidences(), rules)
def test_a_limit_once_set_is_not_changed_again_by_the_same_runs(key, limit, evidence, rule):
    new = after(key, limit, evidence, rule)

    assert after(key, new, evidence, rule) == new


@given(keys, st.floats(0.001, 1e13))
def test_a_rounded_value_is_not_below_and_at_most_a_step_above(key, value):
    rounded = round_up(key, value)

    if key in ("wall", "cpu"):
        value = min(value, 365 * 86400.0)
    assert rounded >= value
    assert rounded <= max(
        value * 1.15, value + {"memory": GiB / 2, "output": GiB / 2, "wall": 900, "cpu": 900, "files": 1}[key]
    )
    assert round_up(key, rounded) == rounded


@given(keys, st.floats(0.001, 1e13), st.floats(0.001, 1e13))
def test_rounding_keeps_the_order(key, one, other):
    low, high = sorted((one, other))

    assert round_up(key, low) <= round_up(key, high)


@given(keys, st.floats(0.001, 1e13))
def test_what_is_written_is_read_as_the_very_value(key, value):
    rounded = round_up(key, value)

    assert getattr(Limits().replace_from({key: written(key, rounded)}), key) == rounded


@given(keys, amounts, evidences(), rules)
def test_every_suggestion_can_be_told(key, limit, evidence, rule):
    found = suggest(key, limit, evidence, rule)

    assert len(cells(found)) == 9
    assert found.value is None or "instead of" in because(found)
    assert wanted(key, evidence) >= evidence.largest


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("memory", 1.1 * GiB, "1.5 GiB"),
        ("memory", 300 * MiB, "320 MiB"),
        ("memory", 9.2 * GiB, "10 GiB"),
        ("output", 33 * GiB, "36 GiB"),
        ("wall", 61, "90 s"),
        ("wall", 3000, "50 min"),
        ("wall", 8000, "2 h 15 min"),
        ("wall", 90000, "30 h"),
        ("files", 1234, 1300),
    ],
)
def test_values_are_rounded_as_people_write_them(key, value, text):
    assert written(key, round_up(key, value)) == text
