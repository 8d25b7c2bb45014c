"""Random misfortunes of a fleet, from a seed: what befalls whom when, and what is asked of the fleet meanwhile.

A schedule is drawn before anything happens, so that a seed gives the same one each time; how it falls among the steps
of the processes is up to the machine.
"""

from __future__ import annotations

import json
import random
import signal
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fleetsite import REPLACING
from victims import ROLES

from sandbox.linux import proctree

if TYPE_CHECKING:
    from collections.abc import Callable

    from activemq import ActiveMQ
    from fleetofhosts import Fleet

RBS = 3
#: Seconds in which a schedule strikes.
_SPAN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A message: a run, sent once or twice, and perhaps cancelled."""

    #: When it is sent, seconds.
    at: float
    rb: int
    priority: int
    seconds: float
    fails: bool
    twice: bool
    #: How long after it its cancel is sent, seconds; None for never.
    cancel: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """Something that befalls a host, or the broker, and for how long."""

    at: float
    #: `kill`, `stop`, `die`, `freeze`, `lapse` (a freeze in which the locks pass on), `broker`, `mute` (the broker).
    what: str
    host: str
    role: str
    lasts: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule; `text` says it in a line."""

    asked: tuple[Asked, ...]
    strokes: tuple[Stroke, ...]

    def text(self) -> str:
        """Say what befalls whom."""
        return "; ".join(f"{s.at:.2f} s {s.what} {s.host} {s.role} {s.lasts:.1f} s" for s in self.strokes)


def draw(seed: int, number: int, hosts: list[str]) -> Schedule:
    """Return schedule `number` of a seed."""
    luck = random.Random(f"{seed} {number}")
    asked = tuple(
        Asked(
            at=luck.uniform(0.0, _SPAN / 2),
            rb=luck.randrange(RBS),
            priority=luck.choice((4, 4, 4, 0, 9)),
            seconds=luck.choice((0.0, 0.1, 0.3, 1.0)),
            fails=luck.random() < 0.15,
            twice=luck.random() < 0.2,
            cancel=luck.uniform(0.0, 2.0) if luck.random() < 0.15 else None,
        )
        for _ in range(luck.randint(6, 12))
    )
    strokes = []
    for _ in range(luck.randint(1, 4)):
        what = luck.choice(("kill", "kill", "kill", "stop", "stop", "die", "freeze", "lapse", "broker", "mute"))
        strokes.append(
            Stroke(
                at=luck.uniform(0.0, _SPAN),
                what=what,
                host=luck.choice(hosts),
                role=luck.choice(ROLES),
                lasts=luck.uniform(0.2, 2.0) if what in ("kill", "stop", "mute") else luck.uniform(0.5, 6.0),
            )
        )
    return Schedule(asked=asked, strokes=tuple(sorted(strokes, key=lambda stroke: stroke.at)))


class Misfortune:
    """Plays one schedule on a fleet that serves; `over` when all that was struck is whole again."""

    def __init__(self, fleet: Fleet, broker: ActiveMQ, schedule: Schedule, mark: str) -> None:
        """Play `schedule` with jobs and RBs that bear `mark`."""
        self._fleet = fleet
        self._broker = broker
        self._mark = mark
        self._began = time.monotonic()
        #: What is to be done when, seconds since the beginning.
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._down: set[str] = set()
        for number, asked in enumerate(schedule.asked):
            self._put(asked.at, partial(self._send, number, asked))
            if asked.twice:
                self._put(asked.at + 0.2 + asked.seconds, partial(self._send, number, asked))
            if asked.cancel is not None:
                self._put(asked.at + asked.cancel, partial(self._cancel, number))
        for stroke in schedule.strokes:
            self._put(stroke.at, partial(self._strike, stroke))

    @property
    def over(self) -> bool:
        """Do what is due; say whether nothing more is to come."""
        self._due.sort(key=lambda due: due[0])
        while self._due and self._due[0][0] <= time.monotonic() - self._began:
            self._due.pop(0)[1]()
            self._due.sort(key=lambda due: due[0])
        return not self._due

    def _put(self, at: float, what: Callable[[], None]) -> None:
        self._due.append((at, what))

    def _in(self, seconds: float, what: Callable[[], None]) -> None:
        self._put(time.monotonic() - self._began + seconds, what)

    # --- what is asked ------------------------------------------------------------------------------------------

    def _run(self, number: int) -> str:
        return f"{self._mark}{number:02d}"

    def _send(self, number: int, asked: Asked) -> None:
        fleet, job = self._fleet, f"job{self._mark}-{number}"
        rb = f"14{self._mark}{asked.rb}"
        body = fleet.message(job, self._run(number), rb, seconds=asked.seconds, fails=asked.fails)
        self._patiently(lambda: fleet.send(job, body, priority=asked.priority))

    def _cancel(self, number: int) -> None:
        body = json.dumps({"instrument": REPLACING, "run_number": self._run(number), "cancel": True}).encode()
        self._patiently(lambda: self._fleet.send(f"cancel{self._mark}-{number}", body))

    def _patiently(self, send: Callable[[], None]) -> None:
        """Send; a producer whose broker is dead tries again, and may so send a thing twice."""
        if "broker" in self._down:
            self._in(0.2, partial(self._patiently, send))
            return
        send()

    # --- what befalls -------------------------------------------------------------------------------------------

    def _strike(self, stroke: Stroke) -> None:
        whom = "broker" if stroke.what in ("broker", "mute") else stroke.host
        if whom in self._down:
            return
        heal = {
            "kill": self._kill,
            "stop": self._stop,
            "die": self._die,
            "freeze": self._freeze,
            "lapse": self._freeze,
            "broker": self._kill_broker,
            "mute": self._mute_broker,
        }[stroke.what](stroke)
        if heal is not None:
            self._down.add(whom)

            def whole() -> None:
                self._down.discard(whom)
                heal()

            self._in(stroke.lasts, whole)

    def _kill(self, stroke: Stroke) -> None:
        self._fleet.kill(stroke.host, stroke.role)

    def _stop(self, stroke: Stroke) -> Callable[[], None] | None:
        pid = getattr(self._fleet[stroke.host].victims(), stroke.role)
        who = proctree.look(pid) if pid is not None else None
        if who is None or not proctree.send(who, signal.SIGSTOP):
            return None
        self._fleet.disturb(stroke.role, stroke.host)

        def go_on() -> None:
            self._fleet.disturb(stroke.role, stroke.host)
            proctree.send(who, signal.SIGCONT)

        return go_on

    def _die(self, stroke: Stroke) -> Callable[[], None]:
        self._fleet.die(stroke.host)
        return self._fleet[stroke.host].start

    def _freeze(self, stroke: Stroke) -> Callable[[], None]:
        self._fleet.freeze(stroke.host)
        if stroke.what == "lapse":
            self._fleet.lapse(stroke.host)
        return partial(self._fleet.thaw, stroke.host)

    def _kill_broker(self, _: Stroke) -> Callable[[], None]:
        self._fleet.disturb("broker")
        self._broker.kill()
        return self._broker.start

    def _mute_broker(self, _: Stroke) -> Callable[[], None]:
        self._fleet.disturb("broker")
        self._broker.freeze()

        def speak() -> None:
            self._fleet.disturb("broker")
            self._broker.thaw()

        return speak
