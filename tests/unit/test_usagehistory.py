"""The history of usage: what each kind of run adds to it, and that a long one is never held in memory."""

from __future__ import annotations

import os
import tracemalloc

import pytest
from pastruns import BEGAN, leave, measured
from storemaking import make_store

from sandbox.limits import GiB, Limits
from sandbox.outcome import Measure, Sample, Usage
from supervisor import pastrun, tombstones, usagehistory
from supervisor.tombstones import Tombstone


@pytest.fixture
def layout(tmp_path):
    return make_store(tmp_path)


def test_completed_runs_are_measured_and_failed_ones_only_counted(layout):
    for n in range(4):
        leave(layout, f"job-{n}", run=str(n), n=n + 1, usage=measured(memory=(n + 1) * GiB), output=10 * n)
    leave(layout, "bad", run="9", n=9, verdict="script_error", usage=measured(memory=7 * GiB))

    history = usagehistory.read(layout, "ENGINX", 0.0)

    assert history.runs == 5
    assert history.verdicts == {"completed": 4, "script_error": 1}
    assert (len(history.completed["memory"]), history.completed["memory"].largest) == (4, 4.0 * GiB)
    assert history.completed["output"].percentile(100) == 30
    assert history.completed["files"].percentile(50) == 1
    assert history.limits["memory"] == {8.0 * GiB: 5}
    assert (history.first, history.last) == (BEGAN, BEGAN)
    # 8 GiB were kept for each for a minute; 1 + 2 + 3 + 4 + 7 of 40 were used.
    assert history.reserved == pytest.approx(40 / 60)
    assert history.used == pytest.approx(17 / 60)


def test_a_killed_run_that_completed_later_tells_what_it_needed(layout):
    killed = {"verdict": "memory_limit", "usage": measured(memory=8 * GiB)}
    leave(layout, "a", run="75513", n=1, at=BEGAN, **killed)
    leave(
        layout, "b", run="75513", n=2, at=BEGAN + 600, usage=measured(memory=11 * GiB), limits=Limits(memory=16 * GiB)
    )
    leave(layout, "c", run="75514", n=3, at=BEGAN, **killed)

    kills = usagehistory.read(layout, "ENGINX", 0.0).kills["memory"]

    assert (kills.count, kills.saved, kills.known_need) == (2, 1, 11.0 * GiB)
    assert kills.at == {8.0 * GiB: 2}
    assert sorted(kills.runs) == ["75513", "75514"]


def test_a_good_run_before_the_kill_says_nothing_of_what_the_killed_one_needed(layout):
    leave(layout, "a", run="1", n=1, at=BEGAN, usage=measured(memory=GiB))
    leave(layout, "b", run="1", n=2, at=BEGAN + 9, verdict="memory_limit")

    assert usagehistory.read(layout, "ENGINX", 0.0).kills["memory"].saved == 0


@pytest.mark.parametrize(
    ("verdict", "sentence", "key"),
    [
        ("memory_limit_helper", "a helper was killed", "memory"),
        ("wall_limit", "wall limit", "wall"),
        ("output_limit", "output limit; raise limits.output for ENGINX", "output"),
        ("output_limit", "100 001 files; raise limits.files for ENGINX", "files"),
    ],
)
def test_each_kill_is_counted_at_its_own_limit(layout, verdict, sentence, key):
    leave(layout, "a", run="1", verdict=verdict, sentence=sentence)

    history = usagehistory.read(layout, "ENGINX", 0.0)

    assert {name: kills.count for name, kills in history.kills.items() if kills.count} == {key: 1}


def test_a_run_that_waited_for_something_when_its_time_was_over_is_no_reason_to_give_more(layout):
    still = tuple(Sample(t=float(t), rss=1, cpu=min(30.0, t), processes=1) for t in range(0, 301, 10))
    busy = tuple(Sample(t=float(t), rss=1, cpu=float(t), processes=1) for t in range(0, 301, 10))
    for job, curve in (("a", still), ("b", busy)):
        usage = Usage(wall=Measure(value=300.0, source="clock", exact=True), curve=curve)
        leave(layout, job, run=job, n=1 + (job == "b"), verdict="wall_limit", usage=usage, limits=Limits(wall=300.0))

    kills = usagehistory.read(layout, "ENGINX", 0.0).kills["wall"]

    assert (kills.count, kills.stood_still, kills.runs) == (1, 1, ["b"])


def test_page_cache_is_no_need(layout):
    usage = measured(memory=2 * GiB, rises=False)
    cached = Usage(
        wall=usage.wall,
        peak_memory=Measure(value=8 * GiB, source="cgroup", exact=True),
        anonymous=Measure(value=int(1.9 * GiB), source="memory.stat", exact=False),
        curve=usage.curve,
    )
    leave(layout, "a", run="1", usage=cached)

    assert usagehistory.read(layout, "ENGINX", 0.0).completed["memory"].largest == 2.0 * GiB


def test_older_runs_and_those_of_others_are_left_out_and_pruned_ones_counted(layout):
    leave(layout, "old", run="1", n=1, at=BEGAN - 1000)
    leave(layout, "new", run="2", n=2, at=BEGAN + 1000)
    leave(layout, "other", run="3", n=3, instrument="ENGINX-2", at=BEGAN + 1000)
    stone = Tombstone(
        job="gone", digest="d", rb="1", instrument="ENGINX", run="4", version=0, n=1, verdict="completed",
        sentence="", promoted="done", pruned=BEGAN + 2000,
    )  # fmt: skip
    tombstones.make(layout, stone)

    history = usagehistory.read(layout, "ENGINX", BEGAN)

    assert (history.runs, history.pruned) == (1, 1)
    assert usagehistory.instruments(layout) == ["ENGINX", "ENGINX-2"]


def test_a_record_that_cannot_be_read_is_counted_and_hides_no_other(layout):
    leave(layout, "a", run="1", n=1)
    leave(layout, "b", run="2", n=2)
    with open(layout.job("a").exit(1), "wb") as file:
        file.write(b'{"v": 1, "outcome"')
    leave(layout, "c", run="3", n=3)
    with open(layout.job("c").exit(3), "wb") as file:
        file.write(b'{"v":1,"outcome":{"verdict":"completed","usage":[],"limits":7,"outputs":{"a":1},"marks":{}}}')

    history = usagehistory.read(layout, "ENGINX", 0.0)

    assert (history.unreadable, history.runs, len(history.completed["memory"])) == (1, 2, 1)


def test_a_long_history_is_summed_up_one_run_after_another(layout):
    """Eight bytes are kept for each value: the memory of 2 000 runs with long curves stays below 1 MiB."""
    curve = measured(points=400)
    leave(layout, "first", run="1", usage=curve)
    place = layout.job("first")
    size = os.path.getsize(place.exit(1))
    runs = 2000
    # The index alone makes them many: each names the same job.
    for n in range(2, runs + 1):
        folder = layout.by_run("ENGINX", str(n))
        os.makedirs(folder)
        with open(os.path.join(folder, "first"), "wb"):
            pass
    tracemalloc.start()
    history = usagehistory.read(layout, "ENGINX", 0.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert history.runs == runs
    assert size * runs > 20 << 20
    assert peak < 3 << 20, f"{peak} bytes for {runs} runs"


def test_of_a_killed_run_the_limits_are_those_it_had():
    found = pastrun.of_exit(
        {"verdict": "wall_limit", "limits": {"wall": 10, "memory": True, "cpu": "x"}, "usage": {"wall": {"value": 11}}},
        job="a", run="1", at=1.0,
    )  # fmt: skip

    assert dict(found.limits) == {"memory": None, "wall": 10.0, "cpu": None, "output": None, "files": None}
    assert (found.killed_at, found.used) == ("wall", {"wall": 11.0})
