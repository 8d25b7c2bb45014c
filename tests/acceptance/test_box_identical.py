"""The four real files at every level of isolation: each reduction's outputs are byte for byte those of the bare script.

HDF5 files are compared whole, times and all: h5py writes none unless it is asked to (`track_times`), so no byte is left
out anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import archive
import boxes
import corpus
import pytest

from sandbox.box import Box, start
from sandbox.limits import Limits
from sandbox.verdict import Verdict

#: Hostile needs a control group.
LEVELS = ["none", "contained", *(["hostile"] if corpus.boxes_have_groups() else [])]
#: Runs a script as a scientist would without any of this: import it, call its main.
BARE = "import sys; import reduce; reduce.main(sys.argv[1], sys.argv[2])"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return archive.lay_out(str(tmp_path_factory.mktemp("isis")))


@pytest.fixture(scope="module")
def bare(runs, tmp_path_factory):
    """What each script makes without a box: the bytes of every file by name, made once for all levels."""
    made = {}
    for name, run in runs.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / "out").mkdir()
        (folder / "reduce.py").write_text(run.script, encoding="utf-8")
        lines = [f"{key} = {value!r}\n" for key, value in run.reduction_arguments.items()]
        (folder / "reduce_vars.py").write_text("".join(lines), encoding="utf-8")
        ended = subprocess.run(
            [sys.executable, "-B", "-c", BARE, run.path, "out"],
            cwd=folder,
            env={"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "HDF5_USE_FILE_LOCKING": "FALSE"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        files = [path for path in (folder / "out").rglob("*") if path.is_file()]
        made[name] = {str(path.relative_to(folder / "out")): path.read_bytes() for path in files}
    return made


def boxed(run, level, spool):
    """Run a reduction in a box of this level; return its outcome and the bytes of every file by name."""
    box = Box(
        interpreter=(sys.executable,),
        script=run.script.encode(),
        input_files=(run.path,),
        reduce_vars=run.reduction_arguments,
        facts={"run_number": run.run},
        spool=str(spool),
        limits=Limits(wall=100.0, grace=1.0),
        subject=run.instrument,
        level=level,
        closure=boxes.closure_here(),
    )
    files = {}
    with start(box) as running:
        boxes.drive(running, timeout=110)
        outcome = running.outcome()
        for output in outcome.outputs:
            with open(os.open(output.path, os.O_RDONLY, dir_fd=running.out_fd), "rb") as file:
                files[output.path] = file.read()
    return outcome, files


def first_difference(one, other):
    """Return where two texts of bytes differ first, for the message of a failure; None where they are the same."""
    if one == other:
        return None
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", archive.RUNS)
def test_a_reduction_in_a_box_gives_the_bytes_of_the_bare_script(name, level, runs, bare, tmp_path):
    spool, results = tmp_path / "spool", tmp_path / "results"
    spool.mkdir()
    results.mkdir()
    run = runs[name]
    with open(run.path, "rb") as file:
        before = hashlib.file_digest(file, "sha256").hexdigest()

    outcome, made = boxed(run, level, spool)

    assert outcome.verdict is Verdict.completed, f"{outcome.sentence}\n{outcome.traceback}"
    assert outcome.guards.facts["level"] == level
    assert sorted(made) == sorted(bare[name]) == sorted(run.outputs)
    differing = {path: first_difference(made[path], bare[name][path]) for path in made}
    assert differing == dict.fromkeys(made), "first byte that differs, by file"
    with open(run.path, "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == before
    assert os.listdir(spool) == []
    for path, text in made.items():
        (results / path).write_bytes(text)
    archive.check(run, str(results))


def test_a_byte_that_differs_is_seen(runs, bare):
    name = next(path for path in bare["lrmecs"] if path.endswith("_results.json"))
    text = bare["lrmecs"][name]
    assert json.loads(text)["run"] == int(runs["lrmecs"].run)
    assert first_difference(text, text) is None
    assert first_difference(text, text[:7] + bytes([text[7] ^ 1]) + text[8:]) == 7
    assert first_difference(text, text[:-1]) == len(text) - 1
