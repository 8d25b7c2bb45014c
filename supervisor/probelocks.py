"""Locks between two hosts: one holds and the other must be kept out, both ways; then many at random, none overlapping.

The second is what CI of `filelock` does between processes, here between machines. That two were inside at once is seen
in three ways, of which one needs clocks: a marker that each makes while it holds, the intervals of the holds, and the
sum in the lock file, where an update is lost when two read the same number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.limits import format_duration
from supervisor.probestage import SIDES, bad, good, odd, other

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from supervisor.checkup import Finding
    from supervisor.probestage import Pair, Stage

#: Tries of a lock that the other side holds, and seconds between them.
_TRIES: Final = 20
_PAUSE: Final = 0.025
#: Seconds after which a lock that was given back is free late.
_LATE: Final = 5.0
#: Locks of the second part, and seconds of its longest hold and longest pause.
_LOCKS: Final = 4
_HOLD: Final = 0.01
_REST: Final = 0.003


def exclusion(stage: Stage) -> dict[str, Any]:
    """Hold a lock while the other side tries it, then the other way round."""
    return {holder: (_hold if stage.side == holder else _try)(stage, holder) for holder in SIDES}


def _hold(stage: Stage, holder: str) -> dict[str, Any]:
    meeting = stage.meeting
    lock = stage.tools.lock(meeting.work(f"lock.{holder}"))
    meeting.post(f"held.{holder}")
    meeting.wait(f"tried.{holder}")
    closed = stage.clock.wall()
    if lock is not None:
        lock.close()
    meeting.post(f"freed.{holder}")
    meeting.wait(f"had.{holder}")
    return {"taken": lock is not None, "closed": closed}


def _try(stage: Stage, holder: str) -> dict[str, Any]:
    meeting, clock = stage.meeting, stage.clock
    path = meeting.work(f"lock.{holder}")
    meeting.wait(f"held.{holder}")
    granted = 0
    for _ in range(_TRIES):
        granted += _got(stage, path)
        clock.pause(_PAUSE)
    meeting.post(f"tried.{holder}")
    until = clock.steady() + stage.terms.bound
    had = None
    while had is None and clock.steady() < until:
        if _got(stage, path):
            had = clock.wall()
        else:
            meeting.presence.beat()
            clock.pause(_PAUSE / 5)
    meeting.post(f"had.{holder}")
    meeting.wait(f"freed.{holder}")
    return {"granted": granted, "had": had}


def _got(stage: Stage, path: str) -> bool:
    lock = stage.tools.lock(path)
    if lock is None:
        return False
    lock.close()
    return True


def judge_exclusion(pair: Pair) -> Iterator[Finding]:
    """Say whether each side was kept out, and had the lock when it was given back."""
    for holder in SIDES:
        held, tried = pair.of(holder)[holder], pair.of(other(holder))[holder]
        one, two = pair.hosts[holder], pair.hosts[other(holder)]
        name = f"exclusion of {two} by {one}"
        if not held["taken"]:
            yield bad(name, f"{one} was refused a lock that nobody held")
        elif tried["granted"]:
            yield bad(name, f"{two} got a lock {tried['granted']} times of {_TRIES} while {one} held it")
        elif tried["had"] is None:
            yield bad(name, f"{two} did not get a lock within {format_duration(pair.terms.bound)} of its release")
        else:
            late = pair.later(held["closed"], holder, tried["had"])
            text = f"refused {_TRIES} times while it was held, and had {format_duration(late)} after it was closed"
            yield (odd(name, f"{text}, which is late") if late > _LATE else good(name, text))


def many(stage: Stage) -> dict[str, Any]:
    """Take and give back locks at random while the other side does the same."""
    meeting, clock, tools, rng = stage.meeting, stage.clock, stage.tools, stage.rng
    paths = [meeting.work(f"many.{number}") for number in range(_LOCKS)]
    counts = [0] * _LOCKS
    holds: list[tuple[int, float, float]] = []
    refused = collided = 0
    meeting.together("many")
    until = clock.steady() + stage.terms.bound
    while len(holds) < stage.terms.holds and clock.steady() < until:
        meeting.presence.beat()
        number = rng.randrange(_LOCKS)
        lock = tools.lock(paths[number])
        if lock is None:
            refused += 1
            clock.pause(rng.uniform(0, _REST))
            continue
        try:
            begun = clock.wall()
            marker = f"{paths[number]}.inside"
            alone = tools.link(marker, f"{stage.side} {len(holds)}".encode())
            collided += not alone
            clock.pause(rng.uniform(0, _HOLD))
            lock.beat(1)
            counts[number] += 1
            if alone:
                tools.remove(marker)
            holds.append((number, begun, clock.wall()))
        finally:
            lock.close()
    meeting.together("many over")
    sums = [tools.counter(path) for path in paths]
    meeting.together("many summed")
    return {"holds": holds, "refused": refused, "collided": collided, "counts": counts, "sums": sums}


def judge_many(pair: Pair) -> Iterator[Finding]:
    """Say how often two hosts were inside at once."""
    name = "many locks"
    a, b = pair.a, pair.b
    collided = a["collided"] + b["collided"]
    crossing = overlaps(a["holds"], b["holds"], ahead=pair.offset.middle, error=pair.offset.error)
    written = [one + two for one, two in zip(a["counts"], b["counts"], strict=True)]
    lost = sum(abs(all_of - found) for all_of, found in zip(written, a["sums"], strict=True))
    count, refused = len(a["holds"]) + len(b["holds"]), a["refused"] + b["refused"]
    if collided or crossing or lost:
        yield bad(
            name,
            f"of {count} holds of {_LOCKS} locks, {collided} met the other host inside, {crossing} overlap in time, "
            f"and {lost} counts were lost",
        )
    elif a["sums"] != b["sums"]:
        yield bad(name, f"the hosts read other counters than each other: {a['sums']} and {b['sums']}")
    elif not a["holds"] or not b["holds"]:
        yield bad(name, f"one host got no lock within {format_duration(pair.terms.bound)}")
    elif not refused:
        yield odd(name, f"{count} holds of {_LOCKS} locks, none overlapping, but neither host was ever refused")
    else:
        yield good(name, f"{count} holds of {_LOCKS} locks, {refused} refused meanwhile, no overlap, no lost count")


def overlaps(one: Sequence[Sequence[float]], two: Sequence[Sequence[float]], *, ahead: float, error: float) -> int:
    """Count the holds of one lock by two hosts that must have overlapped (pure).

    Args:
        one: of side a: number of the lock, begin, end.
        two: of side b.
        ahead: seconds by which the clock of b is ahead.
        error: seconds by which that may be wrong; a shorter overlap proves nothing.
    """
    return sum(
        min(first[2], second[2] - ahead) - max(first[1], second[1] - ahead) > error
        for first in one
        for second in two
        if first[0] == second[0]
    )
