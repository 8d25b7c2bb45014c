"""What the two sides of a probe have seen, and what it means: judged without any host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor import probelocks, proberace, probesight, probetime
from supervisor.checkup import Status
from supervisor.mountrules import LockTimes
from supervisor.probestage import Offset, Pair, Terms

HOSTS = {"a": "h1", "b": "h2"}
TERMS = Terms(times=LockTimes(), cells=4)


def pair(a, b, *, offset=Offset(0.0, 0.0), terms=TERMS):  # noqa: B008  # a tuple
    return Pair(a, b, HOSTS, offset, terms)


# --- clocks


@given(
    ahead=st.floats(-1e4, 1e4),
    delays=st.lists(st.tuples(*[st.floats(0, 5)] * 3), min_size=1, max_size=8),
)
def test_how_far_a_clock_is_ahead_lies_between_the_bounds_whatever_the_delays(ahead, delays):
    times = []
    at = 1_800_000_000.0
    for there, work, back in delays:  # by the clock of a; b's is ahead
        times.append([at + ahead, at + there, at + there + work, at + there + work + back + ahead])
        at += 10
    offset = probetime.offset(times)
    assert offset.least - 1e-5 <= ahead <= offset.most + 1e-5
    assert offset.error <= min(there + back for there, _, back in delays) / 2 + 1e-5


@pytest.mark.parametrize(
    ("offset", "status", "words"),
    [
        (Offset(-0.01, 0.03), Status.PASS, "h2 is 10 ms ahead of h1, give or take 20 ms"),
        (Offset(-5.0, 5.0), Status.PASS, "give or take 5 s"),
        (Offset(3.0, 3.2), Status.CAUTION, "h2 is 3.1 s ahead"),
        (Offset(-40.0, -39.0), Status.FAIL, "h1 is 40 s ahead of h2"),
        (Offset(1.0, -1.0), Status.CAUTION, "a clock was set"),
    ],
)
def test_only_what_is_sure_of_a_difference_counts_against_it(offset, status, words):
    (found,) = probetime.judge_clocks(pair({}, {}, offset=offset))
    assert (found.status, words in found.text) == (status, True), found.text


# --- locks


@pytest.mark.parametrize(
    ("ahead", "error", "count"),
    [(0.0, 0.0, 1), (0.0, 0.4, 1), (0.0, 0.6, 0), (100.0, 0.0, 0), (-1.5, 0.0, 0)],
)
def test_holds_overlap_when_clocks_leave_no_other_way(ahead, error, count):
    one, two = [(0, 1.0, 2.0), (1, 1.0, 2.0)], [(0, 1.5, 2.5), (2, 1.0, 2.0)]
    assert probelocks.overlaps(one, two, ahead=ahead, error=error) == count


def locks(holds=((0, 1.0, 2.0),), refused=3, collided=0, counts=(1, 0, 0, 0), sums=(2, 0, 0, 0)):
    return {
        "holds": holds,
        "refused": refused,
        "collided": collided,
        "counts": list(counts),
        "sums": list(sums),
    }


LATER = ((0, 3.0, 4.0),)


@pytest.mark.parametrize(
    ("a", "b", "status", "words"),
    [
        ({}, {}, Status.PASS, "2 holds of 4 locks, 6 refused meanwhile, no overlap"),
        ({"refused": 0}, {"refused": 0}, Status.CAUTION, "neither host was ever refused"),
        ({"collided": 1}, {}, Status.FAIL, "1 met the other host inside"),
        ({}, {"holds": ((0, 1.5, 2.5),)}, Status.FAIL, "1 overlap in time"),
        ({"sums": (1, 0, 0, 0)}, {"sums": (1, 0, 0, 0)}, Status.FAIL, "1 counts were lost"),
        ({}, {"sums": (1, 0, 0, 0)}, Status.FAIL, "read other counters"),
        ({}, {"holds": (), "counts": (0,) * 4}, Status.FAIL, "1 counts were lost"),
        ({"holds": (), "counts": (0,) * 4, "sums": (0,) * 4}, {"holds": (), "counts": (0,) * 4, "sums": (0,) * 4},
         Status.FAIL, "got no lock within"),
    ],
)  # fmt: skip
def test_any_sign_that_two_were_inside_at_once_fails(a, b, status, words):
    (found,) = probelocks.judge_many(pair(locks(**a), locks(**{"holds": LATER} | b)))
    assert (found.status, words in found.text) == (status, True), found.text


def test_a_lock_that_is_free_late_is_a_caution():
    held, tried = {"taken": True, "closed": 100.0}, {"granted": 0, "had": 107.0}
    found = list(probelocks.judge_exclusion(pair({"a": held, "b": tried}, {"a": tried, "b": held | {"closed": 106.9}})))
    assert [each.status for each in found] == [Status.CAUTION, Status.PASS]
    assert "7 s after it was closed, which is late" in found[0].text


# --- the race


def cells(won, read):
    return {"won": won, "read": read}


@pytest.mark.parametrize(
    ("a", "b", "status", "words"),
    [
        (cells("1010", "abab"), cells("0101", "abab"), Status.CAUTION, "2 by h1, 2 by h2; a full probe races for 1000"),
        (cells("1111", "aaaa"), cells("0000", "aaaa"), Status.CAUTION, "did not race closely"),
        (cells("1110", "abab"), cells("0101", "abab"), Status.FAIL, "1 had two winners (cell 1)"),
        (cells("1000", "abab"), cells("0101", "abab"), Status.FAIL, "1 had none (cell 2)"),
        (cells("1010", "abab"), cells("0101", "abaa"), Status.FAIL, "1 read differently on the two hosts (cell 3)"),
        (cells("1010", "abaa"), cells("0101", "abaa"), Status.FAIL, "1 hold another than the winner (cell 3)"),
        (cells("1010", "-bab"), cells("0101", "-bab"), Status.FAIL, "1 hold another than the winner (cell 0)"),
    ],
)
def test_each_record_has_one_winner_that_both_read(a, b, status, words):
    (found,) = proberace.judge_race(pair(a, b))
    assert (found.status, words in found.text) == (status, True), found.text


def test_a_full_race_passes():
    count = proberace.FULL
    a = cells("10" * (count // 2), "ab" * (count // 2))
    (found,) = proberace.judge_race(pair(a, cells("01" * (count // 2), a["read"])))
    assert found.status is Status.PASS


# --- sight and writes


def test_what_stays_unseen_or_is_seen_late_is_told_with_the_side():
    done = [{"name": 10.0, "heartbeat": 10.0, "counter": 10.0}]

    def of(**at):
        return {"seen": [{"at": at, "stale": {}}], "kept": None}

    made = {"done": done, "taken": True}
    fine = of(name=10.1, heartbeat=10.1, counter=10.1)
    seen = of(name=19.0, heartbeat=10.1)
    names, beats, counters, kept = probesight.judge_sight(pair({"a": made, "b": fine}, {"a": seen, "b": made}))
    assert (names.status, "which is late" in names.text) == (Status.CAUTION, True)
    assert beats.status is Status.PASS
    assert (counters.status, "1 of 2 stayed unseen for 60 s" in counters.text) == (Status.FAIL, True)
    assert "not within 10 s" in kept.text


@pytest.mark.parametrize(("slowest", "status"), [(0.02, Status.PASS), (1.5, Status.CAUTION), (11.0, Status.FAIL)])
def test_durable_records_are_as_good_as_the_slowest_of_a_hundred(slowest, status):
    seen = {"count": 100, "p50": 0.01, "p99": slowest, "max": slowest}
    found = list(probetime.judge_writes(pair(seen, seen | {"p99": 0.02})))
    assert [each.status for each in found] == [status, Status.PASS]
