"""Decided runs as they stand in a store, written in one go: what `tune` and `report` read, without running anything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from storemaking import request

from sandbox.limits import GiB, Limits
from sandbox.outcome import Guards, Mark, Measure, Outcome, OutputFile, Sample, Usage, decode_status
from sandbox.verdict import Verdict
from supervisor import names, records
from supervisor.records import Epoch, Final, Promoted, RunRecord, Target
from supervisor.runkey import run_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervisor.layout import Layout

#: When the first of these runs was sent, seconds since 1970.
BEGAN = 1_790_000_000.0


def measured(
    *, memory: float = GiB, wall: float = 60.0, cpu: float = 50.0, points: int = 20, rises: bool = True
) -> Usage:
    """What a box measured of a run whose memory rises to `memory`, or stands there from the beginning."""
    curve = tuple(
        Sample(
            t=wall * n / max(1, points - 1),
            rss=int(memory * (n / max(1, points - 1) if rises else 1)),
            cpu=cpu * n / max(1, points - 1),
            processes=2,
        )
        for n in range(points)
    )
    return Usage(
        wall=Measure(value=wall, source="clock", exact=True),
        cpu=Measure(value=cpu, source="cgroup", exact=True),
        peak_memory=Measure(value=int(memory), source="cgroup", exact=True),
        processes=Measure(value=2, source="sampler", exact=False),
        curve=curve,
    )


def leave(
    layout: Layout,
    job: str,
    *,
    run: str,
    verdict: str = "completed",
    sentence: str = "completed",
    usage: Usage | None = None,
    limits: Limits | None = None,
    output: int = 1000,
    marks: Sequence[Mark] = (),
    instrument: str = "ENGINX",
    rb: str = "1510111",
    at: float = BEGAN,
    n: int = 1,
    tails: dict[str, str] | None = None,
    **changes: Any,
) -> None:
    """Leave the records of a job that was decided at `at` and promoted; one job for each RB and epoch.

    `changes` go over the fields of the box's outcome.
    """
    place, cells = layout.job(job), layout.rb(rb)
    wanted = request(
        job, run=run, run_raw=run, rb=rb, instrument=instrument, journaled=at - 90, time_ms=int(at - 100) * 1000
    )
    fields: dict[str, Any] = {
        "verdict": Verdict(verdict),
        "sentence": sentence,
        "exit": decode_status(0),
        "usage": usage or measured(),
        "limits": limits or Limits(),
        "guards": Guards(facts={"level": "contained", "user": "own namespace"}),
        "outputs": (OutputFile(path="sum.nxs", size=output, sha256="0" * 64),) if verdict == "completed" else (),
        "marks": tuple(marks),
    }
    outcome = Outcome(**fields | changes)
    target = Target(path=f"/archive/{instrument}/{run}", staging="s", mode="replace", files=["sum.nxs"])
    identity = records.Identity(pid=1, start=1, boot="b")
    begun = RunRecord(
        host="h", shepherd=identity, builder=identity, token="t", scratch="s", version="0.1.0", time=at - 61
    )
    committed = records.Outcome(
        kind="committed", by="shepherd", host="h", time=at, verdict=verdict, sentence=sentence,
        targets=[records.target_record(target)],
    )  # fmt: skip
    kept: dict[str, bytes] = {
        place.request: records.to_record(wanted),
        os.path.join(layout.by_run(instrument, run_value(run)), names.encode(job)): b"",
        place.run(n): records.to_record(begun),
        place.exit(n): records.pack({"outcome": outcome.to_json(), "log_tails": tails or {}}),
        place.final: records.to_record(Final(rb=rb, n=n)),
        place.published: b"",
        cells.epoch(n): records.to_record(Epoch(host="host-1", boot="b", job=job, time=at - 62)),
        cells.outcome(n): records.to_record(committed),
        cells.promoted(n): records.to_record(Promoted(kind="done", host="h", time=at + 1)),
    }
    for path, data in kept.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.utime(path, (at, at))
