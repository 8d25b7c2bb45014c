"""The report of a probe: who met, what was found, and the durable record of it in the store."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from supervisor import durable, records, shown
from supervisor.checkup import Finding, Status
from supervisor.exitcodes import OK, UNFIT
from supervisor.probefacts import SideFacts
from supervisor.probetools import KIND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from supervisor.layout import Layout

_AHEAD: Final = "record."


def place_of(layout: Layout) -> str:
    """The folder of probes in a store."""
    return layout.path("probes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What came of a probe."""

    #: Seconds since 1970, by the clock of who led.
    time: float
    #: Of sides a and b.
    sides: Mapping[str, SideFacts]
    findings: Sequence[Finding]
    #: Both ran on one machine: no proof.
    same_machine: bool
    #: What was measured, by step and side.
    figures: Mapping[str, Any] = field(default_factory=dict)
    #: Where it stands in the store.
    name: str = ""

    @property
    def status(self) -> Status:
        """The worst of all findings."""
        worst = {finding.status for finding in self.findings}
        return next((status for status in (Status.FAIL, Status.CAUTION) if status in worst), Status.PASS)

    @property
    def exit_status(self) -> int:
        """As that of `doctor`: a caution is no failure."""
        return UNFIT if self.status is Status.FAIL else OK

    def side_of(self, host: str) -> SideFacts | None:
        """Return what stands here of a host, None where it was not part of it."""
        return next((facts for facts in self.sides.values() if facts.host == host), None)

    def other_than(self, host: str) -> str:
        """Return the name of the other host."""
        return next((facts.host for facts in self.sides.values() if facts.host != host), host)

    def lines(self) -> list[str]:
        """Return the report for people; the verdict stands last."""
        rows: list[str] = []
        for finding in self.findings:
            rows.append(f"{finding.status.name:<8} {shown.line(finding.name, 200)}: {shown.line(finding.text, 600)}")
            if finding.remedy and finding.status is not Status.PASS:
                rows.append(f"{'':<8}   mend: {shown.line(finding.remedy, 600)}")
        names = " and ".join(shown.line(facts.host, 200) for facts in self.sides.values())
        proof = "locks between them are proven"
        if self.status is Status.FAIL:
            proof = "locks between them are NOT proven"
        elif self.same_machine:
            proof = "one machine, which proves nothing of others"
        return [*rows, f"{self.status.name}: {names}: {proof}; recorded as {self.name}"]

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return {
            "time": self.time,
            "status": str(self.status),
            "same_machine": self.same_machine,
            "sides": {side: facts.to_json() for side, facts in self.sides.items()},
            "findings": [finding.to_json() for finding in self.findings],
            "figures": dict(self.figures),
            "name": self.name,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the report of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        return cls(
            time=float(record["time"]),
            sides={side: SideFacts.from_json(facts) for side, facts in record["sides"].items()},
            findings=tuple(Finding.from_json(each) for each in record["findings"]),
            same_machine=bool(record["same_machine"]),
            figures=record.get("figures", {}),
            name=str(record.get("name", "")),
        )


def name_of(at: float, token: str) -> str:
    """Return the name of a record: names are in the order of time."""
    return f"{_AHEAD}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(at))}.{token[:8]}"


def write(layout: Layout, report: ProbeReport) -> None:
    """Put a report into the store, once and durably.

    Raises:
        OSError: the store cannot be written.
    """
    durable.link_new(os.path.join(place_of(layout), report.name), records.pack(report.to_json()), KIND)


def read(layout: Layout, name: str) -> ProbeReport | None:
    """Return a report of the store by a fresh look; None where there is none that can be read."""
    path = os.path.join(place_of(layout), name)
    data = durable.read(path)
    if data is None:
        return None
    try:
        return ProbeReport.from_json(records.unpack(path, data))
    except (records.CorruptRecord, KeyError, TypeError, ValueError):
        return None  # what cannot be read proves nothing


def newest_first(layout: Layout) -> Iterator[ProbeReport]:
    """Yield the reports of a store, the newest first.

    Raises:
        OSError: the store cannot be read.
    """
    for name in reversed(durable.listing(place_of(layout))):
        report = read(layout, name) if name.startswith(_AHEAD) else None
        if report is not None:
            yield report
