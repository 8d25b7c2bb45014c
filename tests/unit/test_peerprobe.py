"""The probe between two real processes: on a good file system, and on broken ones, each found by the step for it."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace

import pytest
from probeside import ProbeSide, ground, prober
from storemaking import make_store
from waiting import wait_until

from supervisor import lockproof, probefacts, probereport
from supervisor.checkup import Status
from supervisor.layout import Layout
from supervisor.mountrules import LockTimes

pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path).root


@pytest.fixture
def side(store):
    """`side(host=...)` starts one side; whatever is left of it is ended with the test."""
    made = []

    def start(**order):
        made.append(ProbeSide(store, **order))
        return made[-1]

    yield start
    for each in made:
        each.end()


def both(side, *, a=None, b=None, **order):
    """Probe between two processes, and return what both told: it must be the same."""
    one, two = side(host="h1", **order, **(a or {})), side(host="h2", **order, **(b or {}))
    first, second = one.told(), two.told()
    assert "report" in first, (first, second)
    assert first == second
    return first["report"]


def by_name(report):
    return {each["name"]: each for each in report["findings"]}


def failing(report):
    return {each["name"] for each in report["findings"] if each["status"] == "fail"}


def left(store):
    folder = os.path.join(store, "probes/now")
    return os.listdir(folder) if os.path.isdir(folder) else []


def test_a_good_file_system_passes_and_the_record_says_all_of_both(side, store):
    report = both(side)

    assert failing(report) == set(), report["findings"]
    found = by_name(report)
    assert found["exclusion of h1 by h2"]["status"] == found["exclusion of h2 by h1"]["status"] == "pass"
    assert "no overlap, no lost count" in found["many locks"]["text"]
    assert "30 linked by both at once, each with one winner that both read" in found["write-once records"]["text"]
    for name in ("new names", "replaced heartbeats", "counters of a held lock", "folders that change places"):
        assert found[f"sight of {name}"]["status"] == "pass", found
    assert {each["host"] for each in report["sides"].values()} == {"h1", "h2"}
    for facts in report["sides"].values():
        assert facts["ground"]["kind"] == "nfs4"
        assert "local_lock=none" in facts["ground"]["options"]
        assert facts["boot"] == f"boot of {facts['host']}"
    assert set(report["figures"]["writes"]["a"]) == {"count", "p50", "p99", "max"}
    assert report["same_machine"] is False
    with open(os.path.join(store, "probes", report["name"])) as file:
        assert json.load(file) == {"v": 1, **report}
    assert left(store) == []


OTHERS = {"files of the other host, h1", "files of the other host, h2"}
EXCLUSION = {"exclusion of h1 by h2", "exclusion of h2 by h1"}
WRITES = {"durable records of h1", "durable records of h2"}
RACE = {"write-once records"}
NAMES, BEATS, COUNTERS = (
    {f"sight of {what}"} for what in ("new names", "replaced heartbeats", "counters of a held lock")
)
FOLDERS = {"sight of folders that change places"}


@pytest.mark.parametrize(
    ("faults", "steps", "names"),
    [
        (["lock_grants"], ["exclusion", "many"], EXCLUSION | {"many locks"}),
        (["lock_refuses", "sticky"], ["exclusion", "owners"], EXCLUSION | OTHERS),
        (["link_replaces"], ["race"], RACE),
        (["link_refuses", "slow"], ["race", "writes"], RACE | WRITES),
        (["stale_names"], ["sight", "renames"], NAMES),
        (["stale_reads", "stale_counters", "stale_folders"], ["sight", "renames"], BEATS | COUNTERS | FOLDERS),
    ],
)
def test_each_fault_fails_its_own_step(side, faults, steps, names):
    times = {"times": {"beat": 0.2}} if "slow" in faults else {}
    report = both(side, faults=faults, steps=steps, bound=2.0, **times)
    assert failing(report) == names, report["findings"]
    assert report["status"] == "fail"
    assert all(each["remedy"] for each in report["findings"] if each["status"] == "fail")


def test_a_lock_that_one_host_alone_has_for_itself_is_found(side):
    """As on the file server itself: its own path grants what a client holds."""
    report = both(side, steps=["exclusion", "many"], b={"faults": ["lock_grants"]})
    assert {"exclusion of h2 by h1", "many locks"} <= failing(report)


def test_a_lock_that_is_not_seen_to_be_free_again_fails(side):
    report = both(side, steps=["exclusion"], b={"faults": ["lock_refuses"]}, bound=0.5)
    assert "did not get a lock within 0.5 s" in by_name(report)["exclusion of h2 by h1"]["text"]


def test_a_file_that_belongs_to_nobody_is_told(side):
    found = by_name(both(side, steps=["owners"], faults=["squashed"]))
    assert found["files of the other host, h1"]["status"] == "caution"
    assert "uid 65534" in found["files of the other host, h1"]["text"]


@pytest.mark.parametrize(("ahead", "status"), [(5.0, "caution"), (-45.0, "fail")])
def test_clocks_that_are_apart_are_told_with_who_is_ahead(side, ahead, status):
    found = by_name(both(side, steps=[], b={"ahead": ahead}))["clocks"]
    assert found["status"] == status
    assert ("h2 is 5 s ahead of h1" if ahead > 0 else "h1 is 45 s ahead of h2") in found["text"]


@pytest.mark.parametrize(
    ("b", "name", "words"),
    [
        ({"mount": {"options": "rw,vers=4.2,soft,local_lock=flock"}}, "mount of h2: nfs4 at /s", "local_lock=flock"),
        ({"mount": {"kind": "ext4", "options": "rw"}}, "store folder", "h2 has the store on a file system of its own"),
        ({"times": {"takeover_after": 90.0}}, "lock times", "lock.takeover_after 90 s"),
        ({"boot": "boot of h1"}, "machine", "one machine"),
    ],
)
def test_hosts_that_do_not_belong_together_are_told_before_any_step(side, b, name, words):
    if "boot" in b:
        report = both(side, steps=[], same_machine=True, b=b)
        assert by_name(report)[name]["status"] == "caution"
        assert report["same_machine"] is True
    else:
        report = both(side, steps=[], b=b)
        assert name in failing(report)
    assert any(words in each["text"] for each in report["findings"] if each["name"] == name)


def test_two_machines_of_one_host_id_are_refused(side):
    one, two = side(host="h1", boot="1"), side(host="h1", boot="2")
    report = one.told()["report"]
    assert two.told()["report"] == report
    assert failing(report) == {"host id"}
    assert "clocks" not in by_name(report), "nothing more is tried"


def test_the_second_of_one_machine_is_refused_and_the_first_waits_on_for_another(side):
    first = side(host="h1", boot="1", steps=[])
    wait_until(lambda: first.process.poll() is None and offers(first), 30, "the first offer")
    second = side(host="h1", boot="1").told()
    assert second["end"] == "SameHost"
    assert "very machine" in second["why"]
    third = side(host="h3", steps=[])
    first_told = first.told()
    assert failing(first_told["report"]) == set(), first_told
    assert third.told() == first_told


def offers(side):
    folder = json.loads(side.process.args[2])["store"] + "/probes/now"
    return os.path.isdir(folder) and any(os.path.exists(f"{folder}/{name}/offer") for name in os.listdir(folder))


def test_nobody_comes_and_nothing_is_left(side, store):
    assert side(host="h1", wait=0.5).told()["end"] == "NobodyCame"
    assert left(store) == []


def test_four_hosts_pair_off(side, store):
    sides = [side(host=f"h{number}", steps=[]) for number in range(4)]
    reports = [each.told()["report"] for each in sides]
    pairs = {frozenset(facts["host"] for facts in report["sides"].values()) for report in reports}
    assert len(pairs) == 2
    assert frozenset().union(*pairs) == {"h0", "h1", "h2", "h3"}
    assert left(store) == []


def test_what_a_killed_probe_left_disturbs_no_later_one(side, store):
    killed = side(host="h1")
    wait_until(lambda: offers(killed), 30, "its offer")
    killed.end()
    (token,) = left(store)

    assert both(side, steps=[])["status"] != "fail"
    assert left(store) == [token], "it may be of a host that is only slow"

    offer = os.path.join(store, "probes/now", token, "offer")
    with open(offer) as file:
        record = json.load(file)
    with open(offer, "w") as file:
        json.dump(record | {"time": record["time"] - 3600}, file)
    both(side, steps=[])
    assert left(store) == [], "what is old and does not move is removed"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_side_that_dies_or_freezes_in_the_middle_is_noticed_and_told(side, store, number):
    one, two = (side(host=host, steps=["race"], cells=100_000, silence=2.0) for host in ("h1", "h2"))

    def racing():
        return any(os.path.isdir(os.path.join(store, "probes/now", token, "work/cells")) for token in left(store))

    wait_until(racing, 60, "the race")
    two.process.send_signal(number)
    told = one.told()
    assert told["end"] == "OtherGone"
    assert "host h2 went silent in step race" in told["why"]
    two.end()
    assert list(probereport.newest_first(Layout(store))) == [], "a probe that was not ended proves nothing"
    assert both(side, steps=[])["status"] != "fail"


def test_a_step_that_cannot_be_done_is_told_on_both_and_voids_an_earlier_pass(side, store):
    layout = Layout(store)
    both(side, steps=[])
    assert proof(layout).proven
    one, two = side(host="h1", faults=["lock_unsupported"], steps=["exclusion"]), side(host="h2", steps=["exclusion"])
    first, second = one.told(), two.told()
    assert first["end"] == "BrokenProbe"
    assert "step exclusion cannot be done on host h1: [Errno 37] No locks available" in first["why"]
    assert second["end"] == "OtherGone"
    assert "host h1 ended the probe" in second["why"]
    assert "No locks available" in second["why"]
    assert not proof(layout).proven
    assert "failed" in proof(layout).text


def proof(layout):
    return lockproof.weigh(ground(), "h1", probereport.newest_first(layout), LockTimes(), time.time())


def test_a_failed_probe_is_recorded_too(side, store):
    both(side, steps=["race"], faults=["link_replaces"])
    (report,) = probereport.newest_first(Layout(store))
    assert report.status is Status.FAIL
    assert report.exit_status == 1
    assert report.lines()[-1].startswith("FAIL: h")
    assert "NOT proven" in report.lines()[-1]


def test_both_race_for_as_many_cells_as_who_leads_says(side):
    report = both(side, steps=["race"], a={"cells": 20}, b={"cells": 40})
    assert by_name(report)["write-once records"]["text"].startswith(("20 linked", "40 linked"))
    assert failing(report) == set()


def test_another_folder_under_the_same_path_is_found_by_its_inodes(store):
    """Two sides that see each other's words and yet stand in different folders: copies that something keeps alike."""
    os.mkdir(os.path.join(store, "probes"))
    sides = {name: prober(store, host=host).facts() for name, host in (("a", "h1"), ("b", "h2"))}
    sides["b"] = replace(sides["b"], inodes=(sides["b"].inodes[0] + 1, sides["b"].inodes[1]))
    found = list(probefacts.judge_sides(sides, same_machine=False))
    assert [(each.name, each.status) for each in found] == [("store folder", Status.FAIL)]
    assert "not in the same folder" in found[0].text
    sides["b"] = replace(sides["a"], host="h2", boot="2", format="{}")
    assert "another FORMAT" in next(probefacts.judge_sides(sides, same_machine=False)).text
