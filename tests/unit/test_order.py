from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from storemaking import request

from supervisor import order, waiting
from supervisor.order import AGE_STEP, Head, choose


def head(rb, job="j", **changes):
    slotless = changes.pop("slotless", False)
    entry = waiting.entry_of(request(job, rb=rb, **changes))
    return Head(entry=entry, rb=rb, job=job, slotless=slotless)


def chosen(heads, **changes):
    options = {"free": 1, "busy": (), "served": {}, "now": 1.0} | changes
    return [picked.rb for picked in choose(heads, **options)]


def test_a_higher_priority_goes_first():
    assert chosen([head("low", priority=1), head("high", priority=9), head("mid", priority=4)], free=3) == [
        "high",
        "mid",
        "low",
    ]


def test_a_long_wait_raises_the_priority_by_a_level_for_each_step():
    old, new = head("old", priority=4, time_ms=0), head("new", priority=6, time_ms=int(AGE_STEP * 3000))
    assert chosen([old, new], now=AGE_STEP * 3) == ["old"]
    assert chosen([old, head("new", priority=8, time_ms=int(AGE_STEP * 3000))], now=AGE_STEP * 3) == ["new"]


def test_a_clock_behind_the_broker_makes_nobody_younger_than_its_priority():
    assert order.aged(head("a", time_ms=10_000_000).entry, 0.0) == 4


def test_equals_take_turns_beginning_with_who_was_never_served():
    heads = [head("a", time_ms=1), head("b", time_ms=2), head("c", time_ms=3)]
    assert chosen(heads, served={"a": 2.0, "b": 1.0}) == ["c"]
    assert chosen(heads, served={"a": 2.0, "b": 1.0, "c": 3.0}) == ["b"]


def test_two_hundred_runs_of_one_busy_rb_never_starve_another():
    served = {}
    turns = []
    waiting_runs = {"busy": 200, "quiet": 3}
    for turn in range(6):
        heads = [head(rb, f"{rb}{left}", time_ms=left) for rb, left in waiting_runs.items() if left]
        rb = chosen(heads, served=served)[0]
        served[rb] = float(turn)
        waiting_runs[rb] -= 1
        turns.append(rb)
    assert turns.count("quiet") == 3


def test_what_needs_no_slot_goes_first_and_takes_none():
    heads = [head("a"), head("b", slotless=True), head("c", slotless=True)]
    assert chosen(heads, free=0) == ["b", "c"]
    assert chosen(heads, free=1) == ["b", "c", "a"]
    assert chosen(heads, free=-2) == ["b", "c"]


def test_an_rb_that_runs_here_or_cools_down_is_passed_over():
    assert chosen([head("a"), head("b", slotless=True), head("c")], busy={"a", "b"}, free=5) == ["c"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50), st.integers(0, 3), st.integers(0, 99)), max_size=12))
def test_inside_an_rb_the_order_is_priority_then_time_then_sequence_then_job(jobs):
    entries = [waiting.entry_of(request(f"{job:02}", priority=p, time_ms=t, sequence=s)) for p, t, s, job in jobs]
    groups = order.by_rb(entries)
    keys = [(-e.priority, e.time_ms, e.sequence, e.job) for e in groups.get("1", [])]
    assert keys == sorted(keys)
    assert sum(len(group) for group in groups.values()) == len(entries)
