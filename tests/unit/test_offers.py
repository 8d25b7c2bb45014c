"""What a host offers: levels and interpreters, held against what an instrument needs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

from sandbox.tree import lies_below
from supervisor import config
from supervisor.offers import Offers, find_out, find_out_with, spool_of
from supervisor.profiles import Profile

TEXT = """
[interpreter]
argv = ["{python}"]
[interpreter.instrument.GEM]
argv = ["/none/python"]
[interpreter.instrument.WISH]
argv = ["/none/python"]
[interpreter.software."Mantid 6"]
argv = ["{python}"]
[instrument.LET]
require = "contained"
[spool]
path = "{spool}"
"""


def settings(tmp_path):
    return config.parse(TEXT.format(python=sys.executable, spool=tmp_path), "test")


def test_every_profile_is_tried_and_a_failing_one_stops_its_instruments_alone(tmp_path):
    known = settings(tmp_path)

    offers = find_out(known)

    assert set(offers.working) == {"interpreter", "interpreter.software.Mantid 6"}
    assert set(offers.failing) == {"interpreter.instrument.GEM", "interpreter.instrument.WISH"}
    assert "/none/python does not run scripts" in offers.failing["interpreter.instrument.GEM"]
    assert list(tmp_path.iterdir()) == []


def test_offers_travel_as_json_without_their_proof(tmp_path):
    offers = find_out(settings(tmp_path))

    assert Offers.from_json(json.loads(json.dumps(offers.to_json()))) == replace(offers, proof=None)


def test_what_is_found_out_is_the_level_its_proof_and_what_each_interpreter_needs(tmp_path):
    offers = find_out(settings(tmp_path))

    assert offers.level in {"contained", "hostile"}
    assert offers.proof is not None
    assert offers.proof.guards["tree"].in_force
    assert set(offers.closures) == set(offers.working)
    closure = offers.closures["interpreter"]
    real = os.path.realpath(sys.executable)
    assert any(lies_below(real, top) for top in (*closure.folders, "/usr"))


def test_a_profile_that_does_not_start_behind_the_tree_is_failing_and_says_who_knows_more(tmp_path):
    hidden = tmp_path / "licence"
    hidden.write_text("x")
    wrapper = tmp_path / "bin/python"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\n[ -e {hidden} ] || exit 3\nexec "{sys.executable}" "$@"\n')
    wrapper.chmod(0o755)
    (tmp_path / "spool").mkdir()
    plain = Profile(name="interpreter", argv=(sys.executable,))
    gem = Profile(name="interpreter.instrument.GEM", argv=(str(wrapper),))

    for profiles in ((plain, gem), (gem, plain), (gem,)):
        offers = find_out_with(profiles, str(tmp_path / "spool"))
        assert offers.level in {"contained", "hostile"}
        assert list(offers.failing) == ["interpreter.instrument.GEM"]
        assert "does not start behind the tree of a box" in offers.failing[gem.name]
        assert "autoreduce-supervisor doctor interpreter interpreter.instrument.GEM" in offers.failing[gem.name]

    bound = replace(gem, bind=(str(hidden),))
    offers = find_out_with((bound,), str(tmp_path / "spool"))
    assert offers.failing == {}
    assert str(hidden) in offers.closures[gem.name].folders


def test_without_an_interpreter_that_works_the_level_is_proven_all_the_same(tmp_path):
    offers = find_out_with((Profile(name="interpreter", argv=("/none/python",)),), str(tmp_path))

    assert offers.level in {"contained", "hostile"}
    assert offers.working == {}
    assert list(offers.failing) == ["interpreter"]


def test_who_asks_gets_the_sites_spool_only_if_it_is_his(tmp_path):
    known = settings(tmp_path)
    with spool_of(known) as path:
        assert path == str(tmp_path)
    tmp_path.chmod(0o500)
    with spool_of(config.parse(f'[spool]\npath = "{tmp_path}/none"', "test")) as path:
        assert path != str(tmp_path)
        assert os.path.isdir(path)
    tmp_path.chmod(0o700)
    assert not os.path.exists(path)
    if os.geteuid() == 0:
        os.chown(tmp_path, 4242, 4242)
        with spool_of(known) as path:
            assert path != str(tmp_path)
