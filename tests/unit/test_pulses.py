"""Watching counters by a played monotonic clock."""

from __future__ import annotations

import pytest

from supervisor import pulses


class Played:
    """A clock that goes on only while somebody waits; counters by the time at which they change."""

    def __init__(self, **moves):
        self.now = 50.0
        self.moves = moves
        self.waits = []

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds

    def look(self):
        return {name: sum(1 for at in times if at <= self.now - 50.0) for name, times in self.moves.items()}

    def watch(self, seconds, **changes):
        return pulses.watch(self.look, seconds, step=1.0, monotonic=lambda: self.now, wait=self.wait, **changes)


def test_each_counter_is_at_the_seconds_since_it_moved_last():
    still = Played(host=[3.0, 13.0], run=[], other=[19.5]).watch(20.0)
    assert still == {"host": 7.0, "run": 20.0, "other": 0.0}


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_is_one_look(seconds):
    played = Played(host=[])
    assert played.watch(seconds) == {"host": 0.0}
    assert played.waits == []


def test_a_watch_for_life_ends_as_soon_as_something_moves():
    played = Played(host=[3.5], run=[])
    assert played.watch(20.0, until_moved=True) == {"host": 0.0, "run": 4.0}
    assert sum(played.waits) == 4.0


def test_a_watch_for_life_of_what_stands_still_lasts_to_its_end():
    played = Played(host=[], run=[])
    assert played.watch(2.5, until_moved=True) == {"host": 2.5, "run": 2.5}
    assert played.waits == [1.0, 1.0, 0.5]


def test_what_appears_in_between_is_no_sign_of_life():
    played = Played(host=[])
    look = played.look
    played.look = lambda: look() | ({"new": 1} if played.now > 52.0 else {})
    assert played.watch(5.0, until_moved=True)["host"] == 5.0


@pytest.mark.parametrize(("beat", "step"), [(10.0, 1.0), (0.5, 0.05), (0.01, 0.05), (100.0, 1.0), (5.0, 0.5)])
def test_a_beat_is_looked_for_ten_times_within_bounds(beat, step):
    assert pulses.step_of(beat) == step
