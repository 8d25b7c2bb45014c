from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from remembered import remember_absent

from supervisor import preflight
from supervisor.staging import SiteTrouble


class Opened(Exception):
    pass


def look(*paths):
    """Run the preflight of a plan with these inputs up to the archive, which raises `Opened`."""

    def open_archive():
        raise Opened

    plan = SimpleNamespace(
        box={"input_files": [str(path) for path in paths], "interpreter": [], "env": {}},
        script_on_disk=None, default_vars=None, interpreters=None, closures={}, instrument="ENGINX",
    )  # fmt: skip
    preflight.look(plan, SimpleNamespace(open_archive=open_archive))


@pytest.fixture(autouse=True)
def nothing_on_disk(monkeypatch):
    monkeypatch.setattr(preflight, "_on_disk", lambda plan: None)


def test_a_data_file_that_is_remembered_as_absent_is_found(tmp_path, monkeypatch):
    data = tmp_path / "run.nxs"
    data.write_bytes(b"counts")
    remember_absent(monkeypatch, str(data))
    with pytest.raises(FileNotFoundError):
        os.open(data, os.O_RDONLY)
    with pytest.raises(Opened):
        look(data)


@pytest.mark.parametrize("what", ["absent", "a folder"])
def test_data_that_cannot_be_read_are_trouble_of_the_site(tmp_path, what):
    data = tmp_path / "run.nxs"
    if what == "a folder":
        data.mkdir()
    with pytest.raises(SiteTrouble, match=r'data file cannot be used: ".*run.nxs": (No such file|Is a directory)'):
        look(data)
