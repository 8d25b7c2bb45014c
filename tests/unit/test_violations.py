"""The judge of histories: a good history passes, and each invariant that is broken in one is found."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
from brokertrace import SeenReply
from history import Disturbance, History, SeenEpoch, SeenJob, SeenResult
from recordedruns import RecordedRun
from violations import copies, violations

from supervisor.records import Outcome

RB = "1410001"
PATH = "/archive/GEM/RB1410001/4711"
FILES = {"value.txt": b"42"}


def frozen(job, n, kind):
    return {"queue": f"q.{kind}", "body": f"{job} {kind}", "headers": {"event-id": f"{job}:{n}:{kind}"}}


def sent(job, n, kind, at):
    headers = {"event-id": f"{job}:{n}:{kind}", "timestamp": str(int(at * 1000)), "message-id": f"m{at}"}
    return SeenReply(kind=kind, body=f"{job} {kind}".encode(), headers=headers)


def committed(job, n, at, verdict="completed"):
    target = {"path": PATH, "mode": "replace"}
    replies = {"done": frozen(job, n, "complete"), "failed": frozen(job, n, "error")}
    return Outcome(kind="committed", verdict=verdict, time=at, host="one", replies=replies, targets=[target])


def revoked(at, by="supervisor"):
    return Outcome(kind="revoked", time=at, by=by)


def epoch(n, job, at, outcome, *, host="one"):
    done = outcome.kind == "committed"
    return SeenEpoch(
        n=n,
        job=job,
        host=host,
        at=at,
        ran=at + 0.1,
        outcome=outcome,
        promoted="done" if done else None,
        promoted_at=outcome.time + 0.1 if done else 0.0,
    )


def job(name, at, final, *, rank=5, started=1):
    order = (rank, int(at * 1000), 0, name)
    return SeenJob(job=name, rb=RB, order=order, journaled=at, final=final, started=frozen(name, started, "started"))


def run(name, begin, last, host="one"):
    return RecordedRun(job=name, host=host, pid=1, begin=begin, last=last, ended=True)


@pytest.fixture
def good():
    """Host `one` dies with `first` under way, `other` runs it again and then the second."""
    return History(
        accepted={"first", "second"},
        jobs={"first": job("first", 100.0, 2), "second": job("second", 101.0, 3, started=3)},
        epochs={
            RB: [
                epoch(1, "first", 110.0, revoked(130.0)),
                epoch(2, "first", 131.0, committed("first", 2, 135.0), host="other"),
                epoch(3, "second", 136.0, committed("second", 3, 140.0), host="other"),
            ]
        },
        runs=[run("first", 111.0, 112.0), run("first", 132.0, 134.0, "other"), run("second", 137.0, 139.0, "other")],
        replies=[
            sent("first", 1, "started", 111.0),
            sent("first", 2, "complete", 136.0),
            sent("second", 3, "started", 137.0),
            sent("second", 3, "complete", 141.0),
        ],
        results={PATH: SeenResult(path=PATH, rb=RB, job="second", epoch=3, files=FILES)},
        makes={"first": FILES, "second": FILES},
        disturbances=[Disturbance(what="die", host="one", at=112.0)],
        traces={"one": [("supervisor", "store.fsync-folder by-run after"), ("supervisor", "broker.ack before")]},
        logs={"one": "INFO Serving as host one."},
    )


def change(history, n, **facts):
    """Change epoch `n` of a history."""
    history.epochs[RB] = [replace(seen, **facts) if seen.n == n else seen for seen in history.epochs[RB]]


def change_job(history, name, **facts):
    history.jobs[name] = replace(history.jobs[name], **facts)


def test_a_good_history_has_no_violation(good):
    assert violations(good) == []


def lost_message(h):
    h.accepted.add("third")


def two_outcomes(h):
    change(h, 1, outcome=committed("first", 1, 130.0), promoted="done", promoted_at=130.1)


def no_outcome(h):
    change(h, 3, outcome=revoked(140.0), promoted=None)


def final_of_another_epoch(h):
    change_job(h, "first", final=1)


def never_told(h):
    h.replies = [reply for reply in h.replies if reply.job != "second" or reply.kind == "started"]


def not_published(h):
    change_job(h, "second", published=False)


def still_waiting(h):
    change_job(h, "second", waiting=True)


def overlapping(h):
    h.runs[0] = run("first", 111.0, 132.5)


def thawed_too_long(h):
    h.disturbances[:] = [
        Disturbance(what="freeze", host="one", at=112.0),
        Disturbance(what="thaw", host="one", at=133.0),
    ]
    h.runs[0] = run("first", 111.0, 140.0)
    h.self_kill_after = 6.0


def gap_in_epochs(h):
    h.epochs[RB].append(replace(h.epochs[RB][-1], n=5, job="first", outcome=revoked(150.0), at=149.0, ran=None))


def undecided(h):
    change(h, 1, outcome=None)


def unpromoted(h):
    change(h, 3, promoted=None)


def claimed_before_promoted(h):
    change(h, 2, promoted_at=136.5)


def claimed_before_decided(h):
    change(h, 1, outcome=revoked(131.5))


def reply_of_a_revoked_epoch(h):
    h.replies.append(sent("first", 1, "complete", 120.0))


def reply_of_other_bytes(h):
    h.replies[1] = replace(h.replies[1], body=b"first complete, almost")


def wrong_terminal(h):
    change(h, 2, promoted="failed")


def terminal_first(h):
    h.replies[2], h.replies[3] = h.replies[3], h.replies[2]


def sent_twice_for_nothing(h):
    h.replies.append(sent("second", 3, "complete", 142.0))


def sent_twice_long_after_the_kill(h):
    h.replies.append(sent("second", 3, "complete", 142.0))
    h.disturbances.append(Disturbance(what="supervisor", host="other", at=145.0))


def sent_twice_after_the_kill_of_a_bystander(h):
    h.disturbances[:] = [Disturbance(what="supervisor", host="one", at=141.5)]
    h.replies.append(sent("second", 3, "complete", 142.0))


def acknowledged_first(h):
    h.traces["one"].reverse()


def acknowledged_too_many(h):
    h.traces["one"].append(("supervisor", "broker.ack before"))


def passed_over(h):
    change_job(h, "second", order=(4, 99000, 0, "second"))


def passed_over_in_line(h):
    change_job(h, "second", order=(5, 99000, 0, "second"))


def started_after_cancel(h):
    change_job(h, "first", cancelled=120.0)


def too_many_attempts(h):
    h.max_attempts = 0


def given_up_too_soon(h):
    change(h, 2, outcome=committed("first", 2, 135.0, "gave_up"))


def result_missing(h):
    h.results.clear()


def older_result(h):
    h.results[PATH] = replace(h.results[PATH], job="first", epoch=2)


def half_a_result(h):
    h.results[PATH] = replace(h.results[PATH], files={})


def mixed_result(h):
    h.results[PATH] = replace(h.results[PATH], files=FILES | {"more.txt": b""})


def result_of_nobody(h):
    h.results["/archive/other"] = replace(h.results[PATH], path="/archive/other")


def process_left(h):
    h.left.append("a script lives")


def defect(h):
    h.logs["one"] += "\nTraceback (most recent call last):"


BROKEN = {
    "I1": [lost_message, two_outcomes, no_outcome, final_of_another_epoch, never_told, not_published, still_waiting],
    "I2": [overlapping, thawed_too_long],
    "I3": [gap_in_epochs, undecided, unpromoted, claimed_before_promoted, claimed_before_decided],
    "I4": [
        reply_of_a_revoked_epoch,
        reply_of_other_bytes,
        wrong_terminal,
        terminal_first,
        sent_twice_for_nothing,
        sent_twice_long_after_the_kill,
        sent_twice_after_the_kill_of_a_bystander,
    ],
    "I5": [acknowledged_first, acknowledged_too_many],
    "I6": [passed_over, passed_over_in_line],
    "I8": [started_after_cancel],
    "I9": [too_many_attempts, given_up_too_soon],
    "I10": [result_missing, older_result, half_a_result, mixed_result, result_of_nobody],
    "I11": [process_left],
    "I0": [defect],
}


@pytest.mark.parametrize(
    ("invariant", "break_it"), [(name, breaking) for name, all_of in BROKEN.items() for breaking in all_of]
)
def test_a_broken_invariant_is_found(good, invariant, break_it):
    history = deepcopy(good)
    break_it(history)
    found = violations(history)
    assert [sentence for sentence in found if sentence.startswith(f"{invariant}:")], found


def test_what_a_frozen_host_computes_for_a_while_after_the_thaw_is_no_overlap(good):
    thawed_too_long(good)
    good.runs[0] = run("first", 111.0, 138.0)
    assert violations(good) == []


def test_a_job_that_may_not_run_is_passed_over(good):
    passed_over_in_line(good)
    for facts in ({"cancelled": 105.0}, {"journaled": 131.5}, {"served_by": frozenset({"elsewhere"})}):
        history = deepcopy(good)
        change_job(history, "second", **facts)
        assert [found for found in violations(history) if found.startswith("I6")] == []


def test_a_retried_job_is_passed_over_until_its_time_has_come(good):
    retry = Outcome(kind="retry", time=130.0, not_before=135.0)
    change(good, 1, outcome=retry)
    good.epochs[RB][1:] = [
        epoch(2, "second", 131.0, committed("second", 2, 134.0)),
        epoch(3, "first", 136.0, committed("first", 3, 140.0)),
    ]
    assert [found for found in violations(good) if found.startswith("I6")] == []
    change(good, 1, outcome=replace(retry, not_before=130.5))
    assert [found for found in violations(good) if found.startswith("I6")] != []


@pytest.mark.parametrize(
    ("what", "host"), [("supervisor", "other"), ("die", "other"), ("freeze", "other"), ("broker", "")]
)
def test_a_reply_sent_again_after_a_kill_is_counted_with_its_cause(good, what, host):
    good.replies.append(sent("second", 3, "complete", 142.0))
    good.disturbances = [Disturbance(what=what, host=host, at=141.5)]
    assert violations(good) == []
    assert copies(good) == {"replies": 2, f"again after {what}": 1}


def test_a_reply_sent_again_after_a_bystander_died_has_no_cause(good):
    sent_twice_after_the_kill_of_a_bystander(good)
    assert copies(good) == {"replies": 2, "again after nothing": 1}


def test_a_reply_of_a_host_that_was_silent_for_long_may_come_from_it_and_from_another(good):
    good.replies.append(sent("second", 3, "complete", 141.8))
    good.disturbances = [
        Disturbance(what="supervisor", host="other", at=128.0),
        Disturbance(what="serves", host="other", at=141.5),
    ]
    assert copies(good) == {"replies": 2, "again after standing in": 1}
    assert violations(good) == []
    good.disturbances[0] = Disturbance(what="supervisor", host="other", at=138.0)  # back before it was given up
    assert copies(good) == {"replies": 2, "again after nothing": 1}
    assert violations(good) != []
