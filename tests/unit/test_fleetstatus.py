"""The whole fleet as the store shows it: who lives, by time and by what moves, and what people are told of it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from embedded import Embedded

from sandbox.linux import proctree
from supervisor import cli, disabling, drains, durable, fences, fleetstatus, hosts, journal, localstatus, rundir
from supervisor.fleetstatus import FleetWatch, text

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_800_000_000.0


@pytest.fixture
def site(tmp_path):
    made = Embedded(tmp_path)
    journal.open_store(made.layout, create=True)
    return made


def beat(site, host, **changes):
    fields = {"boot": "b1", "counter": 1, "slots": 2, "running": 1, "version": "0.1", "level": "rootless", "time": NOW}
    hosts.write_beat(site.layout, hosts.HostBeat(host=host, **fields | changes))


def look(site, now=NOW, watch=None, monotonic=0.0):
    return (watch or FleetWatch(site.layout, beat=10.0)).look(now=now, monotonic=monotonic)


def states(fleet):
    return {host.host: host.state for host in fleet.hosts}


def test_one_look_tells_by_the_time_of_a_heartbeat(site):
    beat(site, "lives", time=NOW - 60.0)
    beat(site, "silent", time=NOW - 60.5)
    beat(site, "early", time=NOW + 500.0)  # another clock
    beat(site, "stopped", state="stopped", time=NOW - 9e9)
    beat(site, "stopping", state="stopping")
    assert states(look(site)) == {
        "lives": "running",
        "silent": "silent",
        "early": "running",
        "stopped": "stopped",
        "stopping": "stopping",
    }


def test_while_it_is_watched_what_moves_tells_whatever_the_clocks_say(site):
    watch = FleetWatch(site.layout, beat=10.0)
    beat(site, "late", time=NOW - 1e6)
    assert states(look(site, watch=watch)) == {"late": "silent"}
    beat(site, "late", counter=2, time=NOW - 1e6)
    assert states(look(site, watch=watch, monotonic=5.0)) == {"late": "running"}
    assert states(look(site, watch=watch, monotonic=35.0)) == {"late": "running"}
    (host,) = look(site, watch=watch, monotonic=35.5).hosts
    assert (host.state, host.silent) == ("silent", 30.5)
    beat(site, "late", boot="b2", counter=2)  # it came up again
    assert states(look(site, watch=watch, monotonic=40.0)) == {"late": "running"}


def test_an_operators_word_is_named_with_who_and_why(site):
    beat(site, "a")
    beat(site, "b")
    drains.write_drain(site.layout, drains.Drain(host="a", who="mary", time=NOW, why="new disks"))
    fences.link_fence(site.layout, fences.Fence(host="b", boot="b1", who="tom"))
    fleet = look(site)
    assert states(fleet) == {"a": "drained", "b": "fenced"}
    assert "  a: drained by mary: new disks" in text(fleet, NOW)
    assert "  b: fenced by tom" in text(fleet, NOW)
    assert [host.lives for host in fleet.hosts] == [True, False]
    beat(site, "b", boot="b2")
    assert states(look(site))["b"] == "running"


def test_the_sums_are_of_the_living(site):
    beat(site, "a", slots=3, running=2)
    beat(site, "b", slots=5, running=0)
    beat(site, "c", slots=50, running=9, state="stopped")
    site.submit(site.message())
    disabling.disable(site.layout, disabling.Disabled(instrument="GEM", who="mary", why="no beam"))
    told = look(site).to_json()
    assert (told["living"], told["slots"], told["running"], told["waiting"]) == (2, 8, 2, 1)
    assert "no beam" in told["disabled"]["GEM"]
    rows = text(look(site), NOW)
    assert rows[0] == "fleet:   2 of 3 hosts live; 2 of 8 slots busy"
    assert any(row.startswith("waits:   instrument GEM is disabled by mary") for row in rows)


def test_trouble_that_is_over_is_not_told(site):
    beat(site, "a", trouble={"why": "cannot fsync x", "since": NOW - 5.0})
    beat(site, "b", trouble={"why": "cannot fsync y", "since": NOW - 5.0, "until": NOW - 1.0})
    beat(site, "c", trouble={"why": 7})
    fleet = look(site)
    assert [bool(host.trouble) for host in fleet.hosts] == [True, False, False]
    assert any("a: cannot fsync x, since" in row for row in text(fleet, NOW))
    assert "fsync y" not in "\n".join(text(fleet, NOW))


def test_a_heartbeat_that_cannot_be_read_hides_no_other(site):
    beat(site, "a")
    durable.replace(site.layout.host_beat("b"), b"{", "host-beat")
    fleet = look(site)
    assert states(fleet) == {"a": "running", "b": "unreadable"}
    assert fleet.hosts[1].silent is None
    assert json.loads(json.dumps(fleet.to_json()))["living"] == 1


def test_strangers_words_move_no_cursor(site):
    beat(site, "a", version="\x1b[2J", level="x" * 500, waits={"j\x1b": "w\n"}, failing={"p": "\x07"}, unproven="\x1b")
    rows = text(look(site), NOW)
    assert all(row.isprintable() for row in rows)
    assert max(map(len, rows)) < 500


def test_no_host_was_ever_seen(site):
    fleet = look(site)
    assert text(fleet, NOW)[0] == "fleet:   0 of 0 hosts live; 0 of 0 slots busy"


def test_the_page_explains_every_key_of_both_records(site):
    beat(site, "a")
    os.makedirs(site.run_dir)
    me = proctree.identity(os.getpid())
    rundir.write_local(
        site.run_dir, rundir.IDENTITY_FILE, {"pid": me.pid, "start": me.start, "boot": proctree.boot_id()}
    )
    page = (ROOT / "docs/reference/status.md").read_text()
    host, fleet = re.split(r"^## ", page, flags=re.MULTILINE)[1:3]
    told = look(site).to_json()
    assert keys(host) == set(localstatus.read(site.run_dir))
    assert keys(fleet) == {*told, *(f"hosts[].{key}" for key in told["hosts"][0])}


def keys(section):
    return set(re.findall(r"^\| `([a-z_.\[\]]+)` \|", section, re.MULTILINE))


@pytest.mark.parametrize(("seconds", "status"), [(0.0, 0), (1e6, 3)])
def test_the_verb_ends_in_whether_any_host_lives(site, capsys, monkeypatch, seconds, status):
    monkeypatch.setattr(fleetstatus.FleetWatch, "look", lambda self, **at: real(self, **{**at, "now": NOW + seconds}))
    beat(site, "a")
    assert cli.main(["status", "--fleet", "--json", "--config", site.config]) == status
    assert json.loads(capsys.readouterr().out)["living"] == (status == 0)


real = FleetWatch.look


def test_a_store_that_cannot_be_used_is_told_in_one_sentence(site, capsys, monkeypatch):
    def fails(self, **at):
        raise OSError(5, "Input/output error", "/store/hosts")

    monkeypatch.setattr(fleetstatus.FleetWatch, "look", fails)
    assert cli.main(["status", "--fleet", "--config", site.config]) == 70
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("cannot tell of the fleet: ")
