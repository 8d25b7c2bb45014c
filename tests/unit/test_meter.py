"""The meter against a sampler and a watch that tell it what to see."""

from __future__ import annotations

from sandbox.limits import Limits
from sandbox.meter import Meter
from sandbox.outcome import CURVE_CAP, Measure
from sandbox.sampler import Reading
from sandbox.verdict import KillReason
from sandbox.watch import Count

WALL = Measure(value=1.0, source="clock", exact=True)


class Told:
    """A sampler and a watch in one: says what it was told."""

    def __init__(self):
        self.reading = Reading(processes=1, tasks=1)
        self.shared_once = None
        self.stored = 0
        self.counts = {}
        self.next_at = 0.0
        self.device = 8
        self.under_way = False
        self.nameless = 0
        self.gone = 0
        self.looked_at_mappings = []

    def sample(self, now):
        return self.reading

    def proportional(self):
        return None if self.shared_once is None else (self.shared_once, 0)

    def files_in_memory(self):
        return self.stored

    def unlinked_files(self, device, *, mapped):
        assert device == self.device
        self.looked_at_mappings.append(mapped)
        return self.nameless

    def lost(self):
        return self.gone

    def turn(self, now):
        self.next_at = now + 1

    def last(self, name):
        return self.count(name)

    def finish(self):
        self.next_at = 0.0

    def count(self, name):
        return self.counts.get(name, Count())


def meter(told, **limits):
    return Meter(Limits(**limits), told, told, began=100.0, every=0.2)


def test_nothing_is_due_before_the_first_sample():
    made = meter(Told(), wall=10.0)

    assert made.turn(100.01) is None
    assert made.deadline() <= 100.05 or made.deadline() == 101.01


def test_the_wall_limit_is_reached_exactly():
    made = meter(Told(), wall=10.0)

    assert made.turn(109.99) is None
    assert made.turn(110.0).reason is KillReason.wall_limit


def test_a_script_in_its_grace_is_measured_on_and_nobody_turns_in_a_circle():
    told = Told()
    made = meter(told, wall=10.0, memory=200)
    assert made.turn(110.0).reason is KillReason.wall_limit

    assert made.turn(110.1) is None
    assert made.deadline() > 110.1, "a deadline in the past keeps a processor busy for all of the grace"
    told.reading = Reading(rss=300, processes=1)
    assert made.turn(111.5).reason is KillReason.memory_limit


def test_shared_memory_is_measured_again_before_anybody_is_killed():
    told = Told()
    told.reading = Reading(rss=300, processes=3)
    told.shared_once = 120
    made = meter(told, memory=200)

    assert made.turn(101.0) is None
    assert made.peak == 120
    told.shared_once = 210
    breach = made.turn(200.0)
    assert (breach.reason, breach.measured) == (KillReason.memory_limit, 210)


def test_one_process_cannot_hide_behind_shared_memory():
    told = Told()
    told.reading = Reading(rss=300, processes=1)
    told.shared_once = 10

    assert meter(told, memory=200).turn(101.0).reason is KillReason.memory_limit


def test_memory_that_cannot_be_told_apart_counts_in_full():
    told = Told()
    told.reading = Reading(rss=300, processes=3)

    assert meter(told, memory=200).turn(101.0).reason is KillReason.memory_limit


def test_private_folders_count_once_they_exceed_what_is_granted_together():
    told = Told()
    told.counts = {"work": Count(bytes=350)}
    made = meter(told, output=200, tmp=100)

    breach = made.turn(100.01)

    assert (breach.reason, breach.ceiling, breach.measured) == (KillReason.output_limit, "output", 350)


def test_ceilings_end_nothing():
    told = Told()
    told.reading = Reading(processes=3, tasks=30)
    told.counts = {"tmp": Count(bytes=20, largest=20)}
    made = meter(told, processes=30, tmp=10, file_size=20, output=1000)

    assert made.turn(100.06) is None
    assert made.turn(101.0) is None
    assert made.ceilings == {"processes", "tmp", "file_size"}


def test_the_curve_stays_bounded_and_keeps_its_peak():
    told = Told()
    made = meter(told, wall=None)
    for n in range(10_000):
        told.reading = Reading(rss=10**6 if n == 5000 else n % 100, processes=1)
        made.turn(100.0 + n * 10)

    usage = made.usage(wall=WALL, cpu_reaped=1.0, peak_reaped=0, io_reaped=None)

    assert len(usage.curve) <= CURVE_CAP
    assert max(sample.rss for sample in usage.curve) == 10**6
    assert usage.peak_memory.value == 10**6


def test_what_the_kernel_counted_is_exact_and_what_only_the_sampler_saw_is_not():
    told = Told()
    told.reading = Reading(cpu=2.0, processes=1)
    made = meter(told)
    made.turn(101.0)

    assert made.usage(wall=WALL, cpu_reaped=3.0, peak_reaped=0, io_reaped=(5, 6)).cpu == Measure(
        value=3.0, source="rusage", exact=True
    )
    assert made.usage(wall=WALL, cpu_reaped=1.0, peak_reaped=0, io_reaped=(5, 6)).cpu == Measure(
        value=2.0, source="sampler", exact=False
    )
    assert made.usage(wall=WALL, cpu_reaped=None, peak_reaped=0, io_reaped=None).read_bytes.exact is False


def test_files_in_memory_count_once_whether_they_are_mapped_or_not():
    told = Told()
    told.reading = Reading(rss=60, processes=1)
    told.stored = 80
    made = meter(told, memory=100)
    told.proportional = lambda: (60, 50)  # 50 of the 60 are pages of those files

    assert made.turn(101.0) is None
    assert made.peak == 90

    told.stored = 95
    assert made.turn(102.0).measured == 105


def test_system_v_objects_count_like_files_in_memory():
    class Objects:
        def used(self):
            return 80

    told = Told()
    told.reading = Reading(rss=30, processes=1)
    made = Meter(Limits(memory=100), told, told, began=100.0, every=0.2, objects=Objects())

    assert made.turn(101.0).measured == 110


def test_files_without_a_name_take_of_the_room_for_all_that_is_written():
    told = Told()
    told.counts = {"out": Count(bytes=100), "work": Count(bytes=100)}
    told.nameless = 150
    made = meter(told, output=200, tmp=100)

    assert made.turn(100.01) is None, "a file that gets its name between the two counts is no breach"
    assert made.turn(100.5) is None
    breach = made.turn(101.02)

    assert (breach.reason, breach.ceiling, breach.measured) == (KillReason.output_limit, "output", 350)


def test_what_was_too_much_once_and_is_not_any_more_ends_nothing():
    told = Told()
    told.counts = {"work": Count(bytes=250)}
    made = meter(told, output=200, tmp=100)

    for now, nameless in ((101.0, 100), (102.1, 0), (103.2, 100), (104.3, 0)):
        told.nameless = nameless
        assert made.turn(now) is None


def test_nobody_judges_while_the_folders_are_still_being_counted():
    told = Told()
    told.counts = {"work": Count(bytes=250)}
    told.nameless = 100
    made = meter(told, output=200, tmp=100)

    def never_ends(now):
        told.next_at, told.under_way = now + 1, True

    told.turn = never_ends
    assert [made.turn(now) for now in (101.0, 102.1, 103.2)] == [None] * 3
    assert told.looked_at_mappings == [False], "it was counted before the count that does not end"


def test_mappings_are_looked_at_only_where_the_disk_has_lost_more_than_the_room():
    told = Told()
    made = meter(told, output=200, tmp=100)

    for now, told.gone in ((101.0, 0), (102.1, 300), (103.2, 301), (104.3, 0)):
        made.turn(now)

    assert told.looked_at_mappings == [False, False, True, False]


def test_where_nothing_bounds_what_is_written_nobody_looks_for_it():
    told = Told()
    made = meter(told, output=None)
    made.turn(101.0)

    assert told.looked_at_mappings == []


def test_a_sized_scratch_is_not_asked_for_files_without_a_name():
    class Roomy:
        def exhausted(self):
            return ""

    told = Told()
    told.nameless = 10_000
    made = Meter(Limits(output=200, tmp=100), told, told, began=100.0, every=0.2, hard=Roomy())

    assert [made.turn(now) for now in (101.0, 102.1, 103.2)] == [None] * 3
