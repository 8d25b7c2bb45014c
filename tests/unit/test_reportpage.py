"""The pieces of a report: whatever the text, what comes out is well-formed and holds none of it as markup."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.limits import GiB, MiB
from supervisor.reportbars import Stretch, bars, lanes
from supervisor.reportchart import curve, dots, readable, readable_size, readable_time
from supervisor.reportpage import Part, esc, facts, log, page, table

HOSTILE = "</script></title><script>alert(1)</script>\x1b[2J\u202e\x00'\"&<b>"
texts = st.text(max_size=40) | st.just(HOSTILE)


class Tags(HTMLParser):
    """Every tag of a page, and its attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value) for name, value in attrs]


def whole(text=HOSTILE):
    body = table(text, (text, "b"), [(text, text)]) + facts([(text, text)]) + log(text, text)
    return page(title=text, lead=f"<p>{esc(text)}</p>", parts=[Part(title=text, body=body)], made=text)


@given(texts)
def test_a_strangers_text_adds_no_tag_and_no_attribute(text):
    plain, other = Tags(whole("plain")), Tags(whole(text))

    # A log without a line is left out.
    left_out = {"details", "summary", "pre"}
    assert [tag for tag in other.tags if tag not in left_out] == [tag for tag in plain.tags if tag not in left_out]
    assert {name for name, _ in other.attributes} <= {name for name, _ in plain.attributes}


@given(st.text())
def test_an_escaped_text_is_one_printable_line_without_what_html_obeys(text):
    escaped = esc(text)

    assert escaped.isprintable()
    assert not set("<>\"'") & set(escaped)


def test_a_megabyte_of_log_is_bounded_and_says_that_it_is_the_end():
    told = log("stdout", "line <b>\n" * 200_000 + "the end")

    assert len(told) < 100_000
    assert "the end" in told
    assert "(its end)" in told
    assert len(log("one line", "x" * 5_000_000)) < 2000


def test_the_policy_allows_the_one_style_sheet_and_nothing_else():
    text = whole()

    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.split("; ") == [
        "default-src 'none'", f"style-src 'sha256-{digest}'", "img-src data:", "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip
    assert "url(" not in style
    assert not re.search(r"(?:src|href)=\"(?!data:,)", text)
    assert 'style="' not in text


numbers = st.floats(0, 1e15)


@given(
    st.lists(st.tuples(st.floats(0, 1e6), numbers), max_size=60),
    st.none() | st.floats(1, 1e15),
    st.lists(st.floats(0, 1e6), max_size=20),
    texts,
)
@example([(0.0, 0.0), (0.0, 5e-324)], None, [], "the least value that a float can hold")
def test_any_curve_is_well_formed_and_lies_inside_its_frame(points, limit, moments, name):
    points.sort()

    drawn = curve(
        name, name, points, span=max([1.0, *(t for t, _ in points)]), limit=limit, moments=moments,
        across=str, up=str,
    )  # fmt: skip

    if len(points) < 2:
        assert drawn == ""
        return
    for svg in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}svg"):
        width, height = map(float, svg.get("viewBox").split()[2:])
        for shape in svg.iter("{http://www.w3.org/2000/svg}polyline"):
            for pair in shape.get("points").split():
                x, y = map(float, pair.split(","))
                assert 0 <= x <= width
                assert 0 <= y <= height


@given(st.lists(st.tuples(st.floats(0, 2e9), numbers, st.booleans()), max_size=30), st.none() | st.floats(1, 1e15))
def test_any_dots_are_well_formed(points, limit):
    drawn = dots("a", "b", points, limit=limit, across=str, up=str)

    assert drawn == "" if not points else len(list(ET.fromstring(drawn).iter())) > 2 * len(points)


@given(st.lists(st.tuples(texts, st.integers(1, 10**6).map(float), st.just("bar")), max_size=8))
def test_any_bars_are_well_formed(rows):
    drawn = bars("a", "b", rows, str)

    assert drawn == "" if not rows else ET.fromstring(drawn) is not None


@given(st.lists(st.tuples(st.floats(0, 1e7), st.floats(0, 1e7), texts), max_size=8))
def test_any_stretches_are_well_formed(rows):
    lane = [("a", [Stretch(begin=min(a, b), end=max(a, b), text=text, css="bar") for a, b, text in rows])]

    drawn = lanes("a", "b", lane, str)

    assert drawn == "" or ET.fromstring(drawn) is not None


@given(st.floats(1e-3, 1e15))
def test_the_end_of_an_axis_is_above_the_value_and_not_far_above(value):
    for axis in (readable, readable_size, readable_time):
        assert value * (1 - 1e-6) <= axis(value) <= value * 2


@pytest.mark.parametrize(
    ("value", "end"), [(246 * MiB, 250 * MiB), (17.6 * MiB, 20 * MiB), (8 * GiB, 8 * GiB), (0.9 * GiB, 1000 * MiB)]
)
def test_sizes_end_at_round_values(value, end):
    assert readable_size(value) == pytest.approx(end)
