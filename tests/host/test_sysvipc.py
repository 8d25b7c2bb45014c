"""What System V objects take, in a namespace of a child's own and in texts as kernels write them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from sandbox.linux import sysvipc

MIB = 1 << 20

#: In an IPC namespace of its own: sends the lists to the other end of its standard input, and does what it hears.
PROGRAM = """
import ctypes, os, socket
from sandbox.linux import namespaces, sysvipc
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.shmdt.argtypes = [ctypes.c_void_p]
CREATE = 0o1600
def segment():
    at = libc.shmat(libc.shmget(0, ctypes.c_size_t(3 << 20), CREATE), None, 0)
    ctypes.memset(at, 1, 3 << 20)
    libc.shmdt(at)
def queue():
    message = ctypes.create_string_buffer(b"\\1" * 8 + bytes(1000))
    libc.msgsnd(libc.msgget(0, CREATE), message, ctypes.c_size_t(1000), 0)
def semaphores():
    libc.semget(0, 1000, CREATE)
uid, gid = os.geteuid(), os.getegid()
namespaces.unshare(("user", "ipc"))
namespaces.write_maps(uid, gid, uid, gid)
with socket.socket(fileno=0) as link:
    socket.send_fds(link, [b"o"], sysvipc.IpcObjects.open().fds)
    while word := link.recv(20).decode():
        {"segment": segment, "queue": queue, "semaphores": semaphores}[word]()
        link.send(b"done")
"""

#: Lists of Linux 6.1, and of a kernel that tells no sizes in memory (before 2.6.36).
SHM = b"""       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
         0          0  1600               8388608     1     1      0     0     0     0     0          1          1          1               8388608                  4096
        -5          1   600                  4096     1     1      0     0     0     0     0          1          1          1                     0                     0
"""  # fmt: skip
OLD = b"""       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime
         0          0  1600               8388608     1     1      0     0     0     0     0          1          1          1
"""  # fmt: skip
MSG = b"""       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime
         0          0   600        1000          2     1     0     0     0     0     0          1          0          1
"""  # fmt: skip
SEM = b"""       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime
         0          0   600      32000     0     0     0     0          0          1
"""  # fmt: skip


@pytest.fixture
def objects():
    """The objects of a new IPC namespace, and a way to do something in it."""
    near, far = socket.socketpair()
    near.settimeout(60)
    with near, subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=far) as process:
        far.close()
        try:
            _, fds, _, _ = socket.recv_fds(near, 1, 8)
            yield sysvipc.IpcObjects(tuple(fds)), near
        finally:
            process.kill()


def test_the_lists_go_on_telling_of_the_namespace_in_which_they_were_opened(objects):
    made, link = objects
    found = [made.used()]
    for word in (b"segment", b"queue", b"semaphores"):
        link.send(word)
        assert link.recv(10) == b"done"
        found.append(made.used())
    made.close()

    assert found == [0, 3 * MIB, 3 * MIB + 1000, 3 * MIB + 1000 + 64_000]


@pytest.mark.parametrize(
    ("text", "bytes_taken"),
    [(SHM, 8388608 + 4096), (OLD, 0), (MSG, 1000), (SEM, 64 * 32000), (b"", 0), (SHM.splitlines(True)[0], 0)],
)
def test_a_list_is_read_by_the_names_of_its_columns(text, bytes_taken):
    assert sysvipc._sum(text) == bytes_taken


def test_a_list_that_cannot_be_read_counts_nothing():
    read, write = os.pipe()
    try:
        assert sysvipc.IpcObjects((write,)).used() == 0
    finally:
        os.close(read)
        os.close(write)


def test_a_kernel_without_one_of_them_has_the_others(monkeypatch, tmp_path):
    opened = os.open

    def open_some(path, flags):
        if path.endswith("/msg"):
            raise FileNotFoundError(2, "No such file or directory", path)
        return opened(path, flags)

    monkeypatch.setattr(os, "open", open_some)
    made = sysvipc.IpcObjects.open()
    monkeypatch.undo()

    assert len(made.fds) == 2
    made.close()
