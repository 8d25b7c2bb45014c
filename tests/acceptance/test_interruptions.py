"""What fails around a run: data that come late, an archive in the way, a broker or a supervisor that dies."""

from __future__ import annotations

import functools
import os
import signal

import pytest
from acceptancesite import WRITES
from waiting import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("guarded")]


def exists(path):
    """A predicate for `wait_until`."""
    return functools.partial(os.path.exists, path)


# --- conditions of the site ------------------------------------------------------------------------------------------


def test_a_run_whose_data_file_is_not_there_yet_is_tried_again_in_silence(site):
    run = site.send(site.run(WRITES, data=False))
    wait_until(exists(site.place(run).not_before), why="a retry")
    assert site.left() == {}

    run.data.write_bytes(b"counts")
    site.completed(run)

    assert site.outcome(run).verdict == "completed"
    assert site.attempts(run) >= 2
    assert site.left() == {}
    assert os.listdir(run.result.parent) == ["75513"]


def test_a_run_whose_archive_folder_cannot_be_made_is_tried_again(site):
    run = site.run(WRITES)
    in_the_way = run.result.parent.parent
    in_the_way.write_text("a file where the folder of results should be")
    site.send(run)
    wait_until(exists(site.place(run).not_before), why="a retry")

    in_the_way.unlink()
    site.completed(run)

    assert (run.result / "result.txt").read_text() == "done"
    assert site.left() == {}


def test_other_runs_of_the_rb_go_on_while_one_waits_for_its_data(make_site):
    site = make_site(retry={"first": "1 h"})
    late = site.send(site.run(WRITES, data=False))
    wait_until(exists(site.place(late).not_before), why="a retry")

    other = site.send(site.run(WRITES, run=75514))

    assert site.completed(other)["message"] == ""
    assert not os.path.exists(site.place(late).final)


@pytest.mark.parametrize("cap", [1, 2])
def test_a_run_whose_data_never_come_ends_as_unavailable_after_as_many_attempts_as_are_set(make_site, cap):
    site = make_site(retry={"first": "10 ms", "cap": cap})
    run = site.send(site.run(WRITES, data=False))

    told = site.answer("error")

    assert run.data.name in told["message"]
    assert "retry_in" not in told
    assert told["supervisor"]["verdict"] == site.outcome(run).verdict == "unavailable"
    assert site.attempts(run) == cap
    assert site.left() == {}


def test_where_the_producer_retries_it_is_told_when_and_the_run_is_forgotten(make_site):
    site = make_site(retry={"by": "producer", "delay": "6 h"})
    run = site.send(site.run(WRITES, data=False))

    told = site.answer("error")
    assert told["retry_in"] == 21600
    assert told["supervisor"]["verdict"] == site.outcome(run).verdict == "unavailable"
    assert site.attempts(run) == 1

    run.data.write_bytes(b"counts")
    again = site.run(WRITES, **{key: told[key] for key in ("message", "retry_in", "reduction_log", "admin_log")})
    again.message["run_version"] = 1
    complete = site.completed(site.send(again))
    assert complete["message"] == ""
    assert "retry_in" not in complete


# --- the broker ------------------------------------------------------------------------------------------------------


def test_the_broker_is_restarted_between_messages_and_under_a_run(guarded, make_site):
    site = make_site(broker=guarded)
    first = site.send(site.run(WRITES))
    site.completed(first)
    site.outcome(first)

    guarded.restart()
    site.reconnect()
    second, door = site.held(run=75514)
    site.send(second)
    door.rung()
    wait_until(exists(site.place(second).started_sent), why="started told")

    guarded.kill()
    door.open()
    wait_until(exists(second.result / "result.txt"), why="the result, published without a broker")
    guarded.start()
    site.reconnect()

    assert site.completed(second)["message"] == ""
    assert site.outcome(second).verdict == "completed"
    assert site.attempts(second) == site.attempts(first) == 1
    assert site.left() == {}


def test_messages_sent_while_the_supervisor_is_away_are_done_when_it_is_back(site):
    site.stop()
    runs = [site.send(site.run(WRITES, run=number, rb=str(number))) for number in (1, 2, 3)]

    site.start()
    done = [site.answer("complete")["supervisor"]["job_id"] for _ in runs]

    assert sorted(done) == sorted(run.job for run in runs)


# --- the supervisor --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", ["before the run ends", "after the run ended"])
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_run_goes_on_without_its_supervisor_and_is_told_once(site, how, back):
    run, door = site.held()
    site.send(run)
    door.rung()
    wait_until(exists(site.place(run).started_sent), why="started told")

    site.kill() if how == "kill" else site.stop()
    if back == "after the run ended":
        door.open()
        wait_until(exists(run.result / "result.txt"), why="the result, published by the shepherd alone")
        site.start()
    else:
        site.start()
        door.open()

    assert site.completed(run)["message"] == ""
    assert site.outcome(run).verdict == "completed"
    assert site.attempts(run) == 1
    after = site.send(site.run(WRITES, run=75514))
    site.completed(after)
    assert door.is_quiet()
    assert site.left() == {}
    site.wait_clean()


def test_a_run_taken_up_by_a_new_supervisor_still_can_be_cancelled_and_still_has_its_slot(make_site):
    site = make_site(host={"slots": 1})
    run, door = site.held()
    site.send(run)
    door.rung()
    wait_until(exists(site.place(run).started_sent), why="started told")
    site.kill()
    site.start()
    waits, waits_door = site.held(run=75514, rb="200")
    site.send(waits)
    site.wait_journaled(waits)
    site.send_raw("the supervisor has taken a turn when this is answered", "bad")
    site.answer("error")
    assert waits_door.is_quiet(), "the one slot is still taken"

    site.cancel(run)

    assert site.outcome(run).verdict == "cancelled"
    waits_door.rung()
    waits_door.open()
    assert site.outcome(waits).verdict == "completed"


#: What becomes of a run when one process of it is killed: attempts, and the verdict of the last one.
KILLED = {
    "nursery": (1, "completed"),
    "shepherd": (2, "completed"),
    "builder": (1, "killed_external"),
    "init": (1, "killed_external"),
    "script": (1, "killed_external"),
}


@pytest.mark.parametrize("process", KILLED)
def test_whichever_process_of_a_run_is_killed_it_has_one_outcome_and_one_answer(site, process):
    run, door = site.held()
    site.send(run)
    door.rung()
    wait_until(exists(site.place(run).started_sent), why="started told")
    attempts, verdict = KILLED[process]

    os.kill(site.processes(run)[process], signal.SIGKILL)
    if attempts > 1:
        door.rung()
    door.open()
    assert site.answer("started")["supervisor"]["job_id"] == run.job
    told = site.answer("complete" if verdict == "completed" else "error")

    assert told["supervisor"]["verdict"] == site.outcome(run).verdict == verdict
    assert site.attempts(run) == attempts
    after = site.send(site.run(WRITES, run=75514))
    site.completed(after)
    assert site.left() == {}
    site.wait_clean()
