"""What a host sees of another's work, and when: new names, heartbeats, counters, folders that change places.

On NFS a name that another host linked looked absent for 5 to 6 s through a folder that was kept open. The service
therefore decides by fresh looks alone, and a fresh look must see whatever the other host *says* that it has done; that
is asked without any clock. How long after the deed it was seen is a figure, as good as the clocks were compared.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from sandbox.limits import format_duration
from supervisor.probestage import SIDES, bad, good, odd, other

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from supervisor.checkup import Finding
    from supervisor.probestage import Pair, Stage

#: What is looked for in each round.
_KINDS: Final = ("name", "heartbeat", "counter")
_SAID: Final = {"name": "new names", "heartbeat": "replaced heartbeats", "counter": "counters of a held lock"}
#: Seconds between two looks, and after which what was seen at all was seen late.
_PAUSE: Final = 0.005
_LATE: Final = 5.0
#: Times that a folder changes places with another.
_RENAMES: Final = 5


def sight(stage: Stage) -> dict[str, Any]:
    """Make names, heartbeats and counters while the other side looks for them, then the other way round."""
    return {maker: (_make if stage.side == maker else _look)(stage, maker) for maker in SIDES}


def _place(stage: Stage, maker: str, what: str) -> str:
    return stage.meeting.work(f"sight.{maker}", what)


def _make(stage: Stage, maker: str) -> dict[str, Any]:
    meeting, tools, clock = stage.meeting, stage.tools, stage.clock
    lock = tools.lock(_place(stage, maker, "counter"))
    done = []
    for number in range(1, stage.terms.rounds + 1):
        meeting.wait(f"warm.{maker}.{number}")
        at = {}
        tools.link(_place(stage, maker, f"name.{number}"), b"here")
        at["name"] = clock.wall()
        tools.replace(_place(stage, maker, "heartbeat"), str(number).encode())
        at["heartbeat"] = clock.wall()
        if lock is not None:
            lock.beat(number)
        at["counter"] = clock.wall()
        done.append(at)
        meeting.post(f"made.{maker}.{number}")
    if lock is not None:
        lock.close()
    meeting.wait(f"cached.{maker}")
    tools.link(_kept(stage, maker), b"here")
    meeting.post(f"kept.{maker}")
    meeting.wait(f"seen.{maker}")
    return {"done": done, "taken": lock is not None}


def _look(stage: Stage, maker: str) -> dict[str, Any]:
    meeting = stage.meeting
    seen = []
    for number in range(1, stage.terms.rounds + 1):
        looks = _looks(stage, maker, number)
        for look in looks.values():
            look()  # what is absent or old now is what a cache would keep
        meeting.post(f"warm.{maker}.{number}")
        seen.append(_watch(stage, looks, f"made.{maker}.{number}"))
    kept = _watch_kept(stage, maker)
    meeting.post(f"seen.{maker}")
    return {"seen": seen, "kept": kept}


def _looks(stage: Stage, maker: str, number: int) -> dict[str, Callable[[], bool]]:
    tools = stage.tools
    name, beat, counter = (_place(stage, maker, what) for what in (f"name.{number}", "heartbeat", "counter"))
    return {
        "name": lambda: tools.exists(name),
        "heartbeat": lambda: _number(tools.read(beat)) >= number,
        "counter": lambda: tools.counter(counter) >= number,
    }


def _number(data: bytes | None) -> int:
    return int(data) if data is not None and data.isdigit() else 0


def _watch(stage: Stage, looks: dict[str, Callable[[], bool]], said: str) -> dict[str, Any]:
    """Look until all is seen; note when, and what was not seen by a look that began after it was said to be done."""
    clock = stage.clock
    at: dict[str, float] = {}
    stale: dict[str, float] = {}
    until = clock.steady() + stage.terms.bound
    told: float | None = None
    while len(at) < len(looks) and clock.steady() < until:
        if told is None and stage.meeting.peek(said) is not None:
            told = clock.steady()
        for kind, look in looks.items():
            if kind in at:
                continue
            if look():
                at[kind] = clock.wall()
            elif told is not None:
                stale[kind] = clock.steady() - told
        clock.pause(_PAUSE)
    stage.meeting.wait(said)
    return {"at": at, "stale": stale}


def _kept(stage: Stage, maker: str) -> str:
    return stage.meeting.work(f"kept.{maker}", "name")


def _watch_kept(stage: Stage, maker: str) -> float | None:
    """Look through a folder that is kept open, as the service never does; seconds, None where it stayed unseen."""
    meeting, clock = stage.meeting, stage.clock
    path = _kept(stage, maker)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _stands(folder)
        meeting.post(f"cached.{maker}")
        meeting.wait(f"kept.{maker}")
        begun = clock.steady()
        while not _stands(folder):
            if clock.steady() - begun > stage.terms.cached:
                return None
            meeting.presence.beat()
            clock.pause(_PAUSE)
        return clock.steady() - begun
    finally:
        os.close(folder)


def _stands(folder: int) -> bool:
    try:
        os.stat("name", dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def judge_sight(pair: Pair) -> Iterator[Finding]:
    """Say what was seen late, and what was not seen when it was said to be there."""
    for kind in _KINDS:
        yield _judge_kind(pair, kind)
    kept = [pair.of(other(maker))[maker]["kept"] for maker in SIDES]
    shown = [f"not within {format_duration(pair.terms.cached)}" if late is None else _ago(late) for late in kept]
    yield good(
        "sight through a folder kept open",
        f"{pair.hosts['b']} saw a new name {shown[0]}, {pair.hosts['a']} {shown[1]}; the service never looks so",
    )


def _ago(late: float) -> str:
    return f"{format_duration(late)} after it was told of it"


def _judge_kind(pair: Pair, kind: str) -> Finding:
    name = f"sight of {_SAID[kind]}"
    rounds, late, stale, never = 0, [], [], 0
    for maker in SIDES:
        made, seen = pair.of(maker)[maker], pair.of(other(maker))[maker]["seen"]
        if kind == "counter" and not made["taken"]:
            return bad(name, f"{pair.hosts[maker]} was refused a lock that nobody held")
        for done, each in zip(made["done"], seen, strict=True):
            rounds += 1
            if kind in each["stale"]:
                stale.append(each["stale"][kind])
            if kind in each["at"]:
                late.append(pair.later(done[kind], maker, each["at"][kind]))
            else:
                never += 1
    if never:
        return bad(name, f"{never} of {rounds} stayed unseen for {format_duration(pair.terms.bound)}")
    if stale:
        return bad(
            name,
            f"{len(stale)} of {rounds} were not seen by a fresh look after the other host had said that they were "
            f"there, for up to {format_duration(max(stale))}",
        )
    text = (
        f"each of {rounds} at the first look after it was told; {format_duration(sorted(late)[len(late) // 2])} after "
        f"it was made in the middle, {format_duration(max(late))} at most (clocks compared to "
        f"{format_duration(pair.offset.error)})"
    )
    return odd(name, f"{text}, which is late") if max(late) > _LATE + pair.offset.error else good(name, text)


def renames(stage: Stage) -> dict[str, Any]:
    """Put one folder in another's place while the other side looks, as promotion does, then the other way round."""
    return {maker: (_change if stage.side == maker else _follow)(stage, maker) for maker in SIDES}


def _change(stage: Stage, maker: str) -> dict[str, Any]:
    meeting, tools = stage.meeting, stage.tools
    target = meeting.work(f"renames.{maker}", "result")
    tools.make_result(target, 0)
    renamed = 0
    for number in range(1, _RENAMES + 1):
        tools.make_result(f"{target}.new.{number}", number)
        meeting.post(f"stands.{maker}.{number}")
        meeting.wait(f"looked.{maker}.{number}")
        away = tools.rename(target, f"{target}.aside.{number}")
        renamed += away and tools.rename(f"{target}.new.{number}", target)
        meeting.post(f"changed.{maker}.{number}")
        meeting.wait(f"again.{maker}.{number}")
    return {"renamed": renamed}


def _follow(stage: Stage, maker: str) -> dict[str, Any]:
    meeting, tools = stage.meeting, stage.tools
    target = meeting.work(f"renames.{maker}", "result")
    seen = []
    for number in range(1, _RENAMES + 1):
        meeting.wait(f"stands.{maker}.{number}")
        before = tools.epoch(target)
        meeting.post(f"looked.{maker}.{number}")
        meeting.wait(f"changed.{maker}.{number}")
        after = tools.epoch(target)
        aside = tools.epoch(f"{target}.aside.{number}")
        seen.append([before, after, aside])
        meeting.post(f"again.{maker}.{number}")
    return {"seen": seen}


def judge_renames(pair: Pair) -> Iterator[Finding]:
    """Say whether each saw the other's folder in its place at once."""
    name = "sight of folders that change places"
    due = [[number - 1, number, number - 1] for number in range(1, _RENAMES + 1)]
    for maker in SIDES:
        if pair.of(maker)[maker]["renamed"] != _RENAMES:
            yield bad(name, f"{pair.hosts[maker]} could not rename a folder of its own")
            return
    wrong = sum(
        one != two for maker in SIDES for one, two in zip(pair.of(other(maker))[maker]["seen"], due, strict=True)
    )
    if wrong:
        yield bad(name, f"{wrong} of {2 * _RENAMES} times a host saw the old folder after it was told of the new one")
    else:
        yield good(name, f"each of {2 * _RENAMES} through a fresh parent, at the first look after it was told")
