"""The probe between two hosts of a fleet: what `doctor --peer` does on each of them, from the rendezvous to the record.

Both do the same steps at the same time and note what they see; the side that leads judges what both have seen, and its
record in the store is what both show (messaging-locking §2.6). Everything made on the way is removed at the end.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from sandbox.limits import format_duration
from supervisor import durable, probefacts, probelocks, proberace, probereport, probesight, probetime, records
from supervisor.checkup import Finding, Status
from supervisor.meeting import SILENCE, Meeting, Offer, OtherGone
from supervisor.probefacts import SideFacts
from supervisor.probereport import ProbeReport
from supervisor.probestage import Offset, Pair, Stage, Step, Terms, bad
from supervisor.probetools import KIND, Clock, Tools
from supervisor.rblock import LostLock
from supervisor.rendezvous import meet

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from supervisor.layout import Layout
    from supervisor.storeground import Ground

#: In this order: what times are compared with comes first.
STEPS: Final = (
    Step("clocks", probetime.clocks, probetime.judge_clocks),
    Step("owners", probefacts.owners, probefacts.judge_owners),
    Step("exclusion", probelocks.exclusion, probelocks.judge_exclusion),
    Step("many", probelocks.many, probelocks.judge_many),
    Step("race", proberace.race, proberace.judge_race),
    Step("sight", probesight.sight, probesight.judge_sight),
    Step("renames", probesight.renames, probesight.judge_renames),
    Step("writes", probetime.writes, probetime.judge_writes),
)
#: Not put into the record: long, and judged.
_BULKY: Final = frozenset({"holds", "won", "read"})
_CLOCKS: Final = STEPS[0].name


class BrokenProbe(Exception):
    """A step could not be done; the sentence says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """One side of a probe, before it knows which."""

    layout: Layout
    host: str
    boot: str
    version: str
    ground: Ground
    terms: Terms
    same_machine: bool
    rng: random.Random
    token: Callable[[], str]
    tell: Callable[[str], None]
    tools: Tools = field(default_factory=Tools)
    clock: Clock = field(default_factory=Clock)
    steps: Sequence[Step] = STEPS
    silence: float = SILENCE

    def run(self, patience: float) -> ProbeReport:
        """Wait for another host, probe, and return the report that stands in the store.

        Args:
            patience: seconds to wait for another host.

        Raises:
            NobodyCame, SameHost: see `rendezvous.meet`.
            OtherGone: the other host did not go on to the end; there is no record.
            BrokenProbe: a step could not be done here; a record that says so stands in the store where it could be.
            OSError, CorruptRecord: the store cannot be used.
        """
        place = os.path.join(probereport.place_of(self.layout), "now")
        durable.make_folder(place, KIND)
        offer = Offer(host=self.host, boot=self.boot, pid=os.getpid(), token="", same_machine=self.same_machine)
        meeting = meet(
            place, offer, clock=self.clock, token=self.token, patience=patience, tell=self.tell, silence=self.silence
        )
        try:
            return self._probe(meeting)
        finally:
            with contextlib.suppress(OtherGone, OSError, records.CorruptRecord):
                # The folder of who leads holds both; whoever was told all needs it no more.
                meeting.patience = self.silence
                meeting.together("bye")
            meeting.presence.go()

    def facts(self) -> SideFacts:
        """What this side says of itself."""
        return SideFacts(
            host=self.host,
            boot=self.boot,
            pid=os.getpid(),
            version=self.version,
            uid=os.geteuid(),
            gid=os.getegid(),
            store=self.layout.root,
            inodes=probefacts.inodes(self.layout, probereport.place_of(self.layout)),
            format=probefacts.read_format(self.layout),
            ground=self.ground,
            times=self.terms.times,
        )

    def _probe(self, meeting: Meeting) -> ProbeReport:
        mine = self.facts()
        theirs = SideFacts.from_json(meeting.together("hello", facts=mine.to_json())["facts"])
        sides = {"a": mine, "b": theirs} if meeting.leads else {"a": theirs, "b": mine}
        first = list(probefacts.judge_sides(sides, same_machine=self.same_machine))
        report = ProbeReport(
            time=self.clock.wall(),
            sides=sides,
            findings=first,
            same_machine=sides["a"].boot == sides["b"].boot,
            name=probereport.name_of(self.clock.wall(), meeting.presence.offer.token),
        )
        try:
            seen = {} if _apart(first) else self._steps(meeting)
        except (OSError, LostLock, records.CorruptRecord) as error:
            self._broken(meeting, report, error)
        meeting.step = "the end"
        if not meeting.leads:
            meeting.post("seen", steps=seen)
            name = str(meeting.wait("recorded")["name"])
            found = probereport.read(self.layout, name)
            if found is None:
                raise BrokenProbe(f"host {meeting.other.host} wrote the record {name}, and it cannot be read here")
            return found
        theirs_seen = meeting.wait("seen")["steps"]
        report = judged(report, self.steps, seen, theirs_seen, self.terms)
        probereport.write(self.layout, report)
        meeting.post("recorded", name=report.name)
        return report

    def _steps(self, meeting: Meeting) -> dict[str, Any]:
        """Do what both know, as much of it as who leads says."""
        terms = self.terms
        known = [step.name for step in self.steps]
        said = meeting.together("terms", steps=known, cells=terms.cells, holds=terms.holds, rounds=terms.rounds)
        if not meeting.leads:
            much = {name: int(said[name]) for name in ("cells", "holds", "rounds")}
            terms = replace(terms, cells=much["cells"], holds=much["holds"], rounds=much["rounds"])
        stage = Stage(meeting, self.tools, terms, self.rng)
        seen = {}
        for step in self.steps:
            if step.name not in said["steps"]:
                continue
            meeting.step = step.name
            begun = stage.clock.steady()
            seen[step.name] = step.act(stage)
            self.tell(f"step {step.name} took {format_duration(stage.clock.steady() - begun)}")
        return seen

    def _broken(self, meeting: Meeting, report: ProbeReport, error: Exception) -> None:
        why = f"step {meeting.step} cannot be done on host {self.host}: {error}"
        meeting.give_up(why)
        with contextlib.suppress(OSError):
            probereport.write(
                self.layout,
                ProbeReport(
                    time=report.time,
                    sides=report.sides,
                    findings=[*report.findings, bad(meeting.step, why)],
                    same_machine=report.same_machine,
                    name=report.name,
                ),
            )
        raise BrokenProbe(why) from error


def _apart(findings: Sequence[Finding]) -> bool:
    """Say whether the two have nothing to try: another folder, another fleet, one machine."""
    stops = {"store folder", "machine", "host id"}
    return any(finding.status is Status.FAIL and finding.name in stops for finding in findings)


def judged(
    report: ProbeReport, steps: Sequence[Step], seen: dict[str, Any], theirs: dict[str, Any], terms: Terms
) -> ProbeReport:
    """Return the report with what both sides have seen (pure).

    Args:
        report: what was found before the first step.
        steps: that were done.
        seen: by who leads, by step.
        theirs: by the other.
        terms: of who leads.
    """
    hosts = {side: facts.host for side, facts in report.sides.items()}
    if hosts["a"] == hosts["b"]:
        hosts = {side: f"{host} ({side})" for side, host in hosts.items()}
    times = theirs.get(_CLOCKS, {}).get("times")
    offset = probetime.offset(times) if times else Offset(0.0, 0.0)
    findings = list(report.findings)
    figures: dict[str, Any] = {"clock_offset": [offset.least, offset.most]} if times else {}
    for step in steps:
        if step.name in seen and step.name in theirs:
            a, b = seen[step.name], theirs[step.name]
            findings += step.judge(Pair(a, b, hosts, offset, terms))
            figures[step.name] = {side: _brief(each) for side, each in (("a", a), ("b", b))}
    return ProbeReport(
        time=report.time,
        sides=report.sides,
        findings=findings,
        same_machine=report.same_machine,
        figures=figures,
        name=report.name,
    )


def _brief(seen: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in seen.items() if name not in _BULKY}
