from __future__ import annotations

import pytest
from storemaking import make_store, request

from supervisor import durable, journal, records, waiting
from supervisor.cells import RbCells, link_final
from supervisor.records import Cancel, Epoch, Final, Outcome, Promoted, Take
from supervisor.scanning import Scanner, part_of


class Site:
    """A store and the scanner of one host."""

    def __init__(self, tmp_path):
        self.layout = make_store(tmp_path)
        self.now = 100.0
        self.disabled = set()
        self.publishes = True
        self.left = False
        self.scanner = Scanner(
            self.layout,
            serves=lambda instrument, software: instrument not in self.disabled,
            max_attempts=3,
            may_publish=lambda epoch: self.publishes,
            has_left_take=lambda cells: self.left,
            now=lambda: self.now,
        )

    def add(self, job, **changes):
        of = request(job, **changes)
        journal.journal(self.layout, of)
        return of

    def finish(self, job, n=1, rb="1", *, promoted="done", final=True):
        cells = RbCells(self.layout.rb(rb))
        cells.make(rb)
        cells.link_epoch(n, Epoch(host="h", boot="b", job=job, time=0.0))
        cells.link_outcome(n, Outcome(kind="committed", replies={"done": {"d": n}, "failed": {"f": n}}))
        if final:
            link_final(self.layout.job(job), Final(rb=rb, n=n))
        if promoted:
            cells.link_promoted(n, Promoted(kind=promoted))
        return cells

    def heads(self):
        return [(head.job, head.slotless, head.tidy) for head in self.scanner.scan()[0]]

    def finished(self):
        return self.scanner.scan()[1]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_the_head_of_each_rb_is_its_first_job_that_may_run(site):
    site.add("101", time_ms=2)
    site.add("102", time_ms=1)
    site.add("201", rb="2", time_ms=9)
    assert site.heads() == [("102", False, False), ("201", False, False)]
    assert site.scanner.scan()[2] == 3
    assert site.scanner.head_of(part_of("1")).job == "102"
    assert site.scanner.head_of(part_of("7")) is None
    assert site.scanner.rbs() == {"1": "1", "2": "2"}


def test_a_job_that_may_not_run_yet_is_stepped_over(site):
    site.add("101", time_ms=1)
    site.add("102", time_ms=2)
    durable.replace(site.layout.job("101").not_before, records.pack({"time": 200.0}), "not-before")
    assert site.heads() == [("102", False, False)]
    site.now = 201.0
    assert site.heads() == [("101", False, False)]


def test_a_disabled_instrument_waits_and_holds_nobody_up(site):
    site.add("101", time_ms=1, instrument="HIFI")
    site.add("102", time_ms=2)
    site.disabled = {"HIFI"}
    assert site.heads() == [("102", False, False)]


def test_a_cancelled_job_ends_ahead_of_its_order_and_without_a_slot(site):
    site.add("101", time_ms=1)
    site.add("102", time_ms=2)
    journal.cancel_job(site.layout.job("102"), Cancel(who="a", time_ms=5))
    assert set(site.heads()) == {("101", False, False), ("102", True, False)}


def test_what_is_committed_and_not_promoted_is_tidied(site):
    site.add("101")
    site.finish("101", promoted="")
    assert site.heads() == [("101", True, True)]
    assert site.finished() == []


@pytest.mark.parametrize(("kind", "reply"), [("done", {"d": 1}), ("failed", {"f": 1})])
def test_a_job_is_published_only_after_its_promotion_and_with_the_reply_frozen_for_it(site, kind, reply):
    site.add("101")
    site.finish("101", promoted=kind)
    (done,) = site.finished()
    assert (done.job, done.terminal, done.started, done.started_sent) == ("101", reply, None, False)


def test_the_started_reply_comes_along_until_it_has_its_receipt(site):
    site.add("101")
    site.finish("101")
    place = site.layout.job("101")
    durable.link_new(place.started, records.pack({"s": 1}), "started")
    assert site.finished()[0].started["s"] == 1
    durable.touch(place.started_sent, "started")
    assert site.finished()[0].started_sent


def test_only_who_may_publish_does(site):
    site.add("101")
    site.finish("101")
    site.publishes = False
    assert site.finished() == []


def test_a_published_job_is_removed_by_any_host_unless_a_take_of_it_stands(site):
    site.add("101")
    cells = site.finish("101")
    durable.touch(site.layout.job("101").published, "published")
    k = cells.link_take(1, Take(host="h9", boot="b", pid=1, start=1))
    site.publishes = False
    site.scanner.scan()
    assert len(durable.listing(site.layout.waiting)) == 1
    cells.remove_take(1, k)
    site.scanner.scan()
    assert durable.listing(site.layout.waiting) == []


def test_a_left_take_is_a_head_that_needs_no_slot(site):
    site.add("101")
    site.finish("101")
    site.left = True
    assert site.heads() == [("101", True, True)]


def test_an_entry_whose_request_is_not_visible_yet_is_passed_over(site):
    durable.touch(site.layout.path("waiting", waiting.entry_of(request("ghost")).name), "waiting")
    durable.touch(site.layout.path("waiting", "nonsense"), "waiting")
    assert site.scanner.scan() == ([], [], 1)


def test_jobs_behind_a_head_are_looked_at_in_rotation_until_all_were(site, monkeypatch):
    monkeypatch.setattr("supervisor.scanning._ROTATION", 2)
    site.add("000", time_ms=0)
    for index in range(1, 8):
        site.add(f"{index:03}", time_ms=index)
        journal.cancel_job(site.layout.job(f"{index:03}"), Cancel(who="a", time_ms=99))
    seen = set()
    for _ in range(5):
        heads = site.heads()
        assert len(heads) <= 3
        seen |= {job for job, slotless, _ in heads if slotless}
    assert seen == {f"{index:03}" for index in range(1, 8)}


def test_a_finished_job_never_runs_again_though_its_entry_was_made_again(site):
    of = site.add("101")
    site.finish("101")
    durable.touch(site.layout.job("101").published, "published")
    site.scanner.scan()
    journal.index(site.layout, of)
    assert site.heads() == []
    assert durable.listing(site.layout.waiting) == []


def test_a_request_that_cannot_be_read_keeps_no_supervisor_from_coming_up(site):
    site.add("101")
    site.add("102", rb="2")
    durable.replace(site.layout.job("101").request, b"{", "request")
    assert site.scanner.rbs() == {"2": "2"}
    assert "request.json" in next(iter(site.scanner.damage.values()))
