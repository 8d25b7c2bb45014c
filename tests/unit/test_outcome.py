"""The outcome: what `run --json` prints, and curves that stay small without losing their peak."""

from __future__ import annotations

import json
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.limits import Limits
from sandbox.outcome import CURVE_CAP, Guards, Measure, Outcome, OutputFile, Sample, Usage, decode_status, thin
from sandbox.verdict import Verdict


def curve(rss: list[int]) -> tuple[Sample, ...]:
    return tuple(Sample(t=float(n), rss=value, cpu=n / 2, processes=1) for n, value in enumerate(rss))


def test_the_record_of_an_outcome_has_exactly_these_keys_and_is_json():
    outcome = Outcome(
        verdict=Verdict.completed,
        sentence="completed after 2 s",
        exit=decode_status(0),
        usage=Usage(wall=Measure(value=2.0, source="clock", exact=True), curve=curve([5])),
        limits=Limits(),
        guards=Guards(facts={"level": "none", "env": "clean"}),
        ceilings_hit=("log",),
        outputs=(OutputFile(path="a.nxs", size=3, sha256="00"),),
        extra_dirs=("/archive/x",),
        message="the script has no main; it ran when it was imported",
        log_dir="/logs",
    )

    record = json.loads(json.dumps(outcome.to_json(), allow_nan=False))

    keys = "verdict sentence exit usage limits guards ceilings_hit outputs extra_dirs marks message traceback log_dir"
    assert list(record) == keys.split()
    assert record["verdict"] == "completed"
    assert record["exit"] == {"status": 0, "code": 0, "signal": None}
    assert record["usage"]["wall"] == {"value": 2.0, "source": "clock", "exact": True}
    assert record["usage"]["peak_memory"] == {"value": None, "source": "none", "exact": False}
    assert record["usage"]["curve"] == {"columns": ["t", "rss", "cpu", "processes"], "rows": [[0.0, 5, 0.0, 1]]}
    assert record["guards"] == {"env": "clean", "level": "none"}
    assert record["outputs"] == [{"path": "a.nxs", "size": 3, "sha256": "00"}]
    assert record["limits"] == Limits().to_json()


def test_a_run_without_a_verdict_has_null():
    outcome = Outcome(
        verdict=None, sentence="stopped", exit=decode_status(None), usage=Usage(), limits=Limits(), guards=Guards()
    )

    assert outcome.to_json()["verdict"] is None


@pytest.mark.parametrize(
    ("status", "code", "number"),
    [
        (0, 0, None),
        (3 << 8, 3, None),
        (255 << 8, 255, None),
        (9, None, 9),
        (signal.SIGSEGV | 0x80, None, 11),
        (None, None, None),
    ],
)
def test_a_raw_wait_status_is_a_code_or_a_signal(status, code, number):
    assert decode_status(status) == {"status": status, "code": code, "signal": number}


@given(st.lists(st.integers(0, 2**40), max_size=400), st.integers(3, 50))
def test_a_thinned_curve_keeps_its_ends_its_order_and_its_peak(rss, cap):
    points = curve(rss)

    thinned = thin(points, cap)

    assert len(thinned) == min(len(points), cap)
    assert set(thinned) <= set(points)
    assert [point.t for point in thinned] == sorted(point.t for point in thinned)
    if points:
        assert (thinned[0], thinned[-1]) == (points[0], points[-1])
        assert max(point.rss for point in thinned) == max(rss)


def test_a_curve_can_be_thinned_while_it_grows():
    points: tuple[Sample, ...] = ()
    for n in range(5000):
        points = thin((*points, Sample(t=float(n), rss=n % 977, cpu=0.0, processes=1)))

    assert len(points) == CURVE_CAP
    assert (points[0].t, points[-1].t) == (0.0, 4999.0)
    assert max(point.rss for point in points) == 976
