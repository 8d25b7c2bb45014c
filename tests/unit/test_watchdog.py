"""A store that hangs ends no supervisor; a poller that hangs in nothing does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor.watchdog import PATIENCE, Watchdog

CALL = 'link "/store/x"'


def looks(watchdog, seconds, *, last_turn, waits_for=lambda now: ""):
    """What the loop is told in its turns, one each second."""
    return [watchdog.lives(float(now), last_turn(now), waits_for(now)) for now in seconds]


def test_a_poller_that_turns_lives():
    assert all(looks(Watchdog(), range(1000), last_turn=lambda now: now - 1.5))


def test_a_poller_that_hangs_in_a_call_of_the_store_lives_however_long():
    assert all(looks(Watchdog(), range(100_000), last_turn=lambda _: 1.0, waits_for=lambda _: CALL))


def test_a_poller_that_hangs_in_nothing_is_dead_after_the_patience():
    seen = looks(Watchdog(), range(200), last_turn=lambda _: 1.0)
    assert seen == [now < PATIENCE for now in range(200)]


def test_a_long_scan_whose_calls_are_seen_now_and_then_lives():
    assert all(looks(Watchdog(), range(10_000), last_turn=lambda _: 1.0, waits_for=lambda now: CALL * (now % 60 == 0)))


def test_a_store_that_comes_back_leaves_the_poller_its_whole_patience():
    seen = looks(Watchdog(), range(600), last_turn=lambda _: 1.0, waits_for=lambda now: CALL if now < 500 else "")
    assert seen == [now < 499 + PATIENCE for now in range(600)]


@given(st.lists(st.tuples(st.floats(0.01, 30), st.booleans(), st.booleans()), max_size=200))
def test_it_is_dead_only_after_the_patience_without_a_turn_and_without_a_call(steps):
    watchdog, now, turn, idle = Watchdog(), 0.0, 0.0, 0.0
    watchdog.lives(now, turn, "")
    for lasted, turns, calls in steps:
        now += lasted
        if turns:
            turn = now
        if turns or calls:
            idle = now
        assert watchdog.lives(now, turn, CALL if calls else "") == (now - idle < PATIENCE)
