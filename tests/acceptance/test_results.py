"""What comes to stand in the archive: re-runs, layouts, and folders that scripts return."""

from __future__ import annotations

import os

import pytest
from acceptancesite import WRITES, tree

pytestmark = pytest.mark.broker

#: Writes three files, of which a re-run would change one, lose one and add one.
FIRST = """
import os


def main(input_file, output_dir):
    os.mkdir(os.path.join(output_dir, "deep"))
    for name in ("same.txt", "gone.txt", "deep/changed.txt"):
        with open(os.path.join(output_dir, name), "w") as result:
            result.write("good " + name)
    os.chmod(os.path.join(output_dir, "same.txt"), 0o755)
"""
AGAIN = """
import os
import sys


def main(input_file, output_dir):
    os.mkdir(os.path.join(output_dir, "deep"))
    for name in ("same.txt", "deep/changed.txt", "new.txt"):
        with open(os.path.join(output_dir, name), "w") as result:
            result.write("again " + name)
    %s
"""
FAILURES = {
    "script_error": "1 / 0",
    "crash": "os.abort()",
    "killed_external": "os.kill(os.getpid(), 9)",
    "handoff_error": "os._exit(0)",
    "output_rejected": "os.symlink('/etc/passwd', os.path.join(output_dir, 'link'))",
    "wall_limit": "import signal; signal.pause()",
    "memory_limit": "import time; x = bytearray(300 << 20); time.sleep(60)",
}


@pytest.mark.parametrize("verdict", FAILURES)
def test_a_re_run_that_fails_leaves_the_good_result_byte_identical_and_adds_only_logs(make_site, verdict):
    limits = {"wall": "1 s"} if verdict == "wall_limit" else {"memory": "150 MiB"} if verdict == "memory_limit" else {}
    site = make_site(limits={"grace": "200 ms", **limits})
    good = site.send(site.run(FIRST))
    site.completed(good)
    site.outcome(good)
    before = tree(good.result)

    bad = site.send(site.run(AGAIN % FAILURES[verdict], run_version=1))
    site.answer("started")
    told = site.answer("error")

    assert told["supervisor"]["verdict"] == site.outcome(bad).verdict == verdict
    after = tree(good.result)
    assert {name: after.get(name) for name in before} == before
    added = sorted(set(after) - set(before))
    assert added
    assert all(name.startswith("reduction_log/RB1510111Run75513v1") for name in added)
    assert os.listdir(good.result.parent) == ["75513"]
    site.wait_clean()
    assert site.left() == {}


def test_a_re_run_that_succeeds_replaces_the_whole_result(site):
    site.completed(site.send(site.run(FIRST)))

    again = site.send(site.run(AGAIN % "return", run_version=1))
    site.completed(again)

    results = {name: data for name, (_, data) in tree(again.result).items() if not name.startswith((".", "reduction_"))}
    assert results == {
        "same.txt": b"again same.txt",
        "deep/changed.txt": b"again deep/changed.txt",
        "new.txt": b"again new.txt",
    }
    assert os.listdir(again.result.parent) == ["75513"]


def test_runs_of_the_excitation_layout_are_merged_into_the_folder_of_their_rb(site):
    named = WRITES.replace('"result.txt"', 'os.path.basename(input_file) + ".txt"')
    runs = [site.run(named, instrument="LET", run=number, arguments={"text": f"of {number}"}) for number in (1, 2)]
    for run in runs:
        site.send(run)
        told = site.completed(run)
        assert told["reduction_data"] == ["\\instrument\\LET\\RBNumber\\RB1510111\\autoreduced\\"]
    again = site.send(site.run(named, instrument="LET", run=1, arguments={"text": "again"}, run_version=1))
    site.completed(again)
    failed = site.send(site.run(AGAIN % "1 / 0", instrument="LET", run=2, run_version=1))
    site.answer("started")
    site.answer("error")
    site.outcome(failed)

    found = {name: data for name, (_, data) in tree(again.result).items() if name.endswith(".txt")}
    assert found == {"LET00000001.nxs.txt": b"again", "LET00000002.nxs.txt": b"of 2"}
    logs = os.listdir(again.result / "reduction_log")
    assert {"RB1510111Run1Script.out", "RB1510111Run2Script.out"} <= set(logs)
    assert [name for name in os.listdir(again.result.parent) if name != "autoreduced"] == []


RETURNS = """
import os


def main(input_file, output_dir):
    with open(os.path.join(output_dir, "result.txt"), "w") as result:
        result.write("done")
    return %s
"""


@pytest.mark.parametrize("form", ["text", "list", "tuple"])
def test_a_folder_that_the_script_returns_gets_the_result_as_well(site, form):
    extra = site.archive / "instrument" / "GEM" / "user" / "deep" / "extra"
    returned = {"text": str(extra), "list": [str(extra)], "tuple": (str(extra),)}[form]
    run = site.send(site.run(RETURNS % repr(returned)))

    told = site.completed(run)

    assert told["message"] == ""
    below = "NDXGEM\\Instrument\\data\\cycle_15_1\\autoreduced\\1510111\\75513"
    assert sorted(told["reduction_data"]) == sorted(
        [f"\\\\isis\\inst$\\{below}", "\\instrument\\GEM\\user\\deep\\extra"]
    )
    for folder in (run.result, extra):
        assert (folder / "result.txt").read_text() == "done"
    assert os.listdir(extra.parent) == ["extra"]


def test_a_returned_folder_that_holds_other_things_loses_none_of_them(site):
    cycle = site.archive / "isis" / "NDXGEM" / "Instrument" / "data" / "cycle_15_1" / "autoreduced"
    other = cycle / "999" / "1"
    other.mkdir(parents=True)
    (other / "result.txt").write_text("somebody's")
    (cycle / "result.txt").write_text("somebody's own")
    run = site.send(site.run(RETURNS % repr(str(cycle))))

    told = site.completed(run)

    assert told["message"] == ""
    assert (run.result / "result.txt").read_text() == "done"
    assert (other / "result.txt").read_text() == "somebody's"
    assert (cycle / "result.txt").read_text() == "somebody's own", "no file of another is touched"


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("how", ["outside", "through ..", "through a link", "relative"])
def test_a_returned_folder_outside_the_allowed_roots_is_passed_over_and_told(site, tmp_path, how, there):
    outside = (site.spool if how == "relative" else tmp_path) / "outside"
    if there:
        outside.mkdir()
        (outside / "result.txt").write_text("somebody's")
    (site.archive / "isis" / "link").symlink_to(tmp_path)
    path = {
        "outside": str(outside),
        "through ..": f"{site.archive}/isis/../../../outside",
        "through a link": f"{site.archive}/isis/link/outside",
        "relative": "../../outside",
    }[how]
    run = site.send(site.run(RETURNS % repr(path)))

    told = site.completed(run)

    assert told["message"] == "", "the result itself is good"
    assert len(told["reduction_data"]) == 1
    named = "/outside" if how == "relative" else path  # from the working folder of the box, /work
    assert named in told["admin_log"], "the folder is named to support staff"
    assert (run.result / "result.txt").read_text() == "done"
    if there:
        assert tree(outside) == {"result.txt": (os.stat(outside / "result.txt").st_mode, b"somebody's")}
    else:
        assert not outside.exists()
