"""The spool of a stream: head and tail, whatever the pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.logspool import LogSpool

PIECES = st.lists(st.binary(max_size=50), max_size=30)


def test_what_fits_is_kept_as_it_is():
    spool = LogSpool(10)

    spool.feed(b"hello")
    spool.feed(b"\0\xff\n\r")

    assert spool.text() == b"hello\0\xff\n\r"
    assert spool.left_out == 0


def test_what_does_not_fit_loses_its_middle_and_says_how_much():
    spool = LogSpool(6)

    spool.feed(b"0123456789")

    assert spool.text() == b"012\n[... 4 bytes left out ...]\n789"
    assert spool.total == 10


def test_exactly_the_limit_is_whole():
    spool = LogSpool(7)

    spool.feed(b"0123456")

    assert spool.text() == b"0123456"


@given(PIECES, st.integers(2, 64))
def test_head_and_tail_do_not_depend_on_how_the_bytes_arrived(pieces, limit):
    whole = b"".join(pieces)
    spool = LogSpool(limit)

    for piece in pieces:
        spool.feed(piece)

    assert spool.total == len(whole)
    if len(whole) <= limit:
        assert spool.text() == whole
    else:
        tail = limit // 2
        assert spool.text().startswith(whole[: limit - tail] + b"\n[... ")
        assert spool.text().endswith(b" ...]\n" + whole[len(whole) - tail :])
        assert spool.left_out == len(whole) - limit


def test_a_flood_needs_no_more_memory_than_the_limit():
    spool = LogSpool(1000)

    for _ in range(1000):
        spool.feed(b"x" * 4096)

    assert len(spool._head) + len(spool._tail) == 1000
    assert spool.left_out == 4096 * 1000 - 1000
