"""Fences: for which boot they hold, what a promoter of a fenced boot leaves, and how a fenced supervisor stands down."""

from __future__ import annotations

import signal

import pytest
from storemaking import make_store

from supervisor import durable, fences
from supervisor.fences import Fence
from supervisor.polled import ActiveRun
from supervisor.records import Identity
from supervisor.standdown import StandDown


@pytest.fixture
def layout(tmp_path):
    return make_store(tmp_path)


def test_a_fence_holds_for_one_boot_of_one_host(layout):
    fence = Fence(host="h.0", boot="b-1", who="anna", time=7.0, said_on="h1")
    assert fences.read_fence(layout, "h.0", "b-1") is None
    assert fences.link_fence(layout, fence)
    assert fences.read_fence(layout, "h.0", "b-1") == fence
    for host, boot in (("h.0", "b-2"), ("h", "0.b-1"), ("h.0", ""), ("h1", "b-1")):
        assert fences.read_fence(layout, host, boot) is None


def test_the_first_word_stands_and_another_boot_is_fenced_beside_it(layout):
    first = Fence(host="h0", boot="b1", who="anna")
    assert fences.link_fence(layout, first)
    assert not fences.link_fence(layout, Fence(host="h0", boot="b1", who="bert"))
    assert fences.link_fence(layout, Fence(host="h0", boot="b2", who="bert"))
    assert fences.read_fence(layout, "h0", "b1") == first
    fences.lift_fence(layout, "h0", "b2")
    fences.lift_fence(layout, "h0", "b2")
    assert fences.read_fence(layout, "h0", "b2") is None
    assert fences.read_fence(layout, "h0", "b1") == first


@pytest.mark.parametrize("record", [b"", b"{", b'{"v":2}', b'{"v":1,"host":1}'])
def test_a_fence_that_cannot_be_read_stands(layout, record):
    durable.replace(layout.fence("h0", "b1"), record, "fence")
    assert "cannot be read" in fences.read_fence(layout, "h0", "b1").who


def test_the_refusal_names_host_operator_and_both_ways_out():
    said = str(fences.refusal(Fence(host="h0", boot="0123456789", who="anna")))
    for fact in ('"h0"', "anna", "(01234567)", "reboot", "fence --host h0 --lift"):
        assert fact in said


# --- standing down -------------------------------------------------------------------------------------------------


def run(n, errand="run"):
    return ActiveRun(
        job=f"j{n}", rb=f"{n}", rb_part=f"{n}", n=n, errand=errand, shepherd=Identity(pid=n, start=1, boot="b")
    )


class Ending:
    """A stand-down at second 0 with 60 s of patience, whose signals are kept."""

    def __init__(self, *runs):
        self.sent = []
        self.runs = {(one.rb, one.n): one for one in runs}
        self.decided = set()
        self.end = StandDown("fenced", patience_seconds=60.0, now=0.0, send=self._send)

    def _send(self, who, number):
        self.sent.append((who.pid, number))
        return True

    def is_done(self, now):
        return self.end.is_done(self.runs, self.decided, now)

    def gone(self, n):
        del self.runs[f"{n}", n]


def test_every_undecided_run_is_told_to_end_once_and_waited_for():
    end = Ending(run(1), run(2))
    assert not end.is_done(0.0)
    assert not end.is_done(1.0)
    end.gone(1)
    end.runs["3", 3] = run(3)  # claimed just before the fence was seen
    assert not end.is_done(2.0)
    assert end.sent == [(1, signal.SIGTERM), (2, signal.SIGTERM), (3, signal.SIGTERM)]
    end.gone(2)
    end.gone(3)
    assert end.is_done(3.0)


def test_a_host_without_runs_ends_at_once():
    assert Ending().is_done(0.0)


def test_a_promoting_shepherd_is_waited_for_and_never_sent_a_signal():
    end = Ending(run(1), run(2, "promote"), run(3, "repair"))
    end.decided.add(("1", 1))
    assert not end.is_done(59.0)
    assert end.is_done(61.0)
    assert end.sent == []


def test_a_run_that_does_not_end_is_killed_and_then_left():
    end = Ending(run(1))
    assert not end.is_done(0.0)
    assert not end.is_done(60.0)
    assert not end.is_done(61.0)
    assert end.sent == [(1, signal.SIGTERM), (1, signal.SIGKILL)]
    assert end.is_done(66.0)
