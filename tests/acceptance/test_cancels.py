"""Cancels through a real broker: of runs that wait, run, are over, or were never seen."""

from __future__ import annotations

import functools
import os

import pytest
from acceptancesite import HOLDS, KNOCK, WRITES, tree
from waiting import wait_until

pytestmark = pytest.mark.broker


def taken(site):
    """Wait until the supervisor has acknowledged all that was sent to it."""
    wait_until(lambda: site.client.count(site.queue("pending")) == 0, why="every message taken")


@pytest.mark.parametrize("form", [75514, "75514", "00075514", 75514.0])
def test_a_run_that_waits_behind_another_of_its_rb_is_cancelled_and_never_begins(site, form):
    first, first_door = site.held()
    waits, waits_door = site.held(run="00075514")
    site.send(first)
    first_door.rung()
    site.send(waits)

    site.cancel(waits, run_number=form)
    taken(site)
    first_door.open()

    assert site.completed(first)["message"] == ""
    assert site.outcome(waits).verdict == "cancelled"
    assert waits_door.is_quiet()
    assert not waits.result.exists()
    assert site.left() == {}, "2016 answers nothing to a cancel"


def test_a_run_that_waits_for_a_slot_is_cancelled_at_once_and_told_where_a_queue_is_named(make_site):
    site = make_site(host={"slots": 1}, queues={"cancelled": "cancelled"})
    busy, busy_door = site.held(rb="100")
    waits, waits_door = site.held(run=75514, rb="200")
    site.send(busy)
    busy_door.rung()
    site.send(waits)

    site.cancel(waits)
    told = site.answer("cancelled")

    assert told["supervisor"]["job_id"] == waits.job
    assert told["supervisor"]["verdict"] == "cancelled"
    assert told["run_number"] == 75514
    assert told["reduction_script"] == HOLDS
    assert "cancel" not in told
    assert waits_door.is_quiet()
    busy_door.open()
    site.completed(busy)
    assert site.outcome(busy).verdict == "completed"


STUBBORN = f"""{KNOCK}
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)


def main(input_file, output_dir):
    with open(os.path.join(output_dir, "half.txt"), "w") as result:
        result.write("half")
    knock(input_file)
"""


@pytest.mark.parametrize("script", [HOLDS, STUBBORN], ids=["ends when asked", "must be killed"])
@pytest.mark.parametrize("queue", ["", "cancelled"], ids=["as in 2016", "with a queue"])
def test_a_running_run_is_ended_and_leaves_no_result(make_site, script, queue):
    site = make_site(limits={"grace": "300 ms"}, queues={"cancelled": queue} if queue else {})
    run, door = site.held(script=script)
    site.send(run)
    door.rung()
    assert site.answer("started")["supervisor"]["job_id"] == run.job

    site.cancel(run)
    outcome = site.outcome(run)

    assert outcome.verdict == "cancelled"
    assert outcome.kind == "committed"
    if queue:
        told = site.answer("cancelled")
        assert told["supervisor"]["verdict"] == "cancelled"
        assert told["message"] == outcome.sentence
    assert site.left() == {}
    assert site.attempts(run) == 1
    assert all(name.startswith("reduction_log/") for name in tree(run.result)), "a cancelled run publishes only logs"
    after = site.send(site.run(WRITES, run=75514))
    site.completed(after)
    site.wait_clean()


def test_a_cancel_of_the_version_that_runs_ends_no_other_version(site):
    run, door = site.held(run_version=2)
    site.send(run)
    door.rung()

    site.cancel(run, run_version=1)
    taken(site)
    door.open()

    assert site.completed(run)["message"] == ""
    assert site.outcome(run).verdict == "completed"


def test_a_cancel_of_a_run_that_is_over_changes_nothing_and_ends_no_later_one(site):
    run = site.send(site.run(WRITES, arguments={"text": "first"}))
    site.completed(run)
    site.outcome(run)
    before = tree(run.result)

    site.cancel(run)
    taken(site)
    assert tree(run.result) == before
    assert site.outcome(run).verdict == "completed"
    again = site.send(site.run(WRITES, arguments={"text": "second"}, run_version=1))
    site.completed(again)

    assert (run.result / "result.txt").read_text() == "second"
    assert site.left() == {}


def test_a_cancel_of_a_run_nobody_has_seen_ends_neither_another_instruments_nor_a_later_one(site):
    later = site.run(WRITES)
    other, door = site.held(instrument="HRPD")
    site.send(other)
    door.rung()

    site.cancel(later)
    taken(site)
    door.open()
    site.completed(other)
    site.outcome(other)
    site.send(later)

    assert site.completed(later)["message"] == ""
    assert site.left() == {}


def test_a_cancel_on_a_queue_of_its_own_is_as_good(make_site):
    site = make_site(queues={"cancel": "cancel"})
    run, door = site.held()
    site.send(run)
    door.rung()
    site.answer("started")

    site.cancel(run, to="cancel")

    assert site.outcome(run).verdict == "cancelled"
    wait_until(functools.partial(os.path.exists, site.place(run).cancel), why="the cancel in the store")
    assert site.left() == {}


def test_a_cancel_that_comes_with_its_run_while_nobody_serves_finds_it_in_either_order(make_site):
    site = make_site(queues={"cancel": "cancel"})
    run, _ = site.held()
    site.stop()
    site.send(run)
    site.cancel(run, to="cancel")

    site.start()

    assert site.outcome(run).verdict == "cancelled"
    assert not (run.result / "result.txt").exists()
    assert "complete" not in site.left()
    assert "error" not in site.left()
