"""`locks`: holders, states and waiters by the cells and counters alone; no flock is taken."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest
from embedded import Embedded

from supervisor import cli, durable, fences, flock, hosts, journal, records
from supervisor.cells import link_final
from supervisor.fences import Fence
from supervisor.flock import acquire
from supervisor.records import Epoch, Final, Identity, Outcome, Promoted, RunRecord, Take
from supervisor.waiting import Entry


@pytest.fixture
def site(tmp_path):
    made = Embedded(tmp_path, lock={"beat": "100 ms", "self_kill_after": "1 s", "takeover_after": "3 min"})
    journal.open_store(made.layout, create=True)
    beat(made, "h9")
    return made


@pytest.fixture
def locks(site, capsys):
    def listed(*words):
        assert cli.main(["locks", *words, "--json", "--config", site.config]) == 0
        record = json.loads(capsys.readouterr().out)
        assert record["unreadable"] == []
        return record["locks"]

    return listed


def beat(site, host, counter=1, *, boot="b", ago=0.0):
    hosts.write_beat(
        site.layout,
        hosts.HostBeat(
            host=host, boot=boot, counter=counter, slots=1, running=0, version="1", level="none", time=time.time() - ago
        ),
    )


def hold(site, rb, *, state="running", run=1, ago=0.0):
    """An epoch of host h9 in this state; its last beat is so many seconds old."""
    job = site.submit(site.message(run=run, rb=rb))
    cells = site.cells(job)
    cells.make(str(rb))
    cells.link_epoch(1, Epoch(host="h9", boot="b", job=job, time=time.time() - 60))
    if state != "handing over":
        durable.make_folder(site.place(job).attempt(1), "attempt")
        who = Identity(pid=7, start=1, boot="b")
        record = RunRecord(host="h9", shepherd=who, builder=who, token="t", scratch="/s", version="1", time=0.0)
        durable.replace(site.place(job).run(1), records.to_record(record), "run")
    if state in ("promoting", "take left"):
        cells.link_outcome(1, Outcome(kind="committed", verdict="completed"))
        link_final(site.place(job), Final(rb=str(rb), n=1))
    if state == "take left":
        cells.link_promoted(1, Promoted(kind="done"))
        cells.link_take(1, Take(host="h9", boot="b", pid=7, start=1))
    lock = acquire(cells.place.lock)
    lock.beat(1)
    lock.beat(1)
    lock.close()
    os.utime(cells.place.lock, (time.time() - ago,) * 2)
    return job


@pytest.mark.parametrize("state", ["handing over", "running", "promoting", "take left"])
def test_a_holder_is_listed_with_what_it_does_and_who_waits(site, locks, state):
    job = hold(site, 7, state=state, run=3)
    first = site.submit(site.message(run=4, rb=7))
    site.submit(site.message(run=5, rb=7))
    (row,) = locks()
    assert (row["rb"], row["epoch"], row["host"], row["job"], row["state"]) == ("7", 1, "h9", job, state)
    assert (row["instrument"], row["run"], row["beats"]) == ("ENGINX", "3", 2)
    assert (row["waiting"], row["first"]) == (2, first)
    assert 55 < time.time() - row["since"] < 120


def test_an_rb_of_which_nothing_is_undecided_is_not_held(site, locks):
    job = site.submit(site.message(rb=7))
    assert locks() == []
    cells = site.cells(job)
    cells.make("7")
    cells.link_epoch(1, Epoch(host="h9", boot="b", job=job, time=0.0))
    for kind in ("released", "revoked", "retry"):
        n = cells.last()
        cells.link_outcome(n, Outcome(kind=kind))
        assert locks() == []
        cells.link_epoch(n + 1, Epoch(host="h9", boot="b", job=job, time=0.0))
        assert len(locks()) == 1


def test_no_flock_is_taken_and_a_claim_is_not_disturbed(site, locks, monkeypatch):
    hold(site, 7)
    lock = acquire(site.layout.rb("7").lock)
    monkeypatch.setattr(flock.filelock, "lock_descriptor", lambda *_, **__: pytest.fail("a look takes a lock"))
    before = os.stat(site.layout.rb("7").lock).st_mtime_ns
    assert len(locks("--watch", "0.2")) == 1
    assert os.stat(site.layout.rb("7").lock).st_mtime_ns == before
    lock.close()


def test_a_silent_host_is_told_with_the_time_until_it_is_taken_over(site, locks):
    hold(site, 7, ago=100.0)
    beat(site, "h9", ago=90.0)
    (row,) = locks()
    assert row["note"].startswith("host h9 is silent for 9")
    assert "taken over in about" in row["note"]
    assert 85 < row["host_silent"] < 110
    assert 95 < row["run_silent"] < 120


def test_a_fenced_holder_and_one_that_rebooted_are_told(site, locks):
    hold(site, 7)
    beat(site, "h9", boot="b2")
    assert locks()[0]["note"] == "its host has rebooted and gives it back"
    fences.link_fence(site.layout, Fence(host="h9", boot="b", who="anna"))
    assert "fenced by operator anna" in locks()[0]["note"]


def test_a_watch_tells_by_our_own_clock_what_file_times_would_not(site, locks):
    """The file times of the one that moves are an hour old, those of the one that does not are of now."""
    hold(site, 7, run=1, ago=3600.0)
    hold(site, 8, run=2)
    beat(site, "h9", ago=3600.0)
    stop = threading.Event()

    def live():
        while not stop.wait(0.02):
            lock = acquire(site.layout.rb("7").lock)
            lock.beat(1)
            lock.close()
            os.utime(site.layout.rb("7").lock, (time.time() - 3600,) * 2)

    alive = threading.Thread(target=live)
    alive.start()
    try:
        rows = {row["rb"]: row for row in locks("--watch", "1")}
    finally:
        stop.set()
        alive.join()
    assert rows["7"]["run_silent"] < 1.0
    assert rows["8"]["run_silent"] >= 1.0
    assert rows["8"]["note"].startswith("host h9 is silent")
    assert "the run goes on" in rows["7"]["note"]


def test_only_an_rb_or_only_a_host_is_listed_if_asked(site, locks):
    hold(site, 7, run=1)
    hold(site, 8, run=2)
    assert [row["rb"] for row in locks("--rb", "8")] == ["8"]
    assert len(locks("--host", "h9")) == 2
    assert locks("--host", "h1") == []


def test_the_table_is_one_line_for_each_and_strangers_names_are_made_safe(site, capsys):
    job = hold(site, 7)
    durable.remove(site.cells(job).place.epoch(1), "epoch")
    site.cells(job).link_epoch(1, Epoch(host="h9\x1b[2J", boot="b", job=job, time=time.time()))
    assert cli.main(["locks", "--config", site.config]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    (line,) = out.splitlines()
    for fact in ("epoch 1 on h9\\x1b[2J", "ENGINX 1", "running", "beat 2", "nobody waits"):
        assert fact in line


def test_nothing_is_held(site, capsys):
    assert cli.main(["locks", "--config", site.config]) == 0
    assert capsys.readouterr().out == "no RB is held\n"


def test_a_record_that_cannot_be_read_is_named_and_keeps_no_other_from_being_listed(site, capsys):
    hold(site, 7, run=1)
    hold(site, 8, run=2)
    durable.replace(site.layout.rb("7").epoch(1), b"{", "epoch")
    assert cli.main(["locks", "--json", "--config", site.config]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["rb"] for row in record["locks"]] == ["8"]
    assert len(record["unreadable"]) == 1
    assert "epochs" in record["unreadable"][0]


@pytest.mark.parametrize("words", [("--watch", "-1"), ("--watch", "nan"), ("--watch", "x")])
def test_a_watch_of_no_length_is_a_usage_error(site, words):
    assert cli.main(["locks", *words, "--config", site.config]) == 2


@pytest.mark.parametrize("rbs", [300, pytest.param(10_000, marks=pytest.mark.soak)])
def test_rbs_with_a_history_cost_two_listings_and_no_reading(site, locks, monkeypatch, rbs):
    for number in range(rbs):
        place = site.layout.rb(str(1000 + number))
        for kind, path in (("epochs", place.epoch), ("outcomes", place.outcome), ("promoted", place.promoted)):
            os.makedirs(place.folder(kind))
            for n in (1, 2, 3):
                with open(path(n), "wb"):
                    continue
        entry = Entry(rank=5, time_ms=1, sequence=number, job=f"j{number}", instrument="X", rb=str(1000 + number))
        with open(site.layout.path("waiting", entry.name), "wb"):
            continue
    held = [hold(site, rb, run=rb) for rb in range(10)]
    reads = []
    honest = durable.read
    monkeypatch.setattr(durable, "read", lambda path: reads.append(path) or honest(path))
    began = time.process_time()
    rows = locks()
    took = time.process_time() - began
    assert {row["job"] for row in rows} == set(held)
    assert len(reads) < 100
    print(f"locks with {rbs} RBs that wait and have a history, 10 held: {took:.2f} s cpu, {len(reads)} records read")
    assert took < 10
