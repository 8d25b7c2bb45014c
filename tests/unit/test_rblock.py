from __future__ import annotations

import errno
import os

import pytest
from opendescriptors import none_left
from storemaking import in_child

from supervisor.flock import acquire
from supervisor.rblock import Counter, LostLock, RbLock, read_counter, read_counter_at


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "rb" / "lock")


def _free(path):
    """Whether another process gets the lock."""

    def take():
        lock = acquire(path)
        return 1 if lock is None else 0

    return in_child(take) == 0


def test_two_holders_exclude_each_other_across_processes_and_within_one(path):
    lock = acquire(path)
    assert not _free(path)
    assert acquire(path) is None
    lock.close()
    lock.close()
    assert _free(path)


def test_a_child_that_has_the_descriptor_keeps_the_lock_when_the_parent_lets_go(path):
    lock = acquire(path)
    told_r, told_w = os.pipe()
    go_r, go_w = os.pipe()
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.close(go_w)
            os.write(told_w, b"x")
            os.read(go_r, 1)
            RbLock(lock.fileno()).beat(3)
            status = 0
        finally:
            os._exit(status)
    os.read(told_r, 1)
    lock.close()
    assert not _free(path)
    os.close(go_w)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert _free(path)
    assert read_counter(path) == Counter(3, 1)
    for fd in (told_r, told_w, go_r):
        os.close(fd)


def test_a_killed_holder_frees_the_lock(path):
    def die():
        acquire(path)
        os.kill(os.getpid(), 9)
        return 0

    assert in_child(die) == -9
    assert _free(path)


def test_a_beat_writes_two_numbers_of_sixteen_digits_and_moves_with_each(path):
    lock = acquire(path)
    assert read_counter(path) == Counter(0, 0)
    lock.beat(7)
    lock.beat(7)
    with open(path, "rb") as file:
        assert file.read() == b"%016d%016d" % (7, 2)
    assert read_counter(path) == read_counter_at(lock.fileno()) == Counter(7, 2)
    lock.close()
    again = acquire(path)
    again.beat(8)
    assert read_counter(path) == Counter(8, 3)
    again.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EAGAIN, errno.ENOLCK], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_what_a_descriptor_answers_whose_lock_has_gone_is_a_lost_lock(path, monkeypatch, number, call):
    lock = acquire(path)

    def fail(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(LostLock, match=errno.errorcode[number]):
        lock.beat(1)
    monkeypatch.undo()
    lock.close()


def test_a_full_store_is_no_lost_lock_and_the_beat_is_made_again(path, monkeypatch):
    lock = acquire(path)

    def fail(*args):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(OSError, match="full"):
        lock.beat(1)
    monkeypatch.undo()
    lock.beat(1)
    assert read_counter(path) == Counter(1, 1)
    lock.close()


def test_a_beat_through_a_closed_descriptor_is_a_lost_lock(path):
    lock = acquire(path)
    lock.close()
    with pytest.raises(LostLock):
        lock.beat(1)


def test_a_lock_file_that_was_replaced_locks_nobody_out(path, monkeypatch):
    acquire(path).close()
    lock_descriptor = __import__("filelock").lock_descriptor

    def replace_then_lock(fd, *, blocking):
        os.unlink(path)
        with open(path, "wb"):
            return lock_descriptor(fd, blocking=blocking)

    monkeypatch.setattr("supervisor.flock.filelock.lock_descriptor", replace_then_lock)
    assert acquire(path) is None


def test_a_store_that_fails_is_never_a_free_lock_and_leaks_no_descriptor(path, monkeypatch):
    acquire(path).close()

    def fail(fd, *, blocking):
        raise OSError(errno.EIO, "EIO")

    monkeypatch.setattr("supervisor.flock.filelock.lock_descriptor", fail)
    with none_left(), pytest.raises(OSError, match="EIO"):
        acquire(path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"x" * 32, b"1" * 31])
def test_a_counter_that_was_never_written_is_zero(path, content):
    acquire(path).close()
    with open(path, "wb") as file:
        file.write(content)
    assert read_counter(path) == Counter(0, 0)


def test_where_there_is_no_lock_file_there_is_no_counter(tmp_path):
    assert read_counter(str(tmp_path / "none" / "lock")) is None
    assert read_counter(str(tmp_path / "lock")) is None


def test_a_lost_lock_is_closed_though_the_close_answers_that_something_was_never_written(path, monkeypatch):
    lock = acquire(path)
    fd, close = lock.fileno(), os.close

    def close_and_answer(number):
        close(number)
        if number == fd:
            raise OSError(errno.EIO, "what was written last was lost")

    monkeypatch.setattr(os, "close", close_and_answer)
    lock.close()
    lock.close()
    monkeypatch.undo()
    assert lock.fileno() == -1
    assert _free(path)
