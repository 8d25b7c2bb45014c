"""The demo, for real: four runs on an embedded store, as anybody would start it, and nothing left of it but files."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys

import pytest
from waiting import wait_until

from sandbox.limits import Limits, MiB
from sandbox.linux import proctree
from sandbox.verdict import Verdict
from supervisor import demo, demoruns, demosite
from supervisor.records import Outcome

PATIENCE = 110.0


@pytest.fixture
def start(tmp_path):
    """Starts the demo in a folder of its own, with a HOME that cannot be written."""
    started = []

    def begin(folder):
        env = {"PATH": os.defpath, "HOME": "/nonexistent", "TMPDIR": str(tmp_path), "PYTHONWARNINGS": "error"}
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.cli", "demo", "--keep", str(folder)],
            cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=env,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def processes_of(folder):
    """Every living process that names the folder in its command line, or works in it."""
    mark = str(folder).encode()
    found = []
    for process in proctree.scan().values():
        try:
            with open(f"/proc/{process.pid}/cmdline", "rb") as file:
                words = file.read()
        except OSError:
            continue
        if process.living and mark in words:
            found.append((process.pid, words))
    return found


def test_four_runs_end_as_they_must_and_no_process_is_left(start, tmp_path):
    folder = tmp_path / "kept"
    process = start(folder)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert processes_of(folder) == []
    assert said.startswith("isolation contained: "), "this host proves no walls: autoreduce-supervisor doctor says why"
    for sentence in (
        "DEMO 101     completed after ",
        "DEMO 102     script error at line 18 of reduce.py: ValueError: no counts in bank 2",
        "GREEDY 201   memory limit 300 MiB reached at ",
        "PATIENT 301  wall limit 5 s reached after ",
    ):
        assert f"\n  {sentence}" in said, said
    assert "GREEDY 201   memory " in said, "the memory beside its limit while it runs"
    result = folder / "archive/NDXDEMO/Instrument/data/cycle_15_1/autoreduced/1510111/101"
    assert f"\n  {result / 'DEMO101.png'}\n" in said
    assert (result / "DEMO101.png").stat().st_size > 10_000
    data = {str(path.relative_to(folder)) for path in folder.rglob("*.dat") if path.is_file()}
    assert {os.path.dirname(path) for path in data} == {str(result.relative_to(folder))}
    for rb, run, name in ((1510111, 102, "DEMO"), (1510112, 201, "GREEDY"), (1510113, 301, "PATIENT")):
        place = folder / f"archive/NDX{name}/Instrument/data/cycle_15_1/autoreduced/{rb}/{run}"
        assert os.listdir(place) == ["reduction_log"]
    assert os.listdir(folder / "spool") == []


def test_an_interrupted_demo_ends_all_that_it_has_started(start, tmp_path):
    folder = tmp_path / "kept"
    process = start(folder)
    hungry = folder / "store/jobs"
    wait_until(lambda: list(hungry.glob("*/*/attempts/*/run.json")), PATIENCE, "a run to begin")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 4, said
    assert said.endswith("interrupted\n")
    assert processes_of(folder) == []


def test_a_folder_with_something_in_it_is_refused(start, tmp_path):
    (tmp_path / "mine").touch()
    process = start(tmp_path)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert said == f'cannot use folder "{tmp_path}": it is not empty; name another\n'


def test_an_unexpected_verdict_is_said_and_counts():
    good = {
        run: demosite.Seen(phase="ended", outcome=Outcome(kind="committed", verdict=str(run.expected), sentence="so"))
        for run in demoruns.RUNS
    }
    assert demo.as_expected(good)
    assert [row.split()[-1] for row in demo.outcomes(good)] == ["so"] * 4
    wrong = good | {
        demoruns.RUNS[0]: demosite.Seen(
            phase="ended", outcome=Outcome(kind="committed", verdict=str(Verdict.crash), sentence="bang")
        )
    }
    assert not demo.as_expected(wrong)
    assert any(row.strip() == "NOT AS EXPECTED: crash instead of completed" for row in demo.outcomes(wrong))


def test_the_plain_board_tells_steps_once_and_memory_each_second(capsys):
    greedy = demoruns.RUNS[2]
    board = demo.PlainBoard({greedy: Limits(memory=300 * MiB, wall=60.0)})
    waiting = demosite.Seen(phase="waiting")
    busy = demosite.Seen(phase="running", t=1.5, rss=150 * MiB, processes=1)
    over = demosite.Seen(
        phase="ended", outcome=Outcome(kind="committed", verdict="memory_limit", sentence="memory limit reached")
    )
    for elapsed, seen in ((0.0, waiting), (0.1, busy), (0.5, busy), (1.2, busy), (1.4, busy), (2.0, over), (2.1, over)):
        board.show({greedy: seen}, elapsed)
    assert capsys.readouterr().out.splitlines() == [
        "    0.1 s  GREEDY 201   starts",
        "    1.2 s  GREEDY 201   memory ██████░░░░░░ 150 of 300 MiB   time ░░░░░░░░░░░░  1.5 of 60 s",
        "    2.0 s  GREEDY 201   ended: memory_limit",
    ]


def test_a_tree_joins_lonely_folders_and_escapes_hostile_names(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "x\x1b.dat").write_bytes(b"12")
    (tmp_path / "top.nxs").write_bytes(b"1")
    rows = [" ".join(row.split()) for row in demo.tree(str(tmp_path), "archive")]
    assert rows == ["archive", "├── top.nxs 1 B", "└── a/b/", "└── x\\x1b.dat 2 B"]
    assert demo.drawable("└── █░", "ascii") == "`-- #."
    assert demo.drawable("└── █░", "utf-8") == "└── █░"


def test_the_live_board_draws_every_run_with_its_memory(monkeypatch):
    from rich.console import Console

    from supervisor import demolive

    board = demolive.LiveBoard({run: Limits(memory=300 * MiB, wall=60.0) for run in demoruns.RUNS})
    console = Console(record=True, width=110, force_terminal=False, file=io.StringIO())
    drawn = []
    monkeypatch.setattr(board._live, "update", lambda table, refresh: drawn.append(table))
    seen = dict.fromkeys(demoruns.RUNS, demosite.Seen(phase="waiting"))
    seen[demoruns.RUNS[2]] = demosite.Seen(phase="running", t=1.5, rss=250 * MiB, processes=1)
    board.show(seen, 1.6)
    console.print(drawn[0])
    text = console.export_text()
    assert "GREEDY 201" in text
    assert "250 of 300 MiB" in text
    assert text.count("waiting") == 3
