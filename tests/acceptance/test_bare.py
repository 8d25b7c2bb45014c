"""The four real files: what `run` makes of them in a box is byte for byte what the bare script makes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import archive
import pytest

#: Runs a script as a scientist would without any of this: import it, call its main.
BARE = "import sys; import reduce; reduce.main(sys.argv[1], sys.argv[2])"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return archive.lay_out(str(tmp_path_factory.mktemp("isis")))


def lay_out(run, folder):
    """Put the script and its variables into a folder, as they stand in the archive."""
    folder.mkdir()
    (folder / "reduce.py").write_text(run.script, encoding="utf-8")
    lines = [f"{name} = {value!r}\n" for name, value in run.reduction_arguments.items()]
    (folder / "reduce_vars.py").write_text("".join(lines), encoding="utf-8")
    (folder / "vars.json").write_text(json.dumps(run.reduction_arguments), encoding="utf-8")
    return folder


def finish(command, folder, **env):
    ended = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended


def digests(folder):
    """Return the digest of every file below a folder, but the logs of the box."""
    found = {}
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "reduction_log"]
        for name in names:
            path = os.path.join(base, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


@pytest.mark.parametrize("name", archive.RUNS)
def test_a_run_in_a_box_gives_the_bytes_of_the_bare_script(name, runs, tmp_path):
    run = runs[name]
    bare, boxed = lay_out(run, tmp_path / "bare"), lay_out(run, tmp_path / "boxed")
    (bare / "out").mkdir()
    (boxed / "site.toml").write_text('[broker]\nurl = "none"\n')

    finish([sys.executable, "-B", "-c", BARE, run.path, "out"], bare, HDF5_USE_FILE_LOCKING="FALSE")
    words = ["run", "reduce.py", run.path, "--out", "out", "--vars", "vars.json", "--config", "site.toml"]
    finish([sys.executable, "-m", "supervisor.cli", *words, "--json", "outcome.json"], boxed)

    made = digests(boxed / "out")
    assert made == digests(bare / "out")
    assert set(run.outputs) <= made.keys()
    outcome = json.loads((boxed / "outcome.json").read_text())
    assert {output["path"]: output["sha256"] for output in outcome["outputs"]} == made
    archive.check(run, str(boxed / "out"))
