"""The verdict: one word for how a run ended, decided from what the kernel reported.

`judge` walks the evidence in the fixed order of DESIGN section 6, "Verdict", and the first match wins: what the kernel
says stands above what the script claims, and a reason of ours counts only if its signal reached a living script. It is
pure; the sentence for people is made in `sandbox.sentence`.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from sandbox.handoff import HandoffOut, HandoffProblem


class Verdict(StrEnum):
    """How a run ended; a closed list that records, replies and exit statuses share."""

    completed = auto()
    skipped = auto()
    script_error = auto()
    crash = auto()
    wall_limit = auto()
    cpu_limit = auto()
    memory_limit = auto()
    #: A helper process was killed for memory while the script itself went on.
    memory_limit_helper = auto()
    output_limit = auto()
    log_limit = auto()
    cancelled = auto()
    #: A record only, never committed: the run starts again.
    lost_lock = auto()
    handoff_error = auto()
    output_rejected = auto()
    setup_failed = auto()
    killed_external = auto()
    #: Data, archive or scratch could not be had.
    unavailable = auto()
    gave_up = auto()
    refused = auto()


class KillReason(StrEnum):
    """Why we ended a run; recorded before the first signal is sent."""

    cancelled = auto()
    wall_limit = auto()
    cpu_limit = auto()
    memory_limit = auto()
    output_limit = auto()
    log_limit = auto()
    lost_lock = auto()
    #: The host or the service goes down; the run starts again.
    shutdown = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupFailure:
    """The step of building the box that failed, before anything of the script ran."""

    stage: str
    #: errno(3) of the step, 0 when it had none.
    errno: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitFacts:
    """The evidence about the end of one run."""

    setup: SetupFailure | None = None
    reason: KillReason | None = None
    #: Whether the signal for `reason` was sent to a still living script whose raw status is no normal exit before it.
    reason_landed: bool = False
    #: Raw wait status of the script (wait(2)); None when nobody could report it.
    status: int | None = None
    #: Kills by the cgroup's OOM killer; 0 where a sampler keeps the limit.
    oom_kills: int = 0
    handoff: HandoffOut | HandoffProblem | None = None
    #: Why the copy-out refused the output, None if it did not.
    rejected: str | None = None
    #: Whether the copy-out found more output than `limits.output` or `limits.files` allow.
    too_large: bool = False
    #: Name of the limit that was reached where the verdict alone does not tell: "output", "files", "file_size"; or "".
    ceiling: str = ""
    #: What was measured of that limit (bytes, files); None for not known.
    measured: float | None = None
    #: Whether the site only notes the kill of a helper process by the OOM killer (config).
    helper_oom_is_note: bool = False
    #: Name of the script as people know it.
    script_name: str = "reduce.py"


_OF_REASON: Final[dict[KillReason, Verdict | None]] = {
    KillReason.cancelled: Verdict.cancelled,
    KillReason.wall_limit: Verdict.wall_limit,
    KillReason.cpu_limit: Verdict.cpu_limit,
    KillReason.memory_limit: Verdict.memory_limit,
    KillReason.output_limit: Verdict.output_limit,
    KillReason.log_limit: Verdict.log_limit,
    KillReason.lost_lock: None,
    KillReason.shutdown: None,
}

_OF_SIGNAL: Final[dict[int, Verdict]] = {
    signal.SIGXFSZ: Verdict.output_limit,
    signal.SIGXCPU: Verdict.cpu_limit,
    signal.SIGKILL: Verdict.killed_external,
    signal.SIGTERM: Verdict.killed_external,
    signal.SIGINT: Verdict.killed_external,
    signal.SIGHUP: Verdict.killed_external,
}


def judge(facts: ExitFacts) -> Verdict | None:
    """Return the verdict on a run, or None when there is none and the job runs again (lost lock, shutdown).

    A script cannot talk itself up: exit code 3 beside a claimed return is a `script_error`, a crash after it a `crash`.
    A claim against oneself is believed: exit code 0 beside a claimed exception is a `script_error` as well.
    """
    if facts.setup is not None:
        return Verdict.setup_failed
    if facts.reason is not None and facts.reason_landed:
        return _OF_REASON[facts.reason]
    if facts.oom_kills > 0:
        if facts.status is None or _signal_of(facts.status) == signal.SIGKILL:
            return Verdict.memory_limit
        if not facts.helper_oom_is_note:
            return Verdict.memory_limit_helper
    if facts.status is None:
        # The box ran and nobody is left to say how it ended: something outside killed the init itself.
        return Verdict.killed_external
    number = _signal_of(facts.status)
    if number:
        return _OF_SIGNAL.get(number, Verdict.crash)
    if os.waitstatus_to_exitcode(facts.status) != 0:
        return Verdict.script_error
    if not isinstance(facts.handoff, HandoffOut):
        return Verdict.handoff_error
    if facts.handoff.ended == "exception" or facts.handoff.exit_code:
        return Verdict.script_error
    if facts.too_large:
        return Verdict.output_limit
    if facts.rejected is not None:
        return Verdict.output_rejected
    # `sys.exit(0)` by the script says that it is done; the harness adds a remark about it.
    return Verdict.skipped if facts.handoff.ended == "skipped" else Verdict.completed


def _signal_of(status: int) -> int:
    """Return the signal that ended a process, 0 for a normal exit."""
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


#: Exit statuses of the command for each verdict, the words of which stand in the command's own table.
_CLASSES: Final[dict[Verdict, int]] = {
    Verdict.completed: 0,
    Verdict.skipped: 0,
    Verdict.script_error: 1,
    Verdict.crash: 1,
    Verdict.killed_external: 1,
    Verdict.handoff_error: 1,
    Verdict.output_rejected: 1,
    Verdict.wall_limit: 3,
    Verdict.cpu_limit: 3,
    Verdict.memory_limit: 3,
    Verdict.memory_limit_helper: 3,
    Verdict.output_limit: 3,
    Verdict.log_limit: 3,
    Verdict.cancelled: 4,
    Verdict.setup_failed: 70,
    Verdict.unavailable: 70,
    Verdict.gave_up: 70,
    Verdict.lost_lock: 70,
    Verdict.refused: 77,
}


def exit_class(verdict: Verdict | None) -> int:
    """Return the exit status of the command for a verdict; without one the run is unfinished, which is 70."""
    return 70 if verdict is None else _CLASSES[verdict]
