"""Ends without a run: the committed outcome of a job that is cancelled, gave up, or is refused (pure)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.outcome import Outcome as BoxOutcome
from sandbox.verdict import Verdict
from supervisor import answers, plans, request, sentences
from supervisor.attempts import History
from supervisor.records import Outcome
from supervisor.takeover import Ruling

if TYPE_CHECKING:
    from supervisor.hostfacts import HostFacts
    from supervisor.records import Request
    from supervisor.settings import Settings


def ending_of(
    of: Request, n: int, ruling: Ruling | None, settings: Settings, facts: HostFacts, *, why: str = ""
) -> Outcome:
    """Return the outcome of a job that ends in epoch `n` without a run.

    Args:
        of: the request.
        n: the epoch that is held.
        ruling: CANCEL or GIVE_UP; REFUSE or None for a refusal, whose reason is `why`.
        settings: queues and attempts.
        facts: the host.
        why: the sentence of a refusal.
    """
    if ruling is Ruling.CANCEL:
        verdict, sentence = Verdict.cancelled, sentences.CANCELLED
    elif ruling is Ruling.GIVE_UP:
        verdict, sentence = Verdict.gave_up, sentences.gave_up(settings.publish.max_attempts)
    else:
        verdict, sentence = Verdict.refused, sentences.refused(why)
    decoded = request.decode(of.body.encode(), of.headers)
    plan = replace(
        plans.errand(of, n, "run", settings, facts),
        replies=plans.answering(decoded, of, History(), settings),
        retry={"by": "supervisor"},
    )
    outcome = BoxOutcome.without_run(verdict, sentence, settings.limits_for(of.instrument, of.rb))
    return Outcome(
        kind="committed",
        by="supervisor",
        time=time.time(),
        host=facts.host,
        verdict=str(verdict),
        sentence=sentence,
        replies=answers.terminal(plan, outcome, {}, []),
    )
