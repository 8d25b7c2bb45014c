"""Names of the queues: several to read from, and each family answered on its own."""

from __future__ import annotations

import pytest

from supervisor.config import ConfigProblems, parse
from supervisor.family import Family
from supervisor.settings_messages import QueueNames, Queues


def queues(text):
    return parse(f"[queues]\n{text}", "x").queues


def problem(text):
    with pytest.raises(ConfigProblems) as caught:
        queues(text)
    (only,) = caught.value.problems
    return only


@pytest.mark.parametrize(
    ("written", "pending"), [('"a"', ("a",)), ('["a"]', ("a",)), ('["a", "/queue/b"]', ("a", "/queue/b"))]
)
def test_runs_come_from_one_queue_or_from_several(written, pending):
    assert queues(f"pending = {written}").pending == pending
    assert queues(f"pending = {written}").subscriptions == pending
    assert queues(f'pending = {written}\ncancel = "c"').subscriptions == (*pending, "c")


def test_each_family_is_answered_on_its_own_queues():
    isis = QueueNames(
        started="/queue/ReductionStarted",
        complete="/queue/ReductionComplete",
        error="/queue/ReductionError",
        skipped="",
        cancelled="",
        disabled="",
    )

    assert Queues().of(Family.ISIS2016) == Queues().of(Family.ISIS2018) == isis
    assert Queues().of(Family.SNS) == QueueNames(
        started="/queue/REDUCTION.STARTED",
        complete="/queue/REDUCTION.COMPLETE",
        error="/queue/REDUCTION.ERROR",
        skipped="",
        cancelled="",
        disabled="/queue/REDUCTION.DISABLED",
    )


def test_queues_of_sns_are_a_table_of_their_own():
    named = queues('skipped = "s"\ncancelled = "c"\n[queues.sns]\nerror = "e"\ndisabled = "d"').of(Family.SNS)

    assert (named.error, named.disabled, named.started) == ("e", "d", "/queue/REDUCTION.STARTED")
    assert (named.skipped, named.cancelled) == ("s", "c")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('pending = ["a", "b", "a"]', "pending names a twice"),
        ("pending = []", "must be a queue or a list of queues"),
        ("pending = 3", "must be a queue or a list of queues"),
        ('pending = ["a", 3]', "must be a queue or a list of queues"),
        ('pending = ["a", ""]', 'must not be empty; write for example "/queue/ReductionPending"'),
        ('pending = ["a", "b c"]', "must be a queue name without spaces"),
        ('pending = ["a", "b"]\ncancel = "b"', "cancel is the same queue as pending"),
        ('pending = ["a", "b"]\nerror = "b"', "error is a queue we read from"),
        ('pending = ["a", "b"]\nping = "b"', "ping is a queue that runs or cancels come on"),
        ('ping = "b"\nheartbeat = "b"', "heartbeat is a queue we read from"),
        ('cancel = "b"\nskipped = "b"', "skipped is a queue we read from"),
        ('pending = ["a", "/queue/REDUCTION.DISABLED"]', "sns.disabled is a queue we read from"),
        ('cancel = "b"\n[queues.sns]\nstarted = "b"', "sns.started is a queue we read from"),
        ('[queues.sns]\nskipped = "b"', "queues.sns.skipped: unknown key"),
        ('[queues.sns]\nerror = ""', "must not be empty"),
    ],
)
def test_queues_that_cannot_stand_together_are_refused(text, why):
    assert why in problem(text)
