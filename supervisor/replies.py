"""Replies to the producer of a run: today's keys as ever, what is new where today's consumers do not trip over it.

Standard library only: the shepherd freezes replies beside its commit and imports nothing more. The same arguments give
the same bytes, so a reply that is sent again is the same reply, and its ``event-id`` header says so. Here a reply is
thought of in the words of the 2016 worker (`reference/peers.md` §1.3, §1.9): the received dict back, and on top of it
``information``, ``reduction_data``, ``message`` (empty means success), the two logs, ``retry_in`` and ``error``;
`supervisor.replybody` says it in the words of the message's family.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from supervisor import replyheaders
from supervisor.family import Family
from supervisor.replybody import body_of
from supervisor.replysize import fit
from supervisor.request import REPLY_KEYS

#: 2016's text for a skipped run; its own worker never got to send it (defect D4).
SKIPPED = "Run has been skipped in script"
#: Where `Context.extension` puts what 2016 did not know.
Extension = Literal["key", "headers", "none"]

#: Halves of surrogate pairs, which UTF-8 cannot carry, and NUL, which no consumer's database stores.
_UNSAFE = re.compile("[\ud800-\udfff\0]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One message to send: frozen in the store before it is sent, and sent as it stands there."""

    queue: str
    #: JSON text; encodes to UTF-8 and holds no NUL.
    body: str
    headers: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Returns the record for the store."""
        return {"queue": self.queue, "body": self.body, "headers": dict(self.headers)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Reads a record; keys of a newer version are ignored.

        Raises:
            ValueError: The record is no reply.
        """
        queue, body, headers = record.get("queue"), record.get("body"), record.get("headers")
        texts = [queue, body, *(headers.values() if isinstance(headers, Mapping) else [None])]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("cannot read a frozen reply: queue, body and every header must be a text")
        return cls(queue=record["queue"], body=record["body"], headers=dict(record["headers"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all replies to one attempt have in common."""

    #: Job id; for a message without any, its digest.
    job: str
    #: Attempts of this job so far, this one included; 0 before the first.
    attempt: int
    #: Epoch of the RB's lock under which the reply is made; 0 before the first.
    epoch: int
    #: Name of the host, the value of ``information``.
    host: str
    extension: Extension = "key"
    family: Family = Family.ISIS2016
    #: Longest body in bytes of UTF-8.
    max_bytes: int = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is known of a run that ended, or never began."""

    #: Names of the result folders as the producer knows them, the archive's own last; None leaves the key out
    #: (nothing was tried).
    reduction_data: Sequence[str] | None = None
    #: What the script wrote.
    reduction_log: str | bytes = ""
    #: What we have to say about the run.
    admin_log: str | bytes = ""
    verdict: str | None = None
    sentence: str | None = None
    usage: Mapping[str, Any] | None = None
    limits: Mapping[str, Any] | None = None
    isolation: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)


def started(queue: str, echo: Mapping[str, Any], context: Context) -> Reply:
    """Returns the reply that a run has begun."""
    return _reply(queue, echo, context, kind="started", keys={})


def complete(queue: str, echo: Mapping[str, Any], context: Context, report: Report) -> Reply:
    """Returns the reply that a result is published: ``message`` is empty whatever came in (defect D7)."""
    keys = {"reduction_data": list(report.reduction_data or ()), "message": "", **_logs(report)}
    return _reply(queue, echo, context, kind="complete", keys=keys, report=report)


def error(
    queue: str,
    echo: Mapping[str, Any],
    context: Context,
    report: Report,
    *,
    message: str,
    retry_in: float | None = None,
) -> Reply:
    """Returns the reply that a run ended without a result.

    Args:
        queue: Where it goes.
        echo: `supervisor.request.RunRequest.reply_body`.
        context: The attempt.
        report: What is known of the run.
        message: The reason in one sentence. An empty one would say success and is refused.
        retry_in: Seconds after which the producer should send the run again; only where the producer retries.
    """
    return _failure(queue, echo, context, kind="error", report=report, message=message, retry_in=retry_in)


def skipped(queue: str, echo: Mapping[str, Any], context: Context, report: Report, *, message: str = SKIPPED) -> Reply:
    """Returns the reply that a script skipped its run; it goes to the queue of skipped runs, or to that of errors."""
    return _failure(queue, echo, context, kind="skipped", report=report, message=message)


def cancelled(queue: str, echo: Mapping[str, Any], context: Context, report: Report, *, message: str) -> Reply:
    """Returns the reply that a run was cancelled."""
    return _failure(queue, echo, context, kind="cancelled", report=report, message=message)


def disabled(queue: str, echo: Mapping[str, Any], context: Context, report: Report, *, message: str) -> Reply:
    """Returns the reply that reduction is switched off: at SNS a script that is not there means that, and no error.

    Only a queue of its own tells it from a success, so `queue` must be that of disabled runs.
    """
    said = replace(report, sentence=report.sentence or message)
    # The other families have no such reply; whoever configures one gets the words beside the message.
    keys = {} if context.family is Family.SNS else {"message": message, **_logs(report)}
    return _reply(queue, echo, context, kind="disabled", keys=keys, report=said)


def malformed(queue: str, echo: Mapping[str, Any] | None, context: Context, *, text: str) -> Reply:
    """Returns the reply to a message that is no run: ``error`` says why, and ``message`` too, which consumers show.

    Args:
        queue: Where it goes.
        echo: As much of the message as could be read; None when nothing could.
        context: Its `job` is the message's identity; attempt and epoch are 0.
        text: What is wrong with the message.
    """
    _refuse_empty(text)
    return _reply(queue, echo or {}, context, kind="malformed", keys={"message": text, "error": text})


def extension_of(configured: str, family: Family = Family.ISIS2016) -> Extension:
    """Returns where new facts go; ``auto``: in headers for the strict consumer of 2018-22, else under a key.

    Raises:
        ValueError: No such place.
    """
    match configured:
        case "auto":
            return "headers" if family is Family.ISIS2018 else "key"
        case "key" | "headers" | "none":
            return configured
    raise ValueError(f'replies.extension is {configured!r}; write "auto", "key", "headers" or "none"')


def _failure(
    queue: str,
    echo: Mapping[str, Any],
    context: Context,
    *,
    kind: str,
    report: Report,
    message: str,
    retry_in: float | None = None,
) -> Reply:
    _refuse_empty(message)
    keys: dict[str, Any] = {"message": message, **_logs(report)}
    if report.reduction_data is not None:
        keys["reduction_data"] = list(report.reduction_data)
    if retry_in is not None:
        # Whole seconds: the web application calls int() on the value and multiplies it.
        keys["retry_in"] = math.ceil(retry_in)
    return _reply(queue, echo, context, kind=kind, keys=keys, report=report)


def _refuse_empty(message: str) -> None:
    if not message.strip():
        raise ValueError("an error reply needs a message: an empty one says success")


def _reply(
    queue: str,
    echo: Mapping[str, Any],
    context: Context,
    *,
    kind: str,
    keys: Mapping[str, Any],
    report: Report | None = None,
) -> Reply:
    own = {"information": context.host, **keys}
    # A second time, in case somebody hands over the message as received: `retry_in` of an old error beside a success
    # would make the web application run it again.
    sent = {key: value for key, value in echo.items() if key not in REPLY_KEYS}
    body = body_of(context.family, _plain(sent), _plain(own, text=_UNSAFE))
    headers = {"persistent": "true", "event-id": replyheaders.line(f"{context.job}:{context.epoch}:{kind}")}
    facts = _plain(_facts(context, report), text=_UNSAFE)
    if context.extension == "key":
        body["supervisor"] = facts
    elif context.extension == "headers":
        headers.update(replyheaders.of_facts(facts))
    return Reply(queue=queue, body=fit(body, context.max_bytes), headers=headers)


def _facts(context: Context, report: Report | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "job_id": context.job,
        "attempt": context.attempt,
        "epoch": context.epoch,
        "host": context.host,
    }
    if report is not None:
        facts["verdict"] = report.verdict
        facts["sentence"] = report.sentence
        facts["usage"] = report.usage
        facts["limits"] = report.limits
        facts["isolation"] = report.isolation
        facts["provenance"] = report.provenance or None
    return {name: value for name, value in facts.items() if value is not None}


def _logs(report: Report) -> dict[str, str]:
    return {"reduction_log": _log_text(report.reduction_log), "admin_log": _log_text(report.admin_log)}


def _log_text(log: str | bytes) -> str:
    """Returns a log as text; bytes that are no UTF-8 are marked (one of them silenced the 2016 worker, D3)."""
    return log.decode("utf-8", "replace") if isinstance(log, bytes) else log


def _plain(value: Any, *, text: re.Pattern[str] = _SURROGATE) -> Any:
    """Returns a value that JSON and UTF-8 can carry: whole texts, lists for tuples, null for numbers that are none."""
    if isinstance(value, str):
        return text.sub("\ufffd", str(value))
    if isinstance(value, Mapping):
        return {_plain(str(key), text=text): _plain(content, text=text) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(content, text=text) for content in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
