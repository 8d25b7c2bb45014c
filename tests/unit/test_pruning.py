"""Pruning: what goes, what stays, and that it may die anywhere and meet a redelivery anywhere."""

from __future__ import annotations

import os
import shutil

import pytest
from prunedstore import DAY, NOW, check_pruned, finished, names_of, prune, publish, redeliver
from storemaking import in_child, make_store, request

from supervisor import durable, failpoints, journal, records, tombstones, waiting
from supervisor.cells import RbCells
from supervisor.claim import Claimer, Left, Surroundings
from supervisor.hosts import HostBeat, read_beat, write_beat
from supervisor.journal import Taken
from supervisor.pruning import EpochFacts, Pruner, may_go
from supervisor.records import Epoch, Outcome, Promoted, Take

#: Points of one pruning, before and after each call; a bound for loops over them.
MANY = 400


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch):
    """Nobody pulls a plug here: what is killed is a process."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def claimer_of():
    """What claims for a host named here."""

    def made(layout):
        around = Surroundings(
            host="here",
            boot="boot",
            takeover_after=180.0,
            max_attempts=3,
            now=lambda: NOW,
            monotonic=lambda: 0.0,
            is_alive=lambda _: False,
            end_box=lambda _: True,
            serves=lambda *_: True,
            ending=lambda of, n, ruling: pytest.fail(f"job {of.job} was to be ended in epoch {n}: {ruling}"),
        )
        return Claimer(layout, around)

    return made


def points(call):
    """Every fail-point that `call` reaches, in order."""
    reached = []
    failpoints.set_hook(reached.append)
    try:
        call()
    finally:
        failpoints.set_hook(None)
    return reached


def at_point(number, act):
    """A hook that calls `act` when the point with this number is reached, once."""
    count = [0]

    def hook(_label):
        count[0] += 1
        if count[0] == number + 1:
            failpoints.set_hook(None)
            act()

    failpoints.set_hook(hook)


def killed_at(number, call):
    """Call in a child that is killed at its point with this number; say whether it was."""

    def child():
        at_point(number, lambda: os._exit(7))
        call()
        return 0

    return in_child(child) == 7


def test_a_job_is_kept_whole_until_it_is_old_and_is_a_tombstone_then(tmp_path):
    layout = finished(tmp_path, "101", days_ago=29)
    whole = names_of(layout)
    prune(layout)
    assert names_of(layout) == whole

    prune(layout, now=NOW + 2 * DAY)

    check_pruned(layout, "101")
    stone = tombstones.find(layout, "101")
    assert (stone.digest, stone.instrument, stone.run, stone.n, stone.promoted) == ("d", "ENGINX", "101", 1, "done")
    assert stone.published == NOW - 29 * DAY


def test_whoever_is_killed_at_any_point_leaves_what_the_next_round_ends(tmp_path):
    (tmp_path / "probe").mkdir()
    layout = finished(tmp_path / "probe", "100", "101", "102")
    count = len(points(lambda: prune(layout)))
    want = names_of(layout)
    assert 40 < count < MANY
    for number in range(count):
        (tmp_path / str(number)).mkdir()
        layout = finished(tmp_path / str(number), "100", "101", "102")
        assert killed_at(number, lambda of=layout: prune(of)), number
        prune(layout)
        assert names_of(layout) == want, f"killed at point {number}"
        for job in ("100", "101", "102"):
            check_pruned(layout, job)


def test_a_redelivery_at_any_point_of_pruning_runs_nothing(tmp_path):
    """Another host journals the same message while the pruner stands anywhere: a duplicate, and the same end."""
    (tmp_path / "probe").mkdir()
    layout = finished(tmp_path / "probe", "101")
    count = len(points(lambda: prune(layout)))
    want = names_of(layout)
    for number in range(count):
        (tmp_path / str(number)).mkdir()
        layout = finished(tmp_path / str(number), "101")
        taken = []
        at_point(number, lambda of=layout, into=taken: into.append(redeliver(of, "101")))
        prune(layout)
        assert taken == [Taken.DUPLICATE], f"at point {number}"
        prune(layout)
        assert names_of(layout) == want, f"at point {number}"


def test_pruning_at_any_point_of_a_redelivery_runs_nothing(tmp_path):
    """The host that journals stands anywhere while another one prunes the job."""
    (tmp_path / "probe").mkdir()
    layout = finished(tmp_path / "probe", "101")
    count = len(points(lambda: redeliver(layout, "101")))
    prune(layout)
    want = names_of(layout)
    assert count >= 4
    for number in range(count):
        (tmp_path / str(number)).mkdir()
        layout = finished(tmp_path / str(number), "101")
        at_point(number, lambda of=layout: prune(of))
        try:
            taken = redeliver(layout, "101")
        except OSError:  # not acknowledged: it is tried again
            taken = redeliver(layout, "101")
        assert taken is Taken.DUPLICATE, f"at point {number}"
        prune(layout)
        assert names_of(layout) == want, f"at point {number}"


def test_a_redelivery_that_dies_at_any_point_leaves_nothing_that_runs(tmp_path):
    (tmp_path / "probe").mkdir()
    layout = finished(tmp_path / "probe", "101")
    prune(layout)
    want = names_of(layout)
    job = layout.job("101").root
    count = len(points(lambda: redeliver(layout, "101")))
    assert names_of(layout) == want
    for number in range(count):
        assert killed_at(number, lambda: redeliver(layout, "101")), number
        assert durable.listing(layout.waiting) == []
        assert redeliver(layout, "101") is Taken.DUPLICATE
        # Its temporary file keeps the folder: `sweep` removes both.
        assert [name for name in names_of(layout) if name != os.path.relpath(job, layout.root)] == want
        shutil.rmtree(job, ignore_errors=True)


def test_a_redelivery_of_a_pruned_job_is_told_from_another_message_with_its_id(tmp_path):
    layout = finished(tmp_path, "101")
    prune(layout)
    assert redeliver(layout, "101") is Taken.DUPLICATE
    assert redeliver(layout, "101", digest="other") is Taken.CONFLICT
    check_pruned(layout, "101")


def test_two_pruners_at_once_do_no_harm(tmp_path):
    (tmp_path / "probe").mkdir()
    layout = finished(tmp_path / "probe", "100", "101")
    count = len(points(lambda: prune(layout)))
    want = names_of(layout)
    for number in range(0, count, 3):
        (tmp_path / str(number)).mkdir()
        layout = finished(tmp_path / str(number), "100", "101")
        at_point(number, lambda of=layout: prune(of))
        prune(layout)
        prune(layout)
        assert names_of(layout) == want, f"at point {number}"


def test_the_numbers_of_epochs_never_start_again(tmp_path):
    layout = finished(tmp_path, "101", "102", "103")
    lock = layout.rb("1").lock
    durable.touch(lock, "lock")
    prune(layout)
    cells = RbCells(layout.rb("1"))
    assert durable.listing(layout.rb("1").folder("epochs")) == [f"{3:012d}"]
    assert (cells.last(), cells.outcome(3).kind, cells.promoted(3).kind) == (3, "committed", "done")
    assert cells.outcome(2) is None
    assert durable.exists(lock)


def test_the_next_job_of_an_rb_whose_newest_job_was_pruned_is_claimed(tmp_path, claimer_of):
    layout = finished(tmp_path, "101")
    prune(layout)
    journal.journal(layout, request("102"))
    claimed = claimer_of(layout).claim(request("102"))
    assert (claimed.errand, claimed.n) == ("run", 2)
    claimed.lock.close()


def test_a_claimer_that_was_frozen_until_the_epochs_above_it_were_pruned_gives_up(tmp_path, claimer_of):
    """It read that 1 is the newest; when it thaws, 2 to 4 were decided, and the cells of 2 and 3 are gone."""
    layout = finished(tmp_path, "101")
    journal.journal(layout, request("105"))

    def months_pass(label):
        if label == "store.link epoch before":
            failpoints.set_hook(None)
            for job in ("102", "103", "104"):
                journal.journal(layout, request(job))
                publish(layout, request(job), days_ago=40)
            prune(layout)

    failpoints.set_hook(months_pass)
    left = claimer_of(layout).claim(request("105"))
    assert isinstance(left, Left)
    assert "newer epoch" in left.why
    cells = RbCells(layout.rb("1"))
    assert cells.last() == 4
    assert cells.outcome(2).kind == "released"


def test_a_job_whose_tombstone_stands_is_never_claimed(tmp_path, claimer_of):
    """A redelivery was frozen between its look for a tombstone and the `waiting` entry, for as long as pruning takes."""
    layout = finished(tmp_path, "101")
    prune(layout)
    durable.touch(layout.path("waiting", waiting.entry_of(request("101")).name), "waiting")
    durable.make_folder(layout.job("101").root, "job")
    durable.link_new(layout.job("101").request, records.to_record(request("101")), "request")
    left = claimer_of(layout).claim(request("101"))
    assert isinstance(left, Left)
    assert "finished" in left.why


def test_an_old_job_is_kept_while_something_of_it_is_to_be_done(tmp_path):
    layout = finished(tmp_path, "101")
    cells = RbCells(layout.rb("1"))
    k = cells.link_take(1, Take(host="h", boot="b", pid=1, start=1))
    prune(layout)
    assert durable.exists(layout.job("101").request)
    cells.remove_take(1, k)
    entry = layout.path("waiting", waiting.entry_of(request("101")).name)
    durable.touch(entry, "waiting")
    prune(layout)
    assert durable.exists(layout.job("101").request)
    durable.remove(entry, "waiting")
    prune(layout)
    check_pruned(layout, "101")


def test_a_result_that_was_given_up_can_be_promoted_for_as_long_as_a_job_is_remembered(tmp_path):
    layout = make_store(tmp_path)
    journal.journal(layout, request("101"))
    publish(layout, request("101"), days_ago=40, promoted="failed")
    prune(layout)
    assert durable.exists(layout.job("101").request)
    prune(layout, now=NOW + 330 * DAY)
    assert tombstones.find(layout, "101").promoted == "failed"


def test_a_record_that_cannot_be_read_keeps_its_job_and_no_other(tmp_path):
    layout = finished(tmp_path, "101", "102")
    os.unlink(layout.job("101").request)
    durable.replace(layout.job("101").request, b"spoilt", "request")
    prune(layout)
    assert durable.exists(layout.job("101").final)
    assert tombstones.find(layout, "102") is not None


EPOCH = Epoch(host="h", boot="boot", job="j", time=0.0)
FACTS = {
    "newest": False,
    "taken": False,
    "epoch": EPOCH,
    "outcome": Outcome(kind="committed"),
    "promoted": Promoted(kind="done"),
    "job_stands": False,
    "boot_now": "boot",
}


@pytest.mark.parametrize(
    ("changes", "goes"),
    [
        ({}, True),
        ({"newest": True}, False),
        ({"taken": True}, False),
        ({"job_stands": True}, False),
        ({"promoted": None}, False),
        ({"outcome": None}, False),
        ({"epoch": None}, True),
        ({"epoch": None, "newest": True}, False),
        ({"outcome": Outcome(kind="revoked", by="self"), "promoted": None}, True),
        ({"outcome": Outcome(kind="retry", by="shepherd"), "promoted": None}, True),
        ({"outcome": Outcome(kind="released", by="shepherd"), "promoted": None}, True),
        ({"outcome": Outcome(kind="revoked", by="supervisor"), "promoted": None}, False),
        ({"outcome": Outcome(kind="revoked", by="operator"), "promoted": None}, False),
        ({"outcome": Outcome(kind="revoked", by="supervisor"), "promoted": None, "boot_now": "later"}, True),
        ({"outcome": Outcome(kind="revoked", by="supervisor"), "promoted": None, "boot_now": None}, False),
    ],
)
def test_which_cells_may_go(changes, goes):
    assert may_go(EpochFacts(**FACTS | changes)) is goes


def test_the_cell_that_fences_a_frozen_holder_stays_until_its_host_has_rebooted(tmp_path):
    layout = make_store(tmp_path)
    for job in ("101", "102"):
        journal.journal(layout, request(job))
        publish(layout, request(job), days_ago=40, lost=job == "101")
    write_beat(layout, HostBeat(host="gone", boot="boot", counter=1, slots=1, running=0, version="", level=""))
    cells = RbCells(layout.rb("1"))
    prune(layout)
    check_pruned(layout, "101")
    assert cells.outcome(1).kind == "revoked"  # the frozen shepherd that thaws finds it, and cannot commit
    assert cells.outcome(2) is None
    write_beat(layout, HostBeat(host="gone", boot="another", counter=2, slots=1, running=0, version="", level=""))
    journal.journal(layout, request("103"))
    publish(layout, request("103"), days_ago=40)
    prune(layout)
    assert durable.listing(layout.rb("1").folder("outcomes")) == [f"{4:012d}"]


def test_refused_messages_go_when_they_were_told_long_ago_and_others_much_later(tmp_path):
    layout = make_store(tmp_path)
    for name, told, days in (("new", True, 10), ("told", True, 40), ("untold", False, 40), ("ancient", False, 400)):
        durable.link_new(layout.poison(name), records.pack({}), "poison")
        paths = [layout.poison(name)]
        if told:
            durable.touch(layout.poison_told(name), "told")
            paths.append(layout.poison_told(name))
        for path in paths:
            os.utime(path, (NOW - days * DAY, NOW - days * DAY))
    prune(layout)
    assert durable.listing(layout.path("poison")) == ["new", "new.told", "untold"]


def test_heartbeats_of_hosts_that_were_silent_for_very_long_go(tmp_path):
    layout = make_store(tmp_path)
    for host, days in (("lively", 0), ("retired", 300), ("forgotten", 400)):
        write_beat(layout, HostBeat(host=host, boot="b", counter=1, slots=1, running=0, version="", level=""))
        os.utime(layout.host_beat(host), (NOW - days * DAY, NOW - days * DAY))
    prune(layout)
    assert read_beat(layout, "forgotten") is None
    assert read_beat(layout, "retired") is not None
    assert read_beat(layout, "lively") is not None


def test_tombstones_are_forgotten_when_their_month_is_over_for_long_enough(tmp_path):
    layout = finished(tmp_path, "101")
    prune(layout)
    month = tombstones.month_of(NOW)
    over = tombstones.after_month(month)
    prune(layout, now=over + 364 * DAY)
    check_pruned(layout, "101")
    prune(layout, now=over + 365 * DAY)
    assert tombstones.find(layout, "101") is None
    assert tombstones.months(layout) == []
    assert redeliver(layout, "101") is Taken.NEW


def test_a_clock_that_is_ahead_of_the_store_forgets_nothing(tmp_path):
    layout = finished(tmp_path, "101", days_ago=10)
    write_beat(layout, HostBeat(host="here", boot="b", counter=1, slots=1, running=0, version="", level=""))
    os.utime(layout.host_beat("here"), (NOW, NOW))
    wrong = NOW + 20 * 365 * DAY
    Pruner(layout, keep=30 * DAY, remember=365 * DAY, host="here", now=lambda: wrong).whole_round()
    assert durable.exists(layout.job("101").request)


def test_a_long_job_id_is_found_by_its_run_and_its_entry(tmp_path):
    job = "x" * 300
    layout = make_store(tmp_path)
    of = request(job, run="75513")
    journal.journal(layout, of)
    publish(layout, of, days_ago=40)
    prune(layout)
    assert [stone.job for stone in tombstones.of_run(layout, "75513", None)] == [job]
    assert tombstones.find_component(layout, waiting.entry_of(of).job)


def test_what_is_in_a_store_stays_bounded(tmp_path):
    """Two hundred jobs of ten RBs, each pruned thirty days after it: a few names for each RB, two for each tombstone."""
    layout = make_store(tmp_path)
    most = 0
    for day in range(200):
        of = request(str(1000 + day), rb=str(day % 10))
        journal.journal(layout, of)
        publish(layout, of, days_ago=-day)
        prune(layout, now=NOW + day * DAY)
        most = max(most, len([name for name in names_of(layout) if not name.startswith("tombstones/")]))
    stones = [name for name in names_of(layout) if name.startswith("tombstones/")]
    # 31 whole jobs of 7 names with their shards, cells and index; 10 RBs of 7 names; the folders of the store.
    assert most <= 31 * 15 + 10 * 10 + 300
    assert len(stones) <= 2 * 170 + 3 * 8
    assert len([name for name in names_of(layout) if name.startswith("jobs/") and name.count("/") == 2]) == 30
