from __future__ import annotations

import json

import pytest
from storemaking import request

from sandbox.limits import GiB
from supervisor import config, hosting
from supervisor.hosting import Needs, Place, place, unplaceable, why_not
from supervisor.hosts import HostBeat


def beat(host="h1", **changes):
    fields = {"boot": "b", "counter": 1, "slots": 1, "running": 0, "version": "1", "level": "contained"}
    return HostBeat(**{"host": host, "interpreters": ["default"], **fields, **changes})


NEEDS = Needs(instrument="GEM", floor="contained", profile="default")


@pytest.mark.parametrize(
    ("changes", "needs", "said"),
    [
        ({}, {}, ""),
        ({"level": "hostile"}, {}, ""),
        ({"level": "none"}, {}, 'isolation "contained" is required for GEM, and host h1 proves "none" only'),
        ({"level": "none"}, {"floor": "none"}, ""),
        ({"failing": {"default": "does not start"}}, {}, "does not start"),
        ({}, {"profile": "mantid"}, "the configuration of host h1 has no interpreter mantid"),
        ({"interpreters": []}, {"profile": "mantid"}, ""),
        ({}, {"profile": ""}, ""),
        ({"memory": 64 * GiB}, {"memory": 64 * GiB}, ""),
        (
            {"memory": 64 * GiB},
            {"memory": 65 * GiB},
            "a limit of 65 GiB of memory is required for GEM, and host h1 has 64 GiB for runs",
        ),
        ({"memory": 64 * GiB}, {"memory": None}, ""),
        ({}, {"memory": 65 * GiB}, ""),
        ({"cpus": 4.0}, {"cpus": 8.0}, "8 processors are required for GEM, and host h1 has 4"),
        ({"roots": ["/isis"]}, {"data": ("/isis/a.nxs",)}, ""),
        ({"roots": ["/isis"]}, {"data": ("/isis/a.nxs", "/sns/b.nxs")}, 'host h1 serves no root of "/sns/b.nxs"'),
        ({"roots": ["/isis"]}, {"data": ("/isisx/a.nxs",)}, 'host h1 serves no root of "/isisx/a.nxs"'),
        ({"result_roots": ["/ceph"]}, {"result": "/isis/r"}, 'host h1 serves no root of "/isis/r"'),
        ({"roots": [], "result_roots": []}, {"data": ("/x",), "result": "/y"}, ""),
    ],
)
def test_what_a_host_offers_and_a_run_needs(changes, needs, said):
    fields = {name: getattr(NEEDS, name) for name in ("instrument", "floor", "profile")}
    assert why_not(beat(**changes), Needs(**{**fields, **needs})) == said


def test_a_run_goes_here_if_it_can_else_to_who_is_heard_of():
    weak = beat("h2", level="none")
    assert place(NEEDS, beat(), [weak]) is Place.HERE
    assert place(NEEDS, beat(level="none"), [weak, beat("h3")]) is Place.ELSEWHERE
    assert place(NEEDS, beat(level="none"), [weak]) is Place.NOWHERE
    mine = beat("h1", level="none")
    assert place(NEEDS, mine, [mine, beat("h1")]) is Place.NOWHERE, "an old word of our own counts for nothing"


def test_a_job_is_unplaceable_only_while_no_host_ever_seen_could_take_it():
    weak = [beat("h1", level="none"), beat("h2", failing={"default": "is gone"})]
    assert "proves" in unplaceable(NEEDS, weak)
    assert unplaceable(NEEDS, [*weak, beat("h3")]) == ""
    assert unplaceable(NEEDS, []) == ""


def test_a_run_too_big_for_this_host_goes_to_one_that_has_room_and_is_refused_where_none_has():
    big = Needs(instrument="GEM", floor="none", profile="", memory=64 * GiB)
    small = beat(memory=32 * GiB)
    assert place(big, small, [small, beat("h2", memory=96 * GiB)]) is Place.ELSEWHERE
    assert place(big, small, [small]) is Place.NOWHERE
    assert "64 GiB" in unplaceable(big, [small, beat("h3", memory=48 * GiB)])
    assert unplaceable(big, [small, beat("h2", memory=96 * GiB)]) == ""


def test_a_root_that_nobody_serves_refuses_nothing():
    needs = Needs(instrument="GEM", floor="none", profile="default", data=("/sns/b.nxs",))
    assert unplaceable(needs, [beat(roots=["/isis"])]) == ""


def test_hosts_that_serve_the_same_roots_in_another_order_are_even():
    own = beat(roots=["/a", "/b"], result_roots=["/r"])
    assert not hosting.uneven(own, [own, beat("h2", roots=["/b", "/a"], result_roots=["/r"])])
    assert hosting.uneven(own, [beat("h2", roots=["/a"], result_roots=["/r"])])
    assert hosting.uneven(own, [beat("h2", roots=["/a", "/b"])])


@pytest.fixture
def settings():
    return config.parse('[paths]\ndata_roots = ["/isis"]\n', "test")


def body(**changes):
    fields = {
        "data": "/sns/NDXGEM/Instrument/data/cycle_14_2/GEM12345.nxs",
        "facility": "ISIS",
        "instrument": "GEM",
        "rb_number": "1410001",
        "run_number": 12345,
        "run_version": 0,
        "reduction_script": "def main(a, b): pass",
        "reduction_arguments": {},
    }
    return json.dumps(fields | changes)


def test_the_files_of_a_run_are_known_by_their_archive_names_whatever_this_host_serves(settings):
    of = request("j", body=body(), instrument="GEM", rb="1410001")
    needs = hosting.with_paths(hosting.needs_of(settings, "GEM", ""), of, settings.paths.rules())
    assert needs.data == ("/sns/NDXGEM/Instrument/data/cycle_14_2/GEM12345.nxs",)
    assert needs.result.startswith("/")
    assert why_not(beat(roots=["/isis"]), needs)


def test_a_message_that_names_no_sound_file_needs_no_root(settings):
    needs = hosting.needs_of(settings, "GEM", "")
    assert hosting.with_paths(needs, request("j", body=body(data="../x")), settings.paths.rules()) == needs
    assert hosting.with_paths(needs, request("j", body="{"), settings.paths.rules()) == needs


def test_what_another_host_serves_may_be_taken_in_here(settings):
    rules = hosting.with_roots(settings.paths.rules(), [beat("h2", roots=["/sns"], result_roots=["/ceph"])])
    assert rules.data_roots == ("/isis", "/sns")
    assert rules.result_roots == tuple(dict.fromkeys((*settings.paths.result_roots, "/ceph")))
