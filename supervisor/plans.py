"""The plan of an errand, made from the settings, the request and the claim (pure)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from supervisor import paths, replies, request, seclusion
from supervisor.boxarguments import closure_to_json
from supervisor.family import Family
from supervisor.runplan import RunPlan, pack_script

if TYPE_CHECKING:
    from sandbox.limits import Limits
    from supervisor.attempts import History
    from supervisor.hostfacts import HostFacts
    from supervisor.records import Request
    from supervisor.settings import Settings


def errand(
    plan_of: Request, n: int, kind: str, settings: Settings, facts: HostFacts, history: History | None = None
) -> RunPlan:
    """Return the plan of an errand that runs nothing: `promote` or `repair`."""
    return RunPlan(
        errand=kind,
        store=os.path.abspath(settings.store.path),
        rb=plan_of.rb,
        n=n,
        job=plan_of.job,
        host=facts.host,
        boot=facts.boot,
        hostname=facts.hostname,
        code_version=facts.code_version,
        instrument=plan_of.instrument,
        run=plan_of.run,
        version=plan_of.version,
        beat=settings.lock.beat,
        self_kill_after=settings.lock.self_kill_after,
        sweep=list(history.abandoned) if history is not None else [],
        give_up=settings.publish.give_up,
    )


def run(plan_of: Request, n: int, history: History, settings: Settings, facts: HostFacts, *, luck: float) -> RunPlan:
    """Return the plan of a run in epoch `n`.

    Args:
        plan_of: the journaled request.
        n: the epoch.
        history: what earlier attempts of the job came to.
        settings: the configuration in force.
        facts: the host.
        luck: a random number from 0 to 1, for the jitter of a retry.

    Raises:
        paths.BadPath: the settings have changed since the message was taken, and its paths fit them no more.
        NoProfile: the message asks for software that the site does not offer.
        request.BadRequest: the journaled body can no more be decoded.
    """
    decoded = request.decode(plan_of.body.encode(), plan_of.headers)
    rules = settings.paths.rules()
    placement = paths.place_of(decoded, rules)
    limits = settings.limits_for(decoded.instrument, decoded.rb)
    good, attempt = placement.log_names, placement.attempt_log_names(n)
    base = errand(plan_of, n, "run", settings, facts, history)
    fields: dict[str, Any] = {name: getattr(base, name) for name in RunPlan.__dataclass_fields__}
    fields |= {
        "box": _box(decoded, placement, limits, settings, facts),
        "closures": _closures(decoded, facts),
        "family": str(decoded.family),
        "target": {"path": placement.target, "layout": placement.layout, "reported": placement.reported},
        "log_names": [good.script, good.mantid],
        "attempt_log_names": [attempt.script, attempt.mantid],
        "allowed_roots": list(rules.local_result_roots()),
        "script_on_disk": _script_on_disk(decoded, placement),
        "default_vars": placement.default_vars,
        "data_limit": settings.provenance.data_limit,
        "interpreters": settings.interpreter.profiles().to_json() if decoded.family is Family.SNS else {},
        "replies": answering(decoded, plan_of, history, settings) | {"provenance": _provenance(plan_of, facts)},
        "retry": {
            "by": settings.retry.by,
            "count": history.retries,
            "cap": settings.retry.cap - 1,  # the setting counts attempts, the plan tries again
            "first": settings.retry.first,
            "longest": settings.retry.delay,
            "jitter": settings.retry.jitter,
            "luck": luck,
        },
    }
    return RunPlan(**fields)


def answering(decoded: request.RunRequest, plan_of: Request, history: History, settings: Settings) -> dict[str, Any]:
    """Return what `answers` needs to know of the site and the message."""
    queues = settings.queues.of(decoded.family)
    rules = settings.paths.rules()
    return {
        "queues": {
            "started": queues.started,
            "complete": queues.complete,
            "error": queues.error,
            "skipped": queues.skipped,
            "cancelled": queues.cancelled,
            "disabled": queues.disabled,
        },
        "family": str(decoded.family),
        "extension": replies.extension_of(settings.replies.extension, decoded.family),
        "max_bytes": settings.replies.max_bytes,
        "attempt": len(history.epochs) + 1,
        "echo": decoded.reply_body,
        "windows_prefixes": [{"windows": rule.windows, "linux": rule.linux} for rule in rules.windows_prefixes],
        "root_map": [{"source": rule.source, "to": rule.to} for rule in rules.root_map],
        "resubmit_of": plan_of.resubmit_of,
    }


def _closures(decoded: request.RunRequest, facts: HostFacts) -> dict[str, Any]:
    """Return what the interpreters need that a script on disk may ask for."""
    if decoded.family is not Family.SNS:
        return {}
    return {name: closure_to_json(closure) for name, closure in facts.closures.items()}


def _box(
    decoded: request.RunRequest, placement: paths.Placement, limits: Limits, settings: Settings, facts: HostFacts
) -> dict[str, Any]:
    interpreter = settings.interpreter_for(decoded.instrument, decoded.software)
    program = _is_program(decoded, settings)
    return {
        "interpreter": list(interpreter.argv),
        "script": pack_script((decoded.script or "").encode()),
        "script_name": "reduce.py" if decoded.script is not None else os.path.basename(placement.script),
        "mode": "program" if program else "module",
        "input_files": list(placement.data),
        "batch": decoded.batch,
        # Programs, and modules since 2018, glue file names to it; so do those of excitation instruments.
        "output_slash": program or decoded.family is not Family.ISIS2016 or placement.kind is paths.Layout.EXCITATION,
        "skip_anywhere": settings.skip.anywhere,
        "reduce_vars": {"standard_vars": dict(decoded.standard_vars), "advanced_vars": dict(decoded.advanced_vars)},
        "facts": {
            "run_number": decoded.run_raw,
            "rb_number": decoded.rb,
            "instrument": decoded.instrument,
            "run_version": decoded.version,
        },
        "env": dict(interpreter.env),
        "spool": os.path.abspath(settings.spool.path),
        "limits": limits.to_json(),
        "subject": decoded.instrument,
        "allowed_roots": list(settings.paths.rules().local_result_roots()),
        "mute_after": settings.lock.self_kill_after,
        **seclusion.of_run(
            settings,
            facts.closures.get(interpreter.name),
            instrument=decoded.instrument,
            rb=placement.rb,
            cycle=placement.cycle or "",
        ),
    }


def _is_program(decoded: request.RunRequest, settings: Settings) -> bool:
    """Say whether the script is run as a program; SNS does, unless the site says otherwise for the instrument."""
    mode = settings.instrument_for(decoded.instrument).mode
    return decoded.family is Family.SNS if mode == "auto" else mode == "program"


def _script_on_disk(decoded: request.RunRequest, placement: paths.Placement) -> dict[str, Any]:
    if decoded.script is not None:
        return {}
    return {"path": placement.script, "switch": decoded.family is Family.SNS}


def _provenance(plan_of: Request, facts: HostFacts) -> dict[str, Any]:
    return {"script_sha256": plan_of.script_digest, "message_sha256": plan_of.digest, "version": facts.code_version}
