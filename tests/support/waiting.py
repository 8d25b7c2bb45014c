"""Waiting for a fact instead of a time: every wait has a deadline and says what it waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout: float = 30.0, why: str = "") -> T:
    """Call `predicate` until it answers something true, and return that answer; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.005
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {why or predicate}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
