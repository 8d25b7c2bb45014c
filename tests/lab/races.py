"""On a host of the lab, as the service user: races between hosts for cells and locks, and the looks that stale caches get.

    python3 races.py cells STORE RB COUNT PARTIES LOOKERS     race for COUNT outcomes against PARTIES in all
    python3 races.py looks STORE RB COUNT PARTIES LOOKERS     look only, before each race and after it
    python3 races.py lock STORE RB HOLDS PARTIES              hold the RB's lock HOLDS times
    python3 races.py warm PATH ...                            look at absent names for ever; say when one is there

Each prints one line of JSON per fact. Before each race every name is looked up through ordinary cached paths, so that
this host remembers it as absent.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from witness import Line

WITNESS = ("10.77.0.1", 7077)


def say(**facts: object) -> None:
    """Print facts as a line of JSON."""
    print(json.dumps(facts), flush=True)


def race(store: str, rb: str, count: int, parties: int, lookers: int, *, looks_only: bool) -> None:
    """Race for the outcomes 1 to `count` of `rb`, or look at them, each after all have come together."""
    from supervisor import durable
    from supervisor.cells import RbCells
    from supervisor.layout import Layout
    from supervisor.records import Outcome

    cells = RbCells(Layout(store).rb(rb))
    if not looks_only:
        cells.make(rb)
    line = Line(*WITNESS)
    me = f"{socket.gethostname()} {os.getpid()}"
    everybody = parties + lookers
    line.meet(f"{rb} made", everybody)
    for n in range(1, count + 1):
        path = cells.place.outcome(n)
        warm(path)
        line.meet(f"{rb} {n} ready", everybody)
        if looks_only:
            line.meet(f"{rb} {n} linked", everybody)
            stale = not os.path.exists(path)
            say(n=n, me=me, stale=stale, fresh=durable.exists(path), read=_why(cells.outcome(n)))
            continue
        warm(path)
        won = cells.link_outcome(n, Outcome(kind="released", why=me, time=time.time()))
        seen = _why(cells.outcome(n))  # at once: whoever lost must see what the winner wrote
        line.meet(f"{rb} {n} linked", everybody)
        say(n=n, me=me, won=won, read=seen, again=_why(cells.outcome(n)))


def warm(path: str) -> None:
    """Look `path` up through the cache until this host has its absence at hand, if it is absent."""
    for _ in range(3):
        os.path.exists(path)


def _why(outcome: object) -> str:
    return getattr(outcome, "why", "")


def hold_often(store: str, rb: str, holds: int, parties: int) -> None:
    """Hold the RB's lock `holds` times, each time one beat beyond the one found in it; say every beat."""
    from supervisor.flock import acquire
    from supervisor.layout import Layout
    from supervisor.rblock import read_counter_at

    line = Line(*WITNESS)
    place = Layout(store).rb(rb)
    line.meet(f"{rb} lock", parties)
    beats = []
    while len(beats) < holds:
        lock = acquire(place.lock)
        if lock is None:
            time.sleep(random.uniform(0.001, 0.02))  # another holds it: that is the race
            continue
        lock.beat(1)
        beats.append(read_counter_at(lock.fileno()).beat)
        lock.close()
    say(beats=beats)


def watch(paths: list[str]) -> None:
    """Look at every path through the cache, over and over; say when it is first there, by this host's clock."""
    there: set[str] = set()
    while True:
        for path in paths:
            if path not in there and os.path.exists(path):
                there.add(path)
                say(path=path, seen=time.time())
        time.sleep(0.5)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "warm":
        watch(arguments)
    elif what == "lock":
        hold_often(arguments[0], arguments[1], int(arguments[2]), int(arguments[3]))
    else:
        race(*arguments[:2], *(int(text) for text in arguments[2:5]), looks_only=what == "looks")
