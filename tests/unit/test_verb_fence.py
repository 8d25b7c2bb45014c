"""`fence`: whom it takes for dead, what it says, and what it leaves to others; without a supervisor."""

from __future__ import annotations

import json
import threading
import time

import pytest
from embedded import Embedded

from supervisor import cli, durable, fences, hosts
from supervisor.fences import Fence
from supervisor.flock import acquire
from supervisor.records import Epoch, Outcome, Promoted, Take

BOOT = "11111111-2222"


class Silent:
    """A store that host h9 has served: one undecided run of it, one take, and a second host h1."""

    def __init__(self, tmp_path):
        self.site = Embedded(tmp_path, host={"id": "me"}, lock={"beat": "100 ms"})
        self.job = self.site.submit(self.site.message(run=1, rb=7))
        self.beat("h9", 1)
        self.beat("h1", 1, boot="other")
        self.cells = self.site.cells(self.job)
        self.cells.make("7")
        self.cells.link_epoch(1, Epoch(host="h9", boot=BOOT, job=self.job, time=time.time()))
        lock = acquire(self.cells.place.lock)
        lock.beat(1)
        lock.close()
        done = self.site.submit(self.site.message(run=2, rb=8))
        promoted = self.site.cells(done)
        promoted.make("8")
        promoted.link_epoch(1, Epoch(host="h9", boot=BOOT, job=done, time=2.0))
        promoted.link_outcome(1, Outcome(kind="committed", verdict="completed"))
        promoted.link_promoted(1, Promoted(kind="done"))
        promoted.link_take(1, Take(host="h9", boot=BOOT, pid=7, start=1))
        self.promoted = promoted

    def beat(self, host, counter, boot=BOOT):
        hosts.write_beat(
            self.site.layout,
            hosts.HostBeat(
                host=host, boot=boot, counter=counter, slots=1, running=0, version="1", level="none", time=time.time()
            ),
        )

    def standing(self, host="h9", boot=BOOT):
        return fences.read_fence(self.site.layout, host, boot)


@pytest.fixture
def silent(tmp_path):
    return Silent(tmp_path)


@pytest.fixture
def say(silent, capsys):
    def said(*words):
        status = cli.main(["fence", *words, "--config", silent.site.config])
        told = capsys.readouterr()
        return status, told.out, told.err

    return said


def test_without_the_word_it_says_what_would_be_done_and_does_nothing(silent, say):
    status, out, _ = say("--host", "h9")
    assert status == 2
    for fact in ("undecided runs: 1", f"RB 7  epoch 1  job {silent.job}", "takes: 1", "RB 8  epoch 1  take 1"):
        assert fact in out
    for warning in ("power the machine off", "--confirm-dead", "taken over after 180 s"):
        assert warning in out
    assert silent.standing() is None
    record = json.loads(say("--host", "h9", "--json")[1])
    assert (record["state"], record["boot"], record["fence"]) == ("not fenced", BOOT, None)
    assert [epoch["job"] for epoch in record["epochs"]] == [silent.job]


def test_a_host_that_stands_still_for_two_beats_is_fenced_in_its_boot(silent, say):
    began = time.monotonic()
    status, out, err = say("--host", "h9", "--confirm-dead")
    assert status == 0
    assert time.monotonic() - began >= 0.2, "it was not watched for two beats"
    assert f"host h9 is fenced in boot {BOOT}" in out
    assert "living supervisors see to them" in out
    assert "watching host h9" in err
    fence = silent.standing()
    assert fence.who
    assert fence.said_on == "me"
    assert silent.standing(boot="another") is None
    assert silent.cells.outcome(1) is None, "the verb revokes nothing: supervisors do, under the lock"


def test_the_second_word_says_whose_the_first_was(silent, say):
    fences.link_fence(silent.site.layout, Fence(host="h9", boot=BOOT, who="anna", time=time.time()))
    for words in (("--confirm-dead",), ()):
        status, out, _ = say("--host", "h9", *words)
        assert status == 0
        assert "already, by anna" in out
    assert json.loads(say("--host", "h9", "--json")[1])["state"] == "fenced before"


@pytest.mark.parametrize("moving", ["heartbeat", "run"])
def test_a_host_that_gives_a_sign_of_life_is_refused_whatever_its_clock_says(silent, say, moving):
    stop = threading.Event()

    def live():
        counter = 1
        while not stop.wait(0.02):
            counter += 1
            if moving == "heartbeat":
                silent.beat("h9", counter)
            else:
                lock = acquire(silent.cells.place.lock)
                lock.beat(1)
                lock.close()

    alive = threading.Thread(target=live)
    alive.start()
    try:
        status, out, err = say("--host", "h9", "--confirm-dead", "--json")
    finally:
        stop.set()
        alive.join()
    assert status == 70
    assert 'host "h9" lives' in err
    assert ("heartbeat" in err) is (moving == "heartbeat")
    assert json.loads(out)["state"] == "refused"
    assert silent.standing() is None


def test_a_host_that_never_served_is_refused_with_those_that_did(silent, say):
    status, _, err = say("--host", "h8", "--confirm-dead")
    assert status == 2
    assert 'no host "h8"' in err
    assert "h1, h9" in err


def test_this_very_host_is_refused_unless_its_heartbeat_is_of_an_earlier_boot(silent, say):
    mine = silent.site.layout
    silent.beat("me", 1, boot=verb_boot())
    status, _, err = say("--host", "me", "--confirm-dead")
    assert status == 2
    assert "this host itself" in err
    assert fences.read_fence(mine, "me", verb_boot()) is None
    silent.beat("me", 2, boot="earlier")
    assert say("--host", "me", "--confirm-dead")[0] == 0
    assert fences.read_fence(mine, "me", "earlier") is not None


def verb_boot():
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def test_a_spoilt_heartbeat_is_no_hindrance_where_what_is_left_tells_the_boot(silent, say):
    durable.replace(silent.site.layout.host_beat("h9"), b"{", "host-beat")
    assert "cannot be read" in say("--host", "h9")[1]
    assert say("--host", "h9", "--confirm-dead")[0] == 0
    assert silent.standing() is not None


def test_a_spoilt_heartbeat_of_which_two_boots_are_left_is_left_to_the_timer(silent, say):
    durable.replace(silent.site.layout.host_beat("h9"), b"{", "host-beat")
    silent.promoted.link_take(1, Take(host="h9", boot="b2", pid=7, start=1))
    status, _, err = say("--host", "h9", "--confirm-dead")
    assert status == 2
    assert "2 of its boots" in err
    assert "by themselves" in err
    assert silent.standing() is None


def test_a_fence_is_lifted_only_when_nothing_of_the_boot_is_left(silent, say):
    assert "nothing changes" in say("--host", "h9", "--lift")[1]
    fences.link_fence(silent.site.layout, Fence(host="h9", boot=BOOT, who="anna"))
    status, _, err = say("--host", "h9", "--lift")
    assert status == 70
    assert "1 epochs and 1 takes" in err
    assert silent.standing() is not None
    silent.cells.link_outcome(1, Outcome(kind="revoked"))
    assert say("--host", "h9", "--lift")[0] == 70
    silent.promoted.remove_take(1, 1)
    status, out, _ = say("--host", "h9", "--lift")
    assert status == 0
    assert "is lifted" in out
    assert silent.standing() is None


def test_what_another_boot_left_keeps_no_fence_from_being_lifted(silent, say):
    silent.beat("h9", 2, boot="b2")
    fences.link_fence(silent.site.layout, Fence(host="h9", boot="b2", who="anna"))
    assert say("--host", "h9", "--lift")[0] == 0
    assert silent.standing(boot="b2") is None


def test_a_word_and_its_opposite_are_a_usage_error(say):
    assert say("--host", "h9", "--lift", "--confirm-dead")[0] == 2
