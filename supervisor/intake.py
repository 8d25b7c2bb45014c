"""Intake: what a message becomes, decided before anything is written (pure).

A message is a run to journal, a cancel, or poison with its one error reply. The body is kept as it came, so that the
box gets what the producer sent and a redelivery can be told from a conflict by its digest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import paths, replies, request
from supervisor.hosting import with_roots
from supervisor.journal import digest
from supervisor.records import Cancel, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from supervisor.hosts import HostBeat
    from supervisor.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run to journal."""

    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRun:
    """A cancel to match with jobs."""

    cancel: Cancel


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """A message that can be nothing: kept under its digest, answered once."""

    digest: str
    #: The key at fault and the sentence about it.
    key: str
    text: str
    body: str
    headers: dict[str, str]
    reply: replies.Reply


def examine(
    body: bytes,
    headers: Mapping[str, str],
    settings: Settings,
    *,
    host: str,
    hostname: str,
    now: float,
    fleet: Iterable[HostBeat] = (),
) -> Run | CancelRun | Poison:
    """Decide what a message is.

    Args:
        body: as it came.
        headers: of the STOMP frame.
        settings: queues and path rules.
        host: id of this host.
        hostname: its name, for replies.
        now: seconds since 1970.
        fleet: the hosts of the fleet, which may serve roots that this one does not.
    """
    job = ""
    try:
        job = request.job_id(headers)
        decoded = request.decode(body, headers)
        time_ms = request.broker_time_ms(headers) or int(now * 1000)
        if decoded.cancel:
            key = decoded.cancel_key
            return CancelRun(
                cancel=Cancel(
                    who="message",
                    time_ms=time_ms,
                    message_id=job,
                    instrument=key.instrument,
                    run=key.run,
                    version=key.version,
                    written=now,
                )
            )
        try:
            paths.place_of(decoded, with_roots(settings.paths.rules(), fleet))
        except paths.BadPath as bad:
            raise request.BadRequest(bad.key, str(bad), decoded.reply_body) from bad
    except request.BadRequest as bad:
        return poison(body, headers, settings, job=job, hostname=hostname, bad=bad)
    return Run(
        request=Request(
            job=job,
            body=body.decode("utf-8-sig"),
            digest=digest(body),
            headers=dict(headers),
            family=str(decoded.family),
            instrument=decoded.instrument,
            facility=decoded.facility,
            rb=decoded.rb,
            run=decoded.run,
            run_raw=decoded.run_raw,
            version=decoded.version,
            data=list(decoded.data),
            priority=decoded.priority,
            time_ms=time_ms,
            sequence=request.producer_sequence(headers),
            software=decoded.software,
            script_digest="" if decoded.script is None else hashlib.sha256(decoded.script.encode()).hexdigest(),
            journaled=now,
            host=host,
        )
    )


def poison(
    body: bytes, headers: Mapping[str, str], settings: Settings, *, job: str, hostname: str, bad: request.BadRequest
) -> Poison:
    """Return what is kept and answered of a message that can be nothing.

    It is answered as its family is; one whose keys cannot be read counts as one of 2016.
    """
    said = request.readable(body) if bad.body is None else bad.body
    family = request.family_of(said or {})
    key = hashlib.sha256(job.encode() + b"\0" + body).hexdigest()
    context = replies.Context(
        job=job or key,
        attempt=0,
        epoch=0,
        host=hostname,
        extension=replies.extension_of(settings.replies.extension, family),
        family=family,
        max_bytes=settings.replies.max_bytes,
    )
    return Poison(
        digest=key,
        key=bad.key,
        text=bad.text,
        body=body.decode("utf-8", "backslashreplace"),
        headers=dict(headers),
        reply=replies.malformed(settings.queues.of(family).error, said, context, text=bad.text),
    )


def conflict(record: Request, settings: Settings, *, hostname: str) -> Poison:
    """Return the poison of a message whose id is known with another body."""
    body = record.body.encode()
    text = f"job-id {record.job} is known with another body; send a changed run under a new id"
    bad = request.BadRequest("job-id", text, request.readable(body))
    return poison(body, record.headers, settings, job=record.job, hostname=hostname, bad=bad)
