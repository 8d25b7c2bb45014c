from __future__ import annotations

import pytest
from storemaking import make_store, request

from supervisor import durable, journal, records, waiting
from supervisor.admission import Wants
from supervisor.cells import RbCells, link_final
from supervisor.hosting import Place
from supervisor.names import part_of
from supervisor.records import Cancel, Epoch, Final, Outcome, Promoted, Take
from supervisor.scanning import Scanner


class Site:
    """A store and the scanner of one host."""

    def __init__(self, tmp_path):
        self.layout = make_store(tmp_path)
        self.now = 100.0
        self.disabled = set()
        self.publishes = True
        self.left = False
        self.places = {}
        self.unplaceable = ""
        self.sizes = {}
        self.scanner = Scanner(
            self.layout,
            place=lambda card: (
                Place.DISABLED if card.instrument in self.disabled else self.places.get(card.job, Place.HERE)
            ),
            unplaceable=lambda card: self.unplaceable,
            unplaceable_after=3600.0,
            max_attempts=3,
            host="h",
            may_publish=lambda epoch: self.publishes,
            has_left_take=lambda cells: self.left,
            now=lambda: self.now,
            wants=lambda card: Wants(instrument=card.instrument, memory=self.sizes.get(card.job, 1)),
        )

    def add(self, job, **changes):
        of = request(job, **changes)
        journal.journal(self.layout, of)
        return of

    def finish(self, job, n=1, rb="1", *, promoted="done", final=True, host="h"):
        cells = RbCells(self.layout.rb(rb))
        cells.make(rb)
        cells.link_epoch(n, Epoch(host=host, boot="b", job=job, time=0.0))
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


def test_heads_without_room_are_found_but_hide_none_that_has_room(site):
    for number in range(100, 160):
        site.add(str(number), rb=str(number), time_ms=number)
        site.sizes[str(number)] = 9
    site.add("999", rb="999", time_ms=999)
    for _ in range(2):
        heads = site.scanner.scan(most=1, fits=lambda wants: wants.memory < 9)[0]
        assert [head.job for head in heads][-1] == "999"
    assert len(heads) == 33, "of those without room a bounded number is looked at"
    assert heads[0].wants == Wants(instrument=heads[0].wants.instrument, memory=9)


def test_the_rb_with_a_reservation_is_looked_at_before_all_others(site):
    for number in range(100, 110):
        site.add(str(number), rb=str(number), time_ms=number)
    heads = site.scanner.scan(most=1, first="109")[0]
    assert [head.job for head in heads] == ["109", "100"]
    assert [head.job for head in site.scanner.scan(most=0, first="109")[0]] == []


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
    monkeypatch.setattr("supervisor.scanning._ROTATION_LEAST", 2)
    site.add("000", time_ms=0)
    for index in range(1, 8):
        site.add(f"{index:03}", time_ms=index)
        journal.cancel_job(site.layout.job(f"{index:03}"), Cancel(who="a", time_ms=99))
    everything = {f"{index:03}" for index in range(1, 8)}
    assert {job for job, slotless, _ in site.heads() if slotless} == everything, "the first scan looks at all"
    seen = set()
    for _ in range(5):
        heads = site.heads()
        assert len(heads) <= 3
        seen |= {job for job, slotless, _ in heads if slotless}
    assert seen == everything


def test_what_this_host_has_begun_or_cancelled_is_looked_at_in_each_scan_until_its_entry_is_gone(site, monkeypatch):
    monkeypatch.setattr("supervisor.scanning._ROTATION_LEAST", 1)
    for index in range(50):
        site.add(f"{index:03}", time_ms=index)
    site.scanner.scan()
    site.scanner.follow("042")
    for _ in range(3):
        assert ("042", True, False) not in site.heads()
    journal.cancel_job(site.layout.job("042"), Cancel(who="a", time_ms=99))
    for _ in range(3):
        assert ("042", True, False) in site.heads()
    durable.remove(site.layout.path("waiting", waiting.entry_of(request("042", time_ms=42)).name), "waiting")
    site.scanner.scan()
    assert site.scanner._followed == {}


def looked_at(site, monkeypatch):
    """The jobs that are looked at from now on."""
    seen = []
    real = site.scanner._look_safely

    def noted(entry, heads, finished, *, behind):
        seen.append(entry.job)
        return real(entry, heads, finished, behind=behind)

    monkeypatch.setattr(site.scanner, "_look_safely", noted)
    return seen


def test_no_more_jobs_are_looked_at_than_heads_are_wanted(site, monkeypatch):
    monkeypatch.setattr("supervisor.scanning._ROTATION_LEAST", 0)
    for index in range(40):
        site.add(f"{index:03}", rb=str(index), time_ms=index)
    site.scanner.scan()
    seen = looked_at(site, monkeypatch)
    heads, _, count = site.scanner.scan(most=3, served={"0": 5.0}, busy={"2"})
    assert ([head.job for head in heads], count, site.scanner.more) == (["001", "003", "004"], 40, True)
    assert seen == ["001", "003", "004"]
    assert site.scanner.scan(most=0)[0] == []
    assert len(site.scanner.scan()[0]) == 40
    assert not site.scanner.more


def test_an_rb_whose_first_job_is_stepped_over_takes_the_place_of_its_next(site):
    site.add("disabled", rb="1", priority=9, instrument="GEM")
    site.add("behind", rb="1", priority=1)
    site.add("other", rb="2", priority=4)
    site.disabled.add("GEM")
    assert [head.job for head in site.scanner.scan(most=1)[0]] == ["other"]
    assert [head.job for head in site.scanner.scan(most=2)[0]] == ["other", "behind"]


def test_a_job_that_another_host_takes_keeps_its_place_and_holds_back_those_behind_it(site):
    site.add("first", time_ms=1)
    site.add("second", time_ms=2)
    site.places["first"] = Place.ELSEWHERE
    assert site.heads() == []
    assert site.scanner.head_of(part_of("1")).job == "first"


def test_a_job_that_no_host_takes_is_stepped_over(site):
    site.add("first", time_ms=1)
    site.add("second", time_ms=2)
    site.places["first"] = Place.NOWHERE
    assert site.heads() == [("second", False, False)]
    assert site.scanner.head_of(part_of("1")).job == "second"
    assert [card.job for card in site.scanner.nowhere.values()] == ["first"]
    site.places.clear()
    site.now += 11
    assert site.heads() == [("first", False, False)]
    assert site.scanner.nowhere == {}


def test_a_job_that_no_host_ever_seen_could_take_ends_after_a_day_and_not_before(site):
    site.add("first")
    site.places["first"], site.unplaceable = Place.NOWHERE, "no host proves it"
    assert site.heads() == []
    site.now += 3599
    assert site.heads() == []
    site.now += 2
    assert site.heads() == [("first", True, False)]


def test_the_time_begins_anew_when_a_host_could_take_it_in_between(site):
    site.add("first")
    site.places["first"], site.unplaceable = Place.NOWHERE, "no host proves it"
    assert site.heads() == []
    site.now += 3000
    site.unplaceable = ""
    assert site.heads() == []  # that host is silent now
    assert not durable.exists(site.layout.job("first").unplaceable)
    site.unplaceable = "no host proves it"
    site.now += 3000
    assert site.heads() == []


def test_a_disabled_instrument_waits_for_ever(site):
    site.add("first", instrument="GEM")
    site.disabled.add("GEM")
    site.unplaceable = "no host proves it"
    site.heads()
    site.now += 1e9
    assert site.heads() == []


def test_a_job_that_is_tried_again_later_costs_no_look_until_it_is_due(site, monkeypatch):
    monkeypatch.setattr("supervisor.scanning._ROTATION_LEAST", 0)
    site.add("later", rb="1")
    durable.replace(site.layout.job("later").not_before, records.pack({"time": 130.0}), "not-before")
    site.scanner.scan()
    assert site.scanner.due_in() == 30.0
    seen = looked_at(site, monkeypatch)
    site.now = 129.9
    assert site.heads() == []
    assert seen == []
    site.now = 130.0
    assert site.heads() == [("later", False, False)]
    assert site.scanner.due_in() is None


def test_an_rb_that_was_left_alone_is_looked_at_when_something_comes_into_it(site, monkeypatch):
    monkeypatch.setattr("supervisor.scanning._ROTATION_LEAST", 0)
    site.add("first", instrument="GEM", time_ms=5)
    site.disabled.add("GEM")
    site.heads()
    seen = looked_at(site, monkeypatch)
    assert site.heads() == []
    assert seen == [], "it was looked at a moment ago"
    site.add("second", time_ms=6)
    assert site.heads() == [("second", False, False)]


def test_a_clock_that_was_set_back_makes_no_rb_wait(site):
    site.add("first", instrument="GEM")
    site.disabled.add("GEM")
    site.heads()
    site.disabled.clear()
    assert site.heads() == [], "it is left alone for a moment"
    site.now -= 50.0
    assert site.heads() == [("first", False, False)]


def test_a_name_that_comes_again_after_it_went_is_a_new_one(site):
    of = site.add("first")
    path = site.layout.path("waiting", waiting.entry_of(of).name)
    assert site.heads() == [("first", False, False)]
    durable.remove(path, "waiting")
    assert site.scanner.scan() == ([], [], 0)
    durable.touch(path, "waiting")
    assert site.heads() == [("first", False, False)]


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


@pytest.mark.parametrize(("host", "stands_in"), [("h", False), ("silent", True)])
def test_whether_replies_are_those_of_a_silent_host_is_told(site, host, stands_in):
    site.add("101")
    site.finish("101", host=host)
    (done,) = site.finished()
    assert done.stands_in is stands_in


def test_jobs_that_no_host_takes_cost_no_look_until_their_turn_comes_or_their_place_changes(site, monkeypatch):
    monkeypatch.setattr("supervisor.scanning._ROTATION_LEAST", 1)
    for index in range(30):
        site.add(f"{index:03}", time_ms=index, instrument="GEM")
    site.disabled.add("GEM")
    site.scanner.scan()
    seen = looked_at(site, monkeypatch)
    site.now += 100.0
    for turn in range(30):
        site.scanner.scan()
        assert len(seen) == turn + 1
    assert sorted(seen) == [f"{index:03}" for index in range(30)], "the rotation finds what became of each"
    site.disabled.clear()
    site.scanner.look_again()
    assert ("000", False, False) in site.heads()


def test_a_folder_that_has_not_changed_costs_a_listing_alone(site, monkeypatch):
    for index in range(5):
        site.add(f"{index:03}", time_ms=index)
    site.scanner.scan()
    parsed = []
    monkeypatch.setattr("supervisor.waiting.parse", parsed.append)
    assert site.scanner.scan()[2] == 5
    assert parsed == []
