"""That nothing stays open: descriptors by their number and what they are of, so that an earlier test's do not count."""

from __future__ import annotations

import contextlib
import gc
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def none_left() -> Iterator[None]:
    """Fail when anything that is opened within is open in the end.

    What an earlier test left to the collector may be closed meanwhile, so numbers alone and their count prove nothing.
    """
    gc.collect()
    before = _open()
    yield
    assert _open() - before == set()


def _open() -> set[tuple[str, str]]:
    """Return number and target of every descriptor of this process, but for the one of the listing."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add((number, os.readlink(f"/proc/self/fd/{number}")))
    return found
