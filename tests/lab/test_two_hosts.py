"""Two machines on a real NFSv4.2 export: exclusion, and a holder whose machine is killed, frozen or cut off.

Each way of mounting is one boot of three machines; "default" is the one in which a client may go by what it remembers
for up to a minute. Before each race a process on every host has looked up, through ordinary cached paths, what is about
to be linked. All times but those of a host's own processes are those of the file server.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from supervisor.layout import Layout
from tests.lab.twohosts import HOSTS, SHARED, TwoHosts

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = Layout(f"{SHARED}/store")
MOUNTS = {"default": "vers=4.2,hard", "actimeo3": "vers=4.2,hard,noatime,actimeo=3"}
#: Seconds.
LEASE = 15
BEAT, SELF_KILL, TAKEOVER = 2, 20, 50
GRACE = 2
#: What an emulated machine that shares its processors may need for a step.
SLACK = 150
SECTIONS = {
    "service": {"run_dir": "/run/autoreduce-supervisor"},
    "host": {"slots": 1},
    "store": {"poll": "1 s", "unproven": True},  # these tests try themselves what the probe would
    "interpreter": {"argv": ["/usr/bin/python3"]},
    "isolation": {"require": "contained", "allow_unsafe": False},
    "limits": {"memory": "256 MiB", "wall": "30 min", "grace": f"{GRACE} s"},
    "lock": {"beat": f"{BEAT} s", "self_kill_after": f"{SELF_KILL} s", "takeover_after": f"{TAKEOVER} s"},
    "instrument": {"ENGINX": {"read_only": ["/var/lib/labgates"]}, "WITNESS": {"network": True}},
}
#: Ends when its host opens the gate of the run, whose text it files, or by itself.
GATED = """
import os, time
PATIENCE = {patience}
def main(input_file, output_dir):
    gate = "/var/lib/labgates/%d" % int(os.path.basename(input_file)[6:14])
    began = time.monotonic()
    while not os.path.exists(gate) and time.monotonic() - began < PATIENCE:
        time.sleep(0.2)
    text = open(gate).read() if os.path.exists(gate) else "nobody"
    with open(os.path.join(output_dir, "result.txt"), "w") as out:
        out.write(text)
"""
#: Tells the witness when it begins and ends; the next box of its RB may not begin before it has heard the end.
MARKED = """
import os, socket, time
def tell(word, run):
    with socket.create_connection(("10.77.0.1", 7077)) as line:
        line.sendall(b"mark %s %d\\n" % (word, run))
        assert line.recv(100) == b"written\\n"
def main(input_file, output_dir):
    run = int(os.path.basename(input_file)[6:14])
    tell(b"begin", run)
    time.sleep(0.5)
    tell(b"end", run)
"""
FOREVER = 100_000
_numbers = itertools.count(1001)


@pytest.fixture(scope="session")
def share(tmp_path_factory):
    """The installed package, the units and what runs in the machines, as they see it."""
    place = tmp_path_factory.mktemp("fleet")
    source = tmp_path_factory.mktemp("fleet-source")
    for name in ("supervisor", "sandbox", "examples", "etc"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(place / "packages"), str(source)], check=True, timeout=900)
    subprocess.run(
        ["tar", "-C", str(place), "--owner=root", "--group=root", "-cf", str(place / "packages.tar"), "packages"],
        check=True,
    )
    shutil.rmtree(place / "packages")
    shutil.copytree(ROOT / "etc", place / "etc")
    for name in ("hostagent.py", "witness.py", "races.py"):
        shutil.copy(ROOT / "tests/lab" / name, place)
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    return place


@pytest.fixture(scope="session", params=MOUNTS)
def booted(request, share, tmp_path_factory):
    place = tmp_path_factory.mktemp(f"machines-{request.param}")
    with TwoHosts(place, share, MOUNTS[request.param], lease=LEASE, sections=SECTIONS, name=request.param) as fleet:
        yield fleet


@pytest.fixture
def fleet(booted, request):
    """The machines, with both hosts up and serving; what the units said is told where a test fails."""
    booted.make_whole()
    failed = request.session.testsfailed
    yield booted
    if request.session.testsfailed > failed:
        print(booted.why())


class Run:
    """One gated run, and what a test asks of it."""

    def __init__(self, fleet, on="a", patience=FOREVER):
        self.fleet = fleet
        self.number = next(_numbers)
        self.rb = f"RB{self.number}"
        [self.job] = fleet.submit(on, GATED.format(patience=patience), [(self.number, self.rb, 0)])

    def let(self, *hosts):
        for host in hosts:
            self.fleet.ask(host, "let", self.number)

    def paths(self):
        """The names that decide about this run in its first epochs."""
        place, rb = LAYOUT.job(self.job), LAYOUT.rb(self.rb)
        cells = [path for n in range(1, 5) for path in (rb.epoch(n), rb.outcome(n), rb.promoted(n), place.run(n))]
        return [place.final, place.cancel, place.published, *cells]

    def warm(self):
        """Have both hosts look at all of them for ever through their caches."""
        for host in HOSTS:
            key = f"warm{self.number}"
            self.fleet.ask(host, "spawn", key, ["python3", "-B", "/mnt/work/races.py", "warm", *self.paths()])

    def cool(self, *hosts):
        for host in hosts:
            with_facts = self.fleet.ask(host, "reap", f"warm{self.number}", 60, True)
            assert not with_facts["words"], with_facts["words"]

    def archived(self):
        return self.fleet.ask("s", "archived", self.rb, self.number)

    def kinds(self):
        return [entry["kind"] for _, entry in sorted(self.fleet.job(self.job)["epochs"].items())]

    def settled(self):
        """Wait until nothing of staging, of takes, or of temporary files is left, and return what is archived."""
        deadline = time.monotonic() + 4 * SLACK
        while True:
            there = self.archived()
            left = [name for name in there["names"] if ".autoreduce" in name]
            left += self.fleet.job(self.job)["takes"] + self.fleet.ask("s", "silly_renames")
            if not left:
                return there
            assert time.monotonic() < deadline, f"left behind: {left}"
            time.sleep(1)


def both_take_work(fleet):
    """Submit two runs of two RBs, which only two hosts with one slot each can have at once; let both end."""
    runs = [Run(fleet, on=host) for host in HOSTS]
    where = [fleet.running(run.job) for run in runs]
    assert {at.host for at in where} == set(HOSTS), where
    for run, at in zip(runs, where, strict=True):
        run.let(at.host)
    for run, at in zip(runs, where, strict=True):
        facts = fleet.wait(run.job, "published")
        assert [entry["kind"] for entry in facts["epochs"].values()] == ["committed"]
        there = run.settled()
        assert (there["text"], there["guards"]["level"], there["guards"]["memory"]) == (
            at.host, "contained", "cgroup-v2",
        )  # fmt: skip
    for host in HOSTS:
        fleet.ask(host, "wait_clean", SLACK)
        assert not fleet.ask(host, "id_is_free", "b" if host == "a" else "a"), "a host lost the lock of its id"


def taken_over(fleet, run, where, since):
    """Wait until the other host has ended the run; say when that was, and return what is archived."""
    facts = fleet.wait(run.job, "final", LEASE + TAKEOVER + 4 * SLACK)
    lost, after = facts["epochs"][where.n], facts["epochs"][facts["final"]]
    assert (lost["kind"], lost["decided_by"]) == ("revoked", where.other), lost
    assert (after["kind"], after["host"], after["verdict"]) == ("committed", where.other, "completed"), after
    assert lost["decided"] - since >= TAKEOVER - BEAT, "it was revoked before its host was silent for long enough"
    there = run.archived()
    assert (there["text"], there["epoch"]) == (where.other, facts["final"])
    return (
        f"revoked after {lost['decided'] - since:.1f} s, result in place after {after['promoted_at'] - since:.1f} s",
        there,
    )


def test_runs_of_one_experiment_from_both_hosts_never_overlap_and_keep_their_order(fleet):
    count = 12
    first = Run(fleet)
    where = fleet.running(first.job)  # holds the RB until all are submitted
    numbers = [next(_numbers) for _ in range(count)]
    now = int(fleet.clock() * 1000) + 60_000
    jobs = {}
    for half, host in enumerate(HOSTS):
        mine = [(number, first.rb, now + place) for place, number in enumerate(numbers) if place % 2 == half]
        found = fleet.submit(host, MARKED, mine, instrument="WITNESS")
        jobs |= dict(zip([number for number, _, _ in mine], found, strict=True))
    rb = LAYOUT.rb(first.rb)
    cells = [path for n in range(1, count + 6) for path in (rb.epoch(n), rb.outcome(n), rb.promoted(n))]
    finals = [path for job in jobs.values() for path in (LAYOUT.job(job).final, LAYOUT.job(job).cancel)]
    for host in HOSTS:
        fleet.ask(host, "spawn", "warm", ["python3", "-B", "/mnt/work/races.py", "warm", *cells, *finals])
    began = fleet.clock()

    first.let(where.host)
    for number in numbers:
        facts = fleet.wait(jobs[number], "published", 600)

    took = fleet.clock() - began
    seen = [fleet.ask(host, "reap", "warm", 60, True)["facts"] for host in HOSTS]
    marks = [text.split() for _, text in fleet.ask("s", "marks") if int(text.split()[1]) in jobs]
    assert marks == [[word, str(number)] for number in numbers for word in ("begin", "end")]
    epochs = sorted(fleet.job(first.job)["epochs"].items())
    committed = [entry for _, entry in epochs if entry["kind"] == "committed"]
    assert [entry["job"] for entry in committed] == [first.job, *(jobs[number] for number in numbers)]
    assert all(entry["kind"] in ("committed", "released") for _, entry in epochs), epochs
    for (_, before), (_, after) in itertools.pairwise(epochs):
        assert before["decided"] <= after["linked"]
    by_host = {host: sum(entry["host"] == host for entry in committed) for host in HOSTS}
    late = max(
        (fact["seen"] - _linked(facts, fact["path"]) for fact in itertools.chain(*seen) if "outcomes" in fact["path"]),
        default=0,
    )
    fleet.say(
        f"exclusion: {count} runs of one RB, {by_host['a']} on a and {by_host['b']} on b, {len(epochs)} epochs, "
        f"no overlap, in order, {took / count:.1f} s a run; cached looks at outcomes were up to {late:.0f} s late"
    )
    assert min(by_host.values()) > 0, "one host had all runs: no race was seen"


def _linked(facts, path):
    return facts["epochs"][int(path.rpartition("/")[2])]["decided"]


def race(fleet, rb, count, parties):
    """Have processes race for cells, or look only: (host, what) each; return what each said, by its place."""
    linkers = sum(what == "cells" for _, what in parties)
    for place, (host, what) in enumerate(parties):
        numbers = [str(number) for number in (count, linkers, len(parties) - linkers)]
        command = ["python3", "-B", "/mnt/work/races.py", what, LAYOUT.root, rb, *numbers]
        fleet.ask(host, "spawn", f"racer{place}", command)
    done = [fleet.ask(host, "reap", f"racer{place}", 1500, timeout=1600) for place, (host, _) in enumerate(parties)]
    for said in done:
        assert (said["status"], len(said["facts"])) == (0, count), said["words"]
    return [said["facts"] for said in done]


def test_a_cell_is_won_by_exactly_one_of_both_hosts(fleet):
    count = 40
    parties = [(host, "cells") for host in HOSTS for _ in range(2)]

    done = race(fleet, f"RBcells{next(_numbers)}", count, parties)

    wins = dict.fromkeys(HOSTS, 0)
    for facts in zip(*done, strict=True):
        [winner] = [fact["me"] for fact in facts if fact["won"]]
        wins[winner[0]] += 1
        for fact in facts:  # at once, and again when all have linked
            assert (fact["read"], fact["again"]) == (winner, winner), fact
    fleet.say(f"cells: {count} won once each by one of 4 processes, {wins['a']} on a and {wins['b']} on b")
    assert min(wins.values()) > 0, "one host won all: no race was seen"


@pytest.mark.parametrize("maker", HOSTS)
def test_a_cell_that_another_host_has_made_is_seen_by_a_fresh_look_at_once(fleet, maker):
    count = 25
    looker = "b" if maker == "a" else "a"

    linked, looked = race(fleet, f"RBlooks{next(_numbers)}", count, [(maker, "cells"), (looker, "looks")])

    assert all(fact["won"] for fact in linked)
    for made, seen in zip(linked, looked, strict=True):
        assert seen["fresh"], f"cell {seen['n']} looked absent by a fresh look"
        assert seen["read"] == made["me"]
    stale = sum(fact["stale"] for fact in looked)
    fleet.say(f"looks: {stale} of {count} cached looks of {looker} at cells made on {maker} were stale, no fresh one")


def test_the_lock_is_held_by_one_process_of_both_hosts_at_a_time(fleet):
    holds, parties = 50, 4
    rb = f"RBlock{next(_numbers)}"
    keys = [(host, turn) for host in HOSTS for turn in range(parties // 2)]
    for host, turn in keys:
        command = ["python3", "-B", "/mnt/work/races.py", "lock", LAYOUT.root, rb, str(holds), str(parties)]
        fleet.ask(host, "spawn", f"lock{turn}", command)

    done = [fleet.ask(host, "reap", f"lock{turn}", 900, timeout=1000) for host, turn in keys]

    assert all(said["status"] == 0 for said in done), done
    beats = [beat for said in done for fact in said["facts"] for beat in fact["beats"]]
    assert sorted(beats) == list(range(1, holds * parties + 1))  # two holders at once would have made one beat twice
    holder = {beat: place for place, said in enumerate(done) for fact in said["facts"] for beat in fact["beats"]}
    changes = sum(holder[beat] != holder[beat + 1] for beat in range(1, len(beats)))
    assert changes >= parties, "each held it in one go: no race was seen"
    fleet.say(
        f"lock: {len(beats)} holds by {parties} processes on two hosts, none beside another; it changed hands {changes} times"
    )


def test_a_run_whose_host_lost_its_power_is_ended_by_the_other_host(fleet):
    run = Run(fleet)
    where = fleet.running(run.job)
    run.warm()
    run.let(where.other)

    at = fleet.kill(where.host)

    times, _ = taken_over(fleet, run, where, at)
    run.cool(where.other)
    fleet.say(f"killed: {times}")
    fleet.wait(run.job, "published")
    assert run.kinds() == ["revoked", "committed"]
    fleet.boot(where.host)
    fleet.ask(where.host, "start")
    run.settled()
    both_take_work(fleet)


def test_a_run_whose_host_was_frozen_publishes_nothing_when_it_goes_on(fleet):
    run = Run(fleet, patience=TAKEOVER)  # it ends by itself in the moment in which its host goes on
    where = fleet.running(run.job)
    run.warm()
    run.let(where.other)

    at = fleet.freeze(where.host)

    times, before = taken_over(fleet, run, where, at)
    thawed = fleet.thaw(where.host)
    fleet.ask(where.host, "wait_gone", where.token, where.shepherd, SELF_KILL + 2 * SLACK)
    gone = fleet.clock()
    run.cool(*HOSTS)
    there = run.settled()
    assert (there["text"], there["epoch"]) == (where.other, before["epoch"])
    assert set(there["names"]) <= set(before["names"]), "the frozen run has filed something"
    assert run.kinds() == ["revoked", "committed"]
    both_take_work(fleet)
    fleet.say(f"frozen for {thawed - at:.0f} s: {times}; thawed: gone after {gone - thawed:.1f} s, nothing published")


def test_a_run_whose_host_was_cut_off_ends_itself_and_publishes_nothing_when_it_is_back(fleet):
    run = Run(fleet)
    where = fleet.running(run.job)
    run.warm()
    run.let(where.other)

    at = fleet.cut(where.host)

    fleet.ask(where.host, "wait_gone", where.token, None, SELF_KILL + GRACE + SLACK)
    killed = fleet.clock() - at
    times, before = taken_over(fleet, run, where, at)
    assert "store hanging" in fleet.ask(where.host, "status")
    healed = fleet.heal(where.host)
    fleet.ask(where.host, "wait_gone", where.token, where.shepherd, SELF_KILL + 2 * SLACK)
    gone = fleet.clock()
    run.cool(*HOSTS)
    there = run.settled()
    assert (there["text"], there["epoch"]) == (where.other, before["epoch"])
    assert set(there["names"]) <= set(before["names"]), "the run that was cut off has filed something"
    assert run.kinds() == ["revoked", "committed"]
    both_take_work(fleet)
    fleet.say(
        f"cut off for {healed - at:.0f} s: its box killed after {killed:.1f} s; {times}; "
        f"healed: shepherd gone after {gone - healed:.1f} s, both hosts at work after {fleet.clock() - healed:.0f} s"
    )


def test_a_run_goes_on_through_a_cut_that_is_shorter_than_the_lease(fleet):
    run = Run(fleet)
    where = fleet.running(run.job)
    run.warm()

    lasted = fleet.cut_for(where.host, LEASE / 3)
    time.sleep(LEASE)  # what the cut has done would have shown by then

    run.let(*HOSTS)
    facts = fleet.wait(run.job, "published")
    run.cool(*HOSTS)
    assert [(entry["host"], entry["kind"]) for entry in facts["epochs"].values()] == [(where.host, "committed")]
    assert run.settled()["text"] == where.host
    fleet.say(f"cut off for {lasted:.1f} s of a lease of {LEASE} s: the run went on, one epoch")


def test_a_run_that_sees_the_file_server_restart_has_one_outcome(fleet):
    run = Run(fleet)
    where = fleet.running(run.job)
    run.warm()

    at = fleet.restart_nfs()
    time.sleep(LEASE)

    run.let(*HOSTS)
    facts = fleet.wait(run.job, "published", 600)
    run.cool(*HOSTS)
    kinds = [entry["kind"] for _, entry in sorted(facts["epochs"].items())]
    assert kinds in (["committed"], ["revoked", "committed"])
    assert run.settled()["text"] == facts["epochs"][facts["final"]]["host"]
    both_take_work(fleet)
    ended = facts["epochs"][facts["final"]]["promoted_at"] - at
    fleet.say(f"file server restarted under a run on {where.host}: epochs {kinds}, result after {ended:.1f} s")


@pytest.mark.parametrize("by", ["job", "run"])
def test_a_cancel_on_one_host_ends_the_run_on_another(fleet, by):
    run = Run(fleet)
    where = fleet.running(run.job)
    run.warm()
    words = [run.job] if by == "job" else ["--instrument", "ENGINX", "--run", str(run.number)]
    asked = fleet.clock()

    said = fleet.ask(where.other, "verb", "cancel", *words)

    facts = fleet.wait(run.job, "published")
    run.cool(*HOSTS)
    assert said["status"] == 0, said
    assert [(entry["kind"], entry["verdict"]) for entry in facts["epochs"].values()] == [("committed", "cancelled")]
    decided = facts["epochs"][1]["decided"]
    assert run.settled()["text"] is None
    fleet.say(
        f"cancelled by {by} on the other host: the cell stood {facts['cancel'] - asked:.1f} s after the command, "
        f"the run had ended {decided - facts['cancel']:.1f} s later"
    )


def test_a_cancel_finds_a_run_that_its_host_remembers_as_absent(fleet):
    number = next(_numbers)
    index = LAYOUT.by_run("ENGINX", str(number))
    for host in HOSTS:
        fleet.ask(host, "spawn", "warm-index", ["python3", "-B", "/mnt/work/races.py", "warm", index])
    [job] = fleet.submit("a", GATED.format(patience=FOREVER), [(number, f"RB{number}", 0)])
    fleet.running(job)

    said = fleet.ask("b", "verb", "cancel", "--instrument", "ENGINX", "--run", str(number))

    facts = fleet.wait(job, "published")
    late = [fleet.ask(host, "reap", "warm-index", 60, True)["facts"] for host in HOSTS]
    assert [entry["verdict"] for entry in facts["epochs"].values()] == ["cancelled"]
    assert "it is asked to end" in said["out"], said
    fleet.say(f"cancelled by run from a host that remembered it as absent: {said['out'].strip()!r}; seen late: {late}")


def test_a_host_that_is_back_with_another_boot_clears_its_own_epochs(fleet):
    fleet.ask("b", "stop")
    run = Run(fleet)
    where = fleet.running(run.job)
    assert where.host == "a"

    at = fleet.kill("a")
    fleet.boot("a")
    run.let("a")
    started = fleet.clock()
    fleet.ask("a", "start")

    facts = fleet.wait(run.job, "published")
    lost = facts["epochs"][where.n]
    assert (lost["kind"], lost["decided_by"], lost["why"]) == ("revoked", "a", "its host has rebooted")
    assert facts["epochs"][where.n]["boot"] != facts["epochs"][facts["final"]]["boot"]
    assert run.settled()["text"] == "a"
    fleet.ask("b", "start")
    both_take_work(fleet)
    fleet.say(
        f"rebooted: started {started - at:.0f} s after the kill, its epoch revoked {lost['decided'] - started:.1f} s later"
    )
