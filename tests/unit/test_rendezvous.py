"""The rendezvous of a probe against offers that come and go at the worst moment; the clock is the test's."""

from __future__ import annotations

import errno
import itertools
import shutil

import pytest

from supervisor import durable, rendezvous
from supervisor.meeting import Offer, Presence
from supervisor.rendezvous import NobodyCame, meet

OURS = Offer(host="h1", boot="one", pid=1, token="")
#: Greater than every token that `meet` is given here, so that we lead.
THEIRS = Offer(host="h2", boot="two", pid=2, token="zz")


class Clock:
    """Goes on when somebody pauses; then the other host beats as well."""

    def __init__(self):
        self.now = 1000.0
        self.others = []

    def steady(self):
        return self.now

    wall = steady

    def pause(self, seconds):
        self.now += seconds
        for other in self.others:
            other.beat()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "now")


@pytest.fixture
def other(place, clock):
    """Another host whose offer stands and beats."""
    durable.make_folder(place, "probe")
    made = Presence(place, THEIRS, clock)
    made.come()
    clock.others.append(made)
    return made


def met(place, clock, patience=30.0):
    tokens = itertools.count(10)
    return meet(place, OURS, clock=clock, token=lambda: f"a{next(tokens)}", patience=patience, tell=print)


def take_its_offer_back(other, clock):
    clock.others.remove(other)
    shutil.rmtree(other.folder)


def test_an_offer_that_goes_while_it_is_taken_ends_nothing(place, clock, other, monkeypatch):
    link = durable.link_new
    asked = []

    def goes(path, data, kind):
        asked.append(path)
        if other in clock.others:
            take_its_offer_back(other, clock)
        return link(path, data, kind)

    monkeypatch.setattr(rendezvous.durable, "link_new", goes)

    with pytest.raises(NobodyCame):
        met(place, clock)
    assert asked == [f"{place}/a10/taken", f"{place}/zz/taken"], "an offer that is gone is not tried again"


def test_an_offer_that_is_gone_is_no_candidate_though_it_has_moved_lately(place, clock, other):
    seen = rendezvous._Seen(place)
    assert seen.look("own", clock.now) == [], "it has not moved yet"
    clock.pause(0.6)
    assert [each.token for each in seen.look("own", clock.now)] == ["zz"]

    take_its_offer_back(other, clock)

    assert seen.look("own", clock.now) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_store_that_cannot_be_used_is_told(place, clock, other, monkeypatch, number):
    link = durable.link_new

    def refuses(path, data, kind):
        if "zz" in path:
            raise OSError(number, "refused", path)
        return link(path, data, kind)

    monkeypatch.setattr(rendezvous.durable, "link_new", refuses)

    with pytest.raises(OSError, match="refused"):
        met(place, clock)


def test_an_offer_that_another_host_holds_is_left_to_it(place, clock, other):
    assert durable.link_new(other.taken, b"{}", "probe")

    with pytest.raises(NobodyCame):
        met(place, clock)


def test_a_folder_that_the_server_has_forgotten_is_gone_too(place, clock, other, monkeypatch):
    link = durable.link_new

    def stale(path, data, kind):
        if "zz" in path:
            raise OSError(errno.ESTALE, "Stale file handle", path)
        return link(path, data, kind)

    monkeypatch.setattr(rendezvous.durable, "link_new", stale)

    with pytest.raises(NobodyCame):
        met(place, clock)
