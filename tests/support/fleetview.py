"""A staged fleet seen from outside: what became of its jobs, what is undone, and what must hold of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from protocolview import ProtocolView, is_completed, record_at

from supervisor import durable
from supervisor.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from stagedhost import StagedHost

#: The experiment of a job that is told of none.
RB = "1"


class FleetView(ProtocolView):
    """The jobs, the store and the archive of a fleet, read by files alone.

    Args:
        base: the folder of the fleet.
    """

    def __init__(self, base: Path) -> None:
        super().__init__(Layout(str(base / "store")))
        self.archive = base / "archive"
        self.signs = base / "signs"
        self.jobs: list[str] = []
        self.hosts: dict[str, StagedHost] = {}

    def began(self, job: str) -> int:
        """How often the script of a job began."""
        path = self.signs / f"began-{job}"
        return len(path.read_text()) if path.exists() else 0

    def verdict_of(self, job: str) -> str:
        """With what a job ended, "" while it did not."""
        final = record_at(self.layout.job(job).final)
        if final is None:
            return ""
        return str((record_at(self.layout.rb(final["rb"]).outcome(final["n"])) or {}).get("verdict"))

    def outcomes(self, rb: str = RB) -> list[str | None]:
        """The kinds of the outcomes of an RB, by epoch."""
        return [(cell["outcome"] or {}).get("kind") for cell in self.cells_of(rb)]

    def promotions(self, rb: str = RB) -> list[str | None]:
        """How the promotions of an RB ended, by epoch."""
        return [(cell["promoted"] or {}).get("kind") for cell in self.cells_of(rb)]

    def stands(self, rb: str = RB) -> int | None:
        """The epoch that stands at the target of an RB: 0 is the older worker's, None is nothing."""
        there = self.content(self.target_of(rb))
        return there[0] if there is not None else None

    def job_that_stands(self, rb: str = RB) -> str:
        """The job whose result stands at the target of an RB, "" where none of ours does."""
        record = record_at(os.path.join(self.target_of(rb), ".run"))
        return str(record["job"]) if record is not None else ""

    def expect(self, holds: object, violation: str, detail: str = "") -> None:
        """Call it a violation if something does not hold."""
        if not holds:
            self.violates(violation, detail)

    def mark_of(self, record: dict[str, Any]) -> str:
        """What the script of a job writes: it knows nothing of epochs."""
        return f"{record['rb']} {record['job']}"

    # --- what must hold ------------------------------------------------------------------------------------------

    def check_now(self) -> None:
        """Look at everything that must hold at each moment."""
        super().check_now()
        overlaps = [name for name in os.listdir(self.signs) if name.startswith("overlap-")]
        self.expect(not overlaps, "OVERLAP", str(overlaps))
        for job in self.jobs:
            place = self.layout.job(job)
            if not durable.exists(place.published):
                continue
            final = record_at(place.final)
            self.expect(final is not None, "REPLY-NOT-FROZEN", f"{job} is published and has no outcome")
            assert final is not None
            promoted = durable.exists(self.layout.rb(final["rb"]).promoted(final["n"]))
            self.expect(promoted, "REPLY-NOT-FROZEN", f"{job} is published before it is promoted")

    def unfinished(self) -> str:
        """What is still to be done, or ""."""
        silent = {host.name for host in self.hosts.values() if host.state != "up"}
        makers = {rb: self.makers(rb) for rb in self.rbs}
        for job in self.jobs:
            if not durable.exists(self.layout.job(job).published):
                return f"job {job} is not published"
        for name in durable.listing(self.layout.waiting):
            if not set(makers.get(name.split(".")[2], {}).values()) & silent:
                return f"{name} waits"
        for rb in self.rbs:
            theirs = [take for take, host in makers[rb].items() if host not in silent]
            if theirs:
                return f"takes {theirs} of RB {rb} stand"
            if sum(1 for other in self.rbs if self.target_of(other) == self.target_of(rb)) > 1:
                continue
            done = [
                c["n"] for c in self.cells_of(rb) if is_completed(c) and (c["promoted"] or {}).get("kind") == "done"
            ]
            want = max(done, default=0 if rb in self._had_old else None)
            if self.stands(rb) != want:
                return f"at the target of RB {rb} stands {self.stands(rb)}, not {want}"
            asides, staging, _ = self.beside(rb)
            if not makers[rb] and (asides or staging):
                return f"beside the target of RB {rb} is left: {asides} {staging}"
        return ""

    def makers(self, rb: str) -> dict[str, str]:
        """The takes that stand, and the host of each."""
        folder = self.layout.rb(rb).folder("promoting")
        records = {take: record_at(os.path.join(folder, take)) for take in self.takes(rb)}
        return {take: record["host"] for take, record in records.items() if record is not None}

    def check_end(self) -> None:
        """What must be true when all is done: each job committed once, in their order, and no defect met."""
        for rb in self.rbs:
            committed = [
                c["epoch"]["job"] for c in self.cells_of(rb) if (c["outcome"] or {}).get("kind") == "committed"
            ]
            mine = [job for job in self.jobs if job in committed]
            self.expect(committed == mine, "ORDER", f"{committed} of RB {rb} is not {mine}")
        every = [
            c["epoch"]["job"]
            for rb in self.rbs
            for c in self.cells_of(rb)
            if (c["outcome"] or {}).get("kind") == "committed"
        ]
        self.expect(sorted(every) == sorted(self.jobs), "NOT-ONE-COMMIT-EACH", f"{every} of {self.jobs}")
        for text in ("Traceback", "defect"):
            assert text not in self.logs(), self.logs()

    def logs(self) -> str:
        """What all hosts have said."""
        return "\n".join(host.log() for host in self.hosts.values())

    def describe(self) -> str:
        """Everything there is to see, for a failure."""
        lines = [super().describe(), f"waiting {durable.listing(self.layout.waiting)}"]
        for host in self.hosts.values():
            shown = [f"{p.pid} {p.state}" for p in host.processes()]
            lines.append(f"{host.name} is {host.state}, beat {host.beats}, armed {host.armed}: {shown}")
        return "\n".join(lines)

    def signature(self) -> object:
        """What changes while anything is done."""
        cells = [
            (rb, [(c["n"], c["outcome"], c["promoted"]) for c in self.cells_of(rb)], self.takes(rb)) for rb in self.rbs
        ]
        beside = [(name, self.content(str(self.archive / name))) for name in sorted(os.listdir(self.archive))]
        marks = [
            sorted(os.listdir(self.layout.job(job).root))
            for job in self.jobs
            if durable.exists(self.layout.job(job).root)
        ]
        return cells, beside, marks, sorted(os.listdir(self.layout.waiting))
