"""`reload` and `config diff` by the records of the run directory, and what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from embedded import Embedded

from sandbox.linux import proctree
from supervisor import cli, config, rundir
from supervisor.reloading import ANSWER_FILE, IN_FORCE_FILE
from supervisor.verbs import reload


@pytest.fixture
def site(tmp_path):
    made = Embedded(tmp_path)
    os.makedirs(made.run_dir)
    return made


@pytest.fixture
def say(site, capsys):
    def said(*words):
        code = cli.main([*words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return said


#: Answers SIGHUP by writing the record that is its first argument, with the moment at which it began.
ANSWERS = """
import json, os, signal, sys, time
def answer(*_):
    with open(sys.argv[2] + ".new", "w") as file:
        json.dump({"began": time.monotonic(), **json.loads(sys.argv[1])}, file)
    os.rename(sys.argv[2] + ".new", sys.argv[2])
signal.signal(signal.SIGHUP, answer)
print(flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def supervisor(site):
    """A process that says that it serves, and answers as it is told."""
    children = []

    def begin(answer, program=ANSWERS):
        path = os.path.join(site.run_dir, ANSWER_FILE)
        child = subprocess.Popen(
            [sys.executable, "-c", program, json.dumps(answer), path], stdout=subprocess.PIPE, text=True
        )
        children.append(child)
        child.stdout.readline()
        start = proctree.identity(child.pid).start
        record = {"pid": child.pid, "start": start, "boot": proctree.boot_id()}
        rundir.write_local(site.run_dir, rundir.IDENTITY_FILE, record)
        return child

    yield begin
    for child in children:
        child.kill()
        child.communicate()


def test_the_answer_is_printed_for_people(site, say, supervisor):
    supervisor({"problems": [], "applied": ["limits.wall"], "restart": ["store.path"], "notes": ["GEM\x1b: waits"]})
    code, out, _ = say("reload", "--config", site.config)
    assert code == 0
    assert out == "applied: limits.wall\nneeds a restart: store.path\ncaution: GEM\\x1b: waits\n"


def test_a_refusal_is_status_78_with_every_problem(site, say, supervisor):
    supervisor({"problems": ["a: one", "b: two"]})
    code, _, err = say("reload", "--config", site.config)
    assert code == 78
    assert err.splitlines() == ["a: one", "b: two", "nothing was changed: the configuration in force stays"]


def test_an_answer_of_before_is_none_and_a_supervisor_that_says_nothing_is_status_70(site, say, supervisor):
    rundir.write_local(site.run_dir, ANSWER_FILE, {"began": 1.0, "problems": []})
    deaf = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); print(flush=True); signal.pause()"
    supervisor({}, deaf)
    code, _, err = say("reload", "--patience", "0.2", "--config", site.config)
    assert code == 70
    assert "has not answered in 0.2 s" in err


def test_a_supervisor_that_ends_instead_of_answering_is_not_waited_for(site, say, supervisor):
    child = supervisor({}, "import signal; print(flush=True); signal.pause()")
    code, _, _ = say("reload", "--config", site.config)
    assert code == 70
    assert child.wait() == -signal.SIGHUP


def test_the_run_directory_is_found_in_a_file_with_problems_and_can_be_said(site, say, tmp_path):
    path = str(tmp_path / "wrong.toml")
    with open(path, "w") as file:
        file.write('[service]\nrun_dir = "/else"\n[nonsense]\n')
    assert reload.run_dir_of(path) == "/else"
    with open(path, "w") as file:
        file.write("this is no TOML")
    assert reload.run_dir_of(path) == config.parse("", "x").service.run_dir
    code, _, err = say("reload", "--run-dir", site.run_dir, "--config", path)
    assert code == 3
    assert site.run_dir in err


def test_two_files_are_compared_without_a_supervisor(site, say, tmp_path):
    other = str(tmp_path / "other.toml")
    with open(site.config) as file:
        text = file.read()
    with open(other, "w") as file:
        file.write(text.replace('"2 GiB"', '"3 GiB"').replace("slots = 2", "slots = 2\nid = 'b'"))
    code, out, _ = say("config", "diff", site.config, other)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["host.id", "limits.memory"]
    assert out.splitlines()[0].endswith("needs a restart")
    assert out.splitlines()[1].endswith("applies at reload")
    assert say("config", "diff", site.config, site.config)[1] == "nothing would change\n"
    assert say("config", "diff", site.config)[0] == 2


def test_a_file_is_compared_with_what_runs(site, say, supervisor):
    assert say("config", "diff", "--config", site.config)[0] == 3
    supervisor({})
    code, _, err = say("config", "diff", "--config", site.config)
    assert code == 70
    assert "earlier version" in err
    document = config.load_whole(site.config).document
    rundir.write_local(site.run_dir, IN_FORCE_FILE, {"path": site.config, "document": document})
    site.configure(limits={"wall": "3 min"})
    assert say("config", "diff", "--json", "--config", site.config)[1] == (
        '{"changes": [{"key": "limits.wall", "old": "\\"2 min\\"", "new": "\\"3 min\\"", "restart": false}]}\n'
    )
    site.configure(limits={"wal": "3 min"})
    assert say("config", "diff", "--config", site.config)[0] == 78
