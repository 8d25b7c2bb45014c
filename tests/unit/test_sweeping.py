"""`sweep`: what goes, and what a living take or an undecided epoch keeps."""

from __future__ import annotations

import os
import time

import pytest
from embedded import Embedded
from prunedstore import DAY

from supervisor import archive, cli, durable, journal, records, tombstones
from supervisor.flock import acquire
from supervisor.promotion import aside_prefix, staging_name
from supervisor.records import Cancel, Epoch, Outcome, Promoted, Take, Target, target_record

RB = "1510111"


class Leftovers:
    """A job of two epochs, the first one revoked with its staging left beside the result of the second."""

    def __init__(self, site):
        self.site = site
        self.job = site.submit(site.message(rb=RB))
        self.cells = site.cells(self.job)
        self.cells.make(RB)
        self.target = Target(
            path=site.result(rb=RB),
            staging=os.path.join(os.path.dirname(site.result(rb=RB)), ".autoreduce-job-0"),
            mode="replace",
        )
        os.makedirs(os.path.dirname(self.target.path))
        self.staging = staging_name(self.target, 1, 0)
        self.make(self.staging, 1)
        self.plan(1)
        self.cells.link_epoch(1, Epoch(host="h", boot="b", job=self.job, time=1.0))
        self.cells.link_outcome(1, Outcome(kind="revoked", by="supervisor", why="its shepherd is gone"))

    def make(self, path, n):
        archive.make_staging(path, {"rb": RB, "job": self.job, "epoch": n})

    def plan(self, n):
        place = self.site.place(self.job)
        durable.make_folder(place.attempt(n), "attempt")
        durable.replace(place.plan(n), records.pack({"targets": [target_record(self.target)], "n": n}), "plan")

    def second(self, kind="committed", *, promoted=True):
        """The second epoch, with its result at the target and an aside of the first beside it."""
        self.plan(2)
        self.cells.link_epoch(2, Epoch(host="h", boot="b", job=self.job, time=2.0))
        if kind:
            self.cells.link_outcome(2, Outcome(kind=kind, by="shepherd", targets=[target_record(self.target)]))
        if promoted:
            self.cells.link_promoted(2, Promoted(kind="done"))
        self.make(self.target.path, 2)
        self.aside = f"{aside_prefix(self.target)}2.1.0"
        self.make(self.aside, 1)


@pytest.fixture
def left(tmp_path):
    return Leftovers(Embedded(tmp_path))


@pytest.fixture
def sweep(left, capsys):
    def said(*words, status=0):
        assert cli.main(["sweep", *words, "--config", left.site.config]) == status
        told = capsys.readouterr()
        return told.out, told.err

    return said


def there(*paths):
    return [os.path.lexists(path) for path in paths]


def test_staging_of_a_revoked_epoch_and_older_asides_go_and_are_listed(left, sweep):
    left.second()
    out, err = sweep("--dry-run")
    assert there(left.staging, left.aside, left.target.path) == [True, True, True]
    assert out.endswith("2 would be removed\n")
    out, err = sweep()
    assert f"staging {left.staging}: epoch 1 of RB {RB} was revoked" in out
    assert f"aside {left.aside}: a newer result of RB {RB} stands" in out
    assert out.endswith("2 removed\n")
    assert err == ""
    assert there(left.staging, left.aside, left.target.path) == [False, False, True]
    assert sweep()[0] == "nothing removed\n"


def test_an_undecided_epoch_keeps_all_of_its_rb(left, sweep):
    left.second(kind="", promoted=False)
    out, err = sweep()
    assert there(left.staging, left.aside) == [True, True]
    assert f"passed over: RB {RB}: epoch 2 is not decided" in err
    assert out == "nothing removed\n"


def test_a_result_that_is_to_be_put_into_place_keeps_all_of_its_rb(left, sweep):
    left.second(promoted=False)
    _, err = sweep()
    assert there(left.staging, left.aside) == [True, True]
    assert "the result of epoch 2 is to be put into place" in err


def test_a_take_keeps_all_of_its_rb(left, sweep):
    left.second()
    left.cells.link_take(2, Take(host="h", boot="b", pid=1, start=1))
    _, err = sweep()
    assert there(left.staging, left.aside) == [True, True]
    assert "the promotion of epoch 2 has not ended" in err


def test_an_rb_whose_lock_is_held_is_passed_over(left, sweep):
    left.second()
    lock = acquire(left.cells.place.lock)
    _, err = sweep()
    lock.close()
    assert there(left.staging, left.aside) == [True, True]
    assert "holds its lock" in err


def test_a_result_that_was_given_up_stays(left, sweep):
    left.second()
    kept = f"{left.target.staging}-2.failed"
    left.make(kept, 2)
    sweep()
    assert there(kept) == [True]


def test_an_archive_that_is_away_is_told_and_keeps_nothing_else(left, sweep, monkeypatch):
    left.second()
    temporary = left.site.layout.path("cancels", f"{durable.TEMPORARY}h.1.1.aa")
    open(temporary, "w").close()
    os.utime(temporary, (time.time() - 7200, time.time() - 7200))
    real = archive.listing

    def away(folder):
        if folder.startswith(left.site.archive):
            raise OSError(116, "stale", folder)
        return real(folder)

    monkeypatch.setattr(archive, "listing", away)
    _out, err = sweep(status=70)
    assert "(ESTALE)" in err
    assert there(left.staging, temporary) == [True, False]


def test_temporary_files_cancels_and_folders_go_when_they_are_old(left, sweep):
    layout = left.site.layout
    old = time.time() - 2 * DAY
    young, aged = (layout.path("waiting", f"{durable.TEMPORARY}h.1.{n}.aa") for n in (1, 2))
    empty, pruning = layout.path("by-run", "GEM", "1"), os.path.join(tombstones.pruning(layout), "gone")
    for path in (empty, pruning, layout.path("by-run", "GEM", "2")):
        os.makedirs(path)
    os.makedirs(os.path.join(pruning, "attempts", "1"))
    for path in (young, aged):
        open(path, "w").close()
    for path in (aged, empty, pruning):
        os.utime(path, (old, old))
    for name, written in (("new", time.time()), ("expired", old)):
        cancel = Cancel(who="x", time_ms=1, instrument="GEM", run=name, written=written)
        durable.link_new(layout.path("cancels", name), records.to_record(cancel), "cancel")
    out, _ = sweep()
    assert there(young, aged, empty, pruning) == [True, False, False, False]
    assert durable.listing(layout.cancels) == ["new"]
    assert os.path.isdir(layout.path("by-run", "GEM", "2"))
    assert "no job of GEM run expired came in time" in out
    assert journal.read_request(left.site.place(left.job)) is not None


def test_scratch_of_a_dead_box_goes_and_that_of_a_living_one_stays(left, sweep):
    spool = left.site.path("spool")
    dead, young, held = (os.path.join(spool, digit * 16) for digit in "abc")
    for path in (dead, young, held):
        os.makedirs(os.path.join(path, "out"))
    for path in (dead, held):
        os.utime(path, (time.time() - 120, time.time() - 120))
    fd = os.open(held, os.O_RDONLY)
    out, _ = sweep("--dry-run")
    assert f"scratch {dead}" in out
    sweep()
    os.close(fd)
    assert there(dead, young, held) == [False, True, True]
