"""Admission: limits never add up to more than the host has, and a run that waits for room gets it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.capacity import Capacity, parse_limit, upwards
from sandbox.limits import GiB
from supervisor import config
from supervisor.admission import Admission, Room, Wants, occupied, room_of, wants_of

PATIENCE = 300.0


def admission(slots=8, memory=96 * GiB, cpus=0.0):
    return Admission(Room(slots=slots, memory=memory, cpus=cpus), reserve_after=PATIENCE)


def run(size, instrument="GEM", cpus=None):
    return Wants(instrument=instrument, memory=size if size is None else size * GiB, cpus=cpus)


def test_a_run_starts_only_beside_what_leaves_it_room():
    host = admission()
    assert host.ask("1", "a", run(40), 0.0) == ""
    said = host.ask("2", "b", run(64), 0.0)
    assert said == "needs 64 GiB beside 40 GiB of running limits; this host has 96 GiB"
    assert host.ask("3", "c", run(56), 0.0) == ""
    assert host.memory == 96 * GiB
    host.free("1")
    host.free("3")
    assert host.ask("2", "b", run(64), 1.0) == ""


def test_a_run_without_a_limit_has_the_host_to_itself():
    host = admission()
    host.take("1", run(1), 0.0)
    assert "needs all memory" in host.ask("2", "b", run(None), 0.0)
    host.free("1")
    assert host.ask("2", "b", run(None), 0.0) == ""
    assert host.ask("1", "a", run(1), 0.0) == "needs 1 GiB beside 96 GiB of running limits; this host has 96 GiB"
    assert host.ask("3", "c", run(0), 0.0) == ""


def test_processors_are_added_up_where_runs_have_a_limit_of_them():
    host = admission(cpus=4.0)
    for rb in "123":
        assert host.ask(rb, rb, run(1, cpus=1.2), 0.0) == ""
    said = host.ask("4", "d", run(1, cpus=0.5), 0.0)
    assert said == "needs 0.5 processors beside 3.6 of running limits; this host has 4"
    assert host.ask("5", "e", run(1), 0.0) == ""
    assert host.ask("6", "f", run(1, cpus=0.4), 0.0) == ""


def test_what_is_not_known_bounds_nothing():
    host = admission(memory=0)
    assert host.ask("1", "a", run(10_000), 0.0) == ""
    assert host.ask("2", "b", run(None), 0.0) == ""


def test_an_instrument_has_no_more_runs_here_than_it_may():
    host = admission()
    assert host.ask("1", "a", run(1, "LET"), 0.0, most=1) == ""
    said = host.ask("2", "b", run(1, "LET"), 0.0, most=1)
    assert said == "a run of LET under way here; instrument.LET.concurrency is 1"
    assert host.ask("3", "c", run(1), 0.0) == ""
    host.free("1")
    assert host.ask("2", "b", run(1, "LET"), 0.0, most=1) == ""


def test_a_run_that_waited_long_keeps_smaller_ones_from_its_room_but_not_from_what_it_leaves():
    host = admission()
    host.take("old", run(90), 0.0)
    assert host.ask("big", "b", run(64), 0.0)
    assert host.reserved == ""
    assert host.ask("s1", "s1", run(6), 1.0) == "", "until then small ones go first"
    assert host.ask("big", "b", run(64), PATIENCE)
    assert host.reserved == "big"
    host.free("s1")
    host.free("old")
    assert host.ask("s2", "s2", run(32), PATIENCE + 1) == "", "96 less 64 is left to others"
    said = host.ask("s3", "s3", run(1), PATIENCE + 2)
    assert said == "leaves room for job b, which needs 64 GiB and has waited longer"
    assert host.ask("big", "b", run(64), PATIENCE + 3) == ""
    assert host.reserved == ""


def test_a_reservation_keeps_a_slot_as_well():
    host = admission(slots=2)
    host.take("old", run(90), 0.0)
    host.ask("big", "b", run(64), 0.0)
    host.ask("big", "b", run(64), PATIENCE)
    assert host.ask("s1", "s1", run(1), PATIENCE) == ""
    host.free("old")
    assert "leaves room" in host.ask("s2", "s2", run(1), PATIENCE)


def test_a_reservation_ends_with_its_reason():
    host = admission()
    host.take("old", run(90), 0.0)
    for now in (0.0, PATIENCE):
        host.ask("big", "b", run(64), now)
    host.forget("big")
    assert host.reserved == ""
    assert host.ask("s", "s", run(6), PATIENCE) == ""
    assert host.ask("big", "b", run(64), 2 * PATIENCE), "its time begins anew"
    assert host.reserved == ""


def test_what_can_never_fit_reserves_nothing():
    host = admission()
    for now in (0.0, PATIENCE):
        assert host.ask("huge", "h", run(97), now)
    assert host.reserved == ""
    assert host.ask("s", "s", run(96), PATIENCE) == ""


def test_a_reload_that_takes_room_away_ends_nothing_and_admits_nothing_beside_it():
    host = admission()
    host.take("1", run(64), 0.0)
    host.tune(Room(slots=8, memory=32 * GiB), reserve_after=PATIENCE)
    assert host.memory == 64 * GiB
    assert host.ask("2", "b", run(1), 0.0)
    host.free("1")
    assert host.ask("2", "b", run(1), 0.0) == ""


def test_a_still_copy_says_what_would_fit_and_changes_nothing():
    host = admission()
    host.take("1", run(90, "LET"), 0.0)
    settings = config.parse("[instrument.LET]\nconcurrency = 1\n", "x")
    copy = occupied(host, settings)
    host.free("1")
    assert copy.fits(run(6))
    assert not copy.fits(run(7))
    assert not copy.fits(run(1, "LET"))


def parse(text):
    return config.parse(text, "x")


@pytest.mark.parametrize(
    ("text", "total", "memory"),
    [
        ("", 100 * GiB, 90 * GiB),
        ("", 4 * GiB, 8 * GiB),
        ('[limits]\nmemory = "1 GiB"\n', 4 * GiB, int(3.6 * GiB)),
        ('[limits]\nmemory = "none"\n', 10 * GiB, 9 * GiB),
        ('[host]\nmemory = "2 GiB"\n', 100 * GiB, 2 * GiB),
        ("", 0, 0),
    ],
)
def test_the_room_is_what_the_configuration_says_or_most_of_the_host_but_never_less_than_one_usual_run(
    text, total, memory
):
    room = room_of(parse(text), Capacity(memory=total, cpus=4))
    assert abs(room.memory - memory) <= 1
    assert (room.slots, room.cpus) == (4, 4.0)


def test_a_host_too_small_for_every_run_is_a_caution():
    assert any("host.memory" in caution for caution in parse('[host]\nmemory = "2 GiB"\n').cautions())
    assert not list(parse('[host]\nmemory = "8 GiB"\n').cautions())


def test_a_run_wants_what_its_rb_or_instrument_may_use():
    settings = parse('[limits.instrument.GEM]\nmemory = "16 GiB"\ncpus = 2\n[limits.rb.7]\nmemory = "none"\n')
    assert wants_of(settings, "GEM", "1") == Wants(instrument="GEM", memory=16 * GiB, cpus=2.0)
    assert wants_of(settings, "GEM", "7") == Wants(instrument="GEM", memory=None, cpus=2.0)
    assert wants_of(settings, "LET", "1") == Wants(instrument="LET", memory=8 * GiB)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("max\n", None), ("", None), ("9223372036854771712\n", None), ("1073741824\n", GiB), ("-1", None), ("0", None)],
)
def test_a_limit_of_a_group_is_read_as_the_kernel_writes_it(text, limit):
    assert parse_limit(text) == limit


def test_the_limit_of_every_group_above_counts(tmp_path):
    folder = tmp_path / "slice" / "unit"
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text("max\n")
    (tmp_path / "slice" / "memory.max").write_text("4096\n")
    assert upwards(str(folder), str(tmp_path), "memory.max") == [4096]


SIZES = st.one_of(st.none(), st.integers(0, 12))


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), SIZES, st.integers(0, 200), st.booleans()), max_size=60))
def test_the_sum_of_limits_never_exceeds_the_host(steps):
    host, now, wanted = admission(slots=8, memory=10 * GiB), 0.0, {}
    for rb, size, later, ends in steps:
        now += later
        if ends:
            host.free(rb)
            wanted.pop(rb, None)
        elif rb not in wanted and not host.ask(rb, rb, run(size), now):
            wanted[rb] = 10 if size is None else size
        assert sum(wanted.values()) <= 10
        assert host.memory == sum(wanted.values()) * GiB


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 100)), min_size=1, max_size=80),
    st.integers(1, 10),
    st.integers(1, 4),
)
def test_no_run_that_fits_the_host_is_starved_while_runs_end(small, big, slots):
    """Small runs come at each moment, and each lasts at most 100 s: the big one begins in time all the same."""
    host, running, now = admission(slots=slots, memory=10 * GiB), {}, 0.0
    running["first"] = 50.0
    host.take("first", run(1), now)
    for count in range(1000):
        now += 1.0
        for rb in [rb for rb, end in running.items() if end <= now]:
            host.free(rb)
            del running[rb]
        # The order between RBs has the one that waited longest asked first; it starves of room, not of its turn.
        if len(running) < slots and not host.ask("big", "big", run(big), now):
            break
        size, lasts = small[count % len(small)]
        if len(running) < slots and not host.ask(f"s{count}", f"s{count}", run(size), now):
            running[f"s{count}"] = now + lasts
    assert now <= 50 + PATIENCE + 2 * 100 + 2, "what ran before the reservation ends, and then it begins"
