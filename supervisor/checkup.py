"""The findings of `doctor`: what was looked at, how it stands, and the command that mends it (pure).

PASS needs nothing. CAUTION works, and somebody should know: a level that is out of reach, a clock nobody keeps. FAIL
keeps runs of this configuration from being taken, or would lose or mix what the service promises to keep.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from supervisor import shown
from supervisor.exitcodes import OK, UNFIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Longest sentence and command that are shown on a line.
_LONGEST: Final = 600


class Status(StrEnum):
    """How a thing stands."""

    PASS = "pass"  # noqa: S105 - the word of the report
    CAUTION = "caution"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    status: Status
    #: What kind of thing, such as "guard" or "store".
    area: str
    #: Which one.
    name: str
    #: What was seen, in a sentence without a full stop.
    text: str
    #: The command that mends it, or what to do; "" where nothing is to be done.
    remedy: str = ""

    @classmethod
    def from_json(cls, record: Mapping[str, str]) -> Self:
        """Return the finding of `to_json`."""
        return cls(
            Status(record["status"]), record["area"], record["name"], record["text"], remedy=record.get("remedy", "")
        )

    def to_json(self) -> dict[str, str]:
        """Return the finding as plain JSON."""
        return asdict(self) | {"status": str(self.status)}


def passed(area: str, name: str, text: str) -> Finding:
    """Return a finding with which all is well."""
    return Finding(Status.PASS, area, name, text)


def caution(area: str, name: str, text: str, remedy: str = "") -> Finding:
    """Return a finding that somebody should know of."""
    return Finding(Status.CAUTION, area, name, text, remedy)


def failed(area: str, name: str, text: str, remedy: str = "") -> Finding:
    """Return a finding that has to be mended."""
    return Finding(Status.FAIL, area, name, text, remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """All findings, and what they come to."""

    findings: Sequence[Finding]
    #: Highest isolation level that this host proves.
    level: str
    #: What the configuration asks for at least.
    require: str
    #: Whether the first is enough for the second.
    met: bool
    #: Every guard with its facts, for machines.
    guards: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """The worst of all."""
        worst = {finding.status for finding in self.findings} | ({Status.PASS} if self.met else {Status.FAIL})
        return next(status for status in (Status.FAIL, Status.CAUTION, Status.PASS) if status in worst)

    @property
    def exit_status(self) -> int:
        """The exit status of `doctor`: a caution is no failure."""
        return UNFIT if self.status is Status.FAIL else OK

    def lines(self) -> list[str]:
        """Return the report for people; the level stands last."""
        rows: list[str] = []
        for finding in self.findings:
            name = shown.line(finding.name, 200)
            subject = f"{finding.area} {name}".strip()
            rows.append(f"{finding.status.name:<8} {subject}: {shown.line(finding.text, _LONGEST)}")
            if finding.remedy:
                rows.append(f"{'':<8}   mend: {shown.line(finding.remedy, _LONGEST)}")
        return [*rows, self.last_line()]

    def last_line(self) -> str:
        """Return the level, and whether it is enough."""
        verb = "is met" if self.met else "is not met: this host takes no run that needs it"
        return f'level {self.level}: isolation.require = "{self.require}" {verb}'

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return {
            "status": str(self.status),
            "level": self.level,
            "require": self.require,
            "met": self.met,
            "findings": [finding.to_json() for finding in self.findings],
            "guards": dict(self.guards),
        }
