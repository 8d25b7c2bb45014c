"""Hostile result trees: what is taken, what is refused by name, and that a copy is exact."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opendescriptors import none_left

from sandbox import copyout
from sandbox.copyout import OutputRejected, OutputTooLarge
from sandbox.limits import Limits, MiB
from sandbox.scratch import remove_tree


class Place:
    """A result folder and a target folder, by path and descriptor."""

    def __init__(self, base):
        self.out, self.target = base / "out", base / "target"
        self.out.mkdir()
        self.target.mkdir()
        self.out_fd = os.open(self.out, os.O_RDONLY | os.O_DIRECTORY)
        self.target_fd = os.open(self.target, os.O_RDONLY | os.O_DIRECTORY)

    def inspect(self, **limits):
        return copyout.inspect(self.out_fd, Limits(**limits))

    def copy(self, on_progress=None):
        return copyout.copy(self.inspect(), self.out_fd, self.target_fd, on_progress)


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    with none_left():
        yield made
    os.close(made.out_fd)
    os.close(made.target_fd)
    # pytest's own cleaning recurses, and ends in an error in a very deep tree.
    base = os.open(tmp_path, os.O_RDONLY)
    remove_tree(base, "out")
    os.close(base)


def test_files_and_folders_are_copied_with_their_digests(place):
    (place.out / "a").mkdir()
    (place.out / "a" / "empty").mkdir()
    (place.out / "a" / "data.nxs").write_bytes(b"counts")
    (place.out / "run.sh").write_bytes(b"#!/bin/sh\n")
    (place.out / "run.sh").chmod(0o6755)

    copied = place.copy()

    assert [file.path for file in copied] == ["a/data.nxs", "run.sh"]
    assert copied[0].sha256 == hashlib.sha256(b"counts").hexdigest()
    assert (place.target / "a" / "data.nxs").read_bytes() == b"counts"
    assert (place.target / "a" / "empty").is_dir()
    assert (place.target / "a" / "data.nxs").stat().st_mode & 0o7777 == 0o640
    assert (place.target / "run.sh").stat().st_mode & 0o7777 == 0o750
    assert (place.target / "a").stat().st_mode & 0o7777 == 0o750


def test_times_are_kept_but_none_lies_in_the_future(place):
    (place.out / "old").write_bytes(b"x")
    (place.out / "future").write_bytes(b"x")
    os.utime(place.out / "old", (1_000_000_000, 1_000_000_000))
    os.utime(place.out / "future", (9_000_000_000, 9_000_000_000))
    place.copy()
    assert (place.target / "old").stat().st_mtime == 1_000_000_000
    assert (place.target / "future").stat().st_mtime <= time.time()


def test_an_empty_folder_is_an_empty_result(place):
    assert place.copy() == ()


def _symlink(path):
    path.symlink_to("/etc/passwd")


def _link_to_folder(path):
    path.symlink_to("/etc")


def _dangling(path):
    path.symlink_to("nowhere")


def _loop(path):
    path.symlink_to(path.name)


def _fifo(path):
    os.mkfifo(path)


def _socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        before = os.getcwd()
        os.chdir(path.parent)
        try:
            made.bind(path.name)
        finally:
            os.chdir(before)


def _hard_link(path):
    other = next(folder for folder in path.parents if folder.name == "out").with_name("other")
    other.write_text("x")
    os.link(other, path)


@pytest.mark.parametrize("make", [_symlink, _link_to_folder, _dangling, _loop, _fifo, _socket, _hard_link])
@pytest.mark.parametrize("where", [".", "sub"])
def test_what_is_no_plain_file_is_rejected_by_name(place, make, where):
    (place.out / "sub").mkdir()
    make(place.out / where / "odd")

    with pytest.raises(OutputRejected, match="odd"):
        place.inspect()


@pytest.mark.parametrize(
    "name",
    [
        b"line\nbreak",
        b"tab\there",
        b"\x1b[31m",
        b"bad\xff",
        b"\xc3\x28",
        "turned\u202efdp".encode(),
        "para\u2029".encode(),
    ],
)
def test_names_that_are_no_text_are_rejected_in_printable_form(place, name):
    with open(os.path.join(os.fsencode(place.out), name), "w"):
        pass

    with pytest.raises(OutputRejected) as rejected:
        place.inspect()

    assert str(rejected.value).isprintable()


@pytest.mark.parametrize(
    "name", ["-rf", "..x", "...", "ä ö", "x" * 255, "a'b", "back\\slash", "emoji \U0001f600", "CASE", "case"]
)
def test_unusual_names_that_are_text_are_taken(place, name):
    (place.out / name).write_text("x")

    assert [file.path for file in place.copy()] == [name]
    assert (place.target / name).read_text() == "x"


def test_a_tree_that_is_too_deep_is_rejected_without_walking_it(place):
    fd = os.dup(place.out_fd)
    for _ in range(4000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)

    with pytest.raises(OutputRejected, match="deeper than 64"):
        place.inspect()


def test_a_path_that_is_too_long_is_rejected(place):
    folder = place.out
    for _ in range(9):
        folder = folder / ("x" * 250)
        folder.mkdir()

    with pytest.raises(OutputRejected, match="longer than 2048"):
        place.inspect()


def test_bytes_and_files_are_bounded(place):
    for n in range(5):
        (place.out / str(n)).write_bytes(bytes(100))

    assert len(place.inspect(files=5, output=500).files) == 5
    with pytest.raises(OutputTooLarge) as files:
        place.inspect(files=4)
    with pytest.raises(OutputTooLarge) as output:
        place.inspect(output=499)
    assert (files.value.ceiling, output.value.ceiling) == ("files", "output")


def test_a_sparse_file_counts_as_large_as_it_looks(place):
    with open(place.out / "sparse", "wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(OutputTooLarge):
        place.inspect()


def test_holes_stay_holes_and_progress_is_told(place):
    with open(place.out / "sparse", "wb") as file:
        file.seek(20 * MiB)
        file.write(b"middle")
        file.truncate(40 * MiB)
    told = []

    (copied,) = place.copy(told.append)

    assert sum(told) == 40 * MiB
    assert max(told) <= 8 * MiB
    assert copied.sha256 == hashlib.sha256((place.out / "sparse").read_bytes()).hexdigest()
    assert (place.target / "sparse").read_bytes() == (place.out / "sparse").read_bytes()
    assert (place.target / "sparse").stat().st_blocks * 512 < 10 * MiB


def test_nothing_in_the_target_is_replaced(place):
    (place.out / "a").write_text("new")
    (place.target / "a").write_text("old")

    with pytest.raises(FileExistsError):
        place.copy()

    assert (place.target / "a").read_text() == "old"


def _append(path):
    with open(path, "a") as file:
        file.write("more")


def _swap_for_link(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


def _swap_for_fifo(path):
    path.unlink()
    os.mkfifo(path)


def _swap_for_twin(path):
    twin = path.with_name("twin")
    twin.write_text("xxxx")
    os.replace(twin, path)


def _remove(path):
    path.unlink()


def _link_again(path):
    os.link(path, path.with_name("second"))


@pytest.mark.parametrize("change", [_append, _swap_for_link, _swap_for_fifo, _swap_for_twin, _remove, _link_again])
def test_a_file_that_changed_after_the_inspection_is_rejected(place, change):
    (place.out / "a").write_text("text")
    manifest = place.inspect()
    change(place.out / "a")

    with pytest.raises(OutputRejected, match="'a'"):
        copyout.copy(manifest, place.out_fd, place.target_fd)


def test_a_folder_swapped_for_a_link_is_not_followed(place):
    (place.out / "d").mkdir()
    (place.out / "d" / "passwd").write_text("x")
    manifest = place.inspect()
    (place.out / "d" / "passwd").unlink()
    (place.out / "d").rmdir()
    (place.out / "d").symlink_to("/etc")

    with pytest.raises(OSError, match="d"):
        copyout.copy(manifest, place.out_fd, place.target_fd)


def test_modes_of_zero_are_mended(place):
    (place.out / "d").mkdir()
    (place.out / "d" / "a").write_text("x")
    (place.out / "d" / "a").chmod(0)
    (place.out / "d").chmod(0)
    place.out.chmod(0)

    assert [file.path for file in place.copy()] == ["d/a"]


def test_extended_attributes_stay_behind(place):
    (place.out / "a").write_text("x")
    os.setxattr(place.out / "a", "user.note", b"hidden")

    place.copy()

    assert os.listxattr(place.target / "a") == []


def test_it_may_run_in_another_thread(place):
    (place.out / "a").write_text("x")
    copied = []

    thread = threading.Thread(target=lambda: copied.extend(place.copy()))
    thread.start()
    thread.join()

    assert [file.path for file in copied] == ["a"]


@given(st.text())
def test_a_shown_path_is_printable_and_short(path):
    shown = copyout.shown(path)

    assert shown.isprintable()
    assert len(shown) <= 200
