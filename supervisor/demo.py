"""The demo: four runs on a site of their own, what is seen of them meanwhile, and what became of them at the end."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Protocol

from sandbox.limits import format_duration, format_size
from supervisor import shown
from supervisor.demoruns import RUNS, DemoTrouble
from supervisor.terminal import of_limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.limits import Limits
    from supervisor.demoruns import DemoRun
    from supervisor.demosite import DemoSite, Seen

#: Seconds for all four; they need about ten.
PATIENCE = 180.0
#: Seconds between two looks at the store.
_LOOK = 0.1
#: Seconds between two plain lines about one run.
_PLAIN = 1.0
_BAR = 12
#: Pictures that a reduction may make.
_PLOTS = (".png", ".svg", ".pdf")


class Board(Protocol):
    """Where progress is shown."""

    def show(self, seen: Mapping[DemoRun, Seen], elapsed: float) -> None:
        """Show how far the runs are, `elapsed` seconds after they were submitted."""


class PlainBoard:
    """Progress as lines: one for each step of a run, and one each second while it computes."""

    def __init__(self, limits: Mapping[DemoRun, Limits]) -> None:
        """Show runs with these limits."""
        self._limits = limits
        self._phases: dict[DemoRun, str] = {}
        self._told: dict[DemoRun, float] = {}

    def show(self, seen: Mapping[DemoRun, Seen], elapsed: float) -> None:
        """Print what has changed."""
        for run, now in seen.items():
            before = self._phases.get(run, "waiting")
            self._phases[run] = now.phase
            if now.phase == "ended" and before != "ended":
                verdict = now.outcome.verdict if now.outcome is not None else "?"
                self._say(run, elapsed, f"ended: {verdict}")
            elif now.phase == "running" and before == "waiting":
                self._told[run] = elapsed
                self._say(run, elapsed, "starts")
            elif now.phase == "running" and now.rss and elapsed - self._told.get(run, 0.0) >= _PLAIN:
                self._told[run] = elapsed
                limits = self._limits[run]
                self._say(run, elapsed, f"{memory(now, limits)}   {wall(now, limits)}")

    @staticmethod
    def _say(run: DemoRun, elapsed: float, text: str) -> None:
        shown.say(drawable(f"  {elapsed:5.1f} s  {run.name:<12} {text}"))
        sys.stdout.flush()  # somebody may watch through a pipe


def bar(used: float, limit: float | None, width: int = _BAR) -> str:
    """Return how much of a limit is used, as a bar."""
    full = 0 if not limit else min(width, round(width * used / limit))
    return "█" * full + "░" * (width - full)


def memory(now: Seen, limits: Limits) -> str:
    """Return the memory of a run beside its limit."""
    return f"memory {bar(now.rss, limits.memory)} {of_limit(now.rss, limits.memory):>14}"


def wall(now: Seen, limits: Limits) -> str:
    """Return the time of a run beside its limit."""
    bound = "" if limits.wall is None else f" of {format_duration(limits.wall)}"
    return f"time {bar(now.t, limits.wall)} {now.t:4.1f}{bound}"


def follow(site: DemoSite, board: Board) -> dict[DemoRun, Seen]:
    """Show the runs until all have ended, and return how.

    Raises:
        DemoTrouble: the supervisor ended, or they take far too long.
    """
    began = time.monotonic()
    while True:
        seen = {run: site.look(run) for run in RUNS}
        elapsed = time.monotonic() - began
        board.show(seen, elapsed)
        if all(now.phase == "ended" for now in seen.values()):
            return seen
        site.check()
        if elapsed > PATIENCE:
            late = ", ".join(run.name for run, now in seen.items() if now.phase != "ended")
            raise DemoTrouble(f'no end of {late} after {PATIENCE:g} s; see "{site.log}"')
        time.sleep(_LOOK)


def introduction(site: DemoSite) -> list[str]:
    """Return what the four runs are, and within which limits."""
    rows = []
    for run in RUNS:
        limits = site.limits(run)
        bounds = f"{format_size(limits.memory or 0)}, {format_duration(limits.wall or 0)}"
        rows.append(f"  {run.name:<12} {run.script:<14} {bounds:<15}  {run.about}")
    return rows


def outcomes(seen: Mapping[DemoRun, Seen]) -> list[str]:
    """Return each outcome as a sentence; one that was not to be expected says so."""
    rows = []
    for run, now in seen.items():
        outcome = now.outcome
        verdict, sentence = (outcome.verdict, outcome.sentence) if outcome is not None else ("none", "")
        rows.append(f"  {run.name:<12} {shown.line(sentence)}")
        if verdict != run.expected:
            rows.append(f"  {'':<12} NOT AS EXPECTED: {verdict} instead of {run.expected}")
    return rows


def as_expected(seen: Mapping[DemoRun, Seen]) -> bool:
    """Say whether each run ended as it had to."""
    return all(now.outcome is not None and now.outcome.verdict == run.expected for run, now in seen.items())


def plots(site: DemoSite) -> list[str]:
    """Return the pictures in the archive."""
    return sorted(
        os.path.join(folder, name)
        for folder, _, names in os.walk(site.archive)
        for name in names
        if name.endswith(_PLOTS)
    )


def tree(folder: str, title: str) -> list[str]:
    """Return a folder as a tree with the sizes of its files; folders with one folder in them share a line."""
    rows = [title]
    _branch(folder, "  ", rows)
    return rows


def _branch(folder: str, indent: str, rows: list[str]) -> None:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: (entry.is_dir(), entry.name))
    for number, entry in enumerate(found, start=1):
        last = number == len(found)
        head = f"{indent}{'└── ' if last else '├── '}"
        if not entry.is_dir(follow_symlinks=False):
            size = format_size(entry.stat(follow_symlinks=False).st_size, measured=True)
            rows.append(f"{head + shown.line(entry.name):<58}{size:>10}")
            continue
        path, name = entry.path, entry.name
        while len(inside := os.listdir(path)) == 1 and os.path.isdir(os.path.join(path, inside[0])):
            path, name = os.path.join(path, inside[0]), f"{name}/{inside[0]}"
        rows.append(f"{head}{shown.line(name)}/")
        _branch(path, indent + ("    " if last else "│   "), rows)


#: For terminals that cannot show the lines of a tree and the blocks of a bar.
_PLAINER = str.maketrans({"├": "|", "└": "`", "─": "-", "│": "|", "█": "#", "░": "."})


def drawable(text: str, encoding: str | None = None) -> str:
    """Return `text` with its lines and blocks in letters that the output's encoding has."""
    try:
        text.encode(encoding or sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return text.translate(_PLAINER)
    return text
