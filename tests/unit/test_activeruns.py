"""What is under way here: locks that are handed over, and what a supervisor finds that comes up."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from claimsite import Site
from embedded import Embedded

from sandbox.linux import proctree
from supervisor import activeruns, durable, fences
from supervisor.activeruns import ActiveRuns, active_run
from supervisor.admission import Wants
from supervisor.attempts import history
from supervisor.claim import Claimed
from supervisor.fences import Fence
from supervisor.flock import acquire
from supervisor.hostfacts import HostFacts
from supervisor.polled import Damaged, Inspected, Started
from supervisor.rblock import LostLock, RbLock
from supervisor.records import Identity
from supervisor.takeover import MuteWatch


class Host:
    """The runs of host h0 on the store of a claimer of the same host."""

    def __init__(self, tmp_path):
        self.site = Site(tmp_path)
        settings = Embedded(tmp_path / "settings", lock={"beat": "10 ms"}).settings()
        facts = HostFacts(host="h0", hostname="h0", boot="boot-1", code_version="1")
        self.told = []
        self.runs = ActiveRuns(settings, self.site.layout, facts, self.site.claimer, self.told.append)

    def adopt(self):
        self.runs.adopt({"1": "1"})

    def kinds(self):
        return [type(found) for found in self.told]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def me():
    """This process, which lives."""
    who = proctree.identity(os.getpid())
    return Identity(pid=who.pid, start=who.start, boot=proctree.boot_id())


@pytest.mark.parametrize(("boot", "why"), [("boot-1", "no shepherd began"), ("boot-0", "rebooted")])
def test_a_supervisor_that_comes_up_decides_what_its_dead_shepherds_left_without_a_slot(host, boot, why):
    """No other host may: it would see our heartbeat move."""
    host.site.epoch(1, boot=boot)
    host.adopt()
    assert why in host.site.cells.outcome(1).why
    assert host.site.cells.last() == 1
    assert host.told == []
    assert host.site.is_free()


def test_what_another_host_left_is_not_decided_when_a_supervisor_comes_up(host):
    host.site.epoch(1, host="h9")
    host.adopt()
    assert host.site.cells.outcome(1) is None


def test_an_epoch_whose_shepherd_still_has_the_flock_is_left_alone(host):
    host.site.epoch(1)
    lock = acquire(host.site.layout.rb("1").lock)
    host.adopt()
    assert host.site.cells.outcome(1) is None
    lock.close()


def test_a_record_that_cannot_be_read_is_told_and_keeps_nothing_from_coming_up(host):
    host.site.epoch(1)
    durable.replace(host.site.layout.rb("1").epoch(1), b"{", "epoch")
    host.adopt()
    assert host.kinds() == [Damaged]
    assert "epochs" in host.told[0].why


def test_an_undecided_epoch_is_decided_as_soon_as_its_shepherd_is_seen_gone(host):
    host.site.epoch(1)
    gone = Identity(pid=2**22 - 1, start=1, boot=proctree.boot_id())
    host.runs.inspect(active_run(host.site.request, "1", 1, "run", gone, Wants()))
    assert host.kinds() == [Inspected]
    assert host.site.cells.outcome(1).kind == "revoked"


def _handed_over(host):
    """A claim whose shepherd, this process, has not begun yet."""
    claimed = host.site.claim()
    assert isinstance(claimed, Claimed)
    host.runs.begin(claimed, active_run(claimed.request, "1", claimed.n, "run", me(), Wants()))
    return claimed


def test_a_lock_is_beaten_until_its_shepherd_has_begun_and_then_let_go(host):
    claimed = _handed_over(host)
    before = activeruns.read_counter(host.site.layout.rb("1").lock)
    time.sleep(0.02)  # one beat of the settings: there is no event before it
    host.runs.look()
    assert activeruns.read_counter(host.site.layout.rb("1").lock).beat > before.beat
    assert host.runs.handing_over
    host.site.run_json(1)
    host.runs.look()
    assert not host.runs.handing_over
    assert claimed.lock.fileno() == -1
    assert host.site.is_free()


def test_a_lock_that_is_lost_between_claim_and_hand_over_is_closed_and_nothing_is_decided(host, monkeypatch):
    claimed = _handed_over(host)

    def lost(*_):
        raise LostLock("EIO")

    monkeypatch.setattr(RbLock, "beat", lost)
    time.sleep(0.02)  # as above
    host.runs.look()
    assert not host.runs.handing_over
    assert claimed.lock.fileno() == -1
    assert host.site.cells.outcome(1) is None, "the shepherd decides, or whoever has the lock and the proof"


def test_a_fence_of_our_own_boot_hinders_nobody_from_finding_a_living_shepherd(host):
    fences.link_fence(host.site.layout, Fence(host="h0", boot="boot-1", who="anna"))
    host.site.epoch(1)
    host.site.run_json(1)
    record = activeruns.run_record(host.site.layout.job("101"), 1)
    living = record.shepherd
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activeruns, "is_alive", lambda who: who == living)
        host.adopt()
    assert host.kinds() == [Started]


def test_a_mute_shepherd_that_was_killed_here_is_no_fault_of_its_script(host, monkeypatch):
    sleeper = subprocess.Popen(["sleep", "1000"])
    who = proctree.identity(sleeper.pid)
    shepherd = Identity(pid=who.pid, start=who.start, boot=proctree.boot_id())
    host.site.epoch(1)
    host.site.run_json(1)
    run = active_run(host.site.request, "1", 1, "run", shepherd, Wants())
    monkeypatch.setattr(host.runs, "_active", {("1", 1): run})
    monkeypatch.setattr(host.runs, "_mute", MuteWatch(0.0))

    host.runs.look()
    host.runs.look()
    assert sleeper.wait(30) == -signal.SIGKILL
    host.runs.inspect(run)

    outcome = host.site.cells.outcome(1)
    assert (outcome.kind, outcome.by, outcome.why) == ("revoked", "watch", "its shepherd was mute and was killed")
    assert history(host.site.layout.job("101"), host.site.cells).lost == 0
