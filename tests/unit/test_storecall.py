"""Calls into the store have names: of the one that failed, and of the one that is waited for."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from supervisor import durable, failpoints, storecall
from supervisor.storecall import reason


@pytest.fixture
def trouble(tmp_path, monkeypatch):
    """Arms the fail-points of this process."""
    folder = tmp_path / "points"
    folder.mkdir()
    monkeypatch.setattr(failpoints, "_folder", str(folder))

    def arm(text):
        (folder / "trouble").write_text(text)

    arm.folder = folder
    return arm


@pytest.mark.parametrize(
    ("label", "call", "said"),
    [
        ("store.fsync x before", lambda path: durable.link_new(path, b"1", "x"), 'cannot fsync "{path}"'),
        ("store.fsync-folder x *", lambda path: durable.touch(path, "x"), 'cannot fsync the folder of "{path}"'),
        ("store.rename x before", lambda path: durable.replace(path, b"1", "x"), 'cannot rename into place "{path}"'),
        ("store.read record", durable.read, 'cannot read "{path}"'),
        ("store.list record", durable.listing, 'cannot list "{path}"'),
        ("store.look record", durable.exists, 'cannot look at "{path}"'),
        ("store.mkdir x before", lambda path: durable.make_folder(path, "x"), 'cannot make the folder "{path}"'),
    ],
)
def test_an_error_says_the_call_the_whole_path_and_what_was_answered(label, call, said, trouble, tmp_path):
    path = str(tmp_path / "record")
    trouble(f'[{{"id": "1", "label": "{label}", "errno": "EDQUOT"}}]')
    with pytest.raises(OSError) as caught:  # its number is looked at
        call(path)
    assert caught.value.errno == errno.EDQUOT
    assert reason(caught.value) == f"{said.format(path=path)}: {os.strerror(errno.EDQUOT)} (EDQUOT)"
    assert [name for name in os.listdir(tmp_path) if name.startswith(durable.TEMPORARY)] == []


def test_a_real_error_of_a_call_by_descriptor_has_the_whole_path(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        durable.replace(str(tmp_path / "folder"), b"1", "x")
    assert reason(caught.value) == f'cannot rename into place "{tmp_path}/folder": Is a directory (EISDIR)'
    assert durable.TEMPORARY not in str(caught.value)


def test_a_call_that_hangs_can_be_named_by_another_thread(trouble, tmp_path):
    trouble('[{"id": "1", "label": "store.list here", "hang": true}]')
    hanging = threading.Thread(target=lambda: durable.listing(str(tmp_path / "here")))
    hanging.start()
    while not (trouble.folder / "hits").exists():
        hanging.join(0.01)
    call, lasted = storecall.under_way(hanging.ident)
    assert call == f'list "{tmp_path}/here"'
    assert lasted >= 0
    trouble("[]")
    hanging.join(30)
    assert not hanging.is_alive()
    assert storecall.under_way(hanging.ident) == ("", 0.0)


def test_the_slowest_call_of_a_thread_is_told_once(monkeypatch):
    monkeypatch.setattr(storecall, "_SLOW", -1.0)
    with storecall.call("store.list", "/store/x"):
        pass
    call, lasted = storecall.take_slowest()
    assert call == 'list "/store/x"'
    assert lasted > 0
    assert storecall.take_slowest() == ("", 0.0)


def test_trouble_is_met_as_often_as_it_was_armed(trouble, tmp_path):
    trouble('[{"id": "1", "label": "store.touch x before", "errno": "EIO", "hits": 2}]')
    path = str(tmp_path / "mark")
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            durable.touch(path, "x")
    durable.touch(path, "x")
    assert os.path.exists(path)
    assert (trouble.folder / "hits").read_text() == "supervisor store.touch x before\n" * 2


def test_an_answer_that_was_lost_after_the_link_is_no_trouble(trouble, tmp_path):
    trouble('[{"id": "1", "label": "store.link x after", "errno": "ESTALE", "hits": 1}]')
    assert durable.link_new(str(tmp_path / "cell"), b"1", "x") is True


def test_a_repetition_syncs_what_the_first_call_has_made(tmp_path, monkeypatch):
    """A folder's fsync that failed must not count as done because the name is seen."""
    real, answers = os.fsync, [OSError(errno.EIO, "no"), None, OSError(errno.EIO, "no"), None]
    synced = []

    def fsync(fd):
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="no"):
        durable.touch(str(tmp_path / "mark"), "x")
    durable.touch(str(tmp_path / "mark"), "x")
    with pytest.raises(OSError, match="no"):
        durable.make_folder(str(tmp_path / "folder"), "x")
    durable.make_folder(str(tmp_path / "folder"), "x")
    assert synced == [str(tmp_path)] * 2
