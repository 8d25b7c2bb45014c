"""A schedule: everything that chance decides about one simulated fleet, as a value that can be shrunk and printed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Service times: median 5 min, 99th percentile 4 h; the schedules of the search run a tenth of that, cut at 400 s.
MEDIAN, P99 = 300.0, 4 * 3600.0
SIGMA = math.log(P99 / MEDIAN) / 2.3263
#: Seconds until a message is delivered, as a rule.
_DELAY = 0.1
FAULTS = ("supervisor", "shepherd", "host", "freeze", "cut", "broker", "forget")


@dataclass(frozen=True, slots=True)
class Message:
    """One run that a producer asks for."""

    job: str
    rb: str
    at: float
    priority: int
    #: Seconds that its script takes.
    service: float
    #: What its first attempts meet: `retry`, `crash` (the shepherd dies with it), or nothing; then it completes.
    fates: tuple[str, ...] = ()
    #: Seconds until it is delivered: more than another's is a reordering.
    delay: float = _DELAY
    #: Seconds after which the broker delivers it once more.
    again: float | None = None
    #: Seconds after sending at which its run is cancelled, and until that is delivered.
    cancel: float | None = None
    cancel_delay: float = 0.1


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to a host, to the broker, or to the server of the store."""

    kind: str
    host: int
    at: float
    #: Until it is up, thawed or connected again; a supervisor and a host start anew.
    lasts: float
    #: Until the server of the store gives away the locks of a host that is silent.
    lease: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """One simulated fleet."""

    seed: int
    hosts: int
    slots: int
    messages: tuple[Message, ...]
    faults: tuple[Fault, ...]
    #: Seconds between two scans, between the beats, until a name of another host is seen by a cached look.
    poll: float
    stale: float

    def smaller(self) -> Iterator[Schedule]:
        """Every schedule with one thing less, the greatest cuts first."""
        for size in _halves(len(self.faults)):
            for start in range(0, len(self.faults), size):
                yield replace(self, faults=self.faults[:start] + self.faults[start + size :])
        for size in _halves(len(self.messages)):
            for start in range(0, len(self.messages), size):
                yield replace(self, messages=self.messages[:start] + self.messages[start + size :])
        if self.hosts > 1:
            last = self.hosts - 1
            yield replace(self, hosts=last, faults=tuple(f for f in self.faults if f.host < last))
        for n, message in enumerate(self.messages):
            for plain in _plainer(message):
                yield replace(self, messages=(*self.messages[:n], plain, *self.messages[n + 1 :]))
        if self.stale:
            yield replace(self, stale=0.0)


def _halves(size: int) -> Iterator[int]:
    while size:
        yield size
        size //= 2


def _plainer(message: Message) -> Iterator[Message]:
    if message.cancel is not None:
        yield replace(message, cancel=None)
    if message.again is not None:
        yield replace(message, again=None)
    if message.fates:
        yield replace(message, fates=message.fates[:-1])
    if message.delay != _DELAY:
        yield replace(message, delay=_DELAY)
    if message.priority:
        yield replace(message, priority=0)


def draw(seed: int, *, hosts: int | None = None) -> Schedule:
    """Draw a small schedule with many faults: 2 to 4 hosts, 1 to 3 RBs, 2 to 7 runs."""
    luck = random.Random(seed)
    count = hosts or luck.choice((2, 2, 3, 3, 4))
    rbs = luck.choice((1, 1, 2, 3))
    # Zipf: the first RB is the busy one.
    weights = [1.0 / (rank + 1) for rank in range(rbs)]
    messages = tuple(_message(luck, n, luck.choices(range(rbs), weights)[0]) for n in range(luck.randint(2, 7)))
    faults = tuple(_fault(luck, count) for _ in range(luck.choice((0, 1, 2, 2, 3, 4))))
    if luck.random() < 0.05:
        # A long run whose host stays well while its supervisor does not, and a server that forgets its lock.
        messages = tuple(replace(message, service=luck.uniform(250.0, 400.0)) for message in messages)
        alone, at = luck.randrange(count), luck.uniform(2.0, 20.0)
        faults = (
            Fault("supervisor", alone, at, luck.uniform(250.0, 400.0), 60.0),
            Fault("forget", alone, at + luck.uniform(1.0, 40.0), 0.0, 0.0),
        )
    return Schedule(
        seed=seed,
        hosts=count,
        slots=luck.choice((1, 1, 2)),
        messages=messages,
        faults=tuple(sorted(faults, key=lambda fault: fault.at)),
        poll=luck.uniform(3.0, 12.0),
        stale=luck.choice((0.0, 3.0, 6.0)),
    )


def _message(luck: random.Random, number: int, rb: int) -> Message:
    live = luck.random() < 0.3
    fates: tuple[str, ...] = ()
    if luck.random() < 0.2:
        fates = tuple(luck.choice(("retry", "crash", "retry", "")) for _ in range(luck.randint(1, 4)))
        fates = luck.choice((fates, ("crash",) * 4))
    at = luck.choice((0.0, luck.uniform(0, 20), luck.uniform(0, 150)))
    return Message(
        job=f"j{number}",
        rb=f"rb{rb}",
        at=at,
        priority=9 if live else luck.randint(0, 4),
        service=min(400.0, 0.1 * luck.lognormvariate(math.log(MEDIAN), SIGMA)),
        fates=fates,
        delay=luck.choice((0.1, 0.1, luck.uniform(0.05, 30.0))),
        again=luck.uniform(0.2, 120.0) if luck.random() < 0.15 else None,
        cancel=_around(luck, 80.0) if luck.random() < 0.2 else None,
        cancel_delay=luck.choice((0.05, 0.1, luck.uniform(0, 20.0))),
    )


def _around(luck: random.Random, most: float) -> float:
    """A moment soon, or any up to `most`."""
    return luck.choice((luck.uniform(0.0, 3.0), luck.uniform(0.0, most)))


def _fault(luck: random.Random, hosts: int) -> Fault:
    return Fault(
        kind=luck.choices(FAULTS, (3, 2, 2, 3, 3, 1, 1))[0],
        host=luck.randrange(hosts),
        at=luck.choice((luck.uniform(0, 40), luck.uniform(0, 200))),
        lasts=luck.choice((luck.uniform(0.5, 20), luck.uniform(30, 120), luck.uniform(120, 400))),
        lease=luck.uniform(15.0, 90.0),
    )


def shrink(schedule: Schedule, fails: Callable[[Schedule], bool], *, tries: int = 400) -> Schedule:
    """Return a smaller schedule that still fails: things are left out for as long as anything can be."""
    while tries:
        for candidate in schedule.smaller():
            tries -= 1
            if fails(candidate):
                schedule = candidate
                break
            if not tries:
                return schedule
        else:
            return schedule
    return schedule
