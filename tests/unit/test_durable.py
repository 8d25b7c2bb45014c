from __future__ import annotations

import errno
import os

import pytest
from opendescriptors import none_left
from remembered import remember_absent
from storemaking import in_child

from supervisor import durable


def _files(folder):
    return sorted(os.listdir(folder))


def test_one_of_many_processes_makes_a_cell_and_all_read_the_same(tmp_path):
    path = str(tmp_path / "cell")
    gate_r, gate_w = os.pipe()
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            status = 99
            try:
                os.close(gate_w)
                os.read(gate_r, 1)  # all begin when the parent lets go of the gate
                status = 0 if durable.link_new(path, b"from %d" % number, "test") else 1
            finally:
                os._exit(status)
        children.append(child)
    os.close(gate_r)
    os.close(gate_w)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(statuses) == [0] + [1] * 7
    assert durable.read(path) == b"from %d" % statuses.index(0)
    assert _files(tmp_path) == ["cell"]


def test_a_lost_reply_to_link_is_settled_by_a_fresh_look_at_the_inode(tmp_path, monkeypatch):
    link = os.link

    def link_then_fail(*args, **kwargs):
        link(*args, **kwargs)
        raise OSError(errno.EIO, "the reply was lost")

    monkeypatch.setattr(os, "link", link_then_fail)
    assert durable.link_new(str(tmp_path / "cell"), b"ours", "test")
    assert _files(tmp_path) == ["cell"]


@pytest.mark.parametrize("number", [errno.EEXIST, errno.EIO], ids=["EEXIST", "EIO"])
def test_a_retransmitted_link_that_answers_for_another_is_not_ours(tmp_path, monkeypatch, number):
    path = tmp_path / "cell"
    path.write_bytes(b"theirs")

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", fail)
    if number == errno.EEXIST:
        assert not durable.link_new(str(path), b"ours", "test")
    else:
        with pytest.raises(OSError, match="Input/output"):
            durable.link_new(str(path), b"ours", "test")
    assert path.read_bytes() == b"theirs"
    assert _files(tmp_path) == ["cell"]


def test_a_call_repeated_after_the_folder_could_not_be_synced_knows_its_own_record(tmp_path, monkeypatch):
    path = str(tmp_path / "cell")
    fsync = os.fsync
    failing = [True]

    def fsync_or_fail(fd):
        if failing[0] and os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EIO, "folder")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", fsync_or_fail)
    with pytest.raises(OSError, match="folder"):
        durable.link_new(path, b"ours, at 12.5", "test")
    failing[0] = False
    assert durable.link_new(path, b"ours, at 12.5", "test"), "the winner took its own record for another's"
    assert not durable.link_new(path, b"theirs, at 13.5", "test")


@pytest.mark.parametrize("write", [durable.link_new, durable.replace], ids=["link_new", "replace"])
@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, write, call):
    def fail(*args):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="full"):
        write(str(tmp_path / "record"), b"data", "test")
    monkeypatch.undo()
    assert _files(tmp_path) == []


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:3]))
    durable.replace(str(tmp_path / "record"), b"0123456789", "test")
    monkeypatch.undo()
    assert (tmp_path / "record").read_bytes() == b"0123456789"


def test_a_replaced_record_is_the_old_or_the_new_one_whatever_stops_it(tmp_path, monkeypatch):
    path = tmp_path / "record"
    durable.replace(str(path), b"old", "test")

    def fail(*args, **kwargs):
        raise OSError(errno.EIO, "rename")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="rename"):
        durable.replace(str(path), b"new", "test")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert _files(tmp_path) == ["record"]
    durable.replace(str(path), b"new", "test")
    assert path.read_bytes() == b"new"


def test_a_process_killed_between_write_and_link_leaves_only_what_a_listing_hides(tmp_path):
    def die():
        os.link = lambda *args, **kwargs: os._exit(7)
        durable.link_new(str(tmp_path / "cell"), b"data", "test")
        return 0

    assert in_child(die) == 7
    assert len(_files(tmp_path)) == 1
    assert durable.listing(str(tmp_path)) == []
    assert not durable.exists(str(tmp_path / "cell"))
    assert durable.link_new(str(tmp_path / "cell"), b"data", "test")


def test_what_is_not_there_is_none_false_or_empty(tmp_path):
    gone = str(tmp_path / "no" / "folder")
    assert durable.read(gone) is None
    assert durable.read(str(tmp_path / "none")) is None
    assert not durable.exists(gone)
    assert durable.listing(gone) == []
    durable.remove(gone, "test")
    durable.remove(str(tmp_path / "none"), "test")


def test_folders_are_made_with_their_parents_for_the_group_and_again_without_harm(tmp_path):
    path = str(tmp_path / "a" / "b")
    durable.make_folder(path, "test")
    durable.make_folder(path, "test")
    assert os.stat(path).st_mode & 0o7777 == 0o2770


def test_touching_again_and_removing_again_is_harmless(tmp_path):
    path = str(tmp_path / "mark")
    durable.touch(path, "test")
    durable.touch(path, "test")
    assert durable.read(path) == b""
    durable.remove(path, "test")
    assert not durable.exists(path)


def test_a_record_is_never_read_through_a_link(tmp_path):
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "cell").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match=r"symbolic links|Too many"):
        durable.read(str(tmp_path / "cell"))


def test_no_descriptor_is_left_open(tmp_path):
    with none_left():
        for number in range(20):
            durable.link_new(str(tmp_path / f"c{number % 3}"), b"%d" % number, "test")
            durable.replace(str(tmp_path / "r"), b"x", "test")
            durable.read(str(tmp_path / "r"))
            durable.exists(str(tmp_path / "q"))
            durable.listing(str(tmp_path))


def test_a_folder_that_is_remembered_as_absent_is_seen_below_its_freshly_opened_parent(tmp_path, monkeypatch):
    folder = tmp_path / "run" / "deeper"
    folder.mkdir(parents=True)
    (folder / "record").write_bytes(b"from another host")
    for look, expected in (
        (lambda: durable.read(str(folder / "record")), b"from another host"),
        (lambda: durable.exists(str(folder / "record")), True),
        (lambda: durable.listing(str(folder)), ["record"]),
    ):
        with monkeypatch.context() as patched:
            remember_absent(patched, str(tmp_path / "run"))
            with pytest.raises(FileNotFoundError):
                os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            assert look() == expected
