"""`cancel` and `resubmit`: what they write, and what they say that they did."""

from __future__ import annotations

import time

import pytest
from embedded import Embedded

from supervisor import cli, journal, records
from supervisor.cells import link_final
from supervisor.records import Epoch, Final, Outcome


@pytest.fixture
def site(tmp_path):
    return Embedded(tmp_path)


@pytest.fixture
def say(site, capsys):
    def said(*words):
        status = cli.main([*words, "--config", site.config])
        told = capsys.readouterr()
        return status, told.out, told.err

    return said


def decide(site, job, n=1, verdict="completed"):
    cells = site.cells(job)
    request = journal.read_request(site.place(job))
    cells.make(request.rb)
    cells.link_epoch(n, Epoch(host="h", boot="b", job=job, time=time.time()))
    cells.link_outcome(n, Outcome(kind="committed", verdict=verdict, sentence="all went well", time=time.time()))
    link_final(site.place(job), Final(rb=request.rb, n=n))


def cancel_of(site, job):
    with open(site.place(job).cancel, "rb") as file:
        return records.from_record(records.Cancel, "cancel", file.read())


def test_a_waiting_job_is_cancelled_and_that_is_said(site, say):
    job = site.submit(site.message())
    status, out, _ = say("cancel", job)
    assert status == 0
    assert "it had not begun" in out
    assert cancel_of(site, job).who.startswith("operator")
    status, out, _ = say("cancel", job)
    assert status == 0
    assert "asked before" in out


def test_a_decided_job_keeps_its_outcome(site, say):
    job = site.submit(site.message())
    decide(site, job)
    status, out, _ = say("cancel", job)
    assert status == 0
    assert "decided already" in out
    assert "all went well" in out
    assert not journal.durable.exists(site.place(job).cancel)


def test_a_job_under_way_is_asked_to_end(site, say):
    job = site.submit(site.message())
    cells = site.cells(job)
    cells.make("1510111")
    cells.link_epoch(1, Epoch(host="another", boot="b", job=job, time=time.time()))
    status, out, _ = say("cancel", job)
    assert status == 0
    assert "runs in epoch 1" in out
    assert journal.durable.exists(site.place(job).cancel)


@pytest.mark.parametrize("run", ["75513", "00075513", "75513.0"])
def test_a_run_is_cancelled_by_value_and_its_instrument_in_any_case(site, say, run):
    job = site.submit(site.message(run="75513"))
    other = site.submit(site.message(run="75514"))
    status, out, _ = say("cancel", "--instrument", "enginx", "--run", run)
    assert status == 0
    assert job in out
    assert journal.durable.exists(site.place(job).cancel)
    assert not journal.durable.exists(site.place(other).cancel)


def test_a_run_that_is_not_known_is_remembered_and_its_job_then_cancelled(site, say):
    site.submit(site.message(run=1))
    status, out, _ = say("cancel", "--instrument", "ENGINX", "--run", "75513", "--version", "0")
    assert status == 0
    assert "remembered for 24 h" in out
    job = site.submit(site.message(run=75513), time_ms=int(time.time() * 1000) - 1000)
    assert journal.durable.exists(site.place(job).cancel)


def test_a_run_whose_job_is_decided_says_both(site, say):
    job = site.submit(site.message(run=75513))
    decide(site, job)
    status, out, _ = say("cancel", "--instrument", "ENGINX", "--run", "75513")
    assert status == 0
    assert "decided already" in out
    assert "remembered" in out


def test_a_job_with_a_later_broker_time_is_named_and_left_alone(site, say):
    job = site.submit(site.message(run=75513), time_ms=int(time.time() * 1000) + 3_600_000)
    status, out, _ = say("cancel", "--instrument", "ENGINX", "--run", "75513")
    assert status == 0
    assert f"cancel {job} ends it" in out
    assert not journal.durable.exists(site.place(job).cancel)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["J", "--run", "1"],
        ["J", "--version", "1"],
        ["--run", "1"],
        ["--instrument", "X"],
        ["--instrument", "X", "--run", "one"],
        ["no such job"],
    ],
)
def test_what_names_no_job_is_one_sentence_and_status_2(site, say, words):
    site.submit(site.message())
    status, out, err = say("cancel", *words)
    assert status == 2
    assert out == ""
    assert len(err.splitlines()) == 1


def test_a_name_from_a_stranger_cannot_move_the_cursor(site, say):
    site.submit(site.message())
    _, _, err = say("cancel", "a\x1b[2Jb\rc")
    assert "\x1b" not in err
    assert "\r" not in err
    assert "\\x1b" in err


def test_a_corrupt_request_is_one_sentence(site, say):
    job = site.submit(site.message())
    for text in (b"{", b'{"v":1}', b"[]", b'{"v":7}'):
        with open(site.place(job).request, "wb") as file:
            file.write(text)
        for verb in ("cancel", "resubmit", "promote", "why"):
            status, _, err = say(verb, job)
            assert status == 70, (verb, text)
            assert "cannot read record" in err
            assert len(err.splitlines()) == 1


def test_resubmit_makes_a_new_job_of_the_same_message(site, say):
    job = site.submit(site.message(run="00075513", rb="RB 7"), priority=7)
    status, out, err = say("resubmit", job)
    again = out.strip()
    assert status == 0
    assert again != job
    assert "not decided yet" in err
    old, new = (journal.read_request(site.place(name)) for name in (job, again))
    assert (new.body, new.digest, new.priority, new.rb, new.run) == (old.body, old.digest, 7, "RB 7", "75513")
    assert new.resubmit_of == job
    assert new.time_ms >= old.time_ms
    assert len(journal.durable.listing(site.layout.waiting)) == 2


def test_a_decided_job_is_resubmitted_without_a_note(site, say):
    job = site.submit(site.message())
    decide(site, job)
    status, _, err = say("resubmit", job)
    assert (status, err) == (0, "")


def test_an_unknown_job_cannot_be_resubmitted(site, say):
    site.submit(site.message())
    status, out, err = say("resubmit", "nobody")
    assert (status, out) == (2, "")
    assert "nobody" in err


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "status", "cancel", "resubmit", "promote", "runs", "why"])
def test_the_help_of_each_verb_has_an_example_that_parses(verb, capsys):
    assert cli.main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"autoreduce-supervisor {verb}" in text.partition("Example")[2]
