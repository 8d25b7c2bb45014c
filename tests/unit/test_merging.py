from __future__ import annotations

import errno
import os

import pytest
from remembered import remember_absent
from storemaking import make_store

from supervisor import archive, failpoints, merging, promotion
from supervisor.cells import RbCells
from supervisor.ending import Ending
from supervisor.promotion import Promotion, staging_name
from supervisor.records import Promoted, Take, Target


@pytest.fixture
def place(tmp_path):
    layout = make_store(tmp_path)
    cells = RbCells(layout.rb("1"))
    cells.make("1")
    target = tmp_path / "archive" / "folder"
    target.mkdir(parents=True)
    return cells, target


def target_of(folder, n=1, **changes):
    fields = {
        "path": str(folder),
        "staging": str(folder.parent / ".autoreduce-j-0"),
        "mode": "merge",
        "suffix": f".run9v{n}",
        "run": "9",
    }
    return Target(**fields | changes)


def stage(target, n, files, k=0):
    path = staging_name(target, n, k)
    archive.make_staging(path, {"rb": "1", "job": f"j{n}", "epoch": n, "run": "9", "files": sorted(files)})
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
        with open(os.path.join(path, name), "w", encoding="ascii") as file:
            file.write(text)


def promote(cells, target, n, *, beat=lambda: None):
    k = cells.link_take(n, Take(host="h", boot="b", pid=1, start=1))
    promotion = Promotion(
        cells=cells, rb="1", job=f"j{n}", n=n, k=k, targets=[target], beat=beat, host="h", now=lambda: 0.0
    )
    ending = promotion.run()
    cells.remove_take(n, k)
    return ending


def tree(folder):
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            if not name.startswith(".run"):
                with open(path, encoding="ascii") as file:
                    found[os.path.relpath(path, folder)] = file.read()
    return found


def left_beside(target):
    return [name for name in os.listdir(os.path.dirname(target.path)) if name.startswith(".autoreduce")]


def test_files_go_in_beside_those_of_other_runs(place):
    cells, folder = place
    (folder / "other.dat").write_text("other", encoding="ascii")
    target = target_of(folder)
    stage(target, 1, {"a.dat": "1", "sub/b.dat": "1"})
    assert promote(cells, target, 1) is Ending.DONE
    assert tree(folder) == {"other.dat": "other", "a.dat": "1", "sub/b.dat": "1"}
    assert left_beside(target) == []
    assert promote(cells, target, 1) is Ending.DONE


def test_a_strangers_file_is_never_touched_neither_by_the_first_epoch_nor_by_the_next(place):
    cells, folder = place
    (folder / "a.dat").write_text("stranger", encoding="ascii")
    stage(target_of(folder, 1), 1, {"a.dat": "1", "b.dat": "1"})
    promote(cells, target_of(folder, 1), 1)
    assert tree(folder) == {"a.dat": "stranger", "a.run9v1.dat": "1", "b.dat": "1"}
    stage(target_of(folder, 2), 2, {"a.dat": "2", "b.dat": "2"})
    promote(cells, target_of(folder, 2), 2)
    assert tree(folder) == {"a.dat": "stranger", "a.run9v1.dat": "1", "a.run9v2.dat": "2", "b.dat": "2"}


def test_a_strangers_file_that_is_remembered_as_absent_is_not_replaced(place, monkeypatch):
    cells, folder = place
    (folder / "sub").mkdir()
    (folder / "sub" / "a.dat").write_text("stranger", encoding="ascii")
    target = target_of(folder)
    stage(target, 1, {"sub/a.dat": "1"})
    remember_absent(monkeypatch, str(folder / "sub" / "a.dat"))
    assert not os.path.lexists(folder / "sub" / "a.dat")
    assert promote(cells, target, 1) is Ending.DONE
    assert tree(folder) == {"sub/a.dat": "stranger", "sub/a.run9v1.dat": "1"}


def test_where_the_layout_says_so_files_of_the_same_name_are_replaced(place):
    cells, folder = place
    (folder / "a.dat").write_text("stranger", encoding="ascii")
    target = target_of(folder, overwrite=True)
    stage(target, 1, {"a.dat": "1"})
    promote(cells, target, 1)
    assert tree(folder) == {"a.dat": "1"}


class Killed(BaseException):
    """The promoter ended here."""


@pytest.mark.parametrize("mode", ["merge", "logs"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_crash_at_any_point_is_rolled_forward_by_the_next_promoter(tmp_path, mode, overwrite):
    files = {"a.dat": "1", "b.dat": "1", "sub/c.dat": "1"}
    index = 0
    while True:
        layout = make_store(tmp_path / f"s{index}")
        cells = RbCells(layout.rb("1"))
        cells.make("1")
        folder = tmp_path / f"a{index}" / "folder"
        folder.mkdir(parents=True)
        (folder / "a.dat" if mode == "merge" else folder / "x.dat").write_text("stranger", encoding="ascii")
        target = target_of(folder, mode=mode, overwrite=overwrite, files=sorted(files) if mode == "logs" else [])
        stage(target, 1, files)
        seen = []

        def die_at(label, index=index, seen=seen):
            seen.append(label)
            if len(seen) > index:
                raise Killed

        failpoints.set_hook(die_at)
        try:
            promote(cells, target, 1)
            died = False
        except Killed:
            died = True
        finally:
            failpoints.set_hook(None)
        if not died:
            break
        if promote(cells, target, 1) is not Ending.DONE:
            assert cells.promoted(1) is not None
        if mode == "logs":
            expected = files | {"x.dat": "stranger"}
        elif overwrite:
            expected = files
        else:
            expected = {"a.dat": "stranger", "a.run9v1.dat": "1", "b.dat": "1", "sub/c.dat": "1"}
        assert tree(folder) == expected, f"killed at {seen[-1]!r}"
        assert left_beside(target) == [], f"killed at {seen[-1]!r}"
        assert cells.promoted(1).kind == "done"
        index += 1
    assert index > 20


def test_a_promoter_that_lost_its_staging_concludes_nothing(place):
    cells, folder = place
    target = target_of(folder, mode="logs", files=["a.log"])
    stage(target, 1, {"a.log": "1"})
    cells.link_take(1, Take(host="h", boot="b", pid=7, start=1))  # k = 1, whose turn comes late
    late = Promotion(
        cells=cells, rb="1", job="j1", n=1, k=1, targets=[target], host="h", now=lambda: 0.0, beat=lambda: None
    )
    listing = archive.listing

    def listing_after_a_later_promoter(path):
        if path.rstrip("/") == staging_name(target, 1, 1):
            os.rename(path, staging_name(target, 1, 2))
            cells.link_take(1, Take(host="h2", boot="b", pid=8, start=1))
        return listing(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "listing", listing_after_a_later_promoter)
        assert late.run() is Ending.UNSEEN
    assert cells.promoted(1) is None, "done was said of logs that were not placed"


def test_a_newer_epoch_of_this_run_is_not_overwritten(place):
    cells, folder = place
    stage(target_of(folder, 2), 2, {"a.dat": "2"})
    promote(cells, target_of(folder, 2), 2)
    stage(target_of(folder, 1), 1, {"a.dat": "1"})
    assert promote(cells, target_of(folder, 1), 1) is Ending.DONE
    assert tree(folder) == {"a.dat": "2"}


def test_after_another_ended_the_promotion_nothing_is_moved(place):
    cells, folder = place
    target = target_of(folder)
    stage(target, 1, {"a.dat": "1"})
    cells.link_promoted(1, Promoted(kind="failed"))
    assert promote(cells, target, 1) is Ending.LEFT
    assert tree(folder) == {}


@pytest.mark.parametrize("at", ["", "sub", "sub/deep"])
def test_nothing_is_written_through_a_link_that_stands_in_the_way(place, at):
    cells, folder = place
    outside = folder.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    if at:
        (folder / os.path.dirname(at)).mkdir(parents=True, exist_ok=True)
        (folder / at).symlink_to(outside)
    else:
        folder.rmdir()
        folder.symlink_to(outside)
    target = target_of(folder)
    stage(target, 1, {"sub/deep/more/a.dat": "1"})
    with pytest.raises(NotADirectoryError) as caught:
        promote(cells, target, 1)
    assert caught.value.errno == errno.ENOTDIR
    assert tree(outside) == {}


def test_a_marker_is_named_by_the_run_and_says_what_was_placed(place):
    cells, folder = place
    (folder / "a.dat").write_text("stranger", encoding="ascii")
    target = target_of(folder)
    stage(target, 1, {"a.dat": "1"})
    promote(cells, target, 1)
    content = archive.look_at_marker(merging.marker(target))
    assert (content.rb, content.epoch, content.files) == ("1", 1, frozenset({"a.run9v1.dat"}))
    assert promotion.failed_name(target, 1) not in left_beside(target)
