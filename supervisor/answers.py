"""What a shepherd answers: the replies frozen beside the commit, made from plan and outcome (pure, stdlib only).

Two terminal replies are frozen at commit, for a promotion that is done and for one that failed, so that whoever sends
one later adds nothing (DESIGN §5, "Replies").
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.limits import format_duration
from sandbox.logspool import LogSpool
from sandbox.verdict import Verdict
from supervisor import paths, replies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.outcome import Outcome, OutputFile
    from supervisor.runplan import RunPlan

#: Bytes of a log that a reply looks at, half head and half tail; `replies.max_bytes` shrinks it further.
_LOG = 4 * 1024 * 1024


def started(plan: RunPlan) -> dict[str, Any]:
    """Return the frozen `reduction_started` reply."""
    return replies.started(plan.replies["queues"]["started"], plan.replies["echo"], _context(plan)).to_json()


def terminal(plan: RunPlan, outcome: Outcome, logs: Mapping[str, bytes], target_paths: Sequence[str]) -> dict[str, Any]:
    """Return the frozen terminal replies: `done` and `failed`; empty where nothing is to be answered.

    Args:
        plan: the errand.
        outcome: the judged outcome.
        logs: stdout and stderr as kept.
        target_paths: folders of this host where results or logs are put.
    """
    queues = plan.replies["queues"]
    context = _context(plan)
    echo = plan.replies["echo"]
    report = _report(plan, outcome, logs, target_paths)
    failed_text = "the result was made but could not be put in place; see why"
    failed = replies.error(queues["error"], echo, context, report, message=failed_text).to_json()
    if outcome.verdict is Verdict.completed:
        return {"done": replies.complete(queues["complete"], echo, context, report).to_json(), "failed": failed}
    if outcome.verdict is Verdict.cancelled:
        if not queues["cancelled"]:
            return {}
        answer = replies.cancelled(queues["cancelled"], echo, context, report, message=outcome.sentence)
    elif outcome.verdict is Verdict.skipped:
        queue = queues["skipped"] or queues["error"]
        answer = replies.skipped(queue, echo, context, report)
    else:
        retry = plan.retry
        asks = outcome.verdict is Verdict.unavailable and retry.get("by") == "producer"
        retry_in = float(retry["longest"]) if asks else None
        answer = replies.error(queues["error"], echo, context, report, message=outcome.sentence, retry_in=retry_in)
    # Logs that could not be put in place change nothing about how such a run ended.
    return {"done": answer.to_json(), "failed": answer.to_json()}


def _context(plan: RunPlan) -> replies.Context:
    answer = plan.replies
    return replies.Context(
        job=plan.job,
        attempt=answer["attempt"],
        epoch=plan.n,
        host=plan.hostname,
        extension=answer["extension"],
        max_bytes=answer["max_bytes"],
    )


def _report(plan: RunPlan, outcome: Outcome, logs: Mapping[str, bytes], target_paths: Sequence[str]) -> replies.Report:
    home = plan.target.get("path")
    reported = [
        str(plan.target["reported"]) if path == home else paths.to_windows(path, _rules(plan)) for path in target_paths
    ]
    log = _head_and_tail(logs.get("stdout", b"")) + _head_and_tail(logs.get("stderr", b""))
    if outcome.traceback:
        log += outcome.traceback.encode("utf-8", "replace")
    usage = outcome.usage.to_json()
    usage.pop("curve", None)
    return replies.Report(
        reduction_data=reported if target_paths or outcome.verdict is Verdict.completed else None,
        reduction_log=log,
        admin_log=admin_log(plan, outcome),
        verdict=str(outcome.verdict),
        sentence=outcome.sentence,
        usage=usage,
        limits=outcome.limits.to_json(),
        isolation=outcome.guards.to_json(),
        provenance=plan.replies.get("provenance", {}),
    )


def _head_and_tail(log: bytes) -> bytes:
    spool = LogSpool(_LOG)
    spool.feed(log)
    return spool.text()


def admin_log(plan: RunPlan, outcome: Outcome) -> str:
    """Return our own lines about a run, as the consumers of 2016 show them to support staff."""
    lines = [
        f"job {plan.job}, epoch {plan.n}, attempt {plan.replies['attempt']}, on {plan.hostname}",
        f"{plan.instrument} run {plan.run} version {plan.version} of RB {plan.rb}",
        outcome.sentence,
    ]
    if outcome.message:
        lines.append(outcome.message)
    if outcome.ceilings_hit:
        lines.append(f"ceilings reached: {', '.join(outcome.ceilings_hit)}")
    lines += [f"{output.path} {output.size} {output.sha256 or ''}".rstrip() for output in outcome.outputs[:200]]
    return "\n".join(lines) + "\n"


def _rules(plan: RunPlan) -> paths.PathRules:
    """The rules of the site as far as they name folders for replies; templates play no part in that."""
    return paths.PathRules(
        windows_prefixes=tuple(paths.WindowsPrefix(**pair) for pair in plan.replies["windows_prefixes"]),
        archive_directory="",
        ceph_directory="",
        excitation_directory="",
        ceph_instruments=frozenset(),
        excitation_instruments=frozenset(),
        data_roots=(),
        result_roots=(),
        root_map=tuple(paths.RootMap(**pair) for pair in plan.replies["root_map"]),
    )


def with_outputs(outcome: Outcome, outputs: Sequence[OutputFile], remarks: str) -> Outcome:
    """Return `outcome` with the files that were copied out, by their digests, and what there is to remark."""
    return replace(outcome, outputs=tuple(outputs), message=remarks)


def as_unavailable(outcome: Outcome, sentence: str) -> Outcome:
    """Return the outcome of a run whose result the site could not take."""
    return replace(outcome, verdict=Verdict.unavailable, sentence=sentence, outputs=())


def unavailable_sentence(text: str, retry: Mapping[str, Any]) -> str:
    """Return the sentence of a run that ends because the site does not give what it needs."""
    tries = int(retry["count"]) + 1
    if retry["by"] == "producer":
        return f"{text}; to be sent again after {format_duration(float(retry['longest']))}"
    return f"{text}; given up after {tries} {'try' if tries == 1 else 'tries'}"


def retry_delay(retry: Mapping[str, Any]) -> float:
    """Return the seconds until the next try: doubling from `first` to `longest`, spread by `jitter` with `luck`."""
    base = min(float(retry["longest"]), float(retry["first"]) * 2.0 ** min(40, int(retry["count"])))
    return base * (1.0 + float(retry["jitter"]) * (2.0 * float(retry["luck"]) - 1.0))
