"""The verb `replay`, for real: runs of the desk and of a supervisor once more, in real boxes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap

import pytest

PATIENCE = 100.0
#: What it writes depends on data, variables and facts alone.
STEADY = """\
    import os
    import reduce_vars
    def main(input_file, output_dir):
        with open(input_file, "rb") as file:
            counts = file.read()
        os.mkdir(os.path.join(output_dir, "bank 1"))
        for name in ("pattern.dat", "bank 1/peaks.dat"):
            with open(os.path.join(output_dir, name), "wb") as file:
                file.write(counts + repr(sorted(reduce_vars.standard_vars.items())).encode())
"""
#: One of its two outputs holds the time.
CLOCK = """\
    import os, time
    def main(input_file, output_dir):
        for name, text in (("same.dat", "1 2 3"), ("when.dat", repr(time.time_ns()))):
            with open(os.path.join(output_dir, name), "w") as file:
                file.write(text)
"""


class Desk:
    """A folder with a script and a data file; `run` leaves a result, `replay` repeats it."""

    def __init__(self, folder):
        self.folder = folder
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        self.data = folder / "DEMO00000101.nxs"
        self.data.write_bytes(b"counts")
        self.logs = folder / "results" / "reduction_log"
        (folder / "site.toml").write_text('[broker]\nurl = "none"\n')
        self.write("vars.json", '{"standard_vars": {"d min": 1.5, "list": [1, null]}, "advanced_vars": {}}')

    def write(self, name, text):
        (self.folder / name).write_text(textwrap.dedent(text))

    def say(self, *words):
        env = {"PATH": os.defpath, "TMPDIR": str(self.tmp), "HOME": "/nonexistent", "PYTHONWARNINGS": "error"}
        ended = subprocess.run(
            [sys.executable, "-m", "supervisor.cli", *words, "--config", "site.toml"],
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, env=env,
            check=False,
        )  # fmt: skip
        return ended.returncode, ended.stdout, ended.stderr

    def run(self, script, *words, status=0):
        self.write("reduce.py", script)
        ended = self.say("run", "reduce.py", self.data.name, "--out", "results", "--vars", "vars.json", *words)
        assert ended[0] == status, ended

    def replay(self, *words, of="results"):
        return self.say("replay", of, "--json", "replay.json", *words)

    @property
    def told(self):
        return json.loads((self.folder / "replay.json").read_text())

    @property
    def record(self):
        return json.loads((self.logs / "reduction.json").read_text())

    def edit(self, **changes):
        (self.logs / "reduction.json").write_text(json.dumps(self.record | changes))


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_a_run_leaves_its_record_and_copies_beside_its_logs(desk):
    desk.run(STEADY)
    assert sorted(os.listdir(desk.logs)) == [
        "Mantid.log", "Script.out", "reduce.py", "reduce_vars.json", "reduction.json",
    ]  # fmt: skip
    told = desk.record
    script = (desk.folder / "reduce.py").read_bytes()
    assert (desk.logs / "reduce.py").read_bytes() == script
    assert told["script"]["sha256"] == sha(script)
    assert told["script"]["origin"] == str(desk.folder / "reduce.py")
    assert told["data"][0]["sha256"] == sha(b"counts")
    assert told["facts"] == {"run_number": "00000101", "instrument": "DEMO", "run_version": 0}
    assert told["interpreter"]["python"] == sys.version.split()[0]
    assert {output["path"]: output["sha256"] for output in told["outputs"]} == {
        name: sha((desk.folder / "results" / name).read_bytes()) for name in ("pattern.dat", "bank 1/peaks.dat")
    }


def test_a_deterministic_script_replays_identical_and_leaves_nothing_behind(desk):
    desk.run(STEADY)
    before = tree(desk.folder / "results")
    status, said, complained = desk.replay()
    assert (status, complained) == (0, "")
    assert "\nidentical  bank 1/peaks.dat\nidentical  pattern.dat\n" in said
    assert "the replay of DEMO run 00000101 is identical: all 2 outputs are the same byte for byte" in said
    assert tree(desk.folder / "results") == before
    assert os.listdir(desk.tmp) == []
    assert (desk.told["identical"], desk.told["out"]) == (True, None)
    assert [row["state"] for row in desk.told["outputs"]] == ["identical", "identical"]
    assert desk.told["outcome"]["verdict"] == "completed"


def test_results_go_where_they_are_wanted_with_a_record_that_replays_again(desk):
    desk.run(STEADY)
    assert desk.replay("--out", "again")[0] == 0
    assert (desk.folder / "again" / "pattern.dat").read_bytes().startswith(b"counts[('d min', 1.5)")
    assert desk.replay(of="again")[0] == 0


def test_a_script_that_writes_the_time_differs_and_its_results_are_kept_to_be_looked_at(desk):
    desk.run(CLOCK)
    status, said, _ = desk.replay()
    assert status == 1
    assert said.index("\ndiffers    when.dat") < said.index("\nidentical  same.dat")
    assert "is not identical: 1 of 2 outputs identical, 1 differs" in said
    kept = desk.told["out"]
    assert os.path.dirname(kept) == str(desk.tmp)
    assert f"results  {kept}\n" in said
    assert sorted(os.listdir(kept)) == ["reduction_log", "same.dat", "when.dat"]


def test_what_is_not_made_again_and_what_is_new_are_told(desk):
    desk.run(
        """\
        import os
        def main(input_file, output_dir):
            name = "first" if not os.path.exists(input_file + ".ran") else "second"
            open(input_file + ".ran", "w").close()
            open(os.path.join(output_dir, name), "w").close()
    """,
        "--isolation",
        "none",
    )
    status, said, _ = desk.replay("--isolation", "none")
    assert status == 1
    assert "missing    first" in said
    assert "new        second" in said


@pytest.mark.parametrize("name", ["reduce.py", "reduce_vars.json"])
def test_a_changed_copy_is_told_and_nothing_is_run(desk, name):
    desk.run(STEADY)
    text = (desk.logs / name).read_text()
    (desk.logs / name).write_text(text.replace("1.5", "1.75").replace("import os", "import os  # mended"))
    status, said, complained = desk.replay()
    assert (status, said) == (1, "")
    assert complained.startswith("the copy of the ")
    assert f'"{desk.logs / name}"' in complained
    assert "sha256 is another" in complained


@pytest.mark.parametrize("name", ["reduce.py", "reduce_vars.json"])
def test_a_missing_copy_is_told(desk, name):
    desk.run(STEADY)
    (desk.logs / name).unlink()
    status, _, complained = desk.replay()
    assert status == 2
    assert (
        complained
        == f'cannot read the copy of the {"script" if name == "reduce.py" else "variables"} "{desk.logs / name}": no such file or directory\n'
    )


def test_changed_data_are_told_and_nothing_is_run(desk):
    desk.run(STEADY)
    desk.data.write_bytes(b"COUNTS")
    status, said, complained = desk.replay()
    assert (status, said) == (1, "")
    assert f'the data have changed: "{desk.data}" is not what the run read: sha256 ' in complained


def test_data_that_lie_elsewhere_now_are_named(desk):
    desk.run(STEADY)
    moved = desk.folder / "moved"
    moved.mkdir()
    desk.data.rename(moved / desk.data.name)
    status, _, complained = desk.replay()
    assert status == 2
    assert complained == f'the data file "{desk.data}" is not there; say where it lies now with --data\n'
    for place in (moved, moved / desk.data.name):
        status, said, _ = desk.replay("--data", str(place))
        assert status == 0
        assert f"note: the data lie at {moved / desk.data.name}, and at {desk.data} when they were reduced" in said


def test_an_edited_record_is_refused_by_the_name_of_its_key(desk):
    desk.run(STEADY)
    desk.edit(mode="sideways")
    status, said, complained = desk.replay()
    assert (status, said) == (2, "")
    assert complained.startswith(f'cannot use the record "{desk.logs / "reduction.json"}": mode must be ')
    assert len(complained.splitlines()) == 1


def test_an_interpreter_that_is_gone_asks_for_another(desk):
    desk.run(STEADY)
    desk.edit(interpreter=desk.record["interpreter"] | {"argv": ["/opt/gone/python"], "packages": {"gone": "1.0"}})
    status, _, complained = desk.replay()
    assert status == 2
    assert complained == (
        'the interpreter of the record, "/opt/gone/python", cannot be run here; name another Python with --python\n'
    )
    status, said, _ = desk.replay("--python", sys.executable)
    assert status == 0
    assert "note: gone: 1.0 in the record, not loaded now" in said
    assert desk.replay("--python", "no-such-python")[0] == 2


def test_a_run_that_failed_is_replayed_by_its_own_record_and_leaves_the_good_one_alone(desk):
    desk.run(STEADY)
    good = tree(desk.folder / "results")
    desk.run("def main(input_file, output_dir):\n    raise ValueError('no counts')\n", status=1)
    after = tree(desk.folder / "results")
    failed = {f"reduction_log/failed-{name}" for name in ("reduction.json", "reduce.py", "reduce_vars.json")}
    assert set(after) - set(good) == failed
    logs = {"reduction_log/Script.out", "reduction_log/Mantid.log"}
    assert {name: after[name] for name in good.keys() - logs} == {name: good[name] for name in good.keys() - logs}
    status, said, _ = desk.replay()
    assert status == 0
    assert "note: other records of this run lie beside it: failed-reduction.json" in said
    status, said, _ = desk.replay(of=str(desk.logs / "failed-reduction.json"))
    assert status == 1
    assert "the replay of DEMO run 00000101 ended as the run did: script_error" in said
    assert "ValueError: no counts" in said


def test_a_replay_that_reaches_a_limit_ends_as_run_does_and_says_which_limit_is_another(desk):
    desk.run("import time\ndef main(input_file, output_dir):\n    time.sleep(1)\n")
    status, said, _ = desk.replay("--limit", "wall=200 ms", "--limit", "grace=100 ms")
    assert status == 3
    assert "note: limit wall: 14400.0 in the record, 0.2 now" in said
    assert "ended as completed, and its replay as wall_limit" in said


def test_the_defaults_of_an_instrument_are_repeated_even_when_they_have_changed_since(desk):
    desk.write("reduce_vars.py", 'standard_vars = {"d min": 7, "kept": "below"}\nadvanced_vars = {}\n')
    desk.run(STEADY)
    assert b"('kept', 'below')" in (desk.folder / "results" / "pattern.dat").read_bytes()
    desk.write("reduce_vars.py", "standard_vars = {}\nadvanced_vars = {}\n")
    assert desk.replay()[0] == 0
    (desk.logs / "reduce_vars.py").write_text("standard_vars = {}\n")
    status, _, complained = desk.replay()
    assert status == 1
    assert "the copy of the instrument's variables" in complained


def test_a_program_is_replayed_as_one(desk):
    desk.run('import sys\nopen(sys.argv[2] + "out.dat", "w").write(sys.argv[1])\n', "--mode", "program")
    assert (desk.record["mode"], desk.record["call"]["output_slash"]) == ("program", True)
    assert desk.replay()[0] == 0


@pytest.mark.parametrize("out", ["results", "results/reduction_log", "results/new"])
def test_a_replay_never_writes_into_the_result_it_is_held_against(desk, out):
    desk.run(STEADY)
    before = tree(desk.folder / "results")
    status, _, complained = desk.replay("--out", out)
    assert status == 2
    assert "which a replay leaves as it is" in complained
    assert tree(desk.folder / "results") == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--run", "7"], "holds no record of run 7"),
        (["--limit", "wal=3 s"], 'did you mean "wall"?'),
        (["--json", "no/such/folder.json"], 'cannot write "no/such/folder.json"'),
    ],
)
def test_a_wrong_command_line_ends_in_2_and_names_what_is_wrong(desk, words, said):
    desk.run(STEADY)
    status, _, complained = desk.replay(*words)
    assert status == 2
    assert said in complained


def test_a_folder_without_a_record_ends_in_2(desk):
    status, _, complained = desk.replay(of=".")
    assert status == 2
    assert complained.startswith("there is no record in ")
