"""`tune`: TOML with its evidence, and a configuration that is changed only as a whole."""

from __future__ import annotations

import json
import os
import stat
import tomllib

import pytest
from embedded import Embedded
from pastruns import leave, measured

from sandbox.limits import GiB, Limits
from supervisor import cli, config, configwrite, journal


@pytest.fixture
def site(tmp_path):
    made = Embedded(tmp_path, limits={"memory": "8 GiB", "wall": "4 h"})
    journal.open_store(made.layout, create=True)
    return made


@pytest.fixture
def tune(site, capsys):
    def said(*words, status=0):
        assert cli.main(["tune", *words, "--config", site.config]) == status
        told = capsys.readouterr()
        return json.loads(told.out) if "--json" in words else told.out + told.err

    return said


def two_of_five_die(site):
    for n in range(3):
        leave(site.layout, f"good-{n}", run=str(100 + n), n=n + 1, usage=measured(memory=(1 + n) * GiB))
    for n in range(2):
        leave(
            site.layout, f"dead-{n}", run=str(200 + n), n=n + 4, verdict="memory_limit", usage=measured(memory=8 * GiB)
        )


def test_what_it_prints_is_toml_with_the_evidence_beside_each_key(site, tune):
    two_of_five_die(site)

    told = tune()

    assert tomllib.loads(told) == {"limits": {"instrument": {"ENGINX": {"memory": "16 GiB"}}}}
    assert "# ENGINX: 5 runs read" in told
    assert "# 3 completed, 2 memory_limit." in told
    assert "never used" in told
    (row,) = [row for row in told.splitlines() if row.startswith("# memory ")]
    assert row.split() == [
        "#",
        "memory",
        "8",
        "GiB",
        "2.0",
        "GiB",
        "2.9",
        "GiB",
        "3.0",
        "GiB",
        "3.0",
        "GiB",
        "3",
        "2",
        "16",
        "GiB",
    ]
    assert "2 runs were killed at 8 GiB or less (200, 201); what they needed is not known" in told


def test_json_tells_the_same_for_programs(site, tune):
    two_of_five_die(site)

    told = tune("--json")

    (enginx,) = told["instruments"]
    assert (told["runs_read"], enginx["runs_read"], told["applied"]) == (5, 5, False)
    assert enginx["limits"]["memory"]["suggested"] == 16 * GiB
    assert enginx["limits"]["memory"]["write"] == "16 GiB"
    assert enginx["limits"]["wall"]["what"] == "keep"
    assert tomllib.loads(told["toml"])["limits"]["instrument"]["ENGINX"] == {"memory": "16 GiB"}


def test_apply_changes_the_key_alone_and_keeps_mode_comments_and_order(site, tune, tmp_path):
    two_of_five_die(site)
    file = tmp_path / "mine.toml"
    before = "# ours\n[limits.instrument.ENGINX]\nwall = '8 h'  # long scans\n\n[store]\npath = '/srv/x'  # here\n"
    file.write_text(before)
    file.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(file)

    told = tune("--apply", str(link))

    after = file.read_text()
    assert '+memory = "16 GiB"' in told
    assert [row for row in after.splitlines() if "16 GiB" not in row] == before.splitlines()
    assert config.load(str(file)).limits_for("ENGINX").memory == 16 * GiB
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".mine")]


def test_applied_twice_the_second_changes_nothing(site, tune, tmp_path):
    two_of_five_die(site)
    file = tmp_path / "mine.toml"
    file.write_text("")
    tune("--apply", str(file))
    once = file.read_text()

    told = tune("--apply", str(file))

    assert "nothing to change" in told
    assert file.read_text() == once


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[limits]\nmemory = 'much'\nwal = 3\n", "limits.memory"),
        ("[limits\n", "not valid TOML"),
        ("[limits]\ninstrument = { GEM = { wall = '8 h' } }\n", "in place"),
    ],
)
def test_a_file_that_cannot_be_used_is_left_as_it_is(site, tune, tmp_path, text, says):
    two_of_five_die(site)
    file = tmp_path / "mine.toml"
    file.write_text(text)

    assert says in tune("--apply", str(file), status=78)
    assert file.read_text() == text


def test_a_result_that_would_not_be_valid_is_not_written(site, tune, tmp_path, monkeypatch):
    two_of_five_die(site)
    file = tmp_path / "mine.toml"
    file.write_text("# mine\n")
    monkeypatch.setattr("supervisor.tunetext.written", lambda key, value: "as much as you like")

    told = tune("--apply", str(file), status=78)

    assert "limits.instrument.ENGINX.memory" in told
    assert "nothing was written" in told
    assert file.read_text() == "# mine\n"


def test_a_file_that_somebody_else_changed_meanwhile_is_left_to_them(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("theirs")

    with pytest.raises(configwrite.Changed):
        configwrite.replace(str(file), "ours", "new")

    assert file.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["mine.toml"]


def test_a_file_that_is_not_there_is_one_sentence(site, tune, tmp_path):
    two_of_five_die(site)

    assert "cannot tune" in tune("--apply", str(tmp_path / "none.toml"), status=70)


def test_bounds_and_runs_of_the_configuration_hold(site, tune):
    for n in range(3):
        leave(site.layout, f"good-{n}", run=str(n), n=n + 1, usage=measured(memory=GiB))
    site.configure(limits={"memory": "8 GiB"}, tune={"runs": 3, "least": {"memory": "3 GiB"}})

    assert tomllib.loads(tune())["limits"]["instrument"]["ENGINX"]["memory"] == "3 GiB"


def test_the_limits_in_force_are_those_of_the_instrument(site, tune):
    leave(site.layout, "a", run="1", verdict="wall_limit", limits=Limits(wall=600.0), usage=measured(wall=600.0))
    site.configure(limits={"instrument": {"ENGINX": {"wall": "20 min"}}})

    assert tomllib.loads(tune()) == {}


def test_an_unknown_instrument_and_a_time_that_is_none_are_usage_errors(site, tune):
    assert "no run of LET is known" in tune("--instrument", "let", status=2)
    assert "is no time" in tune("--since", "soon", status=2)


def test_an_empty_store_has_nothing_to_suggest(tune):
    assert tomllib.loads(tune()) == {}
