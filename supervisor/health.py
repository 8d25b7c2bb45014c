"""How well the supervisor of a host does, for a monitor: OK, WARNING, CRITICAL or UNKNOWN, why, and the figures.

The form is that of the monitoring plugins of Nagios, Icinga and their like: one line, then figures behind a bar; the
status is 0, 1, 2 or 3 (Monitoring Plugins Development Guidelines, "Plugin Output").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from sandbox.limits import format_duration
from supervisor.shown import line

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Longest reason that is shown, characters: a monitor shows one line.
_LONGEST = 200


class Level(IntEnum):
    """How it is; the number is the exit status."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Bound:
    """From when on something is a warning, and critical; None for never."""

    warning: float | None
    critical: float | None

    def level(self, value: float) -> Level:
        """Judge a value."""
        if self.critical is not None and value >= self.critical:
            return Level.CRITICAL
        return Level.WARNING if self.warning is not None and value >= self.warning else Level.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a site takes for bad."""

    #: Jobs that wait.
    waiting: Bound = Bound(1000, 10_000)
    #: Seconds since the first that could begin was sent.
    oldest: Bound = Bound(6 * 3600.0, 24 * 3600.0)
    #: Seconds without a broker, and in which the store takes nothing.
    broker: Bound = Bound(60.0, 600.0)
    store: Bound = Bound(0.0, 300.0)


@dataclass(slots=True)
class Health:
    """What was found."""

    level: Level = Level.OK
    words: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)

    def add(self, level: Level, words: str) -> None:
        """Add a finding; the worst decides, and what is OK is no finding."""
        if level is not Level.OK:
            self.words.append(words)
            self.level = max(self.level, level)

    def text(self) -> str:
        """Return the line of the plugin."""
        figures = f" | {' '.join(self.figures)}" if self.figures else ""
        # A bar would begin the figures.
        return f"AUTOREDUCE {self.level.name} - {'; '.join(self.words).replace('|', '/')}{figures}"


def judge(status: Mapping[str, Any], bounds: Bounds, now: float) -> Health:
    """Judge the status of a host (pure).

    Args:
        status: as `verbs.status.read` returns it; parts that are missing or spoilt are not judged.
        bounds: what is bad.
        now: seconds since 1970.
    """
    health = Health()
    if not status.get("running"):
        health.add(Level.CRITICAL, f"no supervisor runs on host {line(status.get('host'))}")
        return health
    slots, waiting, runs = _number(status.get("slots")), _number(status.get("waiting")), status.get("runs")
    if slots is None or waiting is None or not isinstance(runs, list):
        health.add(Level.WARNING, "the supervisor runs and has not described itself yet")
        return health
    _store(health, status, bounds.store, now)
    away = status.get("broker") == "away"
    lasted = _age(status.get("broker_since"), now)
    if away:
        health.add(bounds.broker.level(lasted), f"no broker for {format_duration(lasted)}")
    health.add(bounds.waiting.level(waiting), f"{waiting:.0f} jobs wait")
    oldest = _age(status.get("oldest"), now) if _number(status.get("oldest")) else 0.0
    health.add(bounds.oldest.level(oldest), f"the oldest job that could begin waits for {format_duration(oldest)}")
    undeliverable = _number(status.get("undeliverable")) or 0
    health.add(Level.WARNING if undeliverable else Level.OK, f"{undeliverable:.0f} replies are undeliverable")
    nowhere = status.get("nowhere")
    stuck = _number(nowhere.get("jobs")) or 0 if isinstance(nowhere, dict) else 0
    if stuck and isinstance(nowhere, dict):
        health.add(Level.WARNING, f"{stuck:.0f} jobs no living host takes: {line(nowhere.get('why'), _LONGEST)}")
    failing = status.get("failing")
    if isinstance(failing, dict):
        for name, why in list(failing.items())[:3]:
            health.add(Level.WARNING, f"the profile {line(name)} fails: {line(why, _LONGEST)}")
    if status.get("unproven"):
        health.add(Level.WARNING, f"unproven: {line(status['unproven'], _LONGEST)}")
    config = status.get("config")
    if isinstance(config, dict) and config.get("problems"):
        health.add(Level.WARNING, "a reload was refused, the configuration before it is in force")
    if not health.words:
        health.words.append(f"{len(runs)} of {slots:.0f} slots busy, {waiting:.0f} not finished with")
    _notes(health, status)
    health.figures = [
        f"running={len(runs)};;;0;{slots:.0f}",
        f"waiting={waiting:.0f};{_bound(bounds.waiting)};0",
        f"oldest={oldest:.0f}s;{_bound(bounds.oldest)};0",
        f"broker_away={lasted if away else 0:.0f}s;{_bound(bounds.broker)};0",
        f"undeliverable={undeliverable:.0f};;;0",
        f"stuck={stuck:.0f};;;0",
    ]
    return health


def _store(health: Health, status: Mapping[str, Any], bound: Bound, now: float) -> None:
    store = status.get("store")
    if store in ("well", "not looked at yet"):
        return
    lasted = _age(status.get("store_since"), now)
    health.add(bound.level(lasted), f"store for {format_duration(lasted)}: {line(store, _LONGEST)}")


def _notes(health: Health, status: Mapping[str, Any]) -> None:
    """What an operator has ordered is no fault, and is said."""
    drained = status.get("drained")
    if isinstance(drained, dict) and drained:
        health.words.append(f"drained by {line(drained.get('by'))}")
    disabled = status.get("disabled")
    if isinstance(disabled, dict) and disabled:
        health.words.append(f"disabled: {', '.join(line(name) for name in list(disabled)[:20])}")


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known else None  # type: ignore[arg-type]  # known to be one


def _age(since: object, now: float) -> float:
    at = _number(since)
    return 0.0 if at is None else max(0.0, now - at)


def _bound(bound: Bound) -> str:
    return ";".join("" if value is None else f"{value:.0f}" for value in (bound.warning, bound.critical))
