"""`store`, and what verbs say of jobs that were pruned."""

from __future__ import annotations

import json
import time

import pytest
from embedded import Embedded

from supervisor import cli, durable, hosts, journal, records, storeformat, tombstones
from supervisor.cells import link_final
from supervisor.pruning import Pruner
from supervisor.records import Epoch, Final, Outcome, Promoted
from supervisor.verbs import store as verb


@pytest.fixture
def site(tmp_path):
    made = Embedded(tmp_path, lock={"beat": "10 ms", "self_kill_after": "30 ms", "takeover_after": "60 ms"})
    journal.open_store(made.layout, create=True)
    return made


@pytest.fixture
def say(site, capsys):
    def said(*words, status=0):
        assert cli.main([*words, "--config", site.config]) == status
        told = capsys.readouterr()
        return json.loads(told.out) if "--json" in words else told.out + told.err

    return said


def beat(site, host, **changes):
    fields = {"boot": "b", "counter": 1, "slots": 1, "running": 0, "version": "0.1", "level": ""}
    hosts.write_beat(site.layout, hosts.HostBeat(host=host, **fields | changes))


def pruned(site, **message):
    """The id of a job that was published and pruned."""
    job = site.submit(site.message(**message))
    request = journal.read_request(site.place(job))
    cells = site.cells(job)
    cells.make(request.rb)
    n = cells.last() + 1
    cells.link_epoch(n, Epoch(host="h", boot="b", job=job, time=1.0))
    cells.link_outcome(n, Outcome(kind="committed", verdict="completed", sentence="completed after 1 s", time=2.0))
    link_final(site.place(job), Final(rb=request.rb, n=n))
    cells.link_promoted(n, Promoted(kind="done"))
    for name in durable.listing(site.layout.waiting):
        durable.remove(site.layout.path("waiting", name), "waiting")
    durable.touch(site.place(job).published, "published")
    Pruner(site.layout, keep=0.0, remember=1e9, host="x").whole_round()
    assert not durable.exists(site.place(job).request)
    return job


def test_status_tells_the_format_the_hosts_and_what_there_is(site, say):
    beat(site, "a", trouble={"why": "cannot fsync x", "since": 1.0, "until": 2.0})
    beat(site, "b", state="stopped")
    pruned(site)
    out = say("store", "status")
    assert "format:   1\n" in out
    assert "a: silent for" in out
    assert "cannot fsync x, since" in out
    assert "b: stopped, version 0.1, reads format 1" in out
    assert "pruned:   1\n" in out
    told = say("store", "status", "--json")
    assert (told["format"], told["raising"], told["reads"]) == (1, None, [1])
    assert told["count"] == {"waiting": 0, "jobs": 0, "pruned": 1, "RBs": 1, "refused": 0, "cancels": 0}


def test_there_is_nothing_to_raise_today(site, say):
    assert "the store has format 1 already; nothing changes" in say("store", "upgrade")
    assert "this version reads format 1, not 2" in say("store", "upgrade", "--to", "2", status=70)
    assert storeformat.read(site.layout).number == 1


def test_a_newer_version_raises_it_and_names_who_is_in_the_way(site, say, monkeypatch):
    monkeypatch.setattr(verb, "upgrade", lambda look, new: real(look, new, (1, 2)))
    beat(site, "old")
    assert "old (silent" in say("store", "upgrade", "--to", "2", status=70)
    assert "no host nobody was ever seen" in say("store", "upgrade", "--to", "2", "--without", "nobody", status=70)
    out = say("store", "upgrade", "--to", "2", "--without", "old")
    assert "old: dead" in out
    assert "the store has format 2 now; it had 1" in out
    assert "upgrade this host" in say("store", "status", status=78)


real = verb.upgrade


def test_why_answers_for_a_pruned_job_by_its_id_and_by_its_run(site, say):
    job = pruned(site, rb="1510111")
    for asked in (["why", job], ["why", "75513"], ["why", "75513", "--instrument", "enginx"]):
        out = say(*asked)
        assert "completed: completed after 1 s" in out
        assert f"job {job}" in out
        assert "pruned:" in out
    told = say("why", job, "--json")
    assert (told["state"], told["verdict"], told["rb"]) == ("pruned", "completed", "1510111")
    assert "no job, run" in say("why", "75514", status=2)


def test_why_names_pruned_jobs_beside_a_later_one_of_their_run(site, say):
    first, second = pruned(site), pruned(site)
    out = say("why", "75513")
    assert f"also:      job {first if f'job {second}' in out.splitlines()[0] else second}" in out
    third = site.submit(site.message())
    out = say("why", "75513")
    assert f"job {third}" in out.splitlines()[0]
    assert {f"also:      job {job} is of the same run" for job in (first, second)} <= set(out.splitlines())


def test_runs_shows_the_newest_run_of_an_rb_whose_job_was_pruned(site, say):
    job = pruned(site, rb="1510111")
    (row,) = say("runs", "--rb", "1510111", "--json")["finished"]
    assert (row["job"], row["verdict"], row["run"]) == (job, "completed", "75513")


def test_verbs_that_need_the_message_say_that_it_is_no_longer_kept(site, say):
    job = pruned(site)
    for asked in ("resubmit", "promote"):
        assert "was pruned on" in say(asked, job, status=2)


def test_check_config_warns_when_messages_are_forgotten_early(site, say):
    assert "caution" not in say("check-config", "--no-files")
    site.configure(store={"remember": "30 d"})
    out = say("check-config", "--no-files")
    assert "caution: store.remember: a message that is delivered again after 30 d runs again" in out
    assert "no problem found" in out


def test_a_record_of_a_tombstone_keeps_what_people_ask_for(site):
    job = pruned(site)
    stone = tombstones.find(site.layout, job)
    data = durable.read(tombstones.path_of(site.layout, tombstones.month_of(time.time()), job))
    assert records.from_record(tombstones.Tombstone, "", data) == stone
    assert len(data) < 1000
