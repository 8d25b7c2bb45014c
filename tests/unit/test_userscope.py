"""A scope of the service manager: when it is asked for, and that a command goes on where there is none."""

from __future__ import annotations

import os
import stat

import pytest

from supervisor import userscope


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"environ": {userscope.MARK: "1"}}, False),
        ({"has_groups": True}, False),
        ({"exists": False}, False),
    ],
)
def test_it_is_wanted_without_groups_once(changes, expected):
    facts = {"environ": {}, "has_groups": False, "exists": True}
    facts |= changes
    assert userscope.wanted(facts.pop("environ"), **facts) is expected


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An ordinary user without groups, with a manager and a `systemd-run` that does what the test says."""
    manager = tmp_path / "run" / "systemd"
    manager.mkdir(parents=True)
    (manager / "private").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(userscope.MARK, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(userscope, "_has_groups", lambda: False)
    begun = []
    monkeypatch.setattr(os, "execve", lambda *words: begun.append(words))
    (tmp_path / "bin").mkdir()

    def make(text):
        program = tmp_path / "bin" / "systemd-run"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return begun

    make.begun = begun
    return make


def test_the_command_is_begun_again_in_a_scope_that_is_delegated(desk):
    begun = desk("exit 0")
    userscope.enter(["run", "a.py"])
    ((program, words, environ),) = begun
    assert words[0] == program
    assert words[1:7] == ["--user", "--scope", "--quiet", "-p", "Delegate=yes", "--"]
    assert words[-2:] == ["run", "a.py"]
    assert environ[userscope.MARK] == "1"


def test_root_asks_the_manager_of_the_system(desk, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(userscope, "_SYSTEM", str(tmp_path / "private"))
    begun = desk("exit 0")
    userscope.enter(["doctor"])
    assert begun == [], "there is no such manager, as in a container"
    (tmp_path / "private").touch()
    userscope.enter(["doctor"])
    ((_, words, _),) = begun
    assert words[1:6] == ["--scope", "--quiet", "-p", "Delegate=yes", "--"]


@pytest.mark.parametrize("text", ["exit 1", "exec /none/such"])
def test_a_manager_that_refuses_lets_the_command_go_on(desk, text):
    begun = desk(text)
    userscope.enter(["run", "a.py"])
    assert begun == []


def test_without_systemd_run_or_manager_the_command_goes_on(desk, tmp_path):
    userscope.enter(["run", "a.py"])
    assert desk.begun == []
    desk("exit 0")
    (tmp_path / "run" / "systemd" / "private").unlink()
    userscope.enter(["run", "a.py"])
    assert desk.begun == []
