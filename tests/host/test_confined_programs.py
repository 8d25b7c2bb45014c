"""Programs as scientists write them, under keyring, Landlock and the filter of system calls together."""

from __future__ import annotations

import os

import confined
import pytest
from confined import IDENTITIES

from sandbox.linux import landlock

STDLIB = """
import asyncio, concurrent.futures, fcntl, mmap, multiprocessing, os, signal, socket, socketserver, sqlite3, subprocess
import sys, tempfile, threading
from multiprocessing import shared_memory

def square(n):
    return n * n

def talk():
    server = socket.create_server(("127.0.0.1", 0))
    def answer():
        peer, _ = server.accept()
        with peer:
            peer.sendall(peer.recv(10)[::-1])
    thread = threading.Thread(target=answer)
    thread.start()
    with socket.create_connection(server.getsockname()) as client:
        client.sendall(b"abc")
        assert client.recv(10) == b"cba"
    thread.join()
    server.close()

async def piped():
    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    out, _ = await process.communicate(b"through a pipe")
    return out

if __name__ == "__main__":
    print("threads", sum(concurrent.futures.ThreadPoolExecutor(8).map(square, range(10))))
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(3) as pool:
            print(method, sum(pool.map(square, range(10))))
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        print("processes", sum(pool.map(square, range(10))))
    block = shared_memory.SharedMemory(create=True, size=4096)
    block.buf[:3] = b"abc"
    print("shared", bytes(block.buf[:3]).decode())
    block.close()
    block.unlink()
    print("pipe", subprocess.run("echo one two | tr a-z A-Z | sort", shell=True, capture_output=True, text=True).stdout)
    child = subprocess.Popen(["sleep", "600"])
    child.terminate()
    print("signal", child.wait())
    talk()
    print("asyncio", asyncio.run(piped()).decode())
    with tempfile.TemporaryFile() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(file, fcntl.LOCK_EX)
        file.truncate(8192)
        with mmap.mmap(file.fileno(), 0) as memory:
            memory[0:3] = b"abc"
            print("mapped", memory[:3].decode())
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.nice(1)
    with open("/dev/null", "w") as null, open(os.devnull, "ab") as other:
        print("lost", file=null)
    with sqlite3.connect("data.sqlite") as database:
        database.execute("create table t(x)")
    os.makedirs("out/deep")
    os.rename("out/deep", "moved")
    with open("/proc/self/status") as status:
        print(*[line.split()[1] for line in status if line.startswith(("Seccomp:", "NoNewPrivs:"))])
"""
SAID = """
threads 285
fork 285
spawn 285
forkserver 285
processes 285
shared abc
pipe ONE TWO

signal -15
asyncio through a pipe
mapped abc
1 2
"""

NUMERIC = """
import os, threading
import h5py, matplotlib, numpy
matplotlib.use("Agg")
from matplotlib import pyplot

a = numpy.random.default_rng(1).random((400, 400))
print("product", bool(numpy.allclose(numpy.linalg.solve(a, a @ a), a)))
with h5py.File("data.nxs", "w", locking=True) as file:
    file.create_dataset("counts", data=a, compression="gzip", chunks=True)
with h5py.File("data.nxs", "r", locking=True) as file:
    print("stored", bool((file["counts"][...] == a).all()))
mapped = numpy.memmap("block.raw", mode="w+", shape=(1000, 1000))
mapped[:] = 7
mapped.flush()
figure, axes = pyplot.subplots()
axes.plot(a[0], label="$\\\\lambda$ (\\u00c5)")
axes.legend()
figure.savefig("plot.png")
with open("plot.png", "rb") as file:
    print("picture", file.read(4))
"""

PRYING = """
import errno, os, socket
def tried(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
print(tried(lambda: open("SECRET").close()), tried(lambda: open("SECRET", "w").close()), tried(lambda: os.unlink("SECRET")))
print(tried(lambda: os.kill(os.getppid(), 0)), tried(lambda: open("/proc/%d/environ" % os.getppid()).read()))
print(tried(lambda: open("/proc/%d/mem" % os.getppid(), "r+b")), tried(lambda: os.open("/proc/%d/fd/0" % os.getppid(), 0)))
print(tried(lambda: open("/usr/new", "w")), tried(lambda: open("/proc/self/oom_score_adj", "w").write("-1000")))
print(tried(lambda: socket.socket(40, 1)), tried(lambda: open("/dev/tty")))
"""


@pytest.fixture
def place():
    assert landlock.abi(), "this kernel has no Landlock: boot it with lsm=landlock,... (Linux 5.13 or newer)"
    yield from confined.folder()


@pytest.mark.parametrize("identity", IDENTITIES)
def test_processes_threads_locks_pipes_and_loopback_work(place, identity):
    done = confined.run_python(STDLIB, place, identity)

    assert (done.returncode, done.stdout.strip()) == (0, SAID.strip())


def test_numpy_h5py_and_matplotlib_work(place):
    done = confined.run_python(NUMERIC, place, MPLCONFIGDIR=place)

    assert (done.returncode, done.stdout.splitlines()[-3:]) == (
        0,
        ["product True", "stored True", "picture b'\\x89PNG'"],
    ), done.stdout


@pytest.mark.parametrize("identity", IDENTITIES)
def test_what_lies_outside_is_not_read_written_signalled_or_looked_into(place, identity):
    with open(place + ".secret", "w", encoding="utf-8") as file:
        file.write("secret")
    os.chmod(place + ".secret", 0o666)
    try:
        done = confined.run_python(PRYING.replace("SECRET", place + ".secret"), place, identity)
    finally:
        os.unlink(place + ".secret")

    assert done.returncode == 0, done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["EACCES", "EACCES", "EACCES"]
    # As an ordinary user a signal to root fails anyway; to itself it is Landlock's matter from ABI 6 on.
    assert lines[1] == ["EPERM" if landlock.usable_abi() >= 6 or identity == confined.ORDINARY else "done", "EACCES"]
    assert lines[2] == ["EACCES", "EACCES"]
    assert lines[3] == ["EACCES", "EACCES"]
    assert lines[4] == ["EPERM", "EACCES"]
