"""The sentence of a verdict: what a person reads first, made only of what was measured.

No guesses: "perhaps out of memory?" is either "memory limit 8 GiB reached at 8.0 GiB after 212 s" or not said at all.
What a script says of itself (exception text, skip reason) is quoted bounded and escaped, so that it can neither flood a
log nor forge a line of it.
"""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.handoff import HandoffOut, HandoffProblem
from sandbox.limits import Limits, format_duration, format_size
from sandbox.verdict import ExitFacts, KillReason, Verdict

if TYPE_CHECKING:
    from sandbox.outcome import Measure, Usage

#: Characters of a stranger's text that a sentence quotes at most.
QUOTE_CAP: Final = 300


def plain(text: str, cap: int = QUOTE_CAP) -> str:
    r"""Return a stranger's text on one line: bounded, and whatever does not print (control, bidi, surrogate) escaped.

    Args:
        text: anything.
        cap: characters that are kept at most; a longer text ends in "...".
    """
    text = text.strip()
    pieces: list[str] = []
    length = 0
    for letter in text:
        piece = letter if letter.isprintable() else ascii(letter)[1:-1]
        length += len(piece)
        if length > cap:
            return "".join(pieces) + "..."
        pieces.append(piece)
    return "".join(pieces)


def sentence(
    verdict: Verdict | None,
    *,
    facts: ExitFacts,
    limits: Limits,
    usage: Usage,
    subject: str = "",
    top_process: str | None = None,
) -> str:
    """Return the one sentence of a verdict, without a full stop.

    Args:
        verdict: None for a run that was stopped without a verdict.
        facts: the evidence the verdict was made from.
        limits: the limits of the run.
        usage: what was measured.
        subject: what the limits are set for ("ENGINX"), "" for nothing in particular.
        top_process: name of the process that used most memory, None for not known.

    Raises:
        ValueError: the verdict is made outside a box.
    """
    run = _Run(facts=facts, limits=limits, usage=usage, subject=plain(subject), top=plain(top_process or "", 40))
    match verdict:
        case Verdict.completed:
            return run.completed()
        case Verdict.skipped:
            return run.skipped()
        case Verdict.script_error:
            return run.script_error()
        case Verdict.crash:
            return f"script crashed with {run.signal()}{run.after()}{run.beside_claim()}"
        case Verdict.wall_limit:
            return run.limit("wall", f"wall limit {_time(limits.wall)} reached{run.after()}")
        case Verdict.cpu_limit:
            return run.cpu_limit()
        case Verdict.memory_limit:
            return run.limit("memory", run.memory_limit())
        case Verdict.memory_limit_helper:
            which = "a helper process was killed" if facts.oom_kills == 1 else f"{facts.oom_kills} helpers were killed"
            return run.limit("memory", f"{run.memory_limit()}: {which} while the script went on")
        case Verdict.output_limit:
            return run.output_limit()
        case Verdict.log_limit:
            return run.log_limit()
        case Verdict.cancelled:
            return f"cancelled{run.after()}"
        case Verdict.lost_lock:
            return f"stopped{run.after()} because the lock was lost; nothing was published and the run starts again"
        case Verdict.handoff_error:
            return run.handoff_error()
        case Verdict.output_rejected:
            return f"output rejected: {plain(facts.rejected or 'no reason was recorded')}"
        case Verdict.setup_failed:
            return run.setup_failed()
        case Verdict.killed_external:
            return run.killed_external()
        case Verdict.unavailable | Verdict.gave_up | Verdict.refused:
            raise ValueError(f"{verdict} is not a way in which a box ends")
        case None:
            why = "the lock was lost" if facts.reason is KillReason.lost_lock else "the service shuts down"
            return f"stopped{run.after()} because {why}; nothing was published and the run starts again"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The facts of one run, as the parts of a sentence."""

    facts: ExitFacts
    limits: Limits
    usage: Usage
    subject: str
    top: str

    def after(self) -> str:
        wall = self.usage.wall.value
        return "" if wall is None else f" after {format_duration(wall)}"

    def limit(self, key: str, what: str) -> str:
        """Return the sentence of a limit: what happened, in which processes, and which setting to raise."""
        count = self.usage.processes.value
        processes = "" if count is None else "1 process" if count == 1 else f"{count:.0f} processes"
        inside = ", ".join(part for part in (self.top, processes) if part)
        place = f" ({inside})" if inside else ""
        owner = f" for {self.subject}" if self.subject else ""
        return f"{what}{place}; raise limits.{key}{owner}"

    def signal(self) -> str:
        number = os.WTERMSIG(self.facts.status or 0)
        try:
            return f"signal {number} ({signal.Signals(number).name})"
        except ValueError:  # A real-time signal has no name of its own (signal(7)).
            return f"signal {number}"

    def beside_claim(self) -> str:
        """Return the remark on a script that had already reported its end when the kernel saw another one."""
        claim = self.facts.handoff
        if isinstance(claim, HandoffOut) and claim.ended in {"returned", "skipped"}:
            return ", although it had reported a good end"
        return ""

    def completed(self) -> str:
        usage = self.usage
        measured = [
            f"peak memory {_bytes(usage.peak_memory)}" if usage.peak_memory.value is not None else "",
            f"cpu {format_duration(usage.cpu.value)}" if usage.cpu.value is not None else "",
        ]
        inside = ", ".join(part for part in measured if part)
        claim = self.facts.handoff
        remark = plain(claim.message) if isinstance(claim, HandoffOut) else ""
        return f"completed{self.after()}{f' ({inside})' if inside else ''}{f'; {remark}' if remark else ''}"

    def skipped(self) -> str:
        claim = self.facts.handoff
        reason = plain(claim.skip_reason) if isinstance(claim, HandoffOut) else ""
        return f"skipped by the script{self.after()}{f': {reason}' if reason else ''}"

    def script_error(self) -> str:
        claim = self.facts.handoff
        name = plain(self.facts.script_name, 100)
        if isinstance(claim, HandoffOut) and claim.ended in {"exception", "exit"}:
            place = name if claim.line is None else f"line {claim.line} of {name}"
            if claim.ended == "exit":
                text = plain(claim.exception_text)
                status = self._exit_code() or claim.exit_code
                return f"script error at {place}: sys.exit with status {status}{f': {text}' if text else ''}"
            text = plain(claim.exception_text)
            return f"script error at {place}: {plain(claim.exception_type, 100)}{f': {text}' if text else ''}"
        return f"script error: {name} ended with exit status {self._exit_code()}{self.after()}{self.beside_claim()}"

    def memory_limit(self) -> str:
        peak = self.usage.peak_memory
        at = "" if peak.value is None else f" at {_bytes(peak)}"
        limit = "" if self.limits.memory is None else f" {format_size(self.limits.memory)}"
        return f"memory limit{limit} reached{at}{self.after()}"

    def cpu_limit(self) -> str:
        cpu = self.usage.cpu.value
        at = "" if cpu is None else f" at {format_duration(cpu)} of processor time"
        if self.limits.cpu is None:
            # The script set a limit of its own, or sent itself the signal.
            return f"script ended by {self.signal()}{at}{self.after()}; limits.cpu is none"
        return self.limit("cpu", f"cpu limit {_time(self.limits.cpu)} reached{at}{self.after()}")

    def output_limit(self) -> str:
        key = self.facts.ceiling or ("output" if self.facts.reason or self.facts.too_large else "file_size")
        found = " when the results were copied" if self.facts.too_large else self.after()
        measured = self.facts.measured
        if key == "files":
            at = "" if measured is None else f" at {measured:.0f} files"
            return self.limit(key, f"limit of {self.limits.files} files reached{at}{found}")
        limit = self.limits.file_size if key == "file_size" else self.limits.output
        if limit is None:
            # SIGXFSZ without a limit of ours: the script set one of its own, or sent itself the signal.
            return f"script ended by {self.signal()}{found}; limits.{key} is none"
        at = "" if measured is None else f" at {format_size(measured, measured=True)}"
        return self.limit(key, f"{key.replace('_', ' ')} limit {format_size(limit)} reached{at}{found}")

    def log_limit(self) -> str:
        measured = self.facts.measured
        at = "" if measured is None else f" at {format_size(measured, measured=True)}"
        what = f"log limit reached{at}{self.after()}, 64 times the {format_size(self.limits.log)} that are kept"
        return self.limit("log", what).replace("; raise", "; print less or raise")

    def handoff_error(self) -> str:
        problem = self.facts.handoff
        why = plain(problem.text) if isinstance(problem, HandoffProblem) else "the handoff is missing"
        return f"script ended with exit status {self._exit_code()}{self.after()} without a valid report: {why}"

    def setup_failed(self) -> str:
        failure = self.facts.setup
        if failure is None:
            return "box could not be built"
        number = failure.errno
        code = f": {errno.errorcode.get(number, number)} ({os.strerror(number)})" if number else ""
        detail = f": {plain(failure.detail)}" if failure.detail else ""
        return f"box could not be built at {plain(failure.stage, 60)}{code}{detail}"

    def killed_external(self) -> str:
        if self.facts.status is None:
            return f"box was killed from outside{self.after()} and nobody could report how the script ended"
        return f"script killed from outside by {self.signal()}{self.after()}; no limit of ours was reached"

    def _exit_code(self) -> int:
        status = self.facts.status or 0
        return os.waitstatus_to_exitcode(status)


def _bytes(measure: Measure) -> str:
    return "" if measure.value is None else format_size(measure.value, measured=True)


def _time(seconds: float | None) -> str:
    return "none" if seconds is None else format_duration(seconds)
