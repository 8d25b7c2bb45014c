"""Takeover with real stores, real flocks, and several claimers whose clocks are played: when is a holder taken for gone?"""

from __future__ import annotations

import os
import signal
import time

import pytest
from claimsite import Site

from supervisor import claim, durable, fences, hosts
from supervisor.attempts import run_record
from supervisor.claim import Claimed, Left
from supervisor.fences import Fence
from supervisor.flock import acquire
from supervisor.rblock import RbLock
from supervisor.records import Outcome


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def fence(site, host="h9", boot="b"):
    assert fences.link_fence(site.layout, Fence(host=host, boot=boot, who="anna"))


def taken_over(site, n=1):
    """Claim, and say whether epoch n was revoked and the next opened; the lock is free again."""
    result = site.claim()
    if isinstance(result, Claimed):
        result.lock.close()
        assert site.cells.outcome(n).kind == "revoked"
        return True
    assert isinstance(result, Left)
    assert site.cells.outcome(n) is None
    assert site.is_free()
    return False


# --- two counters, by our own clock --------------------------------------------------------------------------------


@pytest.mark.parametrize("moves", ["host", "run"])
def test_a_counter_that_moves_once_in_between_begins_the_watch_anew(site, moves):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    assert not taken_over(site)
    site.clock += 170.0
    site.beat_host("h9", 2) if moves == "host" else site.beat_run(1)
    assert not taken_over(site)
    site.clock += 179.0
    assert not taken_over(site)
    site.clock += 1.0
    assert taken_over(site)


def test_one_look_proves_nothing_however_old_what_it_shows_is(site):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    site.beat_run(1)
    for path in (site.layout.host_beat("h9"), site.layout.rb("1").lock):
        os.utime(path, (0, 0))
    site.clock += 1e6
    assert not taken_over(site)


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_wall_clock_that_jumps_changes_nothing(site, jump):
    site.wall = 1_700_000_000.0
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    assert not taken_over(site)
    site.wall += jump
    site.clock += 179.0
    assert not taken_over(site)
    site.wall += jump
    site.clock += 1.0
    assert taken_over(site)


def test_looks_without_the_flock_through_a_stale_cache_prove_nothing(site, monkeypatch):
    """A scan looks at hosts too; the last look is made with the flock in hand and by a fresh open."""
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    site.take(1, host="h9")
    stale = hosts.pulse(site.layout, "h9")
    with monkeypatch.context() as patch:
        patch.setattr(hosts, "pulse", lambda *_: stale)
        for turn in range(2, 8):
            site.claimer.left_take(site.cells)
            site.beat_host("h9", turn)
            site.clock += 100.0
    assert not taken_over(site)
    site.clock += 179.0
    assert not taken_over(site)


def test_the_last_look_opens_both_counters_anew_after_the_flock_was_won(site, monkeypatch):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    assert not taken_over(site)
    site.clock += 181.0
    events = []
    won, looked, opened = claim.acquire, durable.read, durable.open_folder

    def record(what, call):
        def recorded(path):
            events.append((what, path))
            return call(path)

        return recorded

    monkeypatch.setattr(claim, "acquire", record("flock", won))
    monkeypatch.setattr(durable, "read", record("read", looked))
    monkeypatch.setattr(durable, "open_folder", record("folder", opened))
    assert taken_over(site)
    place = site.layout.rb("1")
    first = events.index(("flock", place.lock))
    beat = events.index(("read", site.layout.host_beat("h9")))
    assert beat > first
    assert events[beat + 1] == ("folder", site.layout.path("hosts"))
    assert ("folder", place.root) in events[beat + 1 :], "the run's counter was not looked up in a folder opened anew"


def test_two_claimers_that_both_have_the_proof_open_one_epoch(site):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    other = site.claimer_of("h1", "boot-h1")
    assert not taken_over(site)
    assert isinstance(other.claim(site.request), Left)
    site.clock += 181.0
    first = site.claim()
    assert (first.errand, first.n) == ("run", 2)
    assert other.claim(site.request) == Left(why="another run of this RB holds its lock")
    first.lock.close()
    assert isinstance(other.claim(site.request), Left)  # h0 lives
    assert site.cells.last() == 2


# --- heartbeats that are missing or spoilt -------------------------------------------------------------------------


@pytest.mark.parametrize("record", [None, b"", b"{", b'{"v":2}', b"[]"])
def test_a_host_whose_heartbeat_is_missing_or_spoilt_is_taken_over_after_the_same_time(site, record):
    site.epoch(1, host="h9", boot="b")
    if record is not None:
        durable.replace(site.layout.host_beat("h9"), record, "host-beat")
    assert not taken_over(site)
    site.clock += 179.0
    assert not taken_over(site)
    site.clock += 1.0
    assert taken_over(site)


def test_a_heartbeat_of_a_later_version_that_moves_keeps_its_host(site):
    site.epoch(1, host="h9", boot="b")
    for beat in range(5):
        durable.replace(site.layout.host_beat("h9"), b'{"v":2,"beat":%d}' % beat, "host-beat")
        assert not taken_over(site)
        site.clock += 200.0


@pytest.mark.parametrize("moving", [True, False])
def test_without_a_heartbeat_the_counter_of_the_run_decides(site, moving):
    site.epoch(1, host="h9", boot="b")
    for _ in range(3):
        assert not taken_over(site)
        if moving:
            site.beat_run(1)
            site.clock += 200.0
        else:
            site.clock += 60.0
    assert taken_over(site) is not moving


# --- the flock, and who holds it -----------------------------------------------------------------------------------


class Holder:
    """A process that holds the flock of RB 1 and stands still: a frozen shepherd."""

    def __init__(self, site):
        ready_r, ready_w = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            lock = acquire(site.layout.rb("1").lock)
            os.write(ready_w, b"1" if lock is not None else b"0")
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(0)
        os.close(ready_w)
        assert os.read(ready_r, 1) == b"1"
        os.close(ready_r)
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1])

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


@pytest.fixture
def holder(site):
    made = Holder(site)
    yield made
    made.kill()


@pytest.mark.parametrize("word", ["timer", "fence"])
def test_without_the_flock_there_is_no_proof_whatever_stands_still_and_whoever_says_so(site, holder, word):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    if word == "fence":
        fence(site)
    for _ in range(3):
        assert site.claim() == Left(why="another run of this RB holds its lock")
        site.clock += 1e6
    assert site.cells.outcome(1) is None
    holder.kill()
    assert taken_over(site), "the silence counts from the last sign of life, and the last look is made with the flock"


def test_a_sign_of_life_after_the_looks_from_outside_and_before_the_flock_was_won_counts(site, holder):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    for _ in range(3):
        assert site.claim() == Left(why="another run of this RB holds its lock")
        site.clock += 1e6
    site.beat_host("h9", 2)
    holder.kill()
    assert not taken_over(site)


def test_a_supervisor_that_was_restarted_before_run_json_leaves_a_living_shepherd_and_clears_a_dead_one(site, holder):
    site.epoch(1)  # linked by the supervisor before this one; its shepherd holds the flock and has written nothing yet
    restarted = site.claimer_of("h0", "boot-1")
    assert not restarted.clear("1")
    assert isinstance(restarted.claim(site.request), Left)
    assert site.cells.outcome(1) is None
    holder.kill()
    result = restarted.claim(site.request)
    assert (result.errand, result.n) == ("run", 2)
    result.lock.close()
    assert "no shepherd began" in site.cells.outcome(1).why


def test_a_flock_that_was_won_without_a_right_is_closed_within_a_second(site, monkeypatch):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    held = []
    win, close = claim.acquire, RbLock.close

    def timed_win(path):
        held.append(time.monotonic())
        return win(path)

    def timed_close(lock):
        close(lock)
        held.append(time.monotonic())

    monkeypatch.setattr(claim, "acquire", timed_win)
    monkeypatch.setattr(RbLock, "close", timed_close)
    result = site.claim()
    assert result == Left(why="epoch 1 is undecided and its holder is not proven gone", cool_down=True)
    assert held[-1] - held[0] < 1.0
    assert site.is_free()


# --- boots ---------------------------------------------------------------------------------------------------------


def test_a_host_that_came_back_in_another_boot_decides_its_old_epoch_and_no_other_host_does(site):
    site.epoch(1, host="h9", boot="b")
    for counter in range(1, 5):
        site.beat_host("h9", counter, boot="b2")
        assert not taken_over(site)
        site.clock += 200.0
    returned = site.claimer_of("h9", "b2")
    assert returned.clear("1")
    assert site.cells.outcome(1).why == "its host has rebooted"
    assert site.cells.last() == 1, "clearing opened an epoch"
    assert site.is_free()
    site.claim().lock.close()
    assert site.cells.last() == 2


@pytest.mark.parametrize(
    ("boot", "ran", "alive", "empty", "decided"),
    [
        ("boot-0", True, True, True, True),
        ("boot-1", False, False, True, True),
        ("boot-1", True, False, True, True),
        ("boot-1", True, False, False, False),
        ("boot-1", True, True, True, False),
    ],
)
def test_clearing_decides_only_what_our_own_host_can_be_proven_to_have_left(site, boot, ran, alive, empty, decided):
    site.epoch(1, boot=boot)
    if ran:
        site.run_json(1, pid=7)
    site.alive = {7} if alive else set()
    site.boxes_end = empty
    assert site.claimer.clear("1") is decided
    assert (site.cells.outcome(1) is not None) is decided
    assert site.is_free()
    assert (run_record(site.layout.job("101"), 1) is not None) is ran


def test_clearing_touches_nothing_of_another_host_nothing_decided_and_nothing_unknown(site):
    assert site.claimer.clear("1")
    site.epoch(1)
    site.cells.link_outcome(1, Outcome(kind="committed"))
    assert site.claimer.clear("1")
    assert site.cells.promoted(1) is None
    site.epoch(2, host="h9", boot="b")
    site.clock += 1e6
    assert site.claimer.clear("1")
    assert site.cells.outcome(2) is None
    assert site.is_free()


# --- fences --------------------------------------------------------------------------------------------------------


def test_a_fence_is_a_proof_at_once_and_says_whose_word_it_is(site):
    site.epoch(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    assert not taken_over(site)
    fence(site)
    assert taken_over(site)
    assert site.cells.outcome(1).why == "fenced by operator anna"


def test_a_fence_of_an_earlier_boot_says_nothing_of_the_one_that_lives(site):
    site.epoch(1, host="h9", boot="b2")
    site.beat_host("h9", 1, boot="b2")
    fence(site, boot="b")
    assert not taken_over(site)
    site.take(1, host="h9", boot="b2")
    assert site.claimer.left_take(site.cells) is None
    site.take(1, host="h9", boot="b")
    assert site.claimer.left_take(site.cells) == 1


def test_a_take_of_a_fenced_boot_is_work_at_once_and_each_time_until_it_is_gone(site):
    site.promoted(1, host="h9", boot="b")
    site.take(1, host="h9", boot="b")
    site.beat_host("h9", 1)
    assert site.claimer.left_take(site.cells) is None
    fence(site)
    for _ in range(2):
        result = site.claim()
        assert (result.errand, result.n) == ("repair", 1)
        result.lock.close()
    site.cells.remove_take(1, 1)
    result = site.claim()
    assert (result.errand, result.n) == ("run", 2)
    result.lock.close()


def test_a_claimer_of_a_fenced_boot_releases_the_epoch_it_linked_too_late(site, monkeypatch):
    link = claim.RbCells.link_epoch

    def fence_then_link(cells, n, epoch):
        fence(site, host="h0", boot="boot-1")
        return link(cells, n, epoch)

    monkeypatch.setattr(claim.RbCells, "link_epoch", fence_then_link)
    result = site.claim()
    assert result == Left(why="this host was fenced", fenced=True)
    outcome = site.cells.outcome(1)
    assert (outcome.kind, outcome.why) == ("released", "this host was fenced")
    assert site.is_free()


def test_a_fence_of_our_own_boot_does_not_let_us_revoke_our_own_living_run(site):
    site.epoch(1)
    site.run_json(1, pid=7)
    site.alive = {7}
    fence(site, host="h0", boot="boot-1")
    assert not taken_over(site)
