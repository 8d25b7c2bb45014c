"""The reduction scripts of the acceptance tests, run bare on real data: what the box must reproduce."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import archive
import pytest


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return archive.lay_out(str(tmp_path_factory.mktemp("isis")))


def reduce_bare(run, folder):
    """Runs the script as a scientist would at a desk: reduce_vars.py beside it, no harness, warnings as errors."""
    os.makedirs(folder / "out")
    (folder / "reduce.py").write_text(run.script, encoding="utf-8")
    lines = [f"{name} = {value!r}\n" for name, value in run.reduction_arguments.items()]
    (folder / "reduce_vars.py").write_text("".join(lines), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-B", "-W", "error", "reduce.py", run.path, "out"],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "HDF5_USE_FILE_LOCKING": "FALSE"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return str(folder / "out")


@pytest.mark.parametrize("name", archive.RUNS)
def test_a_bare_reduction_of_real_data_gives_the_known_answers(name, runs, tmp_path):
    out = reduce_bare(runs[name], tmp_path)
    archive.check(runs[name], out)
    assert sorted(os.listdir(out)) == sorted(runs[name].outputs)


@pytest.mark.parametrize("name", archive.RUNS)
def test_a_reduction_gives_the_same_bytes_every_time(name, runs, tmp_path):
    once, again = (reduce_bare(runs[name], tmp_path / part) for part in ("once", "again"))
    for output in runs[name].outputs:
        with open(os.path.join(once, output), "rb") as first, open(os.path.join(again, output), "rb") as second:
            assert first.read() == second.read(), output


@pytest.mark.parametrize("name", archive.RUNS)
def test_the_message_of_a_run_is_that_of_the_web_app_of_2016(name, runs):
    run = runs[name]
    sent = archive.message(run)
    assert json.loads(json.dumps(sent)) == sent
    assert set(sent["reduction_arguments"]) == {"standard_vars", "advanced_vars"}
    assert sent["data"].startswith(f"\\\\isis\\inst$\\NDX{run.instrument}\\Instrument\\data\\cycle_{run.cycle}\\")
    assert sent["data"].replace("\\\\isis\\inst$\\", "/isis/").replace("\\", "/") == run.linux
    assert run.path.endswith(run.linux.removeprefix("/isis"))
    assert compile(sent["reduction_script"], "reduce.py", "exec")


def test_the_reflectometer_finds_its_direct_beam_beside_the_run(runs):
    assert sorted(os.listdir(os.path.dirname(runs["platypus"].path))) == ["PLP0016590.nx.hdf", "PLP0016596.nx.hdf"]


def test_a_missing_data_folder_fails_with_what_to_set(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTOREDUCE_DATA", str(tmp_path / "absent"))
    with pytest.raises(AssertionError, match="set AUTOREDUCE_DATA to the folder that holds them"):
        archive.data_folder()


def test_a_wrong_answer_is_not_let_pass(runs, tmp_path):
    out = reduce_bare(runs["lrmecs"], tmp_path)
    results = os.path.join(out, "LRMECS3701_results.json")
    with open(results, encoding="utf-8") as file:
        wrong = json.load(file) | {"incident_energy": 130.0}
    with open(results, "w", encoding="utf-8") as file:
        json.dump(wrong, file)
    with pytest.raises(AssertionError, match=r"incident energy in meV: found 130\.0, known 129\.66"):
        archive.check(runs["lrmecs"], out)
