"""A process that was started through a link keeps its version when the link is switched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

from supervisor import pinned

ASK = textwrap.dedent("""
    import json, os, sys
    from supervisor import pinned
    if sys.argv[1] == "pin":
        pinned.pin()
    os.unlink("current")
    os.symlink("2", "current")
    from supervisor import late
    json.dump([late.VERSION, pinned.code_version(), os.environ["PYTHONPATH"]], sys.stdout)
""")


@pytest.fixture
def versions(tmp_path):
    """Two installed versions and a link to the first."""
    source = os.path.dirname(pinned.__file__)
    for version in ("1", "2"):
        for package in ("supervisor", "sandbox"):
            (tmp_path / version / package).mkdir(parents=True)
            (tmp_path / version / package / "__init__.py").write_text("")
        with open(os.path.join(source, "pinned.py")) as file:
            (tmp_path / version / "supervisor/pinned.py").write_text(file.read())
        (tmp_path / version / "supervisor/late.py").write_text(f"VERSION = {version!r}\n")
        about = tmp_path / version / f"autoreduce_supervisor-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: autoreduce-supervisor\nVersion: {version}\n")
    (tmp_path / "current").symlink_to("1")
    return tmp_path


@pytest.mark.parametrize(("how", "version"), [("pin", "1"), ("leave", "2")])
def test_what_is_imported_late_is_of_the_version_that_was_started_only_if_it_is_pinned(versions, how, version):
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", ASK, how],
        cwd=versions,
        env={"PYTHONPATH": str(versions / "current"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    late, installed, path = json.loads(done.stdout)
    assert (late, installed) == (version, version)
    assert path == str(versions / ("1" if how == "pin" else "current"))


def test_the_program_of_a_virtual_environment_stays_in_it(tmp_path):
    (tmp_path / "1/bin").mkdir(parents=True)
    (tmp_path / "1/bin/python").symlink_to(sys.executable)
    (tmp_path / "current").symlink_to("1")
    assert pinned.program(str(tmp_path / "current/bin/python")) == str(tmp_path / "1/bin/python")
    assert pinned.program("") == ""
