"""SIGKILL of each process while a run is going: one outcome, one result, nobody left, and an earlier result unharmed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from fleetsite import FleetSite
from invariants import Reader, check, snapshot
from scenarios import RUN, STORIES, good, has_begun, let_go, outcomes, signs, submit_gated
from victims import ROLES, kill

#: Who takes the run down with it, and what the run then ends with: it is run again, or was ended by a stranger.
AGAIN = {"completed"}
VERDICTS = {"builder": {"setup_failed", "killed_external"}, "init": {"killed_external"}, "script": {"killed_external"}}


def _begin(site: FleetSite) -> None:
    STORIES["rerun"].prepare(site)
    submit_gated(site, "again", "two")
    site.until(lambda: has_begun(site), "the script to begin")


@pytest.mark.parametrize("level", ["none", "contained"])
@pytest.mark.parametrize("role", ROLES)
def test_a_process_that_dies_while_a_run_is_going_loses_nothing(role, level, tmp_path):
    verdicts = VERDICTS.get(role, AGAIN)
    story = STORIES["rerun" if verdicts == AGAIN else "failing"]
    story = replace(story, verdicts=story.verdicts | {"again": verdicts})
    with FleetSite(tmp_path / "site", level=level) as site:
        _begin(site)
        before = snapshot(site, story)
        with Reader(site, story) as reader:
            assert kill(site, role), f"there is no {role}"
            let_go(site)
            site.settle()
        check(site, story, before)
        assert reader.looks, "the reader saw nothing"


@pytest.mark.parametrize("role", ["supervisor", "nursery"])
def test_a_run_goes_on_under_its_shepherd_when_those_above_it_die(role, tmp_path):
    """Neither restart nor upgrade of the supervisor, nor the death of the nursery, kills an hour-long reduction."""
    with FleetSite(tmp_path / "site") as site:
        _begin(site)
        script = site.victims().script
        assert kill(site, role)
        site.until(lambda: site.victims().supervisor, "a supervisor")
        assert site.victims().script == script, "the run was killed"
        let_go(site)
        site.settle()
        assert [o["kind"] for o in outcomes(site).values()] == ["committed", "committed"], "the run was repeated"


def test_other_runs_start_while_the_run_of_a_dead_nursery_goes_on(tmp_path):
    with FleetSite(tmp_path / "site") as site:
        site.serve()
        submit_gated(site, "again", "two")
        site.until(lambda: has_begun(site), "the script to begin")
        assert kill(site, "nursery")
        other = site.message("4712", good("one")).replace(b'"1410001"', b'"1410002"')
        site.submit("other", other)
        site.until((site.archive / "GEM/RB1410002/autoreduced/4712/.run").exists, "another experiment's run")
        assert not outcomes(site), "the first run must still go on"
        let_go(site)
        site.settle()


def test_supervisor_nursery_and_shepherd_die_together_and_the_box_goes_with_them(tmp_path):
    story = STORIES["rerun"]
    with FleetSite(tmp_path / "site") as site:
        _begin(site)
        before = snapshot(site, story)
        with Reader(site, story):
            site.kill_supervisor()
            assert kill(site, "nursery")
            assert kill(site, "shepherd")
            site.until(lambda: not [p for p in site.processes() if p.living], "the box to be gone")
            let_go(site)
            site.start()
            site.settle()
        check(site, story, before)


def test_a_run_that_takes_its_shepherd_down_each_time_is_given_up(tmp_path):
    story = replace(STORIES["failing"], verdicts={"first": {"completed"}, "again": {"gave_up"}})
    with FleetSite(tmp_path / "site") as site:
        _begin(site)
        before = snapshot(site, story)
        with Reader(site, story):
            for attempt in range(site.settings.publish.max_attempts):
                site.until(lambda count=attempt: len(list(signs(site).glob("began-*"))) > count, "the next attempt")
                assert kill(site, "shepherd")
            site.settle()
        check(site, story, before)


def test_a_supervisor_that_is_stopped_in_order_leaves_the_run_alone(tmp_path):
    story = STORIES["rerun"]
    with FleetSite(tmp_path / "site") as site:
        _begin(site)
        before = snapshot(site, story)
        script = site.victims().script
        assert site.stop_supervisor() == 0
        assert site.victims().script == script, "the run was killed"
        let_go(site)
        site.until(lambda: len(outcomes(site)) == 2, "the run to be decided without a supervisor")
        site.start()
        site.settle()
        check(site, story, before)
        assert RUN in site.log()


def test_a_nursery_whose_supervisor_died_before_it_was_ready_serves_the_next_one(tmp_path):
    with FleetSite(tmp_path / "site") as site:
        (site.base / "run").mkdir()
        read, write = os.pipe()
        os.close(read)  # as it is when the supervisor that started it is killed
        command = ["-m", "supervisor.nursery", "--run-dir", str(site.base / "run")]
        with subprocess.Popen(
            [sys.executable, *command, "--ready-fd", str(write), "--idle", "0.1"],
            env=site.environment(),
            pass_fds=[write],
            stderr=subprocess.PIPE,
        ) as nursery:
            os.close(write)
            _, said = nursery.communicate(timeout=30)
        assert (nursery.returncode, said) == (0, b"")


def test_a_builder_that_dies_while_it_is_given_the_script_ends_the_run_and_keeps_the_good_result(tmp_path):
    story = replace(STORIES["disk"], verdicts=STORIES["disk"].verdicts | {"again": {"setup_failed"}})
    with FleetSite(tmp_path / "site") as site:
        story.prepare(site)
        before = snapshot(site, story)
        site.hold_nth("shepherd", "box.give before", 1, lambda: kill(site, "builder"))
        story.act(site)
        check(site, story, before)
