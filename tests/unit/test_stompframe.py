from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.stompframe import MAX_HEADER_BYTES, FrameError, destination, send_headers, text_body


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ReductionComplete", "/queue/ReductionComplete"),
        ("/queue/REDUCTION.COMPLETE", "/queue/REDUCTION.COMPLETE"),
        ("/topic/SNS.COMMON.STATUS", "/topic/SNS.COMMON.STATUS"),
    ],
)
def test_a_bare_name_is_a_queue_and_a_whole_one_stays(name, expected):
    assert destination(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/queue/",
        "/topic/",
        "/temp-queue/x",
        "a,b",
        "/queue/a?consumer.exclusive=true",
        "a.>",
        "a.*",
        "a\nb",
        "a\0",
        "\ud800",
        None,
        7,
    ],
)
def test_a_destination_that_a_broker_reads_otherwise_is_refused(name):
    with pytest.raises(FrameError, match="destination"):
        destination(name)


def test_sends_are_persistent_unless_the_caller_says_otherwise():
    assert send_headers({"event-id": "7"}) == {"event-id": "7", "persistent": "true"}
    assert send_headers({"persistent": "false"}) == {"persistent": "false"}


@pytest.mark.parametrize(
    "headers",
    [
        {"a": "x\ny"},
        {"a": "x\ry"},
        {"a": "x\0"},
        {"a\n": "x"},
        {"a:b": "x"},
        {"": "x"},
        {"a": 7},
        {7: "a"},
        {"a": None},
        {"receipt": "mine"},
        {"destination": "/queue/other"},
        {"content-length": "1"},
        {"a": "\udcff"},
        {"a": "x" * MAX_HEADER_BYTES},
        {"a": ":" * (MAX_HEADER_BYTES // 2)},
    ],
)
def test_a_header_that_would_break_the_frame_is_refused(headers):
    with pytest.raises(FrameError, match="header"):
        send_headers(headers)


def test_the_callers_headers_are_copied():
    mine = {"a": "b"}
    send_headers(mine)["c"] = "d"

    assert mine == {"a": "b"}


@pytest.mark.parametrize("body", ["a\0b", "\ud800", b"bytes", None])
def test_a_body_that_would_end_early_or_change_is_refused(body):
    with pytest.raises(FrameError, match="body"):
        text_body(body)


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])))
def test_every_other_text_is_sent_as_its_utf8(body):
    assert text_body(body).decode() == body
