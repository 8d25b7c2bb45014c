"""Orders at fail-points: who obeys them, and what the call that stands there comes to."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading

import pytest
from waiting import wait_until

from supervisor import failpoints
from supervisor.failpoints import effect


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(failpoints, "_folder", str(tmp_path))
    monkeypatch.setattr(failpoints, "_process", "shepherd")
    return tmp_path


def _order(folder, **what):
    new = folder / "standing.new"
    new.write_text(json.dumps([what]))
    new.rename(folder / "standing")  # whole or not at all: a thread may be about to read what stands


def _makes_the_call(label):
    with effect(label):
        return True


def test_a_standing_order_answers_a_call_by_an_error_again_and_again(folder):
    _order(folder, process="shepherd", labels=["lock.beat"], error=errno.EIO)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output") as met, effect("lock.beat"):
            pytest.fail("the call was made")
        assert met.value.errno == errno.EIO
    (folder / "standing").unlink()
    assert _makes_the_call("lock.beat")


@pytest.mark.parametrize(
    "order",
    [
        {"process": "supervisor", "labels": ["lock.beat"]},
        {"pid": 1, "labels": ["lock.beat"]},
        {"labels": ["archive."]},
        {"labels": ["lock.beat after"]},
        {"labels": []},
    ],
)
def test_a_standing_order_for_another_is_not_obeyed(folder, order):
    _order(folder, error=errno.EIO, **order)
    assert _makes_the_call("lock.beat")


def test_a_standing_order_may_name_its_process_by_pid(folder):
    _order(folder, pid=os.getpid(), labels=["lock.", "store."], error=errno.EACCES)
    with pytest.raises(PermissionError):
        _makes_the_call("store.link final")


def test_a_thread_hangs_at_the_gate_while_others_go_on(folder):
    os.mkfifo(folder / "gate")
    (folder / "trace").touch()
    _order(folder, labels=["store."])
    made = []
    thread = threading.Thread(target=lambda: made.append(_makes_the_call("store.link final")))
    thread.start()
    wait_until(lambda: "store.link final before" in (folder / "trace").read_text(), why="the thread to come")
    assert _makes_the_call("lock.beat")
    thread.join(0.2)
    assert thread.is_alive()
    assert made == []
    (folder / "standing").unlink()
    gate = os.open(folder / "gate", os.O_RDWR)
    thread.join(30)
    os.close(gate)
    assert made == [True]


def test_what_hung_meets_the_order_that_stands_when_it_goes_on(folder):
    os.mkfifo(folder / "gate")
    (folder / "trace").touch()
    _order(folder, labels=["lock."])
    met = []

    def beat():
        try:
            _makes_the_call("lock.beat")
        except OSError as error:
            met.append(error.errno)

    thread = threading.Thread(target=beat)
    thread.start()
    wait_until(lambda: "lock.beat before" in (folder / "trace").read_text(), why="the thread to come")
    _order(folder, labels=["lock.beat"], error=errno.EIO)
    gate = os.open(folder / "gate", os.O_RDWR)
    thread.join(30)
    os.close(gate)
    assert met == [errno.EIO]


def test_an_armed_point_is_hit_once_and_by_the_process_that_is_named(tmp_path):
    (tmp_path / "armed").write_text(json.dumps({"process": "supervisor", "label": "store.link final after"}))
    program = (
        "from supervisor.failpoints import effect, enter_process\n"
        "enter_process('shepherd')\n"
        "with effect('store.link final'): pass\n"
        "enter_process('supervisor')\n"
        "print('goes on', flush=True)\n"
        "with effect('store.link final'): pass\n"
        "print('not reached', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": os.path.realpath("."), failpoints.VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (-9, "goes on\n"), done.stderr
    assert not (tmp_path / "armed").exists()
