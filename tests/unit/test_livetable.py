"""One picture on a terminal, one after another in a pipe; --watch until Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest
from embedded import Embedded
from waiting import wait_until

from supervisor import cli, hosts, journal, livetable


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x", "1e9", "2 s"])
def test_a_pause_is_a_number_of_seconds(text):
    with pytest.raises(ValueError, match=re.escape(text)):
        livetable.seconds(text)


def test_what_does_not_fit_is_cut_and_counted():
    rows = ["a" * 30, "b", "c", "d"]
    assert livetable.fitting(rows, 10, 9) == ["aaaaaaa...", "b", "c", "d"]
    assert livetable.fitting(rows, 80, 3) == ["a" * 30, "b", "... and 2 lines more"]
    assert livetable.fitting(rows, 80, 4) == rows
    assert livetable.fitting(rows, 2, 1) == [".."]
    assert livetable.fitting([], 80, 1) == []


@pytest.fixture
def site(tmp_path):
    made = Embedded(tmp_path)
    journal.open_store(made.layout, create=True)
    return made


def beat(site, host):
    fields = {"boot": "b", "slots": 1, "running": 0, "version": "1", "level": "none"}
    hosts.write_beat(site.layout, hosts.HostBeat(host=host, counter=1, **fields, time=4e9))


def watching(site, *words, **how):
    command = [sys.executable, "-m", "supervisor.cli", "status", "--watch", "0.1", *words, "--config", site.config]
    return subprocess.Popen(command, **how)


def test_ctrl_c_while_a_look_is_shown_ends_with_the_status_of_that_look(site, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(livetable.LiveTable, "show", interrupted)
    assert cli.main(["status", "--watch", "0.1", "--fleet", "--config", site.config]) == 3, "nobody lives"
    beat(site, "new")
    assert cli.main(["status", "--watch", "0.1", "--fleet", "--config", site.config]) == 0


def test_in_a_pipe_each_look_is_a_line_of_json_and_ctrl_c_ends_it_with_the_last_status(site):
    child = watching(site, "--fleet", "--json", stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(child.stdout.readline())["living"] == 0
        beat(site, "new")
        found = next(told for line in child.stdout if (told := json.loads(line))["living"])
        assert [host["host"] for host in found["hosts"]] == ["new"]
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_on_a_terminal_it_is_drawn_in_place(site):
    master, slave = pty.openpty()
    child = watching(site, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    try:

        def twice():
            nonlocal seen
            seen += os.read(master, 4096)
            return seen.count(b"\x1b[H") >= 2

        wait_until(twice, 60, "the picture to be drawn again")
        assert b"no supervisor runs on host" in seen
        assert b"\x1b[K\r\n\x1b[J" in seen
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 3
    finally:
        child.kill()
        child.wait()
        os.close(master)


def test_a_reader_that_is_gone_ends_it(site):
    child = watching(site, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        child.stdout.close()
        assert child.wait(60) == 70
        assert b"Traceback" not in child.stderr.read()
    finally:
        child.kill()
        child.wait()
        child.stderr.close()


def test_a_wrong_pause_is_told(site, capsys):
    assert cli.main(["status", "--watch", "0", "--config", site.config]) == 2
    assert "--watch" in capsys.readouterr().err
