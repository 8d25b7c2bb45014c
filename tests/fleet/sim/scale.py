"""How long runs wait and what the store is asked, for 1 to 200 hosts: a simulated day of arrivals, without faults.

The order of RBs, the pace of looks and the patience with locks that others hold are those of `order`, and the order
inside an RB that of `waiting.Entry`; scans are not simulated one by one: a host with a free slot looks at its next tick
after something has become free for it.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field

from supervisor import order
from supervisor.order import Head
from supervisor.waiting import Entry
from tests.fleet.sim.schedule import MEDIAN, SIGMA

#: Mean of the log-normal service time, seconds.
MEAN = MEDIAN * math.exp(SIGMA**2 / 2.0)
#: `store.poll`, what a full host's is longer by, and `lock.beat`, seconds.
POLL, SLOW, BEAT = 1.0, 5.0, 10.0
#: Seconds from the end of a run until its host looks again.
SOON = 0.1
#: No RB asks for more than this share of the time that its runs, one after the other, can have.
_MOST_OF_AN_RB = 0.5
#: Jobs beside those that are wanted that one scan looks at, and heads that it finds beyond twice the free slots
#: (`scanning`, `loop`).
ROTATION_LEAST, ROTATION, ROUNDS, SPARE = 10, 200, 60, 8
#: Calls of the store, counted in the code: open, read, look and close-to-open of each name is one each.
CALLS = {
    "listing": 3.0,
    "names in a reply": 128.0,
    "look": 3.0,
    "lost lock": 5.0,
    "run": 130.0,
    "run's beat": 3.0,
    "host's beat": 8.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a fleet is asked to do."""

    hosts: int
    slots: int = 4
    rbs: int = 5000
    #: Share of all slot-seconds that the runs need.
    load: float = 0.8
    seconds: float = 8 * 3600.0
    seed: int = 1
    #: A lost lock costs a place among the chosen, as in the form before the walk through all heads.
    places: bool = False


@dataclass(slots=True)
class Figures:
    """What was measured."""

    #: From the moment a run could begin (first of an idle RB) until it did, by RB.
    waits: dict[str, list[float]] = field(default_factory=dict)
    #: From its sending until it began.
    whole: list[float] = field(default_factory=list)
    lost_locks: int = 0
    runs: int = 0
    #: Time integrals: hosts with a free slot, full hosts, names in `waiting/`, heads, slots in use.
    free_hosts: float = 0.0
    full_hosts: float = 0.0
    listed: float = 0.0
    used: float = 0.0
    looks: float = 0.0

    def longest(self) -> float:
        """The longest wait of any RB for a slot, seconds."""
        return max((max(waits) for waits in self.waits.values()), default=0.0)


def arrivals(load: Load) -> list[tuple[float, str, int, float]]:
    """Draw (moment, RB, priority, service time) of every run; Zipf popularity, cut where an RB could not keep up."""
    luck = random.Random(load.seed)
    rate = load.load * load.hosts * load.slots / MEAN
    shares = [1.0 / (rank + 1) for rank in range(load.rbs)]
    most = _MOST_OF_AN_RB / MEAN
    total = sum(shares)
    for _ in range(30):
        shares = [min(most / rate, share / total) for share in shares]
        total = sum(shares)
    found = []
    now = 0.0
    names = [f"rb{rank}" for rank in range(load.rbs)]
    rate *= min(1.0, total)
    weights = list(_running_sum(shares))
    while (now := now + luck.expovariate(rate)) < load.seconds:
        rb = luck.choices(names, cum_weights=weights)[0]
        priority = 9 if luck.random() < 0.3 else luck.randint(0, 4)
        found.append((now, rb, priority, min(6 * 3600.0, luck.lognormvariate(math.log(MEDIAN), SIGMA))))
    return found


def _running_sum(shares: list[float]) -> list[float]:
    total, sums = 0.0, []
    for share in shares:
        total += share
        sums.append(total)
    return sums


class Scale:
    """A fleet without faults, and what it does with its arrivals."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._luck = random.Random(load.seed + 1)
        self._free = [load.slots] * load.hosts
        self._phase = [self._luck.random() * POLL for _ in range(load.hosts)]
        self._tried = [0.0] * load.hosts
        self._served: list[dict[str, float]] = [{} for _ in range(load.hosts)]
        self._queues: dict[str, list[tuple[Entry, float]]] = {}
        self._running: dict[str, tuple[int, Entry]] = {}
        self._since: dict[str, float] = {}
        self._events: list[tuple[float, int, str, object]] = []
        self._serial = 0
        self._looking: set[int] = set()
        #: By RB that has become free: where it ran, and when each other host has had enough patience with its lock.
        self._patience: dict[str, tuple[int, dict[int, float]]] = {}
        self.figures = Figures()

    def _at(self, when: float, what: str, fact: object) -> None:
        self._serial += 1
        heapq.heappush(self._events, (when, self._serial, what, fact))

    def run(self, coming: list[tuple[float, str, int, float]]) -> Figures:
        """Run every arrival to its beginning."""
        for number, (when, rb, priority, service) in enumerate(coming):
            entry = Entry(9 - priority, int(when * 1000), number, f"j{number}", "I", rb)
            self._at(when, "arrives", (entry, service))
        last = 0.0
        while self._events:
            now, _, what, fact = heapq.heappop(self._events)
            self._count(min(now, self._load.seconds) - min(last, self._load.seconds))
            last = now
            if what == "arrives":
                entry, service = fact  # type: ignore[misc]
                queue = self._queues.setdefault(entry.rb, [])
                heapq.heappush(queue, (entry, service))
                if entry.rb not in self._running:
                    self._since.setdefault(entry.rb, now)
                    self._wake(now)
            elif what == "ends":
                assert isinstance(fact, tuple)
                at, rb = int(fact[0]), str(fact[1])
                self._free[at] += 1
                del self._running[rb]
                if self._queues.get(rb):
                    self._since[rb] = now
                    self._patience[rb] = (at, {})
                if self._since and at not in self._looking:  # a host looks at once when one of its own has ended
                    self._looking.add(at)
                    self._at(now + SOON, "looks", at)
                self._wake(now)
            elif what == "looks":
                assert isinstance(fact, int)
                self._looking.discard(fact)
                self._look(fact, now)
        return self.figures

    def _count(self, seconds: float) -> None:
        figures, free = self.figures, self._rivals()
        full = self._load.hosts - free
        waiting = sum(map(len, self._queues.values()))
        names = waiting + len(self._running)
        figures.free_hosts += seconds * free
        figures.full_hosts += seconds * full
        figures.listed += seconds * names
        figures.used += seconds * (self._load.hosts * self._load.slots - sum(self._free))
        wanted = SPARE + 2 * sum(self._free) / max(1, free)
        pause = POLL * 0.75 * order.stretch(free)
        busy = max(0, len(self._running) - self._load.slots + 1)
        tries = min(busy / order.patience(POLL, free), wanted / pause) * free
        figures.lost_locks += int(seconds * tries) if not self._load.places else 0
        others = min(names, ROTATION, max(ROTATION_LEAST, names // ROUNDS))
        pages = math.ceil(names / CALLS["names in a reply"])
        scans = free / pause + full / (pause * SLOW)
        figures.looks += seconds * scans * (CALLS["listing"] + pages + (others + self._load.slots) * CALLS["look"])
        figures.looks += seconds * min(len(self._since), wanted) * free / pause * CALLS["look"]

    def _rivals(self) -> int:
        return sum(slots > 0 for slots in self._free)

    def _ready(self, host: int, rb: str) -> float:
        """When a host may try an RB again: the one where it ran at once, others when their patience is over."""
        at, known = self._patience.get(rb, (host, {}))
        if at == host:
            return 0.0
        if host not in known:
            left = self._luck.random() * order.patience(POLL, self._rivals()) * self._luck.uniform(0.5, 1.5)
            known[host] = self._since[rb] + left
        return known[host]

    def _wake(self, now: float) -> None:
        """Hosts with a free slot look at their next tick after something has become free for them."""
        if not self._since:
            return
        soon = []
        for host, slots in enumerate(self._free):
            if slots and host not in self._looking:
                ready = now if self._load.places else max(now, min(self._ready(host, rb) for rb in self._since))
                soon.append((self._tick(host, ready), host))
        soon.sort()
        for when, host in soon[: len(self._since) if not self._load.places else len(soon)]:
            self._looking.add(host)
            self._at(when, "looks", host)

    def _tick(self, host: int, now: float) -> float:
        pause = POLL * 0.75 * (1.0 if self._load.places else order.stretch(self._rivals()))
        return now + (self._phase[host] - now) % pause + 1e-6

    def _look(self, host: int, now: float) -> None:
        served = self._served[host]
        idle = [rb for rb in self._since if self._load.places or self._ready(host, rb) <= now]
        heads = [Head(entry=self._queues[rb][0][0], rb=rb, job=self._queues[rb][0][0].job) for rb in idle]
        if self._load.places:  # what runs elsewhere is a head too
            heads += [
                Head(entry=entry, rb=rb, job=entry.job) for rb, (where, entry) in self._running.items() if where != host
            ]
        places = self._free[host] if self._load.places else len(heads)
        for head in order.choose(heads, free=places, busy=(), served=served, now=now):
            if self._free[host] == 0:
                break
            served[head.rb] = now
            if head.rb in self._running:
                self.figures.lost_locks += 1
                continue
            self._begin(host, head.rb, now)
        if self._since:
            self._wake(now)

    def _begin(self, host: int, rb: str, now: float) -> None:
        entry, service = heapq.heappop(self._queues[rb])
        if not self._queues[rb]:
            del self._queues[rb]
        self._free[host] -= 1
        self._running[rb] = (host, entry)
        self._patience.pop(rb, None)
        self.figures.waits.setdefault(rb, []).append(now - self._since.pop(rb))
        self.figures.whole.append(now - entry.time_ms / 1000.0)
        self.figures.runs += 1
        self._at(now + service, "ends", (host, rb))


def ideal(load: Load, coming: list[tuple[float, str, int, float]]) -> list[float]:
    """How long runs that could begin would wait in one fair queue of all slots, first come, first served, no polling."""
    ends: list[tuple[float, str]] = []
    queues: dict[str, list[tuple[int, float, float]]] = {}
    ready: list[tuple[float, str]] = []
    running: set[str] = set()
    waits: list[float] = []
    free = load.hosts * load.slots
    position = 0
    while position < len(coming) or ends:
        if ends and (position == len(coming) or ends[0][0] <= coming[position][0]):
            now, rb = heapq.heappop(ends)
            running.discard(rb)
            free += 1
            if queues.get(rb):
                heapq.heappush(ready, (now, rb))
        else:
            now, rb, priority, service = coming[position]
            position += 1
            if rb not in running and not queues.get(rb):
                heapq.heappush(ready, (now, rb))
            heapq.heappush(queues.setdefault(rb, []), (-priority, now, service))
        while free and ready:
            since, rb = heapq.heappop(ready)
            _, _, service = heapq.heappop(queues[rb])
            waits.append(now - since)
            running.add(rb)
            free -= 1
            heapq.heappush(ends, (now + service, rb))
    return waits
