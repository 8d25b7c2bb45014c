"""The verb `run`, for real: one script on one file in a box, as a scientist would run it at the desk."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import textwrap

import pytest
from waiting import wait_until

JSON_KEYS = {
    "verdict", "sentence", "exit", "usage", "limits", "guards", "ceilings_hit", "outputs", "extra_dirs", "message",
    "marks", "traceback", "log_dir",
}  # fmt: skip
PATIENCE = 100.0


class Desk:
    """A folder with a script and a data file, and the command that runs them."""

    def __init__(self, folder):
        self.folder = folder
        self.out = folder / "results"
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        (folder / "DEMO00000101.nxs").write_bytes(b"counts")
        (folder / "site.toml").write_text('[broker]\nurl = "none"\n')

    def write(self, text, name="reduce.py"):
        (self.folder / name).write_text(textwrap.dedent(text))

    def command(self, *words):
        script = [sys.executable, "-m", "supervisor.cli", "run", "reduce.py", "DEMO00000101.nxs"]
        return [*script, "--out", "results", "--config", "site.toml", "--json", "outcome.json", *words]

    def start(self, *words, stdout=subprocess.PIPE):
        env = {"PATH": os.defpath, "TMPDIR": str(self.tmp), "HOME": "/nonexistent", "PYTHONWARNINGS": "error"}
        return subprocess.Popen(
            self.command(*words), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
            env=env,
        )  # fmt: skip

    def run(self, *words):
        return self.finish(self.start(*words))

    def finish(self, process):
        said, complained = process.communicate(timeout=PATIENCE)
        assert os.listdir(self.tmp) == [], "its scratch is left"
        if self.out.exists():
            assert [name for name in os.listdir(self.out) if name.startswith(".")] == [], "its staging is left"
        return process.returncode, said.decode(), complained.decode()

    @property
    def outcome(self):
        return json.loads((self.folder / "outcome.json").read_text())

    def results(self):
        """What a person looks at: results and logs; the record beside them is `test_replay`'s."""
        return {
            str(path.relative_to(self.out)): path.read_text()
            for path in sorted(self.out.rglob("*"))
            if path.is_file() and not path.name.removeprefix("failed-").startswith(("reduction.", "reduce"))
        }


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_a_completed_run_leaves_results_as_made_and_logs_beside_them(desk):
    desk.write("""\
        import os, sys
        def main(input_file, output_dir):
            print("read", os.path.basename(input_file))
            print("warned", file=sys.stderr)
            os.mkdir(os.path.join(output_dir, "bank 1"))
            for name in ("pattern.dat", "bank 1/peaks.dat"):
                with open(os.path.join(output_dir, name), "w") as file:
                    file.write("1 2 3")
    """)
    desk.out.mkdir()
    (desk.out / "notes.txt").write_text("mine")
    (desk.out / "pattern.dat").write_text("of yesterday")
    status, said, complained = desk.run()
    assert (status, complained) == (0, "")
    level = desk.outcome["guards"]["level"]
    assert said.startswith(f"isolation {level}: ")
    assert level in {"contained", "hostile"}, "this host proves no walls: autoreduce-supervisor doctor says why"
    assert "\ncompleted after " in said
    assert f"\nresults  {desk.out}\n" in said
    assert desk.results() == {
        "notes.txt": "mine",
        "pattern.dat": "1 2 3",
        "bank 1/peaks.dat": "1 2 3",
        "reduction_log/Script.out": "read DEMO00000101.nxs\n",
        "reduction_log/Mantid.log": "warned\n",
    }
    told = desk.outcome
    assert set(told) == JSON_KEYS
    assert (told["verdict"], told["exit"]["code"]) == ("completed", 0)
    assert [output["path"] for output in told["outputs"]] == ["bank 1/peaks.dat", "pattern.dat"]
    assert told["log_dir"] == str(desk.out / "reduction_log")


def test_a_script_error_names_its_line_and_changes_nothing_but_the_logs(desk):
    desk.write("""\
        import os
        def main(input_file, output_dir):
            with open(os.path.join(output_dir, "pattern.dat"), "w") as file:
                file.write("half")
            raise ValueError("no counts in bank 2")
    """)
    desk.out.mkdir()
    (desk.out / "pattern.dat").write_text("good")
    status, said, _ = desk.run()
    assert status == 1
    sentence = "script error at line 5 of reduce.py: ValueError: no counts in bank 2"
    trace = f'  File "{desk.folder / "reduce.py"}", line 5, in main'
    assert said.index("\n" + sentence) < said.index(trace) < said.index("\nlogs     ")
    found = desk.results()
    assert found.pop("reduction_log/Script.out").endswith(sentence + "\n")
    assert set(found) == {"pattern.dat", "reduction_log/Mantid.log"}
    assert found["pattern.dat"] == "good"
    assert (desk.outcome["verdict"], desk.outcome["outputs"]) == ("script_error", [])


def test_a_limit_ends_in_3_with_the_way_there(desk):
    desk.write("""\
        import time
        def main(input_file, output_dir):
            kept = []
            while True:
                kept.append(b"x" * (8 << 20))
                time.sleep(0.02)
    """)
    status, said, _ = desk.run("--limit", "memory=150 MiB")
    assert status == 3
    assert "\nmemory limit 150 MiB reached at " in said
    assert "\nmemory   " in said
    assert "full block: 150 MiB" in said
    desk.write("import time\ndef main(input_file, output_dir):\n    time.sleep(600)\n")
    status, said, _ = desk.run("--limit", "wall=500 ms", "--limit", "grace=500 ms")
    assert status == 3
    assert "\nwall limit 0.5 s reached after " in said
    assert desk.outcome["verdict"] == "wall_limit"


def test_ctrl_c_cancels_and_ends_in_4(desk):
    desk.write("""\
        import time
        def main(input_file, output_dir):
            open(input_file + ".began", "w").close()
            time.sleep(600)
    """)
    process = desk.start("--isolation", "none")  # it tells the test by a file that it has begun
    try:
        wait_until((desk.folder / "DEMO00000101.nxs.began").exists, PATIENCE, "the script to begin")
        process.send_signal(signal.SIGINT)
        status, said, _ = desk.finish(process)
    finally:
        process.kill()
    assert status == 4
    assert "\ncancelled " in said
    assert desk.outcome["verdict"] == "cancelled"
    assert set(desk.results()) == {"reduction_log/Script.out", "reduction_log/Mantid.log"}


def test_data_that_is_not_there_ends_in_70_and_makes_nothing(desk):
    desk.write("def main(input_file, output_dir):\n    return ''\n")
    os.unlink(desk.folder / "DEMO00000101.nxs")
    status, said, _ = desk.run()
    assert status == 70
    assert f'data file cannot be used: "{desk.folder / "DEMO00000101.nxs"}": No such file or directory' in said
    assert not desk.out.exists()
    assert set(desk.outcome) == JSON_KEYS
    assert (desk.outcome["verdict"], desk.outcome["log_dir"]) == ("unavailable", None)


def test_an_output_that_is_a_link_rejects_the_whole_result(desk):
    desk.write("""\
        import os
        def main(input_file, output_dir):
            open(os.path.join(output_dir, "good.dat"), "w").close()
            os.symlink("/etc/passwd", os.path.join(output_dir, "linked"))
    """)
    status, said, _ = desk.run()
    assert status == 1
    assert "linked" in said
    assert desk.outcome["verdict"] == "output_rejected"
    assert set(desk.results()) == {"reduction_log/Script.out", "reduction_log/Mantid.log"}


def test_variables_of_json_stand_above_those_beside_the_script_which_run_only_in_the_box(desk):
    desk.write(
        """\
        import os
        standard_vars = {"a": 1, "b": 2, "boxed": "AUTOREDUCE_BOX" in os.environ}
        advanced_vars = {}
    """,
        "reduce_vars.py",
    )
    desk.write("""\
        import reduce_vars as web_var
        def main(input_file, output_dir):
            print(sorted(web_var.standard_vars.items()))
    """)
    (desk.folder / "v.json").write_text('{"standard_vars": {"b": "text"}}')
    status, said, _ = desk.run("--vars", "v.json")
    assert status == 0, said
    assert desk.results()["reduction_log/Script.out"] == "[('a', 1), ('b', 'text'), ('boxed', True)]\n"
    desk.write("standard_vars = {'other': 3}\nadvanced_vars = {}\n", "mine.py")
    status, said, _ = desk.run("--vars", "mine.py")
    assert status == 0, said
    assert desk.results()["reduction_log/Script.out"] == "[('other', 3)]\n"


def test_a_run_that_the_script_skips_ends_in_0(desk):
    desk.write("""\
        SKIP_RUNS = [101]
        def main(input_file, output_dir):
            raise SystemExit(5)
    """)
    status, said, _ = desk.run()
    assert (status, desk.outcome["verdict"]) == (0, "skipped"), said


def test_a_program_gets_data_and_folder_with_a_slash_as_arguments(desk):
    desk.write("""\
        import sys
        assert __name__ == "__main__"
        open(sys.argv[2] + "glued.dat", "w").close()
        print(sys.argv[1], sys.argv[2][-1])
    """)
    status, said, _ = desk.run("--mode", "program")
    assert status == 0, said
    assert desk.results()["reduction_log/Script.out"] == f"{desk.folder / 'DEMO00000101.nxs'} /\n"
    assert "glued.dat" in desk.results()


def test_on_a_terminal_one_line_tells_the_progress_and_goes_away(desk):
    desk.write("""\
        import os, time
        def main(input_file, output_dir):
            while not os.path.exists(input_file + ".enough"):
                time.sleep(0.05)
    """)
    ours, theirs = pty.openpty()
    process = desk.start(stdout=theirs)
    os.close(theirs)
    shown = b""
    try:
        # A word that the lines before it do not have: a read may end within any of them.
        while b"  procs " not in shown:
            shown += os.read(ours, 4096)
        (desk.folder / "DEMO00000101.nxs.enough").touch()
        with contextlib.suppress(OSError):  # EIO: the other side is closed (pty(7))
            while piece := os.read(ours, 4096):
                shown += piece
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
    assert b"of 8 GiB  procs " in shown
    assert b"\r\x1b[Kcompleted after " in shown


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ('CONDA_ENV = "sans"', 0, "completed"),
        ('CONDA_ENV = "other"', 2, "write [interpreter.conda.other] or interpreter.conda_argv"),
        ('CONDA_ENV = "a"\nCONDA_ENV = "b"', 2, 'CONDA_ENV is "a" at line 1 and "b" at line 2'),
    ],
)
def test_a_program_runs_in_the_environment_that_its_own_line_names(desk, line, status, words):
    wrapper = desk.folder / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexport WRAPPED=yes\nexec "{sys.executable}" "$@"\n')
    wrapper.chmod(0o755)
    (desk.folder / "site.toml").write_text(f'[interpreter.conda.sans]\nargv = ["{wrapper}"]\n')
    desk.write(f"{line}\nimport os, sys\nopen(sys.argv[2] + os.environ['WRAPPED'], 'w').close()\n")

    code, said, complained = desk.run("--mode", "program")

    assert code == status, (said, complained)
    assert words in said + complained
    assert (desk.out / "yes").exists() == (status == 0)


def test_a_shim_that_needs_what_no_box_shows_gives_way_to_the_interpreter_it_leads_to(desk):
    desk.write("import sys\ndef main(input_file, output_dir):\n    print('ran by', sys.executable)\n")
    for name, leads_to in (("hidden/lead", sys.executable), ("shims/python", desk.folder / "hidden/lead")):
        program = desk.folder / name
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{leads_to}" "$@"\n')
        program.chmod(0o755)
    status, said, complained = desk.run("--python", str(desk.folder / "shims/python"))
    assert (status, complained) == (0, "")
    assert f"; interpreter {sys.executable}\n" in said
    assert desk.results()["reduction_log/Script.out"] == f"ran by {sys.executable}\n"
