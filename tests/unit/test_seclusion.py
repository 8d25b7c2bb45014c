"""What closes the box of a run, worked out from the configuration, and how that travels."""

from __future__ import annotations

import json

import pytest

from sandbox import levels
from sandbox.box import Box
from sandbox.closure import Closure
from sandbox.limits import Limits
from supervisor import boxarguments, floors, localwalls, seclusion
from supervisor.config import parse
from supervisor.offers import Offers
from supervisor.profiles import Profile
from supervisor.settings import Settings

CLOSURE = Closure(folders=("/opt/mantid", "/opt/data"), links={"/usr/local/bin/python": "/opt/mantid/bin/python"})
INSTRUMENTS = """
[instrument.GEM]
require = "hostile"
network = true
read_only = ["/isis/NDX{instrument}/masks", "/archive/{cycle}/{rb}"]
"""


def of_run(settings, instrument, cycle="cycle_15_1"):
    return seclusion.of_run(settings, CLOSURE, instrument=instrument, rb="1510188", cycle=cycle)


def test_a_run_gets_the_level_that_its_instrument_must_have():
    settings = parse(INSTRUMENTS, "x")
    assert of_run(settings, "GEM")["level"] == "hostile"
    assert of_run(settings, "LET")["level"] == "contained"
    trusting = parse('[isolation]\nrequire = "none"\nallow_unsafe = true', "x")
    assert of_run(trusting, "LET")["level"] == "none"


def test_network_and_paths_are_the_instruments_own():
    settings = parse(INSTRUMENTS, "x")
    gem, let = of_run(settings, "GEM"), of_run(settings, "LET")
    assert (gem["network"], let["network"]) == (True, False)
    assert gem["readable"] == ["/isis/NDXGEM/masks", "/archive/cycle_15_1/1510188"]
    assert let["readable"] == []


def test_a_path_that_needs_a_cycle_means_nothing_without_one():
    assert of_run(parse(INSTRUMENTS, "x"), "GEM", cycle="")["readable"] == ["/isis/NDXGEM/masks"]


def test_store_and_run_directory_are_hidden():
    settings = parse('[store]\npath = "/srv/store"\n[service]\nrun_dir = "/run/own"', "x")
    assert of_run(settings, "GEM")["hidden"] == ["/srv/store", "/run/own"]


def test_the_arguments_of_a_box_survive_their_journey():
    travelling = json.loads(json.dumps(of_run(parse(INSTRUMENTS, "x"), "GEM") | {"input_files": ["/a", "/b"]}))
    made = Box(
        interpreter=("python3",), script=b"", spool="/spool", limits=Limits(), **boxarguments.box_arguments(travelling)
    )
    assert (made.level, made.network, made.closure) == ("hostile", True, CLOSURE)
    assert made.readable == ("/isis/NDXGEM/masks", "/archive/cycle_15_1/1510188")
    assert made.input_files == ("/a", "/b")
    assert boxarguments.closure_from_json(boxarguments.closure_to_json(None)) is None


def test_each_level_includes_the_one_before_it():
    weaker = frozenset()
    for level in levels.LEVELS:
        assert weaker < levels.needed(level)
        weaker = levels.needed(level)
    with pytest.raises(ValueError, match="isolation level 'total' is unknown; levels are none, contained, hostile"):
        levels.needed("total")


def test_the_highest_floor_of_a_site_counts_its_instruments():
    assert floors.highest(Settings()) == "contained"
    assert floors.highest(parse(INSTRUMENTS, "x")) == "hostile"
    assert floors.highest(parse('[isolation]\nrequire = "none"\nallow_unsafe = true', "x")) == "none"


@pytest.mark.parametrize(
    ("proven", "as_root", "counts"),
    [
        ("hostile", True, "contained"),
        ("hostile", False, "hostile"),
        ("contained", True, "contained"),
        ("none", True, "none"),
    ],
)
def test_root_is_never_closed_off_as_hostile(proven, as_root, counts):
    assert floors.attainable(proven, as_root=as_root) == counts


PROFILE = Profile(name="interpreter", argv=("/usr/bin/python3",))


@pytest.fixture
def proving(monkeypatch):
    def prove(**facts):
        monkeypatch.setattr(localwalls.offers, "find_out_with", lambda profiles, spool: Offers(**facts))

    return prove


def test_at_a_desk_the_highest_level_is_taken_and_told(proving):
    proving(level="hostile", closures={"interpreter": CLOSURE})
    walls = localwalls.walls_for(PROFILE, Settings(), "/spool")
    assert (walls.level, walls.closure, walls.network) == ("hostile", CLOSURE, False)
    assert walls.told().startswith("isolation hostile: ")
    assert "no network" in walls.told()


def test_none_that_is_asked_for_is_none_and_nothing_is_tried(proving):
    proving(level="hostile")
    assert localwalls.walls_for(PROFILE, Settings(), "/spool", asked="none") == localwalls.Walls()


def test_a_default_is_no_floor_and_a_configured_level_is(proving):
    proving(level="none")
    assert localwalls.walls_for(PROFILE, Settings(), "/spool").level == "none"
    with pytest.raises(localwalls.NoWalls, match='"contained" cannot be had: this host proves "none" only'):
        localwalls.walls_for(PROFILE, parse('[isolation]\nrequire = "contained"', "x"), "/spool")


def test_an_interpreter_that_does_not_start_behind_walls_is_no_reason_for_none(proving):
    proving(level="contained", failing={"interpreter": "/usr/bin/python3 does not start"})
    with pytest.raises(localwalls.NoWalls, match="does not start; or give --isolation none if you trust the script"):
        localwalls.walls_for(PROFILE, Settings(), "/spool")
