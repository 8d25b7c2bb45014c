from __future__ import annotations

import errno
import os

import pytest

from supervisor import archive, records
from supervisor.archive import Content


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


def result(path, **record):
    os.makedirs(path)
    if record:
        (path / ".run").write_bytes(records.pack(record))
    return str(path)


def test_a_result_says_whose_it_is_and_an_older_workers_result_says_nothing(folder):
    assert archive.look(result(folder / "ours", rb="1", job="j", epoch=3, run="9")) == Content("1", "j", 3, "9")
    assert archive.look(result(folder / "old")) == Content("", "", 0)
    assert archive.look(str(folder / "none")) is None
    assert archive.look(str(folder / "no" / "parent")) is None
    assert archive.look(str(folder / "old")).is_of("7")
    assert not archive.look(str(folder / "ours")).is_of("7")


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"v":9}', b'{"v":1,"rb":"1"}', b'{"v":1,"rb":1,"job":2,"epoch":"x"}'], ids=range(5)
)
def test_a_run_file_that_is_not_ours_counts_as_an_older_workers_result(folder, data):
    path = result(folder / "odd")
    (folder / "odd" / ".run").write_bytes(data)
    assert archive.look(path) == Content("", "", 0)


def test_a_run_file_that_is_a_pipe_or_a_link_is_not_waited_for(folder):
    path = result(folder / "odd")
    os.mkfifo(os.path.join(path, ".run"))
    assert archive.look(path) == Content("", "", 0)
    os.unlink(os.path.join(path, ".run"))
    os.symlink("/dev/zero", os.path.join(path, ".run"))
    assert archive.look(path) == Content("", "", 0)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_told(folder, kind):
    folder.mkdir()
    path = folder / "x"
    path.write_text("x", encoding="ascii") if kind == "file" else path.symlink_to(folder)
    with pytest.raises(NotADirectoryError):
        archive.look(str(path))


def test_a_rename_says_false_when_the_source_is_gone_or_the_place_is_taken(folder):
    one = result(folder / "one", rb="1", job="j", epoch=1)
    two = result(folder / "two", rb="1", job="j", epoch=2)
    assert not archive.rename(str(folder / "none"), str(folder / "x"), "in")
    assert not archive.rename(one, two, "in")
    assert archive.rename(one, str(folder / "new"), "in")
    assert archive.look(str(folder / "new")).epoch == 1


def test_any_other_trouble_of_a_rename_is_raised(folder, monkeypatch):
    one = result(folder / "one")

    def fail(*args):
        raise OSError(errno.EACCES, "no")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(PermissionError):
        archive.rename(one, str(folder / "x"), "in")


def test_a_staging_folder_is_made_empty_with_its_run_file(folder):
    path = result(folder / "staging")
    (folder / "staging" / "left").write_text("x", encoding="ascii")
    archive.make_staging(path, {"rb": "1", "job": "j", "epoch": 2})
    assert os.listdir(path) == [".run"]
    assert archive.look(path).epoch == 2
    assert archive.read_record(path)["job"] == "j"
    assert archive.read_record(str(folder / "gone")) is None


def test_removing_follows_no_link(folder):
    kept = folder / "kept"
    result(kept)
    (kept / "data").write_text("x", encoding="ascii")
    path = result(folder / "tree" / "deep").removesuffix("/deep")
    os.symlink(kept, os.path.join(path, "link"))
    archive.remove_tree(path)
    archive.remove_tree(path)
    archive.remove_tree(str(folder / "no" / "where"))
    assert (kept / "data").exists()
    os.symlink(kept, path)
    archive.remove_tree(path)
    assert (kept / "data").exists()
    assert not os.path.lexists(path)


def test_a_marker_and_its_files_are_read_from_a_merged_folder(folder):
    folder.mkdir()
    marker = folder / ".run-9"
    assert archive.look_at_marker(str(marker)) is None
    marker.write_bytes(records.pack({"rb": "1", "job": "j", "epoch": 2, "files": ["a", 3, "b"]}))
    assert archive.look_at_marker(str(marker)) == Content("1", "j", 2, "", frozenset({"a", "b"}))
