"""The builder as its shepherd's child, with real children."""

from __future__ import annotations

import os
import signal

import pytest
from waiting import wait_until

from sandbox.channels import Channels
from sandbox.forked import Forked
from sandbox.linux import proctree


@pytest.fixture
def forked():
    """Fork a child that ends with a status, or stays until a signal; it and the pipes are gone afterwards."""
    made = []

    def fork(status: int | None) -> Forked:
        pid = os.fork()
        if pid == 0:
            if status is None:
                signal.pause()
            os._exit(status)
        channels = Channels(1024)
        made.append((pid, channels))
        return Forked(proctree.identity(pid), channels, "t0")

    yield fork
    for pid, channels in made:
        channels.close()
        if os.path.exists(f"/proc/{pid}"):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_one_that_ends_is_waited_for_and_no_longer_watched(forked):
    one = forked(3)

    one.await_end()

    assert one.is_gone()
    assert one.ended_by_itself
    assert not os.path.exists(f"/proc/{one.identity.pid}")


def test_its_end_wakes_whoever_waits_for_its_pipes():
    channels = Channels(1024)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    one = Forked(proctree.identity(pid), channels, "t0")
    channels.wait(0.0)
    assert not one.is_gone()
    os.close(write)

    wait_until(lambda: channels.wait(1.0) or one.is_gone(), 30, "its end")

    assert not channels.watches
    os.close(read)
    channels.close()


def test_one_that_does_not_end_is_killed_and_says_nothing_of_what_was_below_it(forked, monkeypatch):
    monkeypatch.setattr("sandbox.forked.PATIENCE", 0.05)
    one = forked(None)

    one.await_end()

    assert one.is_gone()
    assert not one.ended_by_itself


def test_one_that_somebody_else_waited_for_is_gone_and_nothing_is_known_of_its_end(forked):
    one = forked(0)
    os.waitpid(one.identity.pid, 0)

    assert one.is_gone()
    assert not one.ended_by_itself


def test_one_that_cannot_be_ended_is_an_error_that_names_its_box(forked, monkeypatch):
    monkeypatch.setattr("sandbox.forked.PATIENCE", 0.0)
    monkeypatch.setattr("sandbox.forked.CLOSING", 0.05)
    one = forked(None)
    monkeypatch.setattr(one, "_kill", lambda: None)  # as if it stood in a call of the kernel that never returns

    with pytest.raises(TimeoutError, match=r"the builder of box t0 still lives 0\.05 s after SIGKILL"):
        one.await_end()
    with pytest.raises(TimeoutError, match="the builder of box t0"):
        one.await_surrender(None)
