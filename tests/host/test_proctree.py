"""Process identities and trees, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from waiting import wait_until

from sandbox.linux import proctree
from sandbox.linux.proctree import Identity

SLEEPER = "import time\nprint('up', flush=True)\nwhile True: time.sleep(60)"


@pytest.fixture
def spawn():
    started = []

    def start(text, **variables):
        process = subprocess.Popen(
            [sys.executable, "-c", text],
            stdout=subprocess.PIPE,
            env={**os.environ, **variables},
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout.readline() == b"up\n"
        return process

    yield start
    for process in started:
        process.kill()
        with process:
            process.wait()


def test_an_identity_names_one_process_only(spawn):
    process = spawn(SLEEPER)
    who = proctree.identity(process.pid)

    assert proctree.alive(who)
    assert not proctree.alive(Identity(who.pid, who.start + 1))

    process.kill()
    wait_until(lambda: not proctree.alive(who), 30, "the end")
    assert proctree.identity(process.pid) == who, "a zombie still has its identity"
    process.wait()
    assert proctree.identity(process.pid) is None


def test_the_name_of_a_process_cannot_confuse_its_line(spawn, tmp_path):
    program = tmp_path / ") Z 1 (2 3"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "600"])
    try:
        found = wait_until(lambda: (p := proctree.look(process.pid)) and p.ppid == os.getpid() and p, 30, "the line")
        assert found.living
        assert found.pid == process.pid
    finally:
        process.kill()
        process.wait()


def test_the_boot_id_is_an_id():
    assert len(proctree.boot_id()) == 36
    assert proctree.boot_id() == proctree.boot_id()


TREE = """
import os, time
for _ in range(2):
    if not os.fork():
        os.setsid()
        if not os.fork():
            while True: time.sleep(60)
        while True: time.sleep(60)
print('up', flush=True)
while True: time.sleep(60)
"""


def test_descendants_are_found_across_sessions(spawn):
    process = spawn(TREE)

    wait_until(lambda: len(proctree.descendants(process.pid, proctree.scan())) == 4, 30, "four descendants")

    found = {p.pid for p in proctree.descendants(process.pid, proctree.scan())}
    window = proctree.TreeWindow(process.pid)
    assert {p.pid for p in window.look(0.0)} == found
    assert {p.pid for p in window.look(0.1)} == found
    for process_found in proctree.scan().values():
        if process_found.pid in found:
            proctree.send(process_found, signal.SIGKILL)


def test_a_window_sees_what_is_born_after_its_first_look(spawn):
    process = spawn(SLEEPER)
    window = proctree.TreeWindow(os.getpid())
    assert process.pid in {p.pid for p in window.look(0.0)}

    later = spawn(SLEEPER)

    assert later.pid in {p.pid for p in window.look(0.1)}


def test_a_signal_is_never_sent_to_a_later_process_with_the_same_pid(spawn):
    process = spawn(SLEEPER)
    seen = proctree.look(process.pid)

    assert not proctree.send(seen._replace(start=seen.start - 1), signal.SIGKILL)
    assert process.poll() is None
    assert proctree.send(seen, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not proctree.send(seen, signal.SIGKILL)


def test_without_pidfds_it_looks_once_more_before_it_signals(spawn, monkeypatch):
    def missing(_pid):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", missing)
    process = spawn(SLEEPER)
    seen = proctree.look(process.pid)

    assert not proctree.send(seen._replace(start=seen.start - 1), signal.SIGKILL)
    assert proctree.send(seen, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_stop_then_kill_ends_a_tree_and_nobody_else(spawn):
    tree, other = spawn(TREE), spawn(SLEEPER)
    wait_until(lambda: len(proctree.descendants(tree.pid, proctree.scan())) == 4, 30, "four descendants")
    members = proctree.descendants(tree.pid, proctree.scan())

    killed = proctree.stop_then_kill(proctree.below(tree.pid))

    assert killed == {member.identity for member in members}
    wait_until(lambda: not any(proctree.alive(member.identity) for member in members), 30, "the end of the tree")
    assert tree.poll() is None
    assert other.poll() is None


def test_a_group_that_others_share_is_not_signalled_as_a_whole(spawn):
    process = spawn("import os, time\nchild = os.fork()\nif child: print('up', flush=True)\nwhile True: time.sleep(60)")
    wait_until(lambda: proctree.descendants(process.pid, proctree.scan()), 30, "the child")

    proctree.stop_then_kill(proctree.below(process.pid))

    (child,) = proctree.descendants(process.pid, proctree.scan())
    wait_until(lambda: not proctree.alive(child.identity), 30, "the end of the child")
    found = proctree.look(process.pid)
    assert found.living
    assert found.state not in "Tt"


def test_carriers_are_found_by_the_exact_token(spawn):
    carrier = spawn(SLEEPER, AUTOREDUCE_BOX="aa11")
    spawn(SLEEPER, AUTOREDUCE_BOX="aa112")
    spawn(SLEEPER, XAUTOREDUCE_BOX="aa11")

    assert [process.pid for process in proctree.carriers("aa11")] == [carrier.pid]


def test_carriers_are_ended_with_those_that_hide_below_them(spawn):
    hidden = (
        "import subprocess\np = subprocess.Popen(['/bin/sleep', '600'], env={}, start_new_session=True)\n" + SLEEPER
    )
    carrier = spawn(hidden, AUTOREDUCE_BOX="bb22")
    other = spawn(SLEEPER)
    below = wait_until(lambda: proctree.descendants(carrier.pid, proctree.scan()), 30, "the hidden one")

    assert proctree.end_carriers("bb22") == 2

    assert not any(proctree.alive(process.identity) for process in below)
    assert other.poll() is None
    assert proctree.end_carriers("bb22") == 0


def test_a_look_at_a_tree_is_cheap(spawn):
    spawn(SLEEPER)
    window = proctree.TreeWindow(os.getpid())
    window.look(0.0)
    began = time.perf_counter()
    for _ in range(20):
        window.look(0.1)
    took = (time.perf_counter() - began) / 20
    print(f"a look: {took * 1e6:.0f} us among {len(proctree.scan())} processes")
    assert took < 1.0


#: Its first thread ends, and another goes on with 64 MiB.
HEADLESS = """
import ctypes, os, threading, time
def go_on():
    while open("/proc/self/stat").read().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    kept = bytearray(os.urandom(4096)) * (16 << 10)
    os.write(1, b"up\\n")
    time.sleep(600)
threading.Thread(target=go_on).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_lives_on_when_only_its_first_thread_has_ended(spawn):
    process = spawn(HEADLESS)
    found = proctree.look(process.pid)

    assert (found.state, found.is_headless, found.living) == ("Z", True, True)
    assert proctree.alive(found.identity)
    with open(f"{proctree.shown_at(found)}/statm") as file:
        assert int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") > 64 << 20

    process.kill()
    wait_until(lambda: not proctree.alive(found.identity), 30, "the end")
    dead = proctree.look(process.pid)
    assert (dead.is_headless, proctree.shown_at(dead)) == (False, f"/proc/{process.pid}")


def test_a_box_whose_first_thread_has_ended_is_found_by_its_token_and_ended(spawn):
    token = f"{os.getpid():016x}"
    process = spawn(HEADLESS, AUTOREDUCE_BOX=token)

    assert [found.pid for found in proctree.carriers(token)] == [process.pid]
    assert proctree.end_carriers(token) == 1

    assert process.wait(30) == -signal.SIGKILL


def test_a_process_that_is_gone_has_no_threads(spawn):
    process = spawn(SLEEPER)
    assert proctree.threads(process.pid) == [process.pid]

    process.kill()
    process.wait()

    assert proctree.threads(process.pid) == []
