"""`promote`: a result that was given up goes into place later, and harms nothing newer."""

from __future__ import annotations

import os
import time

import pytest
from embedded import Embedded

from supervisor import cli, records
from supervisor.cells import link_final
from supervisor.flock import acquire
from supervisor.promotion import failed_name
from supervisor.records import Epoch, Final, Outcome, Promoted, Target

RB = "1510111"


class GivenUp:
    """A job of epoch 2 whose promotion was given up; its result stands beside the target."""

    def __init__(self, site):
        self.site = site
        self.job = site.submit(site.message(rb=RB))
        self.cells = site.cells(self.job)
        self.cells.make(RB)
        self.target = site.result(rb=RB)
        self.parent = os.path.dirname(self.target)
        target = Target(
            path=self.target,
            staging=os.path.join(self.parent, f".autoreduce-{self.job}-0"),
            mode="replace",
            suffix=".run75513v0",
            run="75513",
        )
        self.kept = failed_name(target, 2)
        self.make(self.kept, 2, "result of epoch 2")
        self.cells.link_epoch(1, Epoch(host="h", boot="b", job="earlier", time=1.0))
        self.cells.link_outcome(1, Outcome(kind="released"))
        self.cells.link_epoch(2, Epoch(host="h", boot="b", job=self.job, time=2.0))
        self.cells.link_outcome(
            2,
            Outcome(
                kind="committed",
                verdict="completed",
                sentence="completed after 1 s",
                targets=[records.target_record(target)],
                time=time.time(),
            ),
        )
        link_final(site.place(self.job), Final(rb=RB, n=2))
        self.cells.link_promoted(2, Promoted(kind="failed", why="the archive was away"))

    def make(self, path, epoch, text, rb=RB):
        os.makedirs(path)
        with open(os.path.join(path, "data.txt"), "w") as file:
            file.write(text)
        if epoch:
            with open(os.path.join(path, ".run"), "wb") as file:
                file.write(records.pack({"rb": rb, "job": self.job, "epoch": epoch, "run": "75513"}))

    def stands(self):
        with open(os.path.join(self.target, "data.txt")) as file:
            return file.read()

    def tree(self):
        found = {}
        for folder, _, files in os.walk(self.parent):
            for name in files:
                with open(os.path.join(folder, name)) as file:
                    found[os.path.relpath(os.path.join(folder, name), self.parent)] = file.read()
        return found


@pytest.fixture
def given_up(tmp_path):
    return GivenUp(Embedded(tmp_path))


@pytest.fixture
def promote(given_up, capsys):
    def said(job=""):
        status = cli.main(["promote", job or given_up.job, "--config", given_up.site.config])
        told = capsys.readouterr()
        return status, told.out + told.err

    return said


def test_the_result_goes_into_place_and_a_durable_note_says_so(given_up, promote):
    status, text = promote()
    assert status == 0
    assert given_up.target in text
    assert given_up.stands() == "result of epoch 2"
    assert not os.path.exists(given_up.kept)
    assert given_up.cells.promoted(2).kind == "failed"
    assert given_up.cells.later(2).kind == "done"
    assert given_up.cells.takes() == {}
    before = given_up.tree()
    status, text = promote()
    assert status == 0
    assert "nothing changes" in text
    assert given_up.tree() == before


def test_an_older_result_is_replaced_and_deleted(given_up, promote):
    given_up.make(given_up.target, 1, "result of epoch 1")
    assert promote()[0] == 0
    assert given_up.stands() == "result of epoch 2"
    assert os.listdir(given_up.parent) == ["75513"]


def test_a_newer_result_stands_and_nothing_changes(given_up, promote):
    given_up.make(given_up.target, 3, "result of epoch 3")
    before = given_up.tree()
    status, text = promote()
    assert status == 0
    assert "newer" in text
    assert given_up.tree() == before
    assert given_up.cells.later(2) is None
    assert given_up.cells.takes() == {}


def test_a_busy_lock_is_said_with_status_70(given_up, promote):
    lock = acquire(given_up.cells.place.lock)
    try:
        before = given_up.tree()
        status, text = promote()
    finally:
        lock.close()
    assert status == 70
    assert "busy" in text
    assert given_up.tree() == before


def test_the_result_of_another_rb_is_never_replaced(given_up, promote):
    given_up.make(given_up.target, 9, "somebody else's", rb="999")
    before = given_up.tree()
    status, text = promote()
    assert status == 70
    assert "another RB" in text
    assert given_up.tree() == before
    assert given_up.cells.takes() == {}


def test_a_file_in_the_way_leaves_the_result_where_it_was_kept(given_up, promote):
    with open(given_up.target, "w") as file:
        file.write("in the way")
    before = given_up.tree()
    status, text = promote()
    assert status == 70
    assert "not a folder" in text
    assert given_up.tree() == before
    os.unlink(given_up.target)
    assert promote()[0] == 0
    assert given_up.stands() == "result of epoch 2"


def test_a_promoter_that_died_half_way_does_not_keep_the_next_from_it(given_up, promote):
    given_up.make(given_up.target, 1, "result of epoch 1")
    name = given_up.kept.removesuffix("failed")
    os.rename(given_up.kept, name + "1")
    given_up.cells.link_take(2, records.Take(host="h", boot="b", pid=1, start=1))
    os.rename(given_up.target, os.path.join(given_up.parent, ".autoreduce-aside-75513-2.1.0"))
    assert promote()[0] == 0
    assert given_up.stands() == "result of epoch 2"


def test_a_result_that_is_not_seen_here_is_left_to_another_host(given_up, promote):
    os.rename(given_up.kept, given_up.site.path("elsewhere"))
    status, text = promote()
    assert status == 70
    assert "not seen from this host" in text
    assert given_up.kept in text
    assert given_up.cells.takes() == {}


def test_why_tells_where_it_is_kept_and_then_that_it_stands(given_up, promote, capsys):
    def why():
        assert cli.main(["why", given_up.job, "--config", given_up.site.config]) == 0
        return capsys.readouterr().out

    text = why()
    assert given_up.kept in text
    assert "the archive was away" in text
    assert f"promote {given_up.job}" in text
    promote()
    text = why()
    assert given_up.kept not in text
    assert f"result:    {given_up.target}" in text
    assert "after it had been given up" in text


def test_a_job_without_a_given_up_promotion_is_told_as_it_is(given_up, promote):
    site = given_up.site
    waiting = site.submit(site.message(run=2, rb=2))
    status, text = promote(waiting)
    assert status == 70
    assert "not decided yet" in text
    cells = site.cells(waiting)
    cells.make("2")
    cells.link_epoch(1, Epoch(host="h", boot="b", job=waiting, time=1.0))
    cells.link_outcome(1, Outcome(kind="committed", verdict="completed"))
    link_final(site.place(waiting), Final(rb="2", n=1))
    status, text = promote(waiting)
    assert status == 70
    assert "tried again" in text
    cells.link_promoted(1, Promoted(kind="done"))
    status, text = promote(waiting)
    assert status == 0
    assert "nothing changes" in text
    assert promote("nobody")[0] == 2
