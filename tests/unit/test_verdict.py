"""The verdict: every row of the order of evidence, and that each row wins over all that follow it."""

from __future__ import annotations

import itertools
import signal

import pytest

from sandbox.handoff import HandoffOut, HandoffProblem
from sandbox.verdict import ExitFacts, KillReason, SetupFailure, Verdict, exit_class, judge
from supervisor import exitcodes

FINE = HandoffOut(ended="returned")
ERROR = HandoffOut(ended="exception", exception_type="ValueError")


def exited(code: int) -> int:
    """Return the raw wait status of a normal exit."""
    return code << 8


def test_the_verdicts_are_this_closed_list():
    assert [str(verdict) for verdict in Verdict] == [
        "completed",
        "skipped",
        "script_error",
        "crash",
        "wall_limit",
        "cpu_limit",
        "memory_limit",
        "memory_limit_helper",
        "output_limit",
        "log_limit",
        "cancelled",
        "lost_lock",
        "handoff_error",
        "output_rejected",
        "setup_failed",
        "killed_external",
        "unavailable",
        "gave_up",
        "refused",
    ]


#: The evidence in the order of the design: each alone decides, and decides against everything below it.
ORDER = [
    ({"setup": SetupFailure(stage="mount", errno=1)}, Verdict.setup_failed),
    ({"reason": KillReason.wall_limit, "reason_landed": True}, Verdict.wall_limit),
    ({"oom_kills": 1, "status": signal.SIGKILL}, Verdict.memory_limit),
    ({"status": signal.SIGSEGV}, Verdict.crash),
    ({"status": exited(3)}, Verdict.script_error),
    ({"handoff": HandoffProblem(text="handoff.out.json is missing")}, Verdict.handoff_error),
    ({"handoff": ERROR}, Verdict.script_error),
    ({"too_large": True}, Verdict.output_limit),
    ({"rejected": "a/b is a symbolic link"}, Verdict.output_rejected),
    ({"handoff": HandoffOut(ended="skipped")}, Verdict.skipped),
    ({}, Verdict.completed),
]


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(range(len(ORDER)), 2)))
def test_earlier_evidence_wins_over_later_evidence(first, second):
    facts = {"status": exited(0), "handoff": FINE} | ORDER[second][0] | ORDER[first][0]

    assert judge(ExitFacts(**facts)) == ORDER[first][1]


@pytest.mark.parametrize(("facts", "verdict"), ORDER)
def test_each_evidence_alone_decides(facts, verdict):
    assert judge(ExitFacts(**{"status": exited(0), "handoff": FINE} | facts)) == verdict


@pytest.mark.parametrize("reason", KillReason)
def test_a_reason_that_landed_is_its_verdict_and_two_have_none(reason):
    verdict = judge(ExitFacts(reason=reason, reason_landed=True, status=signal.SIGKILL))

    assert verdict == (None if reason in {KillReason.lost_lock, KillReason.shutdown} else Verdict(reason.value))


@pytest.mark.parametrize("reason", KillReason)
def test_a_reason_that_came_too_late_changes_nothing(reason):
    assert judge(ExitFacts(reason=reason, reason_landed=False, status=exited(0), handoff=FINE)) == Verdict.completed
    assert judge(ExitFacts(reason=reason, reason_landed=False, status=exited(1), handoff=ERROR)) == Verdict.script_error


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        (signal.SIGKILL, Verdict.killed_external),
        (signal.SIGTERM, Verdict.killed_external),
        (signal.SIGINT, Verdict.killed_external),
        (signal.SIGHUP, Verdict.killed_external),
        (signal.SIGXFSZ, Verdict.output_limit),
        (signal.SIGXCPU, Verdict.cpu_limit),
        (signal.SIGSEGV, Verdict.crash),
        (signal.SIGABRT, Verdict.crash),
        (signal.SIGPIPE, Verdict.crash),
        (signal.SIGRTMIN + 3, Verdict.crash),
    ],
)
@pytest.mark.parametrize("core", [0, 0x80])
def test_a_signal_without_a_reason_of_ours(number, verdict, core):
    assert judge(ExitFacts(status=number | core, handoff=FINE)) == verdict


def test_the_oom_killer_and_the_script():
    assert judge(ExitFacts(oom_kills=2, status=None)) == Verdict.memory_limit
    assert judge(ExitFacts(oom_kills=1, status=exited(0), handoff=FINE)) == Verdict.memory_limit_helper
    assert judge(ExitFacts(oom_kills=1, status=exited(1), handoff=ERROR)) == Verdict.memory_limit_helper
    assert judge(ExitFacts(oom_kills=1, status=signal.SIGSEGV)) == Verdict.memory_limit_helper


def test_a_site_may_only_note_that_a_helper_was_killed():
    facts = {"oom_kills": 1, "helper_oom_is_note": True}

    assert judge(ExitFacts(status=exited(0), handoff=FINE, **facts)) == Verdict.completed
    assert judge(ExitFacts(status=exited(1), handoff=ERROR, **facts)) == Verdict.script_error
    assert judge(ExitFacts(status=signal.SIGKILL, **facts)) == Verdict.memory_limit


def test_without_a_report_of_the_init_the_box_was_killed_from_outside():
    assert judge(ExitFacts(handoff=FINE)) == Verdict.killed_external


@pytest.mark.parametrize("code", [1, 3, 137, 255])
@pytest.mark.parametrize(
    "claim",
    [FINE, HandoffOut(ended="skipped"), HandoffOut(ended="exit", exception_type="SystemExit", exit_code=0), None],
)
def test_an_exit_status_stands_above_a_good_claim(code, claim):
    assert judge(ExitFacts(status=exited(code), handoff=claim)) == Verdict.script_error


def test_a_claim_against_oneself_is_believed():
    confessed = HandoffOut(ended="exit", exception_type="SystemExit", exit_code=3)

    assert judge(ExitFacts(status=exited(0), handoff=ERROR)) == Verdict.script_error
    assert judge(ExitFacts(status=exited(0), handoff=confessed)) == Verdict.script_error


def test_a_script_that_says_it_is_done_by_sys_exit_0_has_completed():
    done = HandoffOut(ended="exit", exception_type="SystemExit", exit_code=0)

    assert judge(ExitFacts(status=exited(0), handoff=done)) == Verdict.completed


def test_exit_0_without_a_report_is_no_success():
    assert judge(ExitFacts(status=exited(0))) == Verdict.handoff_error


def test_every_verdict_has_its_exit_status():
    named = {
        exitcodes.OK: {"completed", "skipped"},
        exitcodes.SCRIPT: {"script_error", "crash", "killed_external", "handoff_error", "output_rejected"},
        exitcodes.LIMIT: {
            "wall_limit",
            "cpu_limit",
            "memory_limit",
            "memory_limit_helper",
            "output_limit",
            "log_limit",
        },
        exitcodes.CANCELLED: {"cancelled"},
        exitcodes.INTERNAL: {"setup_failed", "unavailable", "gave_up", "lost_lock"},
        exitcodes.NO_ISOLATION: {"refused"},
    }

    assert {verdict: exit_class(Verdict(verdict)) for verdict in sorted(Verdict)} == {
        verdict: code for code, verdicts in named.items() for verdict in sorted(verdicts)
    }
    assert exit_class(None) == exitcodes.INTERNAL
