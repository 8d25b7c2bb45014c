"""The log: text or JSON, the journal's priorities, the line of a run, and the words of strangers in it."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor import logs, runend
from supervisor.runend import RunEnd

END = RunEnd(
    job="ID:a-1",
    instrument="ENGINX",
    rb="1510188",
    run="75513",
    epoch=4,
    host="h1",
    kind="committed",
    verdict="memory_limit",
    sentence='memory limit 8 GiB reached "here"\n<0>forged=1',
    attempt=2,
    queue_wait=1.25,
    used={"memory": 8589934592.0, "wall": 212.0004, "cpu": 198.5},
    limits={"memory": 8589934592.0, "wall": 14400.0, "cpu": None},
)
#: Documented in docs/reference/logs.md; other programs read them.
KEYS = [
    "action",
    "job",
    "rb",
    "instrument",
    "run",
    "verdict",
    "attempt",
    "epoch",
    "host",
    "queue_wait_s",
    "wall_s",
    "cpu_s",
    "peak_memory",
    "processes",
    "output",
    "files",
    "limit_memory",
    "limit_wall",
    "limit_cpu",
    "limit_processes",
    "limit_output",
    "limit_files",
    "sentence",
]


def record(text="Run ended", level=logging.INFO, facts=None, exc_info=None):
    made = logging.LogRecord("supervisor.loop", level, "x.py", 1, text, (), exc_info)
    made.created = 1_700_000_000.25
    if facts is not None:
        made.facts = facts
    return made


def parsed(text):
    """A line of `key=value` as a program reads it."""
    return dict(word.partition("=")[::2] for word in shlex.split(text))


def test_the_line_of_a_run_has_every_key_in_one_line():
    line = logs.formatter("text", journal=False).format(record(facts=END.facts()))

    assert line.startswith("2023-11-14T22:13:20.250Z INFO Run ended action=run job=ID:a-1 rb=1510188 ")
    assert "\n" not in line
    assert list(END.facts()) == KEYS
    told = parsed(line.partition("Run ended ")[2])
    assert list(told) == KEYS
    assert (told["verdict"], told["attempt"], told["wall_s"], told["queue_wait_s"]) == (
        "memory_limit", "2", "212", "1.25",
    )  # fmt: skip
    assert (told["peak_memory"], told["limit_memory"], told["limit_cpu"]) == ("8589934592", "8589934592", "-")


def test_in_json_the_facts_are_keys_with_their_kinds():
    told = json.loads(logs.formatter("json", journal=False).format(record(facts=END.facts())))

    assert told["time"] == "2023-11-14T22:13:20.250Z"
    assert (told["level"], told["logger"], told["message"]) == ("info", "supervisor.loop", "Run ended")
    assert (told["attempt"], told["wall_s"], told["limit_cpu"]) == (2, 212.0, None)
    assert told["sentence"] == 'memory limit 8 GiB reached "here"\\n<0>forged=1'


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7), (25, 6)],
)
def test_the_journal_is_told_priorities_and_text_has_no_time(style, level, priority):
    line = logs.formatter(style, journal=True).format(record("A thing", level))

    assert line.startswith(f"<{priority}>")
    assert style == "json" or line == f"<{priority}>A thing"


def test_each_line_of_a_traceback_has_its_priority():
    try:
        raise RuntimeError("a\nb")  # noqa: TRY301  # a traceback is wanted
    except RuntimeError:
        lines = logs.formatter("text", journal=True).format(record("Defect", 50, exc_info=sys.exc_info())).split("\n")

    assert len(lines) > 3
    assert all(line.startswith("<2>") for line in lines)


@given(st.text(max_size=60))
def test_no_word_of_a_stranger_makes_a_line_or_a_key_of_its_own(word):
    facts = RunEnd(job=word, instrument=word, rb=word, run=word, epoch=1, sentence=word).facts()
    line = logs.formatter("text", journal=True).format(record("Run ended", facts=facts))
    told = json.loads(logs.formatter("json", journal=False).format(record(word, facts={"job": word})))

    assert line.isprintable()
    assert list(parsed(line.partition("Run ended ")[2])) == KEYS
    assert told["job"].isprintable()
    assert told["message"].isprintable()


def test_a_line_has_an_end():
    for style in ("text", "json"):
        made = record("x" * 10**6, facts={"a": "y" * 10**6})
        assert len(logs.formatter(style, journal=False).format(made)) < 2 * logs.LONGEST


def test_a_run_that_was_not_measured_has_all_keys_too():
    bare = RunEnd(job="j", instrument="i", rb="r", run="1", epoch=1)

    assert list(bare.facts()) == KEYS
    assert bare.facts()["verdict"] == "undecided"
    assert bare.memory_share is None
    assert END.memory_share == 1.0


def test_figures_of_a_run_come_from_its_exit():
    exit_ = {
        "usage": {"wall": {"value": 3.5}, "cpu": {"value": 2}, "peak_memory": {"value": 1024}, "processes": "no"},
        "limits": {"memory": 4096, "wall": 7200, "cpu": None},
        "outputs": [{"size": 10}, {"size": 5}, "spoilt"],
    }

    used, limits = runend.figures({"outcome": exit_, "log_tails": {}})

    assert used == {"memory": 1024.0, "wall": 3.5, "cpu": 2.0, "processes": None, "output": 15.0, "files": 2.0}
    assert limits["memory"] == 4096.0
    for spoilt in ({}, {"outcome": "no"}):
        assert runend.figures(spoilt)[0]["wall"] is None


def test_attempts_are_counted_in_the_order_of_epochs():
    names = ["0000000003", "0000000007", "junk", "0000000009"]
    assert [runend.attempt_number(names, n) for n in (3, 7, 9)] == [1, 2, 3]
    assert runend.attempt_number([], 1) == 1


def test_the_journal_is_known_by_device_and_inode(tmp_path):
    with open(tmp_path / "log", "wb") as file:
        there = os.fstat(file.fileno())
        code = "import logging\nfrom supervisor import logs\nlogs.set_up('')\nlogging.warning('a\\nb')"
        for named in (f"{there.st_dev}:{there.st_ino}", f"{there.st_dev}:{there.st_ino + 1}", ""):
            subprocess.run(
                [sys.executable, "-c", code], stderr=file, env={**os.environ, logs.JOURNAL_STREAM: named}, check=True
            )
    first, second, third = (tmp_path / "log").read_text().splitlines()

    assert first == "<4>a\\nb"
    assert second.endswith("Z WARNING a\\nb")
    assert third.endswith("Z WARNING a\\nb")
