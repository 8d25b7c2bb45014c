"""`runs`: the three lists, what keeps a job from running now, and how little is read for it."""

from __future__ import annotations

import json
import os
import time

import pytest
from embedded import INSTRUMENT, Embedded

from supervisor import cli, durable, hosts, journal, records
from supervisor.cells import link_final
from supervisor.records import Epoch, Final, Outcome, Promoted, RunRecord
from supervisor.waiting import Entry

SOMEBODY = records.Identity(pid=1, start=1, boot="b")


@pytest.fixture
def site(tmp_path):
    return Embedded(tmp_path)


@pytest.fixture
def runs(site, capsys):
    def said(*words):
        status = cli.main(["runs", *words, "--config", site.config])
        told = capsys.readouterr()
        assert status == 0, told.err
        return json.loads(told.out) if "--json" in words else told.out + told.err

    return said


def claim(site, job, n=1, host="host-a", began=True):
    cells = site.cells(job)
    cells.make(journal.read_request(site.place(job)).rb)
    cells.link_epoch(n, Epoch(host=host, boot="b", job=job, time=time.time()))
    if began:
        durable.make_folder(site.place(job).attempt(n), "attempt")
        run = RunRecord(host=host, shepherd=SOMEBODY, builder=SOMEBODY, token="t", scratch="s", version="1", time=1.0)
        durable.replace(site.place(job).run(n), records.to_record(run), "run")
    return cells


def finish(site, job, n=1, promoted="done", verdict="completed", at=None):
    cells = claim(site, job, n)
    outcome = Outcome(kind="committed", verdict=verdict, sentence=f"{verdict} it is", time=at or time.time(), host="a")
    cells.link_outcome(n, outcome)
    link_final(site.place(job), Final(rb=journal.read_request(site.place(job)).rb, n=n))
    if promoted:
        cells.link_promoted(n, Promoted(kind=promoted))
    return cells


def why(rows):
    return {row["job"]: row["text"] for row in rows}


def test_what_waits_stands_in_its_order_with_what_keeps_it(site, runs):
    site.configure(instrument={"HIFI": {"enabled": False}})
    now = int(time.time() * 1000)
    late = site.submit(site.message(run=1, rb=1), job="late", time_ms=now)
    early = site.submit(site.message(run=2, rb=1), job="early", time_ms=now - 60_000)
    urgent = site.submit(site.message(run=3, rb=2), job="urgent", priority=9, time_ms=now)
    off = site.submit(site.message(run=4, rb=3, instrument="HIFI"), job="off", time_ms=now)
    held = site.submit(site.message(run=5, rb=4), job="held", time_ms=now + 1)
    ended = site.submit(site.message(run=6, rb=5), job="ended", time_ms=now + 2)
    durable.replace(site.place(held).not_before, records.pack({"time": time.time() + 3600}), "not-before")
    journal.cancel_job(site.place(ended), records.Cancel(who="x", time_ms=now))
    waiting = runs("--json")["waiting"]
    assert [row["job"] for row in waiting] == [urgent, early, *sorted([late, off]), held, ended]
    said = why(waiting)
    assert said[early] == said[urgent] == "no supervisor is heard of"
    assert said[late] == "job early of its RB comes first"
    assert said[off] == "instrument HIFI is disabled by the configuration of this host"
    assert said[held].startswith("tried again later")
    assert said[ended] == "cancelling"


def test_with_a_supervisor_that_is_heard_of_a_head_waits_for_a_slot(site, runs):
    job = site.submit(site.message())
    beat = hosts.HostBeat(
        host="a", boot="b", counter=1, slots=1, running=0, version="1", level="contained", time=time.time()
    )
    hosts.write_beat(site.layout, beat)
    assert why(runs("--json")["waiting"])[job] == "waits for a free slot"


def test_what_runs_names_host_and_epoch_and_holds_up_its_rb(site, runs):
    first = site.submit(site.message(run=1, rb=7))
    second = site.submit(site.message(run=2, rb=7))
    claim(site, first, n=3)
    lists = runs("--json")
    (row,) = lists["running"]
    assert (row["job"], row["host"], row["epoch"], row["run"], row["rb"]) == (first, "host-a", 3, "1", "7")
    assert abs(row["since"] - time.time()) < 60
    assert why(lists["waiting"]) == {second: f"job {first} of its RB runs"}


def test_a_result_on_its_way_is_shown_as_promoting(site, runs):
    job = site.submit(site.message())
    finish(site, job, promoted="")
    lists = runs("--json")
    assert why(lists["running"]) == {job: "promoting"}
    assert lists["waiting"] == []
    assert "being put into place" in why(lists["finished"])[job]


def test_what_finished_last_comes_first_and_a_failed_promotion_names_the_remedy(site, runs):
    old = site.submit(site.message(run=1, rb=1))
    new = site.submit(site.message(run=2, rb=2))
    lost = site.submit(site.message(run=3, rb=1))
    now = time.time()
    finish(site, old, at=now - 200)
    finish(site, new, at=now)
    finish(site, lost, n=2, promoted="failed", at=now - 100)
    finished = runs("--json")["finished"]
    assert [row["job"] for row in finished] == [new, lost, old]
    assert f"promote {lost}" in finished[1]["text"]
    assert len(runs("--json", "--limit", "2")["finished"]) == 2


def test_rb_and_instrument_choose(site, runs):
    here = site.submit(site.message(run=1, rb="rb 1"))
    there = site.submit(site.message(run=2, rb=2, instrument="HIFI"))
    done = site.submit(site.message(run=3, rb=3, instrument="HIFI"))
    going = site.submit(site.message(run=4, rb=4))
    finish(site, done)
    claim(site, going)
    by_rb = runs("--json", "--rb", "RB 1")
    assert [row["job"] for row in by_rb["waiting"]] == [here]
    assert by_rb["running"] == by_rb["finished"] == []
    assert [row["job"] for row in runs("--json", "--rb", "3")["finished"]] == [done]
    hifi = runs("--json", "--instrument", "hifi")
    assert [row["job"] for row in hifi["waiting"]] == [there]
    assert [row["job"] for row in hifi["finished"]] == [done]
    assert hifi["running"] == []
    assert [row["job"] for row in runs("--json", "--instrument", INSTRUMENT)["running"]] == [going]


def test_a_long_rb_and_a_long_job_id_are_found_through_their_requests(site, runs):
    job = site.submit(site.message(rb="R" * 90), job="j" * 300)
    claim(site, job)
    (row,) = runs("--json")["running"]
    assert (row["job"], row["rb"]) == (job, "R" * 90)


def test_the_text_is_made_safe_and_every_list_says_when_it_is_empty(site, runs):
    site.submit(site.message(rb=1), job="plain")
    text = runs()
    assert text.count("none") == 2
    assert "job plain" in text
    os.makedirs(site.layout.path("rb"), exist_ok=True)
    cells = claim(site, "plain", host="bad\x1b[2J\nhost")
    assert "\\x1b[2J\\nhost" in runs()
    assert cells.last() == 1


def test_a_corrupt_record_hides_no_other(site, runs, capsys):
    bad = site.submit(site.message(rb=1), job="bad")
    site.submit(site.message(rb=2), job="good")
    gone = site.submit(site.message(rb=3), job="gone")
    finish(site, gone)
    for path in (site.place(bad).request, site.cells(gone).place.outcome(1)):
        with open(path, "wb") as file:
            file.write(b'{"v":1,"kind":7}')
    text = runs()
    assert "its request cannot be read" in text
    assert "job good" in text
    assert text.count("cannot read record") == 2


def test_ten_thousand_waiting_jobs_cost_a_listing_and_not_their_requests(site, runs, monkeypatch):
    now = int(time.time() * 1000)
    job = site.submit(site.message(rb=0), job="first", time_ms=now - 1000)
    for number in range(10_000):
        entry = Entry(rank=5, time_ms=now, sequence=number, job=f"j{number}", instrument="X", rb=str(number % 5000))
        with open(site.layout.path("waiting", entry.name), "wb"):
            continue
    reads = []
    honest = journal.read_request
    monkeypatch.setattr(journal, "read_request", lambda place: reads.append(place) or honest(place))
    began = time.monotonic()
    lists = runs("--json")
    took = time.monotonic() - began
    assert lists["waiting"][0]["job"] == job
    assert len(lists["waiting"]) == 20
    assert lists["not_finished"] == 10_001
    assert len(reads) < 60
    assert took < 10
    print(f"runs with 10 000 waiting jobs of 5 000 RBs: {took:.2f} s, {len(reads)} requests read")


def test_a_filter_lists_only_what_meets_it_and_only_where_it_can_stand(site, runs):
    now = time.time()
    old = site.submit(site.message(run=1, rb=1), job="old")
    killed = site.submit(site.message(run=2, rb=2), job="killed")
    site.submit(site.message(run=3, rb=3), job="later")
    going = site.submit(site.message(run=4, rb=4), job="going")
    finish(site, old, at=now - 7200)
    finish(site, killed, verdict="memory_limit", at=now - 60)
    claim(site, going, host="host-b")

    def jobs(*words):
        told = runs("--json", *words)
        return {name: [row["job"] for row in told[name]] for name in ("running", "waiting", "finished") if name in told}

    assert jobs("--verdict", "memory_limit") == {"finished": [killed]}
    assert jobs("--host", "host-b") == {"running": [going], "finished": []}
    assert jobs("--state", "waiting") == {"waiting": ["later"]}
    assert jobs("--state", "finished", "--since", "1h") == {"finished": [killed]}
    assert jobs("--state", "finished") == {"finished": [killed, old]}


def test_a_filter_that_nothing_can_meet_is_refused(site, capsys):
    assert cli.main(["runs", "--state", "waiting", "--verdict", "crash", "--config", site.config]) == 2
    assert "nothing that is waiting has a verdict" in capsys.readouterr().err
    assert cli.main(["runs", "--since", "soon", "--config", site.config]) == 2
    assert '"soon" is no time' in capsys.readouterr().err
