"""The virtual clock: a heap of moments, and processes as generators that say how long their next step takes.

A process yields a float. 0 or more is time of its own; less than 0 is a call of the store that takes so long: a host
that is cut off does it when the store is back, and a frozen one when it thaws, whatever was decided before.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Steps: TypeAlias = "Generator[float, None, None]"


class Site:
    """Where a process runs: up, frozen, cut off from the store, or down."""

    def __init__(self) -> None:
        self.frozen = False
        self.cut = False
        self.parked: list[tuple[Process, bool]] = []

    def release(self, clock: Clock) -> None:
        """Let go on what neither the frost nor the cut holds any longer."""
        parked, self.parked = self.parked, []
        for process, of_store in parked:
            if self.frozen or (of_store and self.cut):
                self.parked.append((process, of_store))
            else:
                clock.at(clock.now, process.step)


class Process:
    """One thread of control; `end` is a SIGKILL."""

    __slots__ = ("_clock", "_of_store", "_steps", "alive", "site")

    def __init__(self, clock: Clock, site: Site, steps: Steps) -> None:
        self._clock = clock
        self._steps = steps
        self._of_store = False
        self.site = site
        self.alive = True

    def step(self) -> None:
        """Do what was announced, up to the next announcement."""
        if not self.alive:
            return
        site = self.site
        if site.frozen or (site.cut and self._of_store):
            site.parked.append((self, self._of_store))
            return
        try:
            pause = next(self._steps)
        except StopIteration:
            self.alive = False
            return
        self._of_store = pause < 0
        self._clock.at(self._clock.now + abs(pause), self.step)

    def end(self) -> None:
        """End it between two steps; nothing it would have tidied up is tidied up."""
        self.alive = False


class Clock:
    """Virtual time, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Have something done at a moment; equal moments are in the order in which they were asked for."""
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, do))

    def start(self, site: Site, steps: Steps) -> Process:
        """Begin a process now."""
        process = Process(self, site, steps)
        self.at(self.now, process.step)
        return process

    def turn(self) -> bool:
        """Do the next thing; False when there is none."""
        if not self._heap:
            return False
        self.now, _, do = heapq.heappop(self._heap)
        do()
        return True
