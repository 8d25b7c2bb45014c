"""What a package lays out, and the words that run when it is installed; that it serves is seen in the lab."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.syspath_prepend(str(PACKAGING))
    import stage

    return stage


@pytest.fixture
def deb(stage):
    import deb

    return deb


def test_every_file_of_etc_goes_somewhere(stage, tmp_path):
    stage.service(tmp_path / "tree")
    laid = {path.name for path in (tmp_path / "tree").rglob("*") if path.is_file()}
    assert {path.name for path in (ROOT / "etc").rglob("*") if path.is_file()} <= laid
    assert set(stage.PLACES) == {path.name for path in (ROOT / "etc").iterdir()}
    command = tmp_path / "tree/usr/bin/autoreduce-supervisor"
    assert os.readlink(command) == "/opt/autoreduce-supervisor/current/bin/autoreduce-supervisor"


def test_what_an_administrator_edits_is_kept_by_both_packers(stage, deb, tmp_path):
    stage.service(tmp_path / "tree")
    edited = sorted(
        f"/{path.relative_to(tmp_path / 'tree')}" for path in (tmp_path / "tree/etc").rglob("*") if path.is_file()
    )
    assert sorted(deb.CONFFILES) == edited
    spec = (PACKAGING / "autoreduce-supervisor.spec").read_text()
    assert sorted(re.findall(r"(?m)^%config\(noreplace\) (.+)$", spec)) == edited


def test_units_start_what_is_installed(stage):
    for unit in (ROOT / "etc/systemd").iterdir():
        assert f"ExecStart={stage.HOME}/" in unit.read_text()


def test_an_environment_forgets_where_it_was_made(stage, tmp_path):
    place = tmp_path / "opt/autoreduce-supervisor/9.9.9"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    record = next(place.glob("lib/python3*/site-packages")) / "x-1.dist-info"
    record.mkdir()
    (record / "direct_url.json").write_text("{}")
    (record / "RECORD").write_text("x.py,,\nx-1.dist-info/direct_url.json,,\n")
    (record.parent / "x.py").write_text("y = 1\n")
    command = place / "bin/autoreduce-supervisor"
    command.write_text(f"#!{place}/bin/python3\n")
    stage._relocate(tmp_path, place, "/opt/autoreduce-supervisor/9.9.9")
    assert command.read_text() == "#!/opt/autoreduce-supervisor/9.9.9/bin/python3\n"
    assert not (place / "bin/activate").exists()
    assert not (record / "direct_url.json").exists()
    assert (record / "RECORD").read_text() == "x.py,,\n"
    compiled = next((record.parent / "__pycache__").glob("x.*.pyc")).read_bytes()
    assert b"/opt/autoreduce-supervisor/9.9.9/lib" in compiled
    assert str(tmp_path).encode() not in compiled


def test_an_environment_that_still_names_its_folder_is_refused(stage, tmp_path):
    place = tmp_path / "opt/autoreduce-supervisor/9.9.9"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (place / "bin/autoreduce-supervisor").write_text("")
    (place / "note.txt").write_text(str(tmp_path))
    with pytest.raises(SystemExit, match=r"note\.txt"):
        stage._relocate(tmp_path, place, "/opt/autoreduce-supervisor/9.9.9")


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_a_maintainer_script_is_a_shell_script_that_knows_its_version(name):
    text = (PACKAGING / "debian" / name).read_text().replace("@VERSION@", "9.9.9")
    assert not re.search(r"@[A-Z]+@", text)
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    assert text.splitlines()[2].startswith("set -e") or "set -e" in text


@pytest.mark.parametrize("action", ["upgrade", "failed-upgrade", "deconfigure"])
def test_an_upgrade_stops_nothing(tmp_path, action):
    """Whatever the old version's scripts would run is a program here that says so."""
    for tool in ("systemctl", "rm", "rmdir"):
        (tmp_path / tool).write_text('#!/bin/sh\necho "ran: $0 $*"\n')
        (tmp_path / tool).chmod(0o755)
    for name in ("prerm", "postrm"):
        done = subprocess.run(
            ["sh", str(PACKAGING / "debian" / name), action, "9.9.9"],
            env={"PATH": f"{tmp_path}:{os.defpath}"}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == ""
