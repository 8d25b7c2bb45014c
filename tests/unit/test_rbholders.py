"""What is said of a holder by its last signs of life (pure)."""

from __future__ import annotations

import pytest

from supervisor.rbholders import Signs, note


def said(state="running", *, run=1.0, host=1.0, skew=30.0, **changes):
    signs = Signs(state=state, host="h9", run_silent=run, host_silent=host, **changes)
    return note(signs, beat=10.0, takeover_after=180.0, skew=skew)


@pytest.mark.parametrize("state", ["handing over", "running", "promoting"])
def test_nothing_is_said_of_one_that_lives(state):
    assert said(state) == ""


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"run": 64.0, "host": 70.0}, "host h9 is silent for 64 s: taken over in about 116 s"),
        ({"run": 190.0, "host": 185.0}, "host h9 is silent for 185 s: taken over any moment"),
        ({"run": 64.0, "host": 70.0, "state": "promoting"}, "goes on as soon as the lock is free"),
        ({"run": None, "host": 70.0, "state": "handing over"}, "host h9 is silent for 70 s"),
        ({"run": 5.0, "host": 300.0}, "the supervisor of host h9 is silent, the run goes on"),
        ({"run": 300.0, "host": 5.0}, "no beat of the run for some time: its host ends it"),
        ({"run": 300.0, "host": 5.0, "state": "promoting"}, ""),
        ({"run": 300.0, "host": 5.0, "rebooted": True}, "its host has rebooted and gives it back"),
        ({"run": 300.0, "host": 300.0, "rebooted": True}, "taken over any moment"),
        ({"run": None, "host": None}, "has left no sign of life: taken over after 180 s"),
        ({"run": 5.0, "host": 5.0, "fenced_by": "anna"}, "its host was fenced by operator anna"),
        ({"run": None, "host": 5.0, "state": "take left"}, "its host ends it"),
        (
            {"run": None, "host": 300.0, "state": "take left"},
            "host h9 is silent: it stands until that is back or fenced",
        ),
    ],
)
def test_what_is_to_be_expected_of_one_that_does_not(facts, words):
    text = said(**facts)
    assert words in text if words else text == ""


def test_clocks_that_differ_a_little_make_nobody_silent_but_a_watch_is_exact():
    assert said(run=50.0, host=50.0) == ""
    assert "silent for 50 s" in said(run=50.0, host=50.0, skew=0.0)
