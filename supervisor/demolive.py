"""Progress of the demo on a terminal: one table, drawn over and over while the runs go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.table import Table
from rich.text import Text

from supervisor.demo import memory, wall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.limits import Limits
    from supervisor.demoruns import DemoRun
    from supervisor.demosite import Seen

_STYLES = {"waiting": "dim", "running": "bold", "ended": "dim"}


class LiveBoard:
    """A table with a row for each run."""

    def __init__(self, limits: Mapping[DemoRun, Limits]) -> None:
        """Show runs with these limits."""
        self._limits = limits
        self._live = Live(refresh_per_second=10, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, seen: Mapping[DemoRun, Seen], elapsed: float) -> None:
        """Draw the table anew."""
        table = Table(box=None, show_header=False, padding=(0, 2), title_justify="left")
        for run, now in seen.items():
            limits = self._limits[run]
            phase = Text(now.phase, _STYLES[now.phase])
            if now.phase == "running":
                near = limits.memory is not None and now.rss > 0.8 * limits.memory
                table.add_row(
                    run.name, phase, Text(memory(now, limits), "red" if near else ""), Text(wall(now, limits))
                )
            elif now.outcome is not None:
                verdict = Text(str(now.outcome.verdict), "green" if now.outcome.verdict == "completed" else "yellow")
                table.add_row(run.name, phase, verdict, "")
            else:
                table.add_row(run.name, phase, "", "")
        table.add_row(f"{elapsed:.1f} s", "", "", "", style="dim")
        self._live.update(table, refresh=True)
