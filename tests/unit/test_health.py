"""`check`: what is OK, a warning or critical, in one line with figures, whatever the state holds."""

from __future__ import annotations

import json
import os

import pytest
from embedded import Embedded
from hypothesis import given
from hypothesis import strategies as st

from sandbox.linux import proctree
from supervisor import cli, rundir, whereabouts
from supervisor.health import Bound, Bounds, Level, judge

NOW = 1_000_000.0
WELL = {
    "running": True,
    "host": "h0",
    "slots": 4,
    "runs": [{}, {}],
    "waiting": 17,
    "store": "well",
    "broker": "connected",
    "broker_since": NOW - 5000,
    "oldest": NOW - 120,
    "undeliverable": 0,
    "nowhere": {"jobs": 0, "why": ""},
    "failing": {},
    "disabled": {},
    "drained": {},
    "config": {},
    "unproven": "",
}


def test_a_host_that_does_well_says_so_with_its_figures():
    found = judge(WELL, Bounds(), NOW)
    assert found.level is Level.OK
    assert found.text() == (
        "AUTOREDUCE OK - 2 of 4 slots busy, 17 not finished with | running=2;;;0;4 waiting=17;1000;10000;0 "
        "oldest=120s;21600;86400;0 broker_away=0s;60;600;0 undeliverable=0;;;0 stuck=0;;;0"
    )


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"running": False}, Level.CRITICAL, "no supervisor runs on host h0"),
        ({"slots": None}, Level.WARNING, "has not described itself"),
        ({"runs": "x"}, Level.WARNING, "has not described itself"),
        ({"store": "read-only", "store_since": NOW - 1}, Level.WARNING, "store for 1 s: read-only"),
        ({"store": "hanging: read", "store_since": NOW - 301}, Level.CRITICAL, "store for 301 s: hanging: read"),
        ({"broker": "away", "broker_since": NOW - 59}, Level.OK, "slots busy"),
        ({"broker": "away", "broker_since": NOW - 60}, Level.WARNING, "no broker for 60 s"),
        ({"broker": "away", "broker_since": NOW - 600}, Level.CRITICAL, "no broker for 10 min"),
        ({"broker": "none"}, Level.OK, "slots busy"),
        ({"waiting": 1000}, Level.WARNING, "1000 jobs wait"),
        ({"waiting": 10_000}, Level.CRITICAL, "10000 jobs wait"),
        ({"oldest": NOW - 6 * 3600}, Level.WARNING, "the oldest job that could begin waits for 6 h"),
        ({"oldest": NOW - 24 * 3600}, Level.CRITICAL, "waits for"),
        ({"oldest": 0}, Level.OK, "slots busy"),
        ({"undeliverable": 2}, Level.WARNING, "2 replies are undeliverable"),
        ({"nowhere": {"jobs": 3, "why": "no\nroot"}}, Level.WARNING, "3 jobs no living host takes: no\\nroot"),
        ({"failing": {"software X": "gone"}}, Level.WARNING, "the profile software X fails: gone"),
        ({"unproven": "locks | never tried"}, Level.WARNING, "unproven: locks / never tried"),
        ({"config": {"problems": ["x"]}}, Level.WARNING, "a reload was refused"),
        ({"drained": {"by": "ann"}}, Level.OK, "drained by ann"),
        ({"disabled": {"GEM": "why"}}, Level.OK, "disabled: GEM"),
    ],
)
def test_each_trouble_has_its_level_and_words(changes, level, words):
    found = judge({**WELL, **changes}, Bounds(), NOW)
    assert (found.level, words in found.text()) == (level, True), found.text()


def test_the_worst_decides_and_all_are_named():
    found = judge({**WELL, "undeliverable": 1, "waiting": 20_000}, Bounds(), NOW)
    assert found.level is Level.CRITICAL
    assert "20000 jobs wait; 1 replies are undeliverable" in found.text()


@given(st.floats(0, 1e9), st.one_of(st.none(), st.floats(0, 1e9)), st.one_of(st.none(), st.floats(0, 1e9)))
def test_a_bound_judges_by_what_it_is_told(value, warning, critical):
    level = Bound(warning, critical).level(value)
    assert (level is Level.CRITICAL) == (critical is not None and value >= critical)
    assert (level is Level.OK) == (
        not ((critical is not None and value >= critical) or (warning is not None and value >= warning))
    )


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(WELL)), _JSON))
def test_whatever_the_state_holds_there_is_one_line(spoilt):
    text = judge({**WELL, **spoilt}, Bounds(), NOW).text()
    assert text.startswith("AUTOREDUCE ")
    assert text.count("|") <= 1
    assert text.isprintable()


@pytest.fixture
def site(tmp_path):
    made = Embedded(tmp_path)
    os.makedirs(made.run_dir)
    return made


def serves(site, **state):
    me = proctree.identity(os.getpid())
    identity = {"pid": me.pid, "start": me.start, "boot": proctree.boot_id()}
    rundir.write_local(site.run_dir, rundir.IDENTITY_FILE, identity)
    facts = {"host": "h0", "slots": 2, "running": [], "waiting": 0, "store": "well", "broker": "none"}
    rundir.write_local(site.run_dir, rundir.STATE_FILE, {**facts, **state})


def test_the_verb_ends_in_the_level(site, capsys):
    ask = ["check", "--config", site.config]
    assert cli.main(ask) == 2
    assert "CRITICAL - no supervisor runs" in capsys.readouterr().out
    serves(site)
    assert cli.main(ask) == 0
    serves(site, waiting=7)
    assert cli.main([*ask, "--waiting", "7,"]) == 1
    assert "7 jobs wait" in capsys.readouterr().out


def test_the_verb_answers_while_the_configuration_is_wrong(site, capsys):
    serves(site)
    with open(site.config, "a") as file:
        file.write("\n[limits.instrument.GEM]\nmemory = 'much'\n")
    assert cli.main(["check", "--config", site.config]) == 0
    assert cli.main(["status", "--config", site.config]) == 0


@pytest.mark.parametrize("words", [["--waiting", "x"], ["--oldest", "1 h"], ["--broker", "a,b"], ["--colour"]])
def test_a_command_that_is_not_understood_is_unknown_and_never_critical(site, capsys, words):
    assert cli.main(["check", *words]) == 3
    assert capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "x", "[service]\nrun_dir = 5", "service = 1", "[service]\nrun_dir = 'rel'"])
def test_a_configuration_that_does_not_say_where_is_unknown(tmp_path, capsys, text):
    path = tmp_path / "c.toml"
    path.write_text(text)
    where = whereabouts.run_dir(str(path))
    assert where == (None if text else whereabouts.RUN_DIR)
    if text:
        assert cli.main(["check", "--config", str(path)]) == 3
        assert "check-config" in capsys.readouterr().out


def test_the_quick_look_and_the_model_agree_where_the_run_directory_is(site):
    assert whereabouts.run_dir(site.config) == site.settings().service.run_dir
    assert json.dumps(whereabouts.run_dir(None)) == json.dumps(whereabouts.RUN_DIR)
