"""Filing: what a box left is put into the staging folders of its run, before the commit (DESIGN §5).

Only a completed run files results; every other one files its logs and its record alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.verdict import Verdict
from supervisor import answers
from supervisor.staging import SiteTrouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.outcome import Outcome
    from sandbox.running import Running
    from supervisor.provenance import Papers
    from supervisor.runplan import RunPlan
    from supervisor.staging import Staging


def results(
    plan: RunPlan,
    staging: Staging,
    outcome: Outcome,
    running: Running,
    logs: Mapping[str, bytes],
    *,
    papers: Callable[[Outcome], Papers],
    moved: Callable[[int], None],
) -> Outcome:
    """Copy outputs, logs and record of a completed run into every target's staging, returned folders included.

    Args:
        plan: the errand.
        staging: its staging folders.
        outcome: how the box ended.
        running: the box, proven empty.
        logs: stdout and stderr as kept.
        papers: makes the record of an outcome.
        moved: called with the bytes of each piece that was copied.

    Returns:
        The outcome with its outputs, their digests, and what there is to remark.

    Raises:
        SiteTrouble: the archive does not take them.
        OutputRejected: they are not what was inspected.
    """
    remarks = [outcome.message] if outcome.message else []
    for path in outcome.extra_dirs:
        remark = staging.open_extra(path)
        if remark:
            remarks.append(remark)
    manifest = running.manifest
    assert manifest is not None  # a completed run has been inspected
    outcome = replace(outcome, message="; ".join(remarks))
    named = _named(outcome, logs, plan.log_names)
    outputs = staging.fill(manifest, running.out_fd, named, moved, papers(outcome))
    return answers.with_outputs(outcome, outputs, outcome.message)


def logs(
    plan: RunPlan,
    staging: Staging,
    outcome: Outcome,
    kept: Mapping[str, bytes],
    papers: Callable[[Outcome], Papers],
) -> None:
    """Stage the logs of a run that did not complete; where the archive takes none, the reply still holds them."""
    try:
        staging.keep_logs_only(_named(outcome, kept, plan.attempt_log_names), papers(outcome).make(()))
    except SiteTrouble:
        staging.drop()
        staging.targets = []


def _named(outcome: Outcome, kept: Mapping[str, bytes], names: list[str]) -> dict[str, bytes]:
    return dict(zip(names, (script_log(outcome, kept.get("stdout", b"")), kept.get("stderr", b"")), strict=True))


def script_log(outcome: Outcome, stdout: bytes) -> bytes:
    """Return the script's own log: what it printed and, where it did not end well, how it ended."""
    if outcome.traceback:
        stdout += b"\n" + outcome.traceback.encode("utf-8", "replace")
    if outcome.verdict is not Verdict.completed:
        stdout += b"\n" + outcome.sentence.encode("utf-8", "replace") + b"\n"
    return stdout
