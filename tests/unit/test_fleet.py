from __future__ import annotations

import pytest
from storemaking import make_store

from supervisor import hosts
from supervisor.fleet import Fleet
from supervisor.hosts import HostBeat


def beat(host, counter=1, **changes):
    fields = {"boot": "b", "slots": 2, "running": 0, "version": "1", "level": "contained", **changes}
    return HostBeat(host=host, counter=counter, **fields)


class Site:
    """A store and what host `me` knows of its fleet."""

    def __init__(self, tmp_path):
        self.layout = make_store(tmp_path)
        self.clock = 0.0
        self.fleet = Fleet(self.layout, beat("me"), beat=10.0, takeover_after=180.0, monotonic=lambda: self.clock)

    def write(self, *beats):
        for one in beats:
            hosts.write_beat(self.layout, one)

    def living(self, later=10.0):
        self.clock += later
        self.fleet.look()
        return [one.host for one in self.fleet.living]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_a_host_alone_knows_itself_without_a_look(site):
    assert [one.host for one in site.fleet.living] == ["me"]
    assert site.fleet.rivals == 1
    assert not site.fleet.uneven


def test_a_host_is_heard_of_while_its_counter_moves_and_for_a_time_after(site):
    site.write(beat("h1", 1))
    assert site.living() == ["me", "h1"]
    assert site.living(170.0) == ["me", "h1"]
    assert site.living(10.0) == ["me"]
    assert [one.host for one in site.fleet.known] == ["me", "h1"], "it was seen"
    site.write(beat("h1", 2))
    assert site.living() == ["me", "h1"]


def test_a_host_that_said_goodbye_is_not_heard_of(site):
    site.write(beat("h1", 1, state="stopped"))
    assert site.living() == ["me"]


def test_another_boot_is_a_sign_of_life(site):
    site.write(beat("h1", 7))
    site.living()
    assert site.living(200.0) == ["me"]
    site.write(beat("h1", 7, boot="later"))
    assert site.living() == ["me", "h1"]


def test_heartbeats_are_read_once_in_a_beat(site):
    site.living()
    site.write(beat("h1", 1))
    assert site.living(9.0) == ["me"]
    assert site.living(1.0) == ["me", "h1"]


def test_an_old_record_of_our_own_name_is_passed_over(site):
    site.write(beat("me", 99, level="none"))
    site.living()
    assert site.fleet.known == (site.fleet.own,)
    assert site.fleet.own.level == "contained"


def test_a_record_that_cannot_be_read_silences_one_host_and_not_the_fleet(site):
    site.write(beat("h1", 1), beat("h2", 1))
    with open(site.layout.host_beat("h1"), "w", encoding="ascii") as file:
        file.write("{")
    assert site.living() == ["me", "h2"]


def test_rivals_are_those_with_a_free_slot_and_this_host(site):
    site.write(beat("h1", running=2), beat("h2", running=1), beat("h3", slots=0))
    site.living()
    assert site.fleet.rivals == 2


def test_hosts_with_other_roots_make_the_fleet_uneven(site):
    site.write(beat("h1", roots=["/isis"]))
    site.living()
    assert site.fleet.uneven
