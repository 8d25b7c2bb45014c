"""What is left of a stream without its beats: every frame as it came, whatever lies in it and however it is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stomp.transport import BaseTransport

from supervisor.stompbeats import Beats


class Library(BaseTransport):
    """The library's own reader, fed from a list."""

    def __init__(self, reads):
        super().__init__(auto_decode=False)
        self._reads = list(reads)
        self.bodies = []

    def receive(self):
        return self._reads.pop(0) if self._reads else b""

    def process_frame(self, f, frame_str):
        if f.cmd != "heartbeat":
            self.bodies.append((f.cmd, bytes(f.body)))

    def read_all(self):
        self.running = True
        while self._reads:
            self._BaseTransport__read_frames()
        return self.bodies


def frame(command, body, *, length, end):
    head = command.encode() + end + b"name:value" + end
    if length:
        head += b"content-length:%d" % len(body) + end
    return head + end + body + b"\0"


#: What tempts a reader: ends of lines and frames, and the words of a header.
TEXTS = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\n\n", b"x", b"content-length:3\n", b'{"run": 1}']), max_size=6
).map(b"".join)
BODIES = st.tuples(TEXTS, st.booleans()) | st.tuples(
    st.lists(st.sampled_from([b"\0", b"\n", b"\0\n\n", b"x"]), max_size=6).map(b"".join), st.just(True)
)
FRAMES = st.lists(
    st.tuples(
        st.sampled_from(["MESSAGE", "RECEIPT", "ERROR"]), BODIES, st.sampled_from([b"\n", b"\r\n"]), st.integers(0, 4)
    ),
    min_size=1,
    max_size=5,
)


@given(FRAMES, st.integers(0, 4), st.data())
def test_every_frame_is_left_as_it_came(frames, before, data):
    stream, expected = b"\n" * before, []
    for command, (body, length), end, beats in frames:
        stream += frame(command, body, length=length, end=end) + end * beats
        expected.append((command, body))
    cuts = data.draw(st.lists(st.integers(1, len(stream)), max_size=8).map(sorted))
    edges = [0, *cuts, len(stream)]
    reads = [stream[low:high] for low, high in pairwise(edges) if low < high]
    beats = Beats()

    left = [beats.taken_from(read) for read in reads]

    assert all(left)
    assert Library(left).read_all() == expected


def test_the_library_alone_loses_a_frame_behind_two_beats():
    """When it does not any more, `stompbeats` may go."""
    one = frame("MESSAGE", b"body", length=False, end=b"\n")

    assert Library([b"\n\n" + one]).read_all() == []


@pytest.mark.parametrize("beats", [b"\n", b"\n\n\n", b"\r\n", b"\r\n\r\n"], ids=repr)
def test_beats_alone_are_one_beat(beats):
    assert Beats().taken_from(beats) == b"\n"


def test_line_ends_within_a_body_are_no_beats():
    beats = Beats()
    head = b"MESSAGE\ncontent-length:4\n\n"

    assert [beats.taken_from(read) for read in (head, b"\n\n", b"\n", b"\n\0\n", b"\n\n")] == [
        head,
        b"\n\n",
        b"\n",
        b"\n\0",
        b"\n",
    ]


def test_a_frame_without_headers_ends_at_its_nul():
    assert Beats().taken_from(b"\n\nRECEIPT\0\n\nERROR\n\n\0\n") == b"RECEIPT\0ERROR\n\n\0"
