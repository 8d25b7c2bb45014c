"""Files that no folder shows, held by real processes in every way that hides them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sandbox.linux import heldfiles

MIB = 1 << 20
PREAMBLE = """
import ctypes, mmap, os, socket, threading, time
libc = ctypes.CDLL(None, use_errno=True)
MIB = 1 << 20
def nameless(name):
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    os.unlink(name)
    return fd
def mapped(fd, size, offset=0):
    \"\"\"Maps it as a program in C does; Python's own mapping keeps a descriptor.\"\"\"
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    return libc.mmap(None, size, 3, mmap.MAP_SHARED, fd, offset)
def in_memory():
    return os.memfd_create("held")
def stay():
    os.write(1, b"up\\n")
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Starts a program in a folder of its own; returns its pid when it says that it is there."""
    started = []

    def start(text):
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + text], stdout=subprocess.PIPE, cwd=tmp_path, start_new_session=True
        )
        started.append(process)
        assert process.stdout.readline() == b"up\n"
        return process.pid

    yield start
    for process in started:
        process.kill()
        with process:
            process.wait()


@pytest.fixture
def device(tmp_path):
    return os.stat(tmp_path).st_dev


def taken(pids, device):
    return heldfiles.unlinked(pids, device, mapped=True)


def whole(amount):
    """In MiB; what a file system keeps beside the data is less."""
    return round(amount / MIB)


def test_a_file_counts_as_soon_as_its_last_name_is_gone(holder, device):
    pid = holder("fd = nameless('a'); os.write(fd, bytes(3 * MIB)); named = open('b', 'wb'); named.write(b'x'); stay()")

    assert whole(taken([pid], device)) == 3
    assert taken([pid], device + 1) == 0
    assert heldfiles.in_memory([pid]) == 0


def test_holes_take_no_room(holder, device):
    pid = holder("fd = nameless('a'); os.truncate(fd, 1 << 40); stay()")

    assert whole(taken([pid], device)) == 0


def test_a_file_counts_once_however_often_and_by_whomever_it_is_held(holder, device):
    pid = holder("fd = nameless('a'); os.write(fd, bytes(3 * MIB)); os.dup(fd); child = os.fork(); stay()")
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        child = int(file.read())

    assert whole(taken([pid, child], device)) == 3


def test_a_file_that_is_only_mapped_counts_as_long_as_its_mapping(holder, device):
    pid = holder(
        "fd = nameless('a'); os.truncate(fd, 5 * MIB); mapped(fd, 4 * MIB); mapped(fd, MIB, 4 * MIB)\n"
        "mapped(fd, 2 * MIB); os.close(fd); stay()"
    )

    assert whole(taken([pid], device)) == 5
    assert heldfiles.unlinked([pid], device, mapped=False) == 0


def test_a_file_that_is_mapped_and_open_counts_what_it_takes(holder, device):
    pid = holder("fd = nameless('a'); os.truncate(fd, 5 * MIB); ctypes.memset(mapped(fd, 5 * MIB), 1, MIB); stay()")

    assert whole(taken([pid], device)) == 1


def test_files_in_memory_count_what_they_take_and_are_on_no_disk(holder, device):
    pid = holder("fd = in_memory(); os.write(fd, bytes(3 * MIB)); os.dup(fd); stay()")

    assert whole(heldfiles.in_memory([pid])) == 3
    assert taken([pid], device) == 0


HELD = "fd = {kind}; os.write(fd, bytes(3 * MIB)); "
KINDS = {"nameless": "nameless('a')", "memory": "in_memory()"}


def seen(kind, pid, device):
    return whole(taken([pid], device) if kind == "nameless" else heldfiles.in_memory([pid]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_thread_ends_and_another_holds_on(holder, device, kind):
    pid = holder(
        "def go_on():\n"
        "    while open('/proc/self/stat').read().rpartition(')')[2].split()[0] != 'Z':\n"
        "        time.sleep(0.01)\n"
        "    stay()\n" + HELD.format(kind=KINDS[kind]) + "\n"
        "threading.Thread(target=go_on).start()\n"
        "libc.pthread_exit(None)\n"
    )

    assert seen(kind, pid, device) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_thread_has_descriptors_of_its_own(holder, device, kind):
    pid = holder(
        "def alone():\n"
        "    assert libc.unshare(0x400) == 0  # CLONE_FILES\n"
        "    " + HELD.format(kind=KINDS[kind]) + "stay()\n"
        "threading.Thread(target=alone).start()\n"
    )

    assert seen(kind, pid, device) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_that_is_shut_is_read_by_copies_of_what_is_in_it(holder, device, kind, monkeypatch):
    pid = holder("os.dup2(0, 200); os.close(200); " + HELD.format(kind=KINDS[kind]) + "os.dup2(fd, 100); stay()")
    before = sorted(os.listdir("/proc/self/fd"))
    listed = os.listdir

    def shut(path):
        if path.endswith("/fd"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "listdir", shut)
    found = seen(kind, pid, device)
    monkeypatch.undo()

    assert found == 3
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("shut", [False, True])
def test_nobody_asks_for_the_size_of_a_file_that_has_a_name(holder, device, tmp_path, monkeypatch, shut):
    """It may lie on a file system that hangs."""
    (tmp_path / "data (deleted)").write_text("counts")
    pid = holder("data = open('data'+' (gone)', 'w'); pipe = os.pipe(); fd = nameless('a'); os.write(fd, b'x'); stay()")
    asked = []
    listed, stat, fstat = os.listdir, os.stat, os.fstat

    def listdir(path):
        if shut and path.endswith("/fd"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    def noted(call, what):
        found = call(what)
        asked.append(found)
        return found

    monkeypatch.setattr(os, "listdir", listdir)
    monkeypatch.setattr(os, "stat", lambda path: noted(stat, path))
    monkeypatch.setattr(os, "fstat", lambda fd: noted(fstat, fd))
    found = (heldfiles.unlinked([pid], device, mapped=True), heldfiles.in_memory([pid]))
    monkeypatch.undo()

    assert found == (4096, 0)
    assert {state.st_nlink for state in asked} == {0}


def test_nothing_is_held_by_a_process_that_is_gone(holder, device):
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()

    assert (taken([gone.pid], device), heldfiles.in_memory([gone.pid])) == (0, 0)
