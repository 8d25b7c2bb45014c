"""`status`, `start` and `stop` by the records of the run directory, without a supervisor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from embedded import Embedded

from sandbox.linux import proctree
from supervisor import cli, localstatus, rundir
from supervisor.verbs import status


@pytest.fixture
def site(tmp_path):
    made = Embedded(tmp_path)
    os.makedirs(made.run_dir)
    return made


@pytest.fixture
def say(site, capsys):
    def said(*words):
        code = cli.main([*words, "--config", site.config])
        told = capsys.readouterr()
        return code, told.out, told.err

    return said


@pytest.fixture
def stranger():
    """A process that is no supervisor."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    yield child
    child.kill()
    child.communicate()


def serve_as(site, pid, start, boot=""):
    rundir.write_local(
        site.run_dir, rundir.IDENTITY_FILE, {"pid": pid, "start": start, "boot": boot or proctree.boot_id()}
    )


def test_no_supervisor_is_status_3(site, say):
    code, out, _ = say("status")
    assert code == 3
    assert "no supervisor runs" in out
    assert json.loads(say("status", "--json")[1])["running"] is False


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "1", "start": 2}', '{"pid": 1}'])
def test_a_spoilt_identity_is_no_supervisor_and_no_traceback(site, say, text):
    with open(os.path.join(site.run_dir, rundir.IDENTITY_FILE), "w") as file:
        file.write(text)
    assert say("status")[0] == 3
    assert say("stop")[0] == 0


def test_a_pid_that_was_used_anew_is_neither_shown_nor_stopped(site, say, stranger):
    start = proctree.identity(stranger.pid).start
    for wrong in ((start + 1, ""), (start, "another boot")):
        serve_as(site, stranger.pid, *wrong)
        assert say("status")[0] == 3
        code, out, _ = say("stop")
        assert code == 0
        assert "no supervisor runs" in out
    assert stranger.poll() is None


def test_stop_waits_for_the_end_and_says_when_it_does_not_come(site, say, tmp_path):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", deaf], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        serve_as(site, child.pid, proctree.identity(child.pid).start)
        code, _, err = say("stop", "--patience", "0.2")
        assert code == 70
        assert "has not ended" in err
        code, _, err = say("start")
        assert code == 70
        assert "runs already" in err
    finally:
        child.kill()
        child.communicate()
    assert say("stop")[0] == 0


def test_the_state_is_shown_and_strangers_names_are_made_safe(site, say):
    me = proctree.identity(os.getpid())
    serve_as(site, me.pid, me.start)
    run = {"job": "j\x1b[2J", "rb": "7\n", "run": "1", "instrument": "ENGINX", "since": time.time() - 5, "epoch": 3}
    state = {"slots": 2, "running": [run], "waiting": 100_000, "store": "hanging", "broker": "away"}
    rundir.write_local(site.run_dir, rundir.STATE_FILE, state)
    code, out, _ = say("status")
    assert code == 0
    assert "1 of 2 busy" in out
    assert "j\\x1b[2J" in out
    assert "store.max_waiting is reached" in out
    assert "hanging" in out
    assert json.loads(say("status", "--json")[1])["runs"] == [run]


def test_the_state_of_an_earlier_supervisor_is_not_shown(site, say):
    rundir.write_local(site.run_dir, rundir.STATE_FILE, {"slots": 2, "running": [], "waiting": 7})
    me = proctree.identity(os.getpid())
    serve_as(site, me.pid, me.start)
    told = json.loads(say("status", "--json")[1])
    assert told["running"] is True
    assert told["waiting"] is None
    assert told["store"] == "not looked at yet"


@pytest.mark.parametrize("state", [{"running": 7}, {"running": [7]}, {"running": None, "slots": "x", "waiting": "y"}])
def test_a_state_of_any_shape_is_shown_as_far_as_it_goes(site, state):
    me = proctree.identity(os.getpid())
    serve_as(site, me.pid, me.start)
    rundir.write_local(site.run_dir, rundir.STATE_FILE, state)
    rows = status.text(localstatus.read(site.run_dir), time.time())
    assert rows[0].startswith("running: pid")
