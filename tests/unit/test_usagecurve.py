"""The usage curve out of the records of a run: hostile records make no picture wrong, and none endless."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from sandbox.limits import Limits
from sandbox.outcome import CURVE_CAP, Guards, Mark, Measure, Outcome, Sample, Usage, decode_status
from sandbox.verdict import Verdict
from supervisor import usagecurve
from supervisor.usagecurve import of_beats, of_exit

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def outcome(**changes):
    samples = tuple(Sample(t=float(n), rss=n * 1000, cpu=n / 2, processes=1) for n in range(10))
    fields = {
        "verdict": Verdict.wall_limit,
        "sentence": "wall limit 9 s reached",
        "exit": decode_status(9),
        "usage": Usage(
            wall=Measure(value=10.0, source="clock", exact=True),
            peak_memory=Measure(value=12_000, source="cgroup", exact=True),
            curve=samples,
        ),
        "limits": Limits(wall=9.0),
        "guards": Guards(),
        "marks": (Mark(t=9.0, what="wall_limit"), Mark(t=9.0, what="term"), Mark(t=10.0, what="kill")),
    }
    return json.loads(json.dumps(Outcome(**fields | changes).to_json()))


def test_what_the_box_wrote_is_read_back():
    curve = of_exit(outcome())

    assert [(s.t, s.rss, s.cpu) for s in curve.samples] == [(float(n), n * 1000, n / 2) for n in range(10)]
    assert (curve.memory_limit, curve.wall_limit, curve.cpu_limit) == (8 << 30, 9.0, None)
    assert [(m.t, m.text) for m in curve.moments] == [(9.0, "wall limit reached"), (9.0, "TERM"), (10.0, "kill")]
    assert (curve.wall, curve.peak, curve.span) == (10.0, 12_000.0, 10.0)


def test_a_mark_of_an_unknown_kind_is_passed_over_for_it_may_be_a_strangers_text():
    ended = outcome()
    ended["marks"].append({"t": 1.0, "what": "\x1b[31mred"})

    assert len(of_exit(ended).moments) == 3


def test_the_beats_of_a_run_under_way_make_a_curve_though_the_first_line_is_cut_and_the_last_half_written():
    lines = [json.dumps({"v": 1, "t": n * 10.0, "cpu": n, "rss": 5 * n, "processes": 2}) for n in range(1, 6)]
    data = ("0.0}\n" + "\n".join(lines) + '\n{"t": 60.0, "cpu"').encode()

    curve = of_beats(data, {"memory": 100, "wall": None})

    assert [(s.t, s.rss) for s in curve.samples] == [(n * 10.0, 5 * n) for n in range(1, 6)]
    assert (curve.wall, curve.peak, curve.memory_limit, curve.wall_limit) == (50.0, 25.0, 100.0, None)


def test_a_day_of_beats_stays_small_and_keeps_its_peak():
    rows = [{"t": float(n), "cpu": 0, "rss": 9_999 if n == 7777 else 1, "processes": 1} for n in range(20_000)]
    data = b"\n".join(json.dumps(row).encode() for row in rows)

    curve = of_beats(data[-usagecurve.TAIL :])

    assert len(curve.samples) <= CURVE_CAP
    assert curve.peak == 9_999


@given(st.dictionaries(st.sampled_from(["usage", "limits", "marks"]), json_values))
def test_any_record_gives_a_curve(record):
    curve = of_exit(record)

    assert curve.span > 0


@given(
    st.lists(st.lists(st.integers() | st.floats() | st.none() | st.text(max_size=3), max_size=5), max_size=30),
    st.lists(st.dictionaries(st.sampled_from(["t", "what"]), st.floats() | st.sampled_from(["kill", "x"])), max_size=9),
)
def test_any_rows_give_samples_in_the_order_of_time(rows, marks):
    curve = of_exit({"usage": {"curve": {"columns": ["t", "rss", "cpu", "processes"], "rows": rows}}, "marks": marks})

    times = [sample.t for sample in curve.samples]
    assert times == sorted(times)
    assert all(sample.rss >= 0 and sample.t <= 3.2e8 for sample in curve.samples)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_curve(data):
    assert of_beats(data).span > 0
