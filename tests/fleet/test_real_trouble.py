"""File systems that are really full, read-only and frozen, below a whole site in a mount namespace of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLAYER = Path(__file__).resolve().parents[1] / "support" / "realtrouble.py"
#: Root, or root of a user namespace; and for loop devices and freezing nothing less than root.
_UNSHARE = ["unshare", "--mount", "--propagation", "private"]
_MAPPED = ["--user", "--map-root-user"]


def play(kind, folder):
    words = [*_UNSHARE, *([] if os.geteuid() == 0 else _MAPPED), sys.executable, str(PLAYER), kind, str(folder)]
    played = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert played.returncode == 0, f"{played.stdout}\n{played.stderr}"
    return played.stdout.splitlines()


@pytest.mark.parametrize(("kind", "answer"), [("full", "(ENOSPC)"), ("readonly", "(EROFS)")])
@pytest.mark.timeout(300)
def test_nothing_is_lost_on_a_file_system_that(kind, answer, tmp_path):
    status, submit = play(kind, tmp_path)
    assert answer in status
    assert "/store/" in status
    assert submit.startswith("submit: [Errno")


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_nothing_is_lost_on_a_file_system_that_freezes(tmp_path):
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.fail("this needs root, a loop device and mkfs.ext4: apt-get install e2fsprogs; sudo make soak")
    (status,) = play("frozen", tmp_path)
    assert "no answer to" in status


@pytest.mark.timeout(300)
def test_a_run_whose_data_are_mounted_while_its_box_waits_is_tried_again(tmp_path):
    """The namespace is private, as that of a host without systemd: the box cannot see the mount."""
    (why,) = play("mounted", tmp_path)
    assert why.startswith(f"box cannot be used: '{tmp_path}/site/data' was mounted or unmounted on this host after")
