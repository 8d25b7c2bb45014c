"""The usage curve in a terminal: the limit, the moments, the width, and letters that every encoding has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.limits import GiB
from sandbox.outcome import Sample
from supervisor.curvetext import ASCII, curve, stretches
from supervisor.terminal import BLOCKS
from supervisor.usagecurve import Moment, UsageCurve


def ramp(seconds=100, top=4 * GiB):
    return tuple(Sample(t=float(n), rss=int(top * n / seconds), cpu=float(n), processes=1) for n in range(seconds + 1))


def killed():
    return UsageCurve(
        samples=ramp(),
        memory_limit=5 * GiB,
        wall=110.0,
        peak=4.0 * GiB,
        moments=(
            Moment(t=100.0, text="wall limit reached"),
            Moment(t=100.0, text="TERM"),
            Moment(t=110.0, text="kill"),
        ),
    )


def test_a_picture_shows_the_limit_as_a_line_and_names_the_moments():
    rows = curve(killed(), 80, 6)

    assert rows[0] == "memory over 110 s; peak 4.0 GiB, limit 5 GiB"
    assert rows[1].startswith("    5.0 GiB │──")
    assert sum("█" in row for row in rows) >= 4
    assert "A wall limit reached, TERM at 100 s" in rows[-2]
    assert rows[-1].strip() == "B kill at 110 s"


def test_a_limit_below_the_peak_is_a_line_through_the_picture_with_its_name():
    rows = curve(UsageCurve(samples=ramp(), memory_limit=2 * GiB, wall=100.0, peak=4.0 * GiB), 80, 8)

    (line,) = [row for row in rows if row.lstrip().startswith("limit")]
    assert "─" in line
    assert "█" in line


def test_a_limit_far_away_is_named_and_leaves_the_curve_its_height():
    rows = curve(UsageCurve(samples=ramp(top=1 << 20), memory_limit=8 * GiB, wall=100.0, peak=1 << 20), 80, 6)

    assert "limit 8 GiB" in rows[0]
    assert not any("─" in row for row in rows[1:7])
    assert "█" in rows[1] or "▇" in rows[1]


def test_in_ascii_there_is_no_other_letter():
    rows = curve(killed(), 80, 6, blocks=False)

    assert all(row.isascii() for row in rows)
    assert any("#" in row for row in rows)


def test_a_run_of_less_than_two_samples_has_no_picture():
    assert curve(UsageCurve(samples=ramp()[:1], wall=1.0), 80, 6) == []


samples = st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 1 << 45)), min_size=2, max_size=200).map(
    lambda rows: tuple(Sample(t=t, rss=rss, cpu=t, processes=1) for t, rss in sorted(rows))
)
moments = st.lists(st.builds(Moment, t=st.floats(0, 1e6), text=st.just("kill")), max_size=16)


@given(samples, st.none() | st.integers(1, 1 << 45), moments, st.integers(72, 300), st.integers(2, 20), st.booleans())
def test_no_line_is_wider_than_the_terminal_and_every_column_is_filled_from_below(
    points, limit, events, width, height, blocks
):
    usage = UsageCurve(samples=points, memory_limit=limit, moments=tuple(sorted(events, key=lambda m: m.t)))

    rows = curve(usage, width, height, blocks=blocks)

    assert all(len(row) <= width for row in rows)
    picture = [row[13:].ljust(width) for row in rows[1 : height + 1]]
    glyphs = BLOCKS if blocks else ASCII
    for column in zip(*picture, strict=True):
        filled = [max(0, glyphs.find(cell)) for cell in column]  # a line of the limit fills nothing
        # From above: empty or the line of the limit, then one part-filled cell, then full ones.
        assert filled == sorted(filled)


@pytest.mark.parametrize("width", [30, 40, 60])
def test_on_a_narrow_terminal_no_number_is_cut(width):
    rows = curve(killed(), width, 5)

    assert all(len(row) <= width for row in rows)
    assert "limit 5 GiB" in " ".join(rows)
    assert "100 s" in " ".join(rows)


def test_samples_that_count_shared_pages_above_the_peak_say_so():
    usage = UsageCurve(samples=ramp(top=20 << 20), memory_limit=GiB, wall=100.0, peak=8 << 20)

    assert curve(usage, 80, 5)[-1] == "samples also count pages shared with others: 20 MiB at most"


@given(samples, st.integers(1, 200))
def test_each_stretch_has_its_highest_value_and_none_is_lost(points, columns):
    span = max(points[-1].t, 1.0)

    found = stretches(points, span, columns)

    assert len(found) == columns
    assert max(value for value in found if value is not None) == max(point.rss for point in points)


@pytest.mark.parametrize("width", [30, 40, 80, 120])
def test_the_end_of_time_stands_at_the_right(width):
    rows = curve(killed(), width, 5)

    assert sum(row.endswith("110 s") and row.lstrip().startswith("0 s") for row in rows) == 1
