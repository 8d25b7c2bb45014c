"""What a shepherd answers: the replies frozen beside the commit, made from plan and outcome (pure, stdlib only).

Two terminal replies are frozen at commit, for a promotion that is done and for one that failed, so that whoever sends
one later adds nothing (DESIGN §5, "Replies").
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.logspool import LogSpool
from sandbox.verdict import Verdict
from supervisor import paths, replies, sentences
from supervisor.family import Family
from supervisor.replybody import access_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.outcome import Outcome, OutputFile
    from supervisor.runplan import RunPlan
    from supervisor.staging import SiteTrouble

#: Bytes of a log that a reply looks at, half head and half tail; `replies.max_bytes` shrinks it further.
_LOG = 4 * 1024 * 1024
#: What the system answers of a path that is not there, and of one that may not be used.
_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def started(plan: RunPlan) -> dict[str, Any]:
    """Return the frozen `reduction_started` reply."""
    return replies.started(plan.replies["queues"]["started"], plan.replies["echo"], _context(plan)).to_json()


def terminal(
    plan: RunPlan,
    outcome: Outcome,
    logs: Mapping[str, bytes],
    target_paths: Sequence[str],
    *,
    trouble: SiteTrouble | None = None,
) -> dict[str, Any]:
    """Return the frozen terminal replies: `done` and `failed`; empty where nothing is to be answered.

    Args:
        plan: the errand.
        outcome: the judged outcome.
        logs: stdout and stderr as kept.
        target_paths: folders of this host where results or logs are put, the archive's own last.
        trouble: what the site did not give, where that ended the run; today's consumers look for its words.
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
        message = _message(plan, outcome, trouble)
        answer = replies.error(queues["error"], echo, context, report, message=message, retry_in=retry_in)
    # Logs that could not be put in place change nothing about how such a run ended.
    return {"done": answer.to_json(), "failed": answer.to_json()}


def disabled(plan: RunPlan, sentence: str) -> dict[str, Any]:
    """Return the frozen replies of a run whose instrument has no script on disk: at SNS that switches reduction off.

    Without a queue of disabled runs it goes where skipped runs go, and at last to the errors, with the sentence.

    Args:
        plan: the errand.
        sentence: what was looked for, and where.
    """
    queues = plan.replies["queues"]
    context = _context(plan)
    echo = plan.replies["echo"]
    report = replies.Report(
        admin_log="".join(f"{line}\n" for line in [*_head_lines(plan), sentence]),
        verdict=str(Verdict.skipped),
        sentence=sentence,
        provenance=plan.replies.get("provenance", {}),
    )
    if queues.get("disabled"):
        answer = replies.disabled(queues["disabled"], echo, context, report, message=sentence)
    else:
        answer = replies.skipped(queues["skipped"] or queues["error"], echo, context, report, message=sentence)
    return {"done": answer.to_json(), "failed": answer.to_json()}


def _message(plan: RunPlan, outcome: Outcome, trouble: SiteTrouble | None) -> str:
    """Return the reason of an error: our sentence, begun in the family's own words where access failed."""
    cause = None if trouble is None else trouble.__cause__
    if trouble is None or not isinstance(cause, OSError) or cause.errno not in _MISSING | _FORBIDDEN:
        return outcome.sentence
    write = trouble.what == "archive"
    path = plan.target["path"] if write else cause.filename
    if not isinstance(path, str) or not (write or trouble.what in ("data file", "script")):
        return outcome.sentence
    begin = access_text(_family(plan), path, what=trouble.what, write=write, missing=cause.errno in _MISSING)
    if begin is None:
        return outcome.sentence
    # What its consumer compares with is the whole text at SNS, and a beginning at ISIS.
    return begin if _family(plan) is Family.SNS else f"{begin}; {outcome.sentence}"


def _family(plan: RunPlan) -> Family:
    """The family of the message; plans frozen by an earlier version are all of 2016."""
    return Family(plan.replies.get("family", Family.ISIS2016))


def _context(plan: RunPlan) -> replies.Context:
    answer = plan.replies
    return replies.Context(
        job=plan.job,
        attempt=answer["attempt"],
        epoch=plan.n,
        host=plan.hostname,
        extension=answer["extension"],
        family=_family(plan),
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
    lines = [*_head_lines(plan), outcome.sentence]
    if outcome.message:
        lines.append(outcome.message)
    if outcome.ceilings_hit:
        lines.append(f"ceilings reached: {', '.join(outcome.ceilings_hit)}")
    lines += [f"{output.path} {output.size} {output.sha256 or ''}".rstrip() for output in outcome.outputs[:200]]
    return "\n".join(lines) + "\n"


def _head_lines(plan: RunPlan) -> list[str]:
    return [
        f"job {plan.job}, epoch {plan.n}, attempt {plan.replies['attempt']}, on {plan.hostname}",
        f"{plan.instrument} run {plan.run} version {plan.version} of RB {plan.rb}",
    ]


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
    return sentences.unavailable(
        text, by=str(retry["by"]), tries=int(retry["count"]) + 1, again=float(retry["longest"])
    )


def retry_delay(retry: Mapping[str, Any]) -> float:
    """Return the seconds until the next try: doubling from `first` to `longest`, spread by `jitter` with `luck`."""
    base = min(float(retry["longest"]), float(retry["first"]) * 2.0 ** min(40, int(retry["count"])))
    return base * (1.0 + float(retry["jitter"]) * (2.0 * float(retry["luck"]) - 1.0))
