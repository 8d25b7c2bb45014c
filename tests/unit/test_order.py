from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from storemaking import request

from supervisor import order, waiting
from supervisor.order import AGE_STEP, Head, Ranking, choose


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


def test_the_ranking_gives_an_rb_the_place_of_its_next_job_when_the_first_is_stepped_over():
    entries = [
        waiting.entry_of(request(j, rb=rb, priority=p)) for j, rb, p in [("a", "1", 9), ("b", "1", 2), ("c", "2", 4)]
    ]
    ranking = Ranking(order.by_rb(entries).values(), {}, 1.0)
    seen = []
    while ranking:
        group, position = ranking.pop()
        seen.append(group[position].job)
        ranking.step_over(group, position)
    assert seen == ["a", "c", "b"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.integers(0, 4)), max_size=12), st.integers(0, 3))
def test_the_ranking_and_the_choice_agree(jobs, free):
    entries = [
        waiting.entry_of(request(f"{i:02}", rb=str(rb), priority=p, time_ms=t)) for i, (p, t, rb) in enumerate(jobs)
    ]
    groups = order.by_rb(entries)
    served = {"1": 3.0, "2": 1.0}
    heads = [Head(entry=group[0], rb=rb, job=group[0].job) for rb, group in groups.items()]
    ranking = Ranking(groups.values(), served, 1.0)
    ranked = []
    while ranking:
        group, position = ranking.pop()
        ranked.append(group[position].job)
    assert [h.job for h in choose(heads, free=free, busy=(), served=served, now=1.0)] == ranked[:free]


def test_up_to_25_hosts_look_at_full_pace_and_more_look_no_more_often_in_all():
    assert [order.stretch(rivals) for rivals in (1, 25, 50, 200)] == [1.0, 1.0, 2.0, 8.0]


def test_the_hosts_of_a_fleet_together_try_a_lock_that_is_held_about_four_times_in_each_pause():
    for rivals in (1, 2, 10, 200):
        assert rivals * 1.0 / order.patience(1.0, rivals) <= 4.0
    assert order.patience(1.0, 1) == 0.5
