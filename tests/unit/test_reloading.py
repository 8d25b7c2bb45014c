"""A changed file is judged beside the one in force: refused whole with every problem, or taken with what was tried."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from embedded import Embedded

from supervisor import config, reprobe
from supervisor.config import ConfigProblems
from supervisor.offers import Offers
from supervisor.reloading import judge

WELL = Offers(level="contained", proof=SimpleNamespace())


@pytest.fixture
def site(tmp_path):
    return Embedded(tmp_path)


def never(document):
    raise AssertionError("nothing was to be tried")


def test_limits_are_applied_without_trying_anything_and_restart_keys_are_named(site):
    old = config.load_whole(site.config)
    site.configure(limits={"memory": "3 GiB"}, store={"path": site.path("other")})
    judged = judge(old, WELL, ask=never)
    assert [change.key for change in judged.applied] == ["limits.memory"]
    assert [change.key for change in judged.restart] == ["store.path"]
    assert judged.configuration.settings.store.path == site.store
    assert judged.offers is WELL


def test_every_problem_is_named_at_once(site):
    old = config.load_whole(site.config)
    site.configure(limits={"memory": "a lot", "wal": "2 h"}, store={"pol": 1})
    with pytest.raises(ConfigProblems) as found:
        judge(old, WELL, ask=never)
    assert len(found.value.problems) == 3


def test_a_file_that_is_gone_is_a_problem(site):
    old = config.load_whole(site.config)
    with open(site.config, "wb") as file:
        file.write(b"\xff")
    with pytest.raises(ConfigProblems, match="not UTF-8"):
        judge(old, WELL, ask=never)


def test_a_changed_interpreter_is_tried_before_it_is_offered(site):
    old = config.load_whole(site.config)
    site.configure(interpreter={"instrument": {"GEM": {"argv": [sys.executable, "-I"]}}})
    asked = []

    def ask(document):
        asked.append(document)
        return Offers(level="none", working={"interpreter.instrument.GEM": SimpleNamespace()})

    judged = judge(old, WELL, ask=ask)
    assert asked[0]["interpreter"]["instrument"]["GEM"]["argv"] == [sys.executable, "-I"]
    assert list(judged.offers.working) == ["interpreter.instrument.GEM"]
    assert judged.offers.level == "contained", "what was proven at the start holds"


def test_a_new_interpreter_that_does_not_work_refuses_the_whole_and_an_old_one_is_a_note(site):
    site.configure(interpreter={"instrument": {"GEM": {"argv": [sys.executable, "-I"]}}})
    old = config.load_whole(site.config)
    site.configure(interpreter={"instrument": {"GEM": {"argv": [sys.executable, "-S"]}}})
    offers = Offers(level="contained", failing={"interpreter.instrument.GEM": "it is too old", "interpreter": "gone"})
    with pytest.raises(ConfigProblems) as found:
        judge(old, WELL, ask=lambda _: offers)
    assert found.value.problems == ["interpreter.instrument.GEM: it is too old"]
    judged = judge(config.load_whole(site.config), offers, ask=lambda _: offers)
    assert "interpreter.instrument.GEM: it is too old" in judged.notes


def test_what_cannot_be_tried_refuses_the_whole(site):
    old = config.load_whole(site.config)
    site.configure(isolation={"require": "contained"})

    def ask(_):
        raise reprobe.Untried("interpreters could not be tried: no room")

    with pytest.raises(ConfigProblems, match="no room"):
        judge(old, WELL, ask=ask)


def test_a_child_tries_what_the_tables_name(site):
    import os

    os.makedirs(site.path("spool"))
    site.configure(interpreter={"instrument": {"GEM": {"argv": ["/bin/false"]}}})
    found = reprobe.ask(config.load_whole(site.config).document)
    assert "interpreter" in found.working
    assert "interpreter.instrument.GEM" in found.failing
    with pytest.raises(reprobe.Untried, match="could not be tried"):
        reprobe.ask({"nonsense": 1})
