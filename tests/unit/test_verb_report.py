"""`report`: one file, never over another one, and one sentence where there is nothing to report."""

from __future__ import annotations

import os
import stat

import pytest
from embedded import INSTRUMENT, Embedded
from pastruns import leave, measured

from sandbox.limits import GiB
from sandbox.outcome import Mark
from supervisor import cli, journal, tombstones
from supervisor.tombstones import Tombstone
from supervisor.verbs.report import file_name


@pytest.fixture
def site(tmp_path, monkeypatch):
    made = Embedded(tmp_path / "site", limits={"memory": "8 GiB"})
    journal.open_store(made.layout, create=True)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def report(site, capsys):
    def said(*words, status=0):
        assert cli.main(["report", *words, "--config", site.config]) == status
        told = capsys.readouterr()
        return told.out + told.err

    return said


def a_killed_run(site, job="dead", **changes):
    marks = (Mark(t=60.0, what="memory_limit"), Mark(t=60.0, what="kill"))
    leave(
        site.layout, job, run="75513", verdict="memory_limit", sentence="memory limit 8 GiB reached at 8.0 GiB",
        usage=measured(memory=8 * GiB), marks=marks, **changes,
    )  # fmt: skip


def test_a_run_number_gives_one_page_with_the_sentence_the_marks_and_the_states(site, report, tmp_path):
    a_killed_run(site, tails={"stdout": "\x1b[2Jloading <b>bank</b>\n" * 3})

    told = report("75513")

    path = tmp_path / "report-75513.html"
    assert told == f"written: {path}\n"
    page = path.read_text()
    for words in (
        "ENGINX run 75513, RB 1510111", "memory limit 8 GiB reached at 8.0 GiB", "<li>memory limit reached at 60 s</li>",
        "Memory: peak 8.0 GiB, limit 8 GiB", "loading &lt;b&gt;bank&lt;/b&gt;", "journaled", "published", "own namespace",
        "/archive/ENGINX/75513",
    ):  # fmt: skip
        assert words in page
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_an_instrument_gives_verdicts_percentiles_and_what_tune_suggests(site, report, tmp_path):
    a_killed_run(site)
    for n in range(4):
        leave(
            site.layout, f"good-{n}", run=str(n), n=n + 2, at=1_790_000_100.0 + n, usage=measured(memory=(n + 1) * GiB)
        )

    report("--instrument", "enginx")

    page = (tmp_path / f"report-{INSTRUMENT}.html").read_text()
    for words in ("memory_limit", "2.5 GiB", "tune suggests", "memory: 16 GiB instead of 8 GiB", "5 runs"):
        assert words in page


def test_a_file_that_is_there_is_replaced_by_force_alone(site, report, tmp_path):
    a_killed_run(site)
    out = tmp_path / "mine.html"
    out.write_text("mine")

    assert "add --force" in report("dead", "--out", str(out), status=2)
    assert out.read_text() == "mine"
    report("dead", "--out", str(out), "--force")
    assert out.read_text().startswith("<!DOCTYPE html>")
    assert [name for name in os.listdir(tmp_path) if name.startswith("mine")] == ["mine.html"]


def test_of_several_jobs_of_a_run_the_newest_is_told_and_the_others_named(site, report, tmp_path):
    a_killed_run(site, job="first", at=1_790_000_000.0)
    leave(site.layout, "second", run="75513", n=2, at=1_790_000_900.0)

    report("75513", "--out", "r.html")

    page = (tmp_path / "r.html").read_text()
    assert "<dd>second</dd>" in page
    assert "<dd>first</dd>" in page


def test_a_waiting_job_has_a_page_too(site, report, tmp_path):
    job = site.submit(site.message())

    report(job, "--out", "r.html")

    page = (tmp_path / "r.html").read_text()
    assert "waiting" in page
    assert "Usage against limits" not in page


def test_records_that_cannot_be_read_are_told_and_the_rest_is_there(site, report, tmp_path):
    a_killed_run(site)
    with open(site.place("dead").exit(1), "wb") as file:
        file.write(b"{")

    report("dead", "--out", "r.html")

    page = (tmp_path / "r.html").read_text()
    assert "What could not be read" in page
    assert "memory limit 8 GiB reached" in page


def test_what_is_not_there_is_one_sentence(site, report):
    stone = Tombstone(
        job="gone", digest="d", rb="1", instrument="ENGINX", run="4", version=0, n=1, verdict="completed",
        sentence="", promoted="done", pruned=1_790_000_000.0,
    )  # fmt: skip
    tombstones.make(site.layout, stone)

    assert "was pruned" in report("gone", status=2)
    assert 'no job or run "75599" is known' in report("75599", status=2)
    assert "no run of LET is known" in report("--instrument", "let", status=2)
    assert "say of what" in report(status=2)
    assert "--since is for --instrument alone" in report("gone", "--since", "7 d", status=2)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("75513", "75513"),
        ("../../etc/passwd", "etc-passwd"),
        ("ID:host-1:2", "ID-host-1-2"),
        ("\u202e", "job"),
        ("a" * 300, "a" * 80),
    ],
)
def test_a_strangers_id_makes_a_plain_file_name(text, name):
    assert file_name(text) == name
