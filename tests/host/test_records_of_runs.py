"""The record that a supervisor leaves beside each result: three files, right digests, and never a good one changed."""

from __future__ import annotations

import hashlib
import json
import os
import sys

import pytest
from embedded import INSTRUMENT, Embedded

from supervisor import cli

SCRIPT = "def main(i, o):\n    open(o + '/sum.nxs', 'w').write('good')\n    print('summed')\n"
BAD = "def main(i, o):\n    open(o + '/sum.nxs', 'w').write('bad')\n    raise ValueError('no counts')\n"
VARIABLES = {"standard_vars": {"d min": 1.5}, "advanced_vars": {"list": [1, None]}}
STEM = "RB1510111Run75513"


@pytest.fixture
def site_of(tmp_path):
    sites = []

    def make(**sections):
        sites.append(Embedded(tmp_path, **sections))
        sites[-1].start()
        return sites[-1]

    yield make
    for site in sites:
        site.end_everything()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def content(folder):
    found = {}
    for root, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = (file.read(), os.stat(path).st_mtime_ns)
    return found


@pytest.mark.parametrize("layout", ["replace", "merge"])
def test_a_run_leaves_three_files_with_the_right_digests_and_replays_identical(site_of, tmp_path, capsys, layout):
    shared = layout == "merge"
    site = site_of(paths={"excitation_instruments": [INSTRUMENT] if shared else []})
    message = site.message(SCRIPT, reduction_arguments=VARIABLES)
    job = site.submit(message)

    assert site.wait_final(job).verdict == "completed"

    result = os.path.join(site.archive, "excitation", "1510111") if shared else site.result()
    found = {name: data for name, (data, _) in content(result).items()}
    stem = STEM if shared else ""
    logs = {name for name in found if name.startswith("reduction_log/")}
    assert logs == {
        f"reduction_log/{name}"
        for name in (
            f"{STEM}Script.out", f"{STEM}Mantid.log",
            *(stem + name for name in ("reduction.json", "reduce.py", "reduce_vars.json")),
        )
    }  # fmt: skip
    told = json.loads(found[f"reduction_log/{stem}reduction.json"])
    assert (told["job"], told["rb"], told["run"], told["family"]) == (job, "1510111", "75513", "isis2016")
    assert (told["verdict"], told["epoch"], told["attempt"], told["instrument"]) == ("completed", 1, 1, INSTRUMENT)
    assert found[f"reduction_log/{stem}reduce.py"] == SCRIPT.encode()
    assert told["script"]["sha256"] == sha(SCRIPT.encode())
    assert json.loads(found[f"reduction_log/{stem}reduce_vars.json"]) == VARIABLES
    assert [entry["sha256"] for entry in told["data"]] == [sha(b"counts")]
    assert "changed" not in told["data"][0]
    assert told["outputs"] == [{"path": "sum.nxs", "bytes": 4, "sha256": sha(b"good")}]
    assert told["interpreter"]["argv"] == [sys.executable]
    assert told["interpreter"]["python"] == sys.version.split()[0]
    assert told["started"] <= told["ended"]
    assert cli.main(["replay", result, "--out", str(tmp_path / "again"), "--config", site.config]) == 0
    assert "its output is the same byte for byte" in capsys.readouterr().out


def test_a_failing_re_run_leaves_its_own_record_and_the_good_one_byte_for_byte(site_of, capsys):
    site = site_of()
    assert site.wait_final(site.submit(site.message(SCRIPT))).verdict == "completed"
    before = content(site.result())
    assert "reduction_log/reduction.json" in before

    job = site.submit(site.message(BAD))
    assert site.wait_final(job).verdict == "script_error"

    after = content(site.result())
    assert {name: after[name] for name in before} == before
    stem = f"reduction_log/{STEM}v0e2"
    assert after.keys() - before.keys() == {
        f"{stem}{name}" for name in ("Script.out", "Mantid.log", "reduction.json", "reduce.py", "reduce_vars.json")
    }
    told = json.loads(after[f"{stem}reduction.json"][0])
    assert (told["verdict"], told["outputs"], told["job"]) == ("script_error", [], job)
    assert after[f"{stem}reduce.py"][0] == BAD.encode()
    assert cli.main(["why", job, "--config", site.config]) == 0
    said = capsys.readouterr().out
    assert f"record:    {site.result()}/{stem}reduction.json" in said
    assert f"logs:      {site.result()}/{stem}Script.out" in said


def test_a_good_re_run_replaces_the_record_with_the_result(site_of):
    site = site_of()
    site.wait_final(site.submit(site.message(SCRIPT)))
    again = site.submit(site.message(SCRIPT.replace("good", "best")))

    assert site.wait_final(again).verdict == "completed"

    with open(site.result("reduction_log", "reduction.json"), "rb") as file:
        told = json.loads(file.read())
    assert (told["job"], told["epoch"]) == (again, 2)
    assert told["outputs"][0]["sha256"] == sha(b"best")


def test_data_that_change_while_the_run_reads_them_are_told_and_harm_nothing(site_of):
    site = site_of()
    changing = "def main(i, o):\n    open(i, 'ab').write(b'more')\n    open(o + '/a', 'w').close()\n"

    assert site.wait_final(site.submit(site.message(changing))).verdict == "completed"

    with open(site.result("reduction_log", "reduction.json"), "rb") as file:
        told = json.loads(file.read())
    # The reading may have begun after the script had written: then it tells of the file as it was left.
    data = told["data"][0]
    assert data.get("changed") is True or data["bytes"] == len(b"countsmore")


def test_a_file_of_the_script_with_the_name_of_a_record_gives_way_and_is_no_output(site_of):
    site = site_of()
    forging = (
        "import os\ndef main(i, o):\n    os.mkdir(o + '/reduction_log')\n"
        "    for name in ('reduction.json', 'own.txt'):\n"
        "        open(o + '/reduction_log/' + name, 'w').write('forged')\n"
    )

    assert site.wait_final(site.submit(site.message(forging))).verdict == "completed"

    with open(site.result("reduction_log", "reduction.json"), "rb") as file:
        told = json.loads(file.read())
    assert [output["path"] for output in told["outputs"]] == ["reduction_log/own.txt"]


def test_of_data_above_the_limit_head_and_tail_are_recorded(site_of):
    site = site_of(provenance={"data_limit": 5})

    assert site.wait_final(site.submit(site.message(SCRIPT))).verdict == "completed"

    with open(site.result("reduction_log", "reduction.json"), "rb") as file:
        data = json.loads(file.read())["data"][0]
    assert data["sha256_head"] == data["sha256_tail"] == sha(b"counts")
    assert "sha256" not in data
