"""Notes of shepherds that wait for the store."""

from __future__ import annotations

import errno
import os

from sandbox.linux import proctree
from supervisor import storenotes
from supervisor.records import Identity
from supervisor.storenotes import StoreNote


def me(start=None):
    who = proctree.identity(os.getpid())
    return Identity(pid=who.pid, start=who.start if start is None else start, boot=proctree.boot_id())


def test_a_note_tells_the_trouble_while_it_lasts(tmp_path, capsys):
    note = StoreNote(str(tmp_path), me(), "job-1")
    for _ in range(3):
        note.failed(OSError(errno.EROFS, "", "/store/x"))
    ((job, trouble),) = storenotes.told(str(tmp_path))
    assert job == "job-1"
    assert trouble.why == 'cannot use "/store/x": Read-only file system (EROFS)'
    assert storenotes.of_runs(str(tmp_path)).why.startswith("job job-1: cannot use")
    note.hangs('link "/store/x"', 40.0)
    ((_, hanging),) = storenotes.told(str(tmp_path))
    assert (hanging.why, hanging.since) == ('no answer to link "/store/x"', trouble.since)
    note.well()
    note.well()
    assert storenotes.told(str(tmp_path)) == []
    assert storenotes.of_runs(str(tmp_path)) is None
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_the_note_of_a_dead_shepherd_counts_for_nothing_and_goes(tmp_path):
    StoreNote(str(tmp_path), me(start=1), "job-1").failed(OSError(errno.EIO, ""))
    assert len(os.listdir(tmp_path)) == 1
    assert storenotes.told(str(tmp_path)) == []
    assert os.listdir(tmp_path) == []


def test_a_spoilt_note_and_a_missing_folder_are_no_trouble(tmp_path):
    (tmp_path / "waits-1.json").write_text("{")
    (tmp_path / "waits-2.json").write_text('{"why": 3}')
    assert storenotes.told(str(tmp_path)) == []
    assert storenotes.told(str(tmp_path / "none")) == []


def test_a_run_directory_that_cannot_be_written_keeps_nobody(tmp_path):
    StoreNote(str(tmp_path / "none"), me(), "job-1").failed(OSError(errno.EIO, ""))
