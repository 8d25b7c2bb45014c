"""Four real measurements through a real broker into the archive: the main job, with the data's known answers."""

from __future__ import annotations

import json
import os
import socket

import archive
import pytest
from acceptancesite import Site

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("real runs")]

#: What a complete reply has besides the message itself; `supervisor` holds what is new.
COMPLETE = {"information", "reduction_data", "message", "reduction_log", "admin_log", "supervisor"}


class Reduced:
    """All four runs after the supervisor has reduced them."""

    def __init__(self, site):
        self.site = site
        self.runs = archive.lay_out(str(site.archive / "isis"))
        self.started, self.complete = {}, {}
        for name, run in self.runs.items():
            site.send_raw(json.dumps(archive.message(run)), f"job-{name}")
        for queue, kept in (("started", self.started), ("complete", self.complete)):
            for _ in self.runs:
                frame = site.answer_frame(queue)
                kept[json.loads(frame.body)["supervisor"]["job_id"].removeprefix("job-")] = frame
        self.left = site.left()

    def folder(self, run):
        """Where the archive of 2016 has the result of a run."""
        below = f"NDX{run.instrument}/Instrument/data/cycle_{run.cycle}/autoreduced/{run.rb}/{int(run.run)}"
        return self.site.archive / "isis" / below


@pytest.fixture(scope="module")
def reduced(activemq, tmp_path_factory):
    with Site(tmp_path_factory.mktemp("site"), activemq) as site:
        yield Reduced(site)


@pytest.mark.parametrize("name", archive.RUNS)
def test_a_real_run_stands_reduced_in_the_archive_with_its_known_answers(name, reduced):
    run = reduced.runs[name]

    archive.check(run, str(reduced.folder(run)))

    assert sorted(os.listdir(reduced.folder(run))) == sorted([*run.outputs, ".run", "reduction_log"])


@pytest.mark.parametrize("name", archive.RUNS)
def test_the_producer_is_told_that_a_run_began_in_the_words_of_2016(name, reduced):
    sent, frame = archive.message(reduced.runs[name]), reduced.started[name]
    told = json.loads(frame.body)

    assert set(told) == {*sent, "information", "supervisor"}
    assert {key: told[key] for key in sent} == sent
    assert told["information"] == socket.gethostname()
    assert "content-length" not in frame.headers, "today's consumers expect a text message"


@pytest.mark.parametrize("name", archive.RUNS)
def test_the_producer_is_told_that_a_run_is_complete_in_the_words_of_2016(name, reduced):
    run, frame = reduced.runs[name], reduced.complete[name]
    sent, told = archive.message(run), json.loads(frame.body)

    assert set(told) == {*sent, *COMPLETE}
    assert {key: told[key] for key in sent} == sent
    assert told["message"] == ""
    assert told["information"] == socket.gethostname()
    below = f"NDX{run.instrument}\\Instrument\\data\\cycle_{run.cycle}\\autoreduced\\{run.rb}\\{int(run.run)}"
    assert told["reduction_data"] == [f"\\\\isis\\inst$\\{below}"]
    assert told["supervisor"]["verdict"] == "completed"
    assert frame.headers["persistent"] == "true"
    assert "content-length" not in frame.headers, "today's consumers expect a text message"


@pytest.mark.parametrize("name", archive.RUNS)
def test_the_logs_stand_beside_the_result_under_the_names_of_2016(name, reduced):
    run = reduced.runs[name]
    told = json.loads(reduced.complete[name].body)
    stem = f"RB{run.rb}Run{int(run.run)}"

    logs = reduced.folder(run) / "reduction_log"
    record = ["reduce.py", "reduce_vars.json", "reduction.json"]
    assert sorted(os.listdir(logs)) == [f"{stem}Mantid.log", f"{stem}Script.out", *record]
    script_log = (logs / f"{stem}Script.out").read_text()
    assert str(int(run.run)) in script_log
    assert script_log in told["reduction_log"]


def test_each_run_is_answered_once_and_nothing_but_results_is_left(reduced):
    assert reduced.left == {}
    for name, run in reduced.runs.items():
        job = reduced.site.layout.job(f"job-{name}")
        assert len(os.listdir(job.attempts)) == 1
        beside = os.listdir(reduced.folder(run).parent)
        assert beside == [str(int(run.run))], "staging or an old result was left in the archive"
    reduced.site.wait_clean()
