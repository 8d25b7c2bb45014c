"""The box's folder: made whole, and removed whatever was built in it."""

from __future__ import annotations

import os
import stat
import types

import pytest
from opendescriptors import none_left

from sandbox.scratch import FOLDERS, Scratch, remove_tree
from sandbox.watch import FolderWatch


@pytest.fixture
def scratch(tmp_path):
    with none_left():
        made = Scratch.make(str(tmp_path))
        yield made
        if os.path.exists(made.path):
            made.remove()
    assert os.listdir(tmp_path) == []


def test_it_has_its_folders_for_its_owner_alone(scratch):
    assert sorted(os.listdir(scratch.path)) == sorted(FOLDERS)
    for name in (".", *FOLDERS):
        assert stat.S_IMODE(os.stat(os.path.join(scratch.path, name)).st_mode) == 0o700


def test_a_spool_that_cannot_be_used_leaves_nothing_open(tmp_path):
    with none_left(), pytest.raises(FileNotFoundError):
        Scratch.make(str(tmp_path / "gone"))


def test_links_are_removed_and_not_followed(scratch, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "kept").write_text("x")
    os.symlink(outside, os.path.join(scratch.folder("out/result"), "link"))
    os.symlink("loop", os.path.join(scratch.folder("out/result"), "loop"))

    scratch.remove()

    assert (outside / "kept").read_text() == "x"


def test_a_scratch_swapped_for_a_link_is_not_followed(tmp_path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "kept").write_text("x")
    (tmp_path / "token").symlink_to(outside)
    parent = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="token"):
            remove_tree(parent, "token")
    finally:
        os.close(parent)

    assert (outside / "kept").exists()


def test_any_depth_any_mode_and_any_kind_goes(scratch):
    fd = os.dup(scratch.out_fd)
    for n in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.mkfifo("pipe", dir_fd=fd)
        if n % 7 == 0:
            os.fchmod(fd, 0)
        os.close(fd)
        fd = below
    os.close(fd)

    scratch.remove()


def test_wide_folders_go_in_batches(scratch, monkeypatch):
    monkeypatch.setattr("sandbox.scratch._BATCH", 10)
    for n in range(95):
        os.mkdir(f"{n}", dir_fd=scratch.out_fd)
        os.mkdir(f"{n}/in", dir_fd=scratch.out_fd)
        os.close(os.open(f"{n}/file", os.O_CREAT | os.O_WRONLY, dir_fd=scratch.out_fd))

    scratch.remove()


def test_what_cannot_be_removed_is_named_and_the_rest_goes(scratch, monkeypatch):
    for name in ("a", "stuck", "z"):
        with open(os.path.join(scratch.folder("out/result"), name), "w"):
            continue
    unlink = os.unlink

    def refuse(name, **where):
        if name == "stuck":
            raise PermissionError(1, "Operation not permitted", name)
        unlink(name, **where)

    with monkeypatch.context() as patch:
        patch.setattr("sandbox.scratch.os.unlink", refuse)
        with pytest.raises(PermissionError, match="stuck"):
            remove_tree(scratch.parent_fd, scratch.token)

    assert os.listdir(scratch.path) == ["out"]
    assert os.listdir(scratch.folder("out/result")) == ["stuck"]


def test_a_folder_made_anew_is_found(scratch):
    os.rmdir(scratch.folder("out/result"))
    assert not scratch.refresh_output()

    os.mkdir(scratch.folder("out/result"))

    assert scratch.refresh_output()
    assert os.fstat(scratch.out_fd).st_ino == os.stat(scratch.folder("out/result")).st_ino


def test_a_link_in_the_place_of_the_output_folder_is_not_taken(scratch):
    os.rmdir(scratch.folder("out/result"))
    os.symlink("/etc", scratch.folder("out/result"))

    assert not scratch.refresh_output()


def test_the_watch_counts_bytes_entries_and_the_largest(scratch):
    with open(os.path.join(scratch.folder("out/result"), "a"), "wb") as file:
        file.write(bytes(10_000))
    os.makedirs(os.path.join(scratch.folder("out/result"), *["d"] * 200))
    with open(os.path.join(scratch.folder("tmp"), "sparse"), "wb") as file:
        file.truncate(1 << 30)
    watch = FolderWatch(scratch.root_fd, ("out", "tmp"))

    watch.finish()

    out = watch.count("out")
    assert (out.entries, out.largest) == (202, 10_000)
    assert 10_000 <= out.bytes < 100_000
    assert watch.count("tmp").bytes == 1 << 30


def test_the_watch_takes_small_turns_and_comes_to_the_end(scratch):
    for n in range(3000):
        os.mkdir(f"{n}", dir_fd=scratch.out_fd)
    watch = FolderWatch(scratch.root_fd, ("out",))

    now = 0.0
    for _ in range(1000):
        watch.turn(now)
        now = watch.next_at
        if watch._walk is None:
            break

    assert watch.count("out").entries == 3001  # with the folder of the results itself


def test_the_watch_survives_a_tree_that_moves_under_it(scratch):
    os.makedirs(os.path.join(scratch.folder("out/result"), "a", "b", "c"))
    os.mkdir(os.path.join(scratch.folder("out/result"), "aside"))
    watch = FolderWatch(scratch.root_fd, ("out",))
    walk = watch._count()
    watch._running = {"out": watch.count("out")}
    for _ in range(3):
        next(walk)

    os.rename(
        os.path.join(scratch.folder("out/result"), "a", "b"), os.path.join(scratch.folder("out/result"), "aside", "b")
    )

    for _ in walk:
        continue
    watch.finish()
    assert watch.count("out").entries == 5


def test_the_watch_knows_how_much_room_the_disk_has_lost_since_it_had_most(scratch, monkeypatch):
    free = iter([1000, 900, 1200, 1100])
    monkeypatch.setattr(
        os,
        "fstatvfs",
        lambda fd: types.SimpleNamespace(f_bfree=next(free), f_frsize=4096) if fd == scratch.root_fd else 0,
    )
    watch = FolderWatch(scratch.root_fd, ("out",))

    assert [watch.lost() for _ in range(3)] == [100 * 4096, 0, 100 * 4096]


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o200])
def test_the_watch_sees_what_is_written_behind_a_shut_door(scratch, mode):
    shut = os.path.join(scratch.folder("work"), "shut")
    os.mkdir(shut)
    with open(os.path.join(shut, "a"), "wb") as file:
        os.chmod(shut, mode)
        file.write(bytes(10_000))
    watch = FolderWatch(scratch.root_fd, ("work",))

    watch.finish()

    assert watch.count("work").largest == 10_000
    assert os.stat(shut).st_mode & 0o500 == 0o500


def test_the_watch_leaves_a_folder_that_is_not_to_be_written_as_it_is(scratch):
    kept = os.path.join(scratch.folder("work"), "kept")
    os.mkdir(kept, 0o500)
    watch = FolderWatch(scratch.root_fd, ("work",))

    watch.finish()

    assert os.stat(kept).st_mode & 0o777 == 0o500


def test_the_watch_says_whether_a_count_has_finished(scratch):
    for n in range(3000):
        os.mkdir(f"{n}", dir_fd=scratch.out_fd)
    watch = FolderWatch(scratch.root_fd, ("out",))
    assert (watch.under_way, watch.last("out").entries) == (False, 0)

    seen = {watch.under_way}
    now = 0.0
    for _ in range(1000):
        watch.turn(now)
        now = watch.next_at
        seen.add(watch.under_way)
        if not watch.under_way:
            break
        assert watch.last("out").entries == 0

    assert seen == {True, False}
    assert watch.last("out").entries == 3001
