from __future__ import annotations

import os
from dataclasses import replace

import pytest
from storemaking import make_store, request

from supervisor import durable, failpoints, journal, records
from supervisor.cells import link_final
from supervisor.journal import CANCEL_EXPIRES, Taken
from supervisor.records import Cancel, Final
from supervisor.storeformat import UnknownStore


@pytest.fixture
def layout(tmp_path):
    return make_store(tmp_path)


def cancel(run="101", **changes):
    return Cancel(
        **{"who": "app", "time_ms": 2000, "instrument": "ENGINX", "run": run, "message_id": "m", "written": 100.0}
        | changes
    )


def waiting_jobs(layout):
    return [name.rsplit(".", 1)[1] for name in durable.listing(layout.waiting)]


def is_cancelled(layout, job="101"):
    return durable.exists(layout.job(job).cancel)


def test_a_new_job_has_request_waiting_and_by_run_entries(layout):
    assert journal.journal(layout, request()) is Taken.NEW
    assert journal.read_request(layout.job("101")) == request()
    assert waiting_jobs(layout) == ["101"]
    assert durable.listing(layout.by_run("ENGINX", "101")) == ["101"]


def test_a_redelivery_is_a_duplicate_and_makes_the_entries_again(layout):
    journal.journal(layout, request())
    for name in durable.listing(layout.waiting):
        durable.remove(layout.path("waiting", name), "waiting")
    assert journal.journal(layout, request(journaled=5.0)) is Taken.DUPLICATE
    assert waiting_jobs(layout) == ["101"]
    assert journal.read_request(layout.job("101")).journaled == 0.0


def test_a_duplicate_of_a_finished_job_waits_no_more(layout):
    journal.journal(layout, request())
    link_final(layout.job("101"), Final(rb="1", n=1))
    for name in durable.listing(layout.waiting):
        durable.remove(layout.path("waiting", name), "waiting")
    assert journal.journal(layout, request(journaled=5.0)) is Taken.DUPLICATE
    assert waiting_jobs(layout) == []


def test_the_same_id_with_another_body_is_a_conflict_and_changes_nothing(layout):
    journal.journal(layout, request())
    assert journal.journal(layout, request(digest="other", rb="2")) is Taken.CONFLICT
    assert journal.read_request(layout.job("101")).rb == "1"
    assert len(waiting_jobs(layout)) == 1


def _labels(layout, of):
    found = []
    failpoints.set_hook(found.append)
    try:
        journal.journal(layout, of)
    finally:
        failpoints.set_hook(None)
    return found


class Killed(BaseException):
    """The process ended here."""


def test_a_crash_at_any_point_is_healed_by_the_redelivery(tmp_path):
    points = len(_labels(make_store(tmp_path / "count"), request()))
    assert points > 10
    for index in range(points):
        layout = make_store(tmp_path / str(index))
        seen = []

        def die_at(label, index=index, seen=seen):
            seen.append(label)
            if len(seen) == index + 1:
                raise Killed

        failpoints.set_hook(die_at)
        try:
            with pytest.raises(Killed):
                journal.journal(layout, request())
        finally:
            failpoints.set_hook(None)
        assert journal.journal(layout, request()) in (Taken.NEW, Taken.DUPLICATE)
        assert waiting_jobs(layout) == ["101"]
        assert durable.listing(layout.by_run("ENGINX", "101")) == ["101"]


def test_nothing_may_be_acknowledged_when_the_store_fails(layout, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(5, "EIO")))
    with pytest.raises(OSError, match="EIO"):
        journal.journal(layout, request())


def test_a_cancel_of_a_journaled_job_links_its_cell_once(layout):
    journal.journal(layout, request())
    assert journal.cancel_run(layout, cancel()) == ["101"]
    assert journal.cancel_run(layout, cancel(message_id="again")) == []
    assert is_cancelled(layout)
    assert durable.listing(layout.cancels) == []


def test_a_cancel_that_comes_first_is_remembered_and_used_once(layout):
    assert journal.cancel_run(layout, cancel()) == []
    assert len(durable.listing(layout.cancels)) == 1
    journal.journal(layout, request())
    assert is_cancelled(layout)
    assert durable.listing(layout.cancels) == []
    journal.journal(layout, request("again", run="101"))
    assert not is_cancelled(layout, "again")


@pytest.mark.parametrize("of", [{"time_ms": 2001}, {"instrument": "HIFI"}, {"run": "102"}, {"version": 2}])
def test_a_later_job_and_another_run_are_not_meant(layout, of):
    journal.cancel_run(layout, cancel(version=0))
    journal.journal(layout, request(**of))
    assert not is_cancelled(layout)
    assert len(durable.listing(layout.cancels)) == 1


def test_a_cancel_without_version_means_every_version_and_runs_are_compared_by_value(layout):
    journal.journal(layout, request(run="75513", version=3))
    assert journal.cancel_run(layout, cancel("00075513")) == ["101"]


def test_a_remembered_cancel_expires(layout):
    journal.cancel_run(layout, cancel())
    journal.match_remembered(layout, 100.0 + CANCEL_EXPIRES)
    assert len(durable.listing(layout.cancels)) == 1
    assert journal.match_remembered(layout, 101.0 + CANCEL_EXPIRES) == []
    assert durable.listing(layout.cancels) == []


def test_a_decided_job_is_not_cancelled_and_does_not_hide_the_one_that_is_meant(layout):
    journal.journal(layout, request("first", run="101"))
    link_final(layout.job("first"), Final(rb="1", n=1))
    assert journal.cancel_run(layout, cancel()) == []
    assert not is_cancelled(layout, "first")
    journal.journal(layout, request("second", run="101"))
    assert is_cancelled(layout, "second"), "the finished job of that run swallowed the cancel"


def test_the_poll_matches_what_two_hosts_wrote_at_the_same_moment(layout):
    journal.journal(layout, request())
    durable.link_new(layout.path("cancels", "k"), records.to_record(cancel()), "remembered-cancel")
    assert journal.match_remembered(layout, 200.0) == ["101"]
    assert is_cancelled(layout)
    assert durable.listing(layout.cancels) == []


def test_a_cancel_and_its_job_never_miss_each_other_wherever_one_cuts_into_the_other(tmp_path):
    """Both orders of the race, at every point: whoever comes second looks where the first one wrote."""
    for first, second in (("job", "cancel"), ("cancel", "job")):
        index = 0
        while True:
            layout = make_store(tmp_path / f"{first}-{index}")
            acts = {
                "job": lambda layout=layout: journal.journal(layout, request()),
                "cancel": lambda layout=layout: journal.cancel_run(layout, cancel()),
            }
            seen = []

            def cut_in(label, index=index, seen=seen, act=acts[second]):
                seen.append(label)
                if len(seen) == index + 1:
                    failpoints.set_hook(None)
                    act()

            failpoints.set_hook(cut_in)
            try:
                acts[first]()
            finally:
                failpoints.set_hook(None)
            if len(seen) <= index:
                break
            assert is_cancelled(layout), f"{second} cut into {first} at point {index}: {seen[index]}"
            index += 1
        assert index > 5


def test_a_resubmitted_job_is_a_new_one_that_no_old_cancel_means(layout):
    again = journal.resubmitted(request(), job="new", time_ms=3000, host="h", now=9.0)
    assert (again.job, again.resubmit_of, again.sequence, again.body) == ("new", "101", 0, request().body)
    assert not journal.means(cancel(), again)
    assert journal.means(cancel(), request())


def test_a_job_whose_name_was_shortened_is_found_again(layout):
    long = "j/" * 200
    journal.journal(layout, replace(request(), job=long))
    part = waiting_jobs(layout)[0]
    assert journal.read_request(journal.find_job(layout, part)).job == long
    assert journal.find_job(layout, "abcdefg~" + "a" * 52) is None


def test_a_folder_that_is_no_store_is_refused_in_words(tmp_path):
    from supervisor.layout import Layout

    layout = Layout(str(tmp_path))
    with pytest.raises(UnknownStore, match=r"correct store\.path"):
        journal.open_store(layout, create=False)
    journal.open_store(layout, create=True)
    journal.open_store(layout, create=False)
    durable.replace(layout.format, records.pack({"format": 7}), "format")
    with pytest.raises(UnknownStore, match="upgrade"):
        journal.open_store(layout, create=True)
