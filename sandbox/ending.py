"""The conclusion of a run: from the evidence, the claim and the results to the outcome."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sandbox import copyout, handoff
from sandbox.cgroup import CgroupFacts
from sandbox.handoff import HandoffOut, HandoffProblem
from sandbox.limits import MiB
from sandbox.outcome import Guards, Mark, Measure, Outcome, OutputFile, Usage, decode_status
from sandbox.sentence import plain, sentence
from sandbox.tree import lies_below
from sandbox.verdict import ExitFacts, KillReason, SetupFailure, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.box import Box
    from sandbox.channels import Logs
    from sandbox.copyout import Manifest
    from sandbox.evidence import Evidence
    from sandbox.limits import Limits
    from sandbox.meter import Breach, Meter
    from sandbox.scratch import Scratch


#: What a child of the init touches of its own between fork and exec, bytes at most: its peak begins a little above the
#: init's, and that says nothing of the script.
_BEFORE_EXEC: Final = 4 * MiB


#: How Python begins the text of an OSError for want of descriptors (errno(3)).
_NO_FILES: Final = f"[Errno {errno.EMFILE}]"
#: Of what a script returns as a message.
_MESSAGE_CHARACTERS: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the shepherd knows of a run whose tree is proven empty."""

    evidence: Evidence
    reason: KillReason | None
    breach: Breach | None
    #: Whether the shepherd had to kill processes itself.
    rescued: bool
    logs: Logs
    #: None when the script was never started.
    meter: Meter | None
    #: The shepherd's own measure of the time, for when the init could not report one.
    wall: float
    guards: Mapping[str, str]
    #: What the control group counted.
    cgroup: CgroupFacts = field(default_factory=CgroupFacts)
    #: When we acted on it.
    marks: tuple[Mark, ...] = ()


def conclude(box: Box, scratch: Scratch, ending: Ending) -> tuple[Outcome, Manifest | None]:
    """Judges a run.

    Args:
        box: what was asked for.
        scratch: the box's folder; its output descriptor is the one of the folder that stands there in the end.
        ending: what is known.

    Returns:
        The outcome, and the manifest of the results, if they are to be taken.
    """
    facts, manifest = _facts(box, scratch, ending)
    ceilings = {"log"} if ending.logs.truncated else set()
    if ending.cgroup.forks_refused:
        ceilings.add("processes")
    if isinstance(facts.handoff, HandoffOut) and _NO_FILES in facts.handoff.exception_text:
        ceilings.add("open_files")  # a claim, for a remark: between two samples nobody else sees it
    if ending.meter:
        largest, used_up = ending.meter.finish()
        facts = _with_output_cap(box.limits, facts, largest=largest)
        facts = _with_full_scratch(facts, used_up)
        manifest = None if facts.too_large else manifest
        ceilings |= ending.meter.ceilings
    verdict = judge(facts)
    usage = _usage(ending)
    claim = facts.handoff if isinstance(facts.handoff, HandoffOut) else HandoffOut(ended="returned")
    extra_dirs, refused = _allowed(claim.extra_dirs, box.allowed_roots)
    outcome = Outcome(
        verdict=verdict,
        sentence=sentence(
            verdict,
            facts=facts,
            limits=box.limits,
            usage=usage,
            subject=box.subject,
            top_process=(ending.meter.top_process or None) if ending.meter else None,
        ),
        exit=decode_status(facts.status),
        usage=usage,
        limits=box.limits,
        guards=Guards(facts=ending.guards),
        ceilings_hit=tuple(sorted(ceilings)),
        outputs=tuple(OutputFile(path=found.path, size=found.size) for found in manifest.files) if manifest else (),
        extra_dirs=extra_dirs,
        marks=_marks(ending, verdict, usage),
        # Goes into logs and replies beside lines of our own: what could break out of its line is escaped.
        message="; ".join(
            part for part in (plain(claim.message, _MESSAGE_CHARACTERS), refused, _left_behind(ending.evidence)) if part
        ),
        traceback=claim.traceback,
        skip_reason=claim.skip_reason if claim.ended == "skipped" else None,
        environment=claim.environment,
    )
    return outcome, manifest


def _marks(ending: Ending, verdict: Verdict | None, usage: Usage) -> tuple[Mark, ...]:
    """The moments for the curve; a script that the kernel killed for memory ended in that very moment."""
    if verdict is not Verdict.memory_limit or ending.marks or usage.wall.value is None:
        return ending.marks
    return (Mark(t=float(usage.wall.value), what="oom_kill"),)


def _facts(box: Box, scratch: Scratch, ending: Ending) -> tuple[ExitFacts, Manifest | None]:
    evidence, breach = ending.evidence, ending.breach
    setup = evidence.setup
    if setup is None and evidence.script is None and ending.reason is None:
        setup = SetupFailure(stage="builder", detail="builder or init were ended before the script was started")
    # Where nobody could report the end, it was our doing if a signal of ours went out or we ended the tree ourselves.
    landed = evidence.landed if evidence.status is not None else evidence.signalled or ending.rescued
    facts = ExitFacts(
        setup=setup,
        reason=ending.reason,
        reason_landed=ending.reason is not None and (landed or evidence.script is None),
        status=evidence.status,
        oom_kills=ending.cgroup.oom_kills,
        handoff=_claim(scratch, evidence.claim) if setup is None else None,
        ceiling=breach.ceiling if breach else "",
        measured=breach.measured if breach else None,
        script_name=box.script_name,
    )
    if setup is not None or facts.reason_landed or evidence.status != 0:
        return facts, None  # nothing will be taken, so nothing is looked at
    try:
        return facts, _inspected(scratch, box.limits)
    except copyout.OutputRejected as rejected:
        return replace(facts, rejected=str(rejected)), None
    except copyout.OutputTooLarge as much:
        return replace(facts, too_large=True, ceiling=much.ceiling, measured=much.measured), None
    except OSError as error:
        return replace(facts, rejected=f"output folder cannot be read: {error.strerror}"), None


def _inspected(scratch: Scratch, limits: Limits) -> Manifest:
    if not scratch.refresh_output():
        raise copyout.OutputRejected("the output folder was removed by the script")
    return copyout.inspect(scratch.out_fd, limits)


def _claim(scratch: Scratch, stood: tuple[int, ...] | None) -> HandoffOut | HandoffProblem:
    with contextlib.suppress(OSError):  # the script may have shut the folder to us
        os.fchmod(scratch.handoff_fd, 0o700)
    return handoff.read(scratch.handoff_fd, stood)


def _with_output_cap(limits: Limits, facts: ExitFacts, *, largest: int) -> ExitFacts:
    """Names the limit behind a write that the kernel refused: RLIMIT_FSIZE is the output limit where that is smaller.

    The script sees an error of its own (EFBIG) or SIGXFSZ; the cause is our limit, and it reached the living script.
    """
    if limits.output is None or (limits.file_size is not None and limits.file_size <= limits.output):
        return facts
    if facts.setup or facts.reason_landed or facts.status in {None, 0} or largest < limits.output:
        return facts
    return replace(facts, reason=KillReason.output_limit, reason_landed=True, ceiling="output", measured=float(largest))


def _with_full_scratch(facts: ExitFacts, used_up: Breach | None) -> ExitFacts:
    """Names the limit behind a write that a full file system refused (ENOSPC), whether the script failed of it or not.

    One that goes on as if nothing was, leaves results that end in the middle.
    """
    # A reason of ours that did not land came in the very moment in which the script ended by itself: of this.
    if used_up is None or facts.setup or facts.reason_landed or facts.status is None:
        return facts
    if facts.status == 0:
        return replace(facts, too_large=True, ceiling=used_up.ceiling, measured=used_up.measured)
    return replace(facts, reason=used_up.reason, reason_landed=True, ceiling=used_up.ceiling, measured=used_up.measured)


def _usage(ending: Ending) -> Usage:
    evidence = ending.evidence
    if ending.meter is None:
        return Usage()
    wall = Measure(
        value=ending.wall if evidence.wall is None else evidence.wall, source="clock", exact=evidence.wall is not None
    )
    # A script too short for a sample still has a bound from the kernel.
    peak = evidence.peak if evidence.peak > evidence.floor + _BEFORE_EXEC or not ending.meter.peak else 0
    usage = ending.meter.usage(wall=wall, cpu_reaped=evidence.cpu, peak_reaped=peak, io_reaped=evidence.io)
    group = ending.cgroup
    return replace(
        usage,
        # The leaf counts all that ever ran in it, also what nobody reaped.
        cpu=usage.cpu if group.cpu.value is None else group.cpu,
        peak_memory=usage.peak_memory if group.peak_memory.value is None else group.peak_memory,
        anonymous=group.anonymous,
        cache=group.cache,
        pressure=group.pressure,
    )


def _allowed(dirs: tuple[str, ...], roots: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Resolves the folders that the script returned; returns those below an allowed root, and a remark on the others.

    Whoever writes into them resolves them again, by descriptor: between here and there a link can change.
    """
    resolved_roots = [os.path.realpath(root) for root in roots]
    allowed: list[str] = []
    refused: list[str] = []
    for folder in dirs:
        # By its text first: to look a stranger's path up may mount something, ask a server, or hang.
        near = any(lies_below(os.path.normpath(folder), os.path.normpath(root)) for root in (*roots, *resolved_roots))
        real = os.path.realpath(folder) if near else ""
        inside = near and any(lies_below(real, root) for root in resolved_roots)
        (allowed if inside else refused).append(real if inside else folder)
    if not refused:
        return tuple(allowed), ""
    named = ", ".join(f"'{copyout.shown(folder)}'" for folder in refused[:3])
    more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
    return tuple(allowed), f"returned folders outside the allowed roots are left out: {named}{more}"


def _left_behind(evidence: Evidence) -> str:
    match evidence.leftovers:
        case 0:
            return ""
        case 1:
            return "1 process that the script left behind was killed"
        case many:
            return f"{many} processes that the script left behind were killed"


def not_built(failure: SetupFailure, limits: Limits) -> Outcome:
    """Makes the outcome of a box that could not even be prepared."""
    facts = ExitFacts(setup=failure)
    verdict = judge(facts)
    usage = Usage()
    return Outcome(
        verdict=verdict,
        sentence=sentence(verdict, facts=facts, limits=limits, usage=usage),
        exit=decode_status(None),
        usage=usage,
        limits=limits,
        guards=Guards(),
    )
