from __future__ import annotations

import errno
import os

import pytest
from storemaking import make_store

from supervisor import archive, promoting, promotion
from supervisor.cells import RbCells
from supervisor.ending import Ending
from supervisor.promoting import promote_until_done
from supervisor.promotion import Promotion, staging_name
from supervisor.rblock import LostLock
from supervisor.records import Identity, Outcome, Promoted, Take, Target, target_record
from supervisor.runplan import RunPlan

ME = Identity(pid=1, start=1, boot="b")


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


class Site:
    """One RB with an archive; epochs are committed by hand."""

    def __init__(self, root):
        self.layout = make_store(root)
        self.cells = RbCells(self.layout.rb("1"))
        self.cells.make("1")
        self.archive = root / "archive"
        self.archive.mkdir()
        self.beats = 0

    def target(self, name="RB1", index=0, job="j1"):
        return Target(
            path=str(self.archive / name), staging=str(self.archive / f".autoreduce-{job}-{index}"), mode="replace"
        )

    def stage(self, target, n, k=0, rb="1"):
        path = staging_name(target, n, k)
        archive.make_staging(path, {"rb": rb, "job": f"j{n}", "epoch": n})
        self.fill(path, str(n))

    def put(self, path, n, rb="1"):
        archive.make_staging(path, {"rb": rb, "job": f"j{n}", "epoch": n})
        self.fill(path, str(n))

    @staticmethod
    def fill(path, text):
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "data"), "w", encoding="ascii") as file:
            file.write(text)

    def old(self, target):
        self.fill(target.path, "old")

    def data(self, target):
        with open(os.path.join(target.path, "data"), encoding="ascii") as file:
            return file.read()

    def beat(self):
        self.beats += 1

    def promotion(self, n, targets, *, take=True, **changes):
        k = self.cells.link_take(n, Take(host="h", boot="b", pid=1, start=1)) if take else 1
        fields = {
            "cells": self.cells,
            "rb": "1",
            "job": f"j{n}",
            "n": n,
            "k": k,
            "targets": targets,
            "beat": self.beat,
            "host": "h",
            "now": lambda: 5.0,
        }
        return Promotion(**fields | changes)

    def beside(self):
        return sorted(name for name in os.listdir(self.archive) if name.startswith("."))

    def plan(self, n=1, **changes):
        fields = {
            "errand": "promote",
            "store": self.layout.root,
            "rb": "1",
            "n": n,
            "job": f"j{n}",
            "host": "h",
            "boot": "b",
            "hostname": "h",
            "code_version": "1",
            "give_up": 0.0,
        }
        return RunPlan(**fields | changes)

    def commit(self, n, targets):
        self.cells.link_outcome(n, Outcome(kind="committed", targets=[target_record(target) for target in targets]))


def test_a_result_goes_in_whole_and_nothing_is_left_beside_it(site):
    target = site.target()
    site.old(target)
    site.stage(target, 1)
    assert site.promotion(1, [target]).run() is Ending.DONE
    assert site.data(target) == "1"
    assert site.cells.promoted(1).kind == "done"
    assert site.beside() == []
    assert site.beats > 0


def test_an_empty_place_and_an_empty_folder_take_a_result(site):
    for n, name in enumerate(("absent", "empty"), 1):
        target = site.target(name, n)
        if name == "empty":
            os.mkdir(target.path)
        site.stage(target, n)
        assert site.promotion(n, [target]).run() is Ending.DONE
        assert site.data(target) == str(n)


def test_a_newer_result_stays(site):
    target = site.target()
    site.put(target.path, 2)
    site.stage(target, 1)
    assert site.promotion(1, [target]).run() is Ending.DONE
    assert site.data(target) == "2"


def test_several_targets_go_in_order_and_promoted_comes_last(site):
    first, second = site.target("extra", 0), site.target("RB1", 1)
    for target in (first, second):
        site.stage(target, 1)
    seen = []
    rename = archive.rename

    def watch(source, target, what):
        assert site.cells.promoted(1) is None
        if what == "in":
            seen.append(os.path.basename(target))
        return rename(source, target, what)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "rename", watch)
        site.promotion(1, [first, second]).run()
    assert seen == ["extra", "RB1"]


def test_a_lost_lock_stops_before_the_next_rename(site):
    target = site.target()
    site.old(target)
    site.stage(target, 1)

    def lost():
        raise LostLock("EIO")

    with pytest.raises(LostLock):
        site.promotion(1, [target], beat=lost).run()
    assert site.data(target) == "old"
    assert site.cells.promoted(1) is None


def test_where_neither_staging_nor_result_is_seen_nothing_is_concluded(site):
    target = site.target()
    site.old(target)
    assert site.promotion(1, [target]).run() is Ending.UNSEEN
    assert site.cells.promoted(1) is None
    assert site.data(target) == "old"


def test_a_result_found_in_an_aside_is_taken_as_staging(site):
    target = site.target()
    site.old(target)
    site.put(f"{promotion.aside_prefix(target)}1.1.0", 1)
    assert site.promotion(1, [target]).run() is Ending.DONE
    assert site.data(target) == "1"


def test_an_aside_is_kept_until_a_promoted_newer_one_stands_at_the_target(site):
    target = site.target()
    aside = f"{promotion.aside_prefix(target)}2.1.0"
    site.put(aside, 1)
    site.put(target.path, 2)
    promotion.drop_older(site.cells, "1", target, [aside])
    assert os.path.exists(aside)
    site.cells.link_promoted(2, Promoted(kind="failed"))
    promotion.drop_older(site.cells, "1", target, [aside])
    assert os.path.exists(aside), "a failed promotion replaces nothing"
    site.put(target.path.replace("RB1", "RB9"), 3)
    os.rename(target.path, target.path + "x")
    os.rename(target.path.replace("RB1", "RB9"), target.path)
    site.cells.link_promoted(3, Promoted(kind="done"))
    promotion.drop_older(site.cells, "1", target, [aside])
    assert not os.path.exists(aside)


def test_giving_up_keeps_the_result_beside_the_target_and_says_why(site):
    target = site.target()
    site.old(target)
    site.stage(target, 1)
    taken = site.promotion(1, [target])
    assert taken.give_up("the archive is full") is Ending.LEFT
    assert site.cells.promoted(1) == Promoted(kind="failed", why="the archive is full", time=5.0, host="h")
    assert site.beside() == [os.path.basename(promotion.failed_name(target, 1))]
    assert site.data(target) == "old"


def test_promoting_again_after_a_failure_takes_the_failed_result(site):
    target = site.target()
    site.old(target)
    site.stage(target, 1)
    site.promotion(1, [target]).give_up("full")
    site.cells.remove_take(1, 1)
    again = site.promotion(1, [target], after_failure=True)
    assert again.run() is Ending.DONE
    assert site.data(target) == "1"
    assert site.cells.promoted(1).kind == "failed"


def test_promoting_again_never_replaces_a_newer_result(site):
    target = site.target()
    site.stage(target, 1)
    site.promotion(1, [target]).give_up("full")
    site.put(target.path, 2)
    assert site.promotion(1, [target], after_failure=True).run() is Ending.DONE
    assert site.data(target) == "2"


def test_epochs_of_another_rb_are_not_compared(site):
    target = site.target()
    site.put(target.path, 9, rb="other")
    site.stage(target, 1)
    assert site.promotion(1, [target]).run() is Ending.REFUSED
    assert site.data(target) == "9"


def test_asides_are_those_of_this_target_alone(site):
    one, two = site.target("RB1"), site.target("RB1-2")
    prefix = os.path.basename(promotion.aside_prefix(one))
    names = [
        f"{prefix}1.1.0",
        f"{prefix}1.1.0.0",
        f"{prefix}x",
        os.path.basename(promotion.aside_prefix(two)) + "1.1.0",
    ]
    assert [os.path.basename(a) for a in promotion.asides_of(one, names)] == names[:2]


# --- until it is done ----------------------------------------------------------------------------------------------


def test_a_refused_target_ends_as_failed_and_does_not_block_its_rb(site):
    target = site.target()
    site.put(target.path, 9, rb="other")
    site.stage(target, 1)
    site.commit(1, [target])
    promote_until_done(site.cells, site.plan(), ME, site.beat)
    assert site.cells.promoted(1).kind == "failed"
    assert "another RB" in site.cells.promoted(1).why
    assert site.cells.takes() == {}


def test_an_epoch_that_is_not_committed_is_left_and_one_without_targets_is_done(site):
    assert promote_until_done(site.cells, site.plan(1), ME, site.beat) is Ending.LEFT
    site.commit(1, [])
    assert promote_until_done(site.cells, site.plan(1), ME, site.beat) is Ending.DONE
    assert site.cells.promoted(1).kind == "done"


def test_trouble_of_the_archive_is_tried_again_with_growing_pauses_until_it_is_gone(site, monkeypatch):
    target = site.target()
    site.stage(target, 1)
    site.commit(1, [target])
    pauses = []
    rename = archive.rename

    def fail_twice(source, place, what):
        if what == "in" and len(pauses) < 8:
            raise OSError(errno.EROFS, "read-only")
        return rename(source, place, what)

    monkeypatch.setattr(archive, "rename", fail_twice)
    monkeypatch.setattr(promoting.time, "sleep", pauses.append)
    assert promote_until_done(site.cells, site.plan(give_up=1e9), ME, site.beat) is Ending.DONE
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert site.beats > len(pauses)


def test_after_give_up_it_ends_as_failed_with_the_reason(site, monkeypatch):
    target = site.target()
    site.old(target)
    site.stage(target, 1)
    site.commit(1, [target])
    rename = archive.rename

    def fail(source, place, what):
        if what == "in":
            raise OSError(errno.EROFS, "read-only file system")
        return rename(source, place, what)

    monkeypatch.setattr(archive, "rename", fail)
    assert promote_until_done(site.cells, site.plan(), ME, site.beat) is Ending.LEFT
    assert "read-only" in site.cells.promoted(1).why
    assert site.data(target) == "old"
    assert site.cells.takes() == {}


def test_an_epoch_whose_promotion_ended_meanwhile_is_left_with_no_take_behind(site):
    target = site.target()
    site.stage(target, 1)
    site.commit(1, [target])
    site.cells.link_promoted(1, Promoted(kind="failed"))

    def lost():
        raise LostLock("EIO")

    assert promote_until_done(site.cells, site.plan(), ME, lost) is Ending.LEFT
    assert site.cells.takes() == {}
    assert not os.path.exists(target.path)
