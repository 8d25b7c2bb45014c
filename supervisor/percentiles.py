"""Percentiles of values that are kept as plain numbers: eight bytes each, so that a hundred thousand are no load."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Spread:
    """Values of one measure, in any order."""

    def __init__(self, values: Iterable[float] = ()) -> None:
        """Begin with `values`."""
        self._values = array("d", values)
        self._sorted = False

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float) -> None:
        """Add one value."""
        self._values.append(value)
        self._sorted = False

    @property
    def largest(self) -> float:
        """The largest value; 0 where there is none."""
        return max(self._values, default=0.0)

    def percentile(self, share: float) -> float:
        """Return a percentile, 0 where there is no value; see `percentile`.

        Args:
            share: 0 to 100.
        """
        if not self._sorted:
            self._values = array("d", sorted(self._values))
            self._sorted = True
        return percentile(self._values, share)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile of values in ascending order, interpolated between its neighbours.

    The rule is that of `statistics.quantiles(method="inclusive")`: the smallest value is the 0th percentile, the
    largest the 100th.

    Args:
        ordered: the values; none gives 0.
        share: 0 to 100.
    """
    if not ordered:
        return 0.0
    place = (len(ordered) - 1) * share / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    # Not low + (high - low) * part: between two equal values that may give another one.
    part = place - low
    return ordered[low] * (1 - part) + ordered[high] * part if ordered[low] != ordered[high] else ordered[low]
