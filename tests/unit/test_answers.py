"""What a shepherd answers: which reply, on which queue, in whose words, and when the producer is asked to try again."""

from __future__ import annotations

import json
import os

import pytest

from sandbox.limits import Limits
from sandbox.outcome import Guards, Outcome, Usage, decode_status
from sandbox.verdict import Verdict
from supervisor import answers
from supervisor.family import Family
from supervisor.runplan import RunPlan
from supervisor.staging import SiteTrouble, trouble

ECHO = {"run_number": 75513, "rb_number": "1510188", "instrument": "GEM", "run_version": 0}
ECHO_SNS = {"run_number": "30892", "ipts": "IPTS-1", "instrument": "EQSANS", "facility": "SNS", "data_file": "/SNS/x"}
QUEUES = {
    "started": "/queue/S",
    "complete": "/queue/C",
    "error": "/queue/E",
    "skipped": "",
    "cancelled": "",
    "disabled": "",
}
RESULT = "/mnt/isis/NDXGEM/result"


def plan(family=None, *, by="supervisor", queues=None):
    echo = ECHO_SNS if family is Family.SNS else ECHO
    said = {
        "queues": {**QUEUES, **(queues or {})},
        "extension": "headers" if family is Family.ISIS2018 else "key",
        "max_bytes": 65536,
        "attempt": 2,
        "echo": echo,
        "windows_prefixes": [{"windows": "\\\\isis\\inst$\\", "linux": "/isis/"}],
        "root_map": [{"source": "/isis", "to": "/mnt/isis"}],
        "provenance": {"version": "0.2"},
    }
    if family is not None:
        said["family"] = str(family)
    return RunPlan(
        errand="run",
        store="/store",
        rb="1510188",
        n=7,
        job="job-1",
        host="id",
        boot="boot",
        hostname="ndw1",
        code_version="0.2",
        instrument="GEM",
        run="75513",
        target={"path": RESULT, "layout": "replace", "reported": "\\\\isis\\inst$\\NDXGEM\\result"},
        replies=said,
        retry={"by": by, "count": 2, "cap": 2, "first": 1.0, "longest": 21600.0, "jitter": 0.0, "luck": 0.5},
    )


def ended(verdict, sentence="how it ended"):
    return Outcome(
        verdict=verdict, sentence=sentence, exit=decode_status(None), usage=Usage(), limits=Limits(), guards=Guards()
    )


def unavailable(of, problem):
    return ended(Verdict.unavailable, answers.unavailable_sentence(str(problem), of.retry))


def body(record):
    return json.loads(record["body"])


def failed_access(what, path, code):
    """The trouble of a path, as it is raised."""
    error = OSError(code, os.strerror(code), path)
    try:
        raise trouble(what, path, error) from error
    except SiteTrouble as problem:
        return problem


# --- which reply -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [None, *Family])
def test_a_completed_run_has_a_reply_for_either_end_of_its_promotion(family):
    said = answers.terminal(plan(family), ended(Verdict.completed), {"stdout": b"log"}, ["/mnt/isis/extra", RESULT])

    assert (said["done"]["queue"], said["failed"]["queue"]) == ("/queue/C", "/queue/E")
    assert said["done"]["headers"]["event-id"] == "job-1:7:complete"
    assert said["failed"]["headers"]["event-id"] == "job-1:7:error"
    folders = {
        None: ["\\\\isis\\inst$\\extra", "\\\\isis\\inst$\\NDXGEM\\result"],
        Family.ISIS2016: ["\\\\isis\\inst$\\extra", "\\\\isis\\inst$\\NDXGEM\\result"],
        Family.ISIS2018: "\\\\isis\\inst$\\NDXGEM\\result",
        Family.SNS: None,
    }
    assert body(said["done"]).get("reduction_data") == folders[family]


def test_a_plan_that_an_earlier_version_froze_names_no_family_and_is_answered_as_in_2016():
    old = plan()
    del old.replies["queues"]["disabled"]

    assert body(answers.started(old)).keys() == ECHO.keys() | {"information", "supervisor"}
    assert body(answers.terminal(old, ended(Verdict.crash), {}, [])["done"])["message"] == "how it ended"
    assert answers.disabled(old, "no script")["done"]["queue"] == "/queue/E"


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("queue", ["", "/queue/K"])
def test_a_skipped_run_goes_to_its_queue_or_to_the_errors(family, queue):
    said = answers.terminal(plan(family, queues={"skipped": queue}), ended(Verdict.skipped), {}, [])

    assert said["done"] == said["failed"]
    assert said["done"]["queue"] == (queue or "/queue/E")
    assert "Run has been skipped in script" in said["done"]["body"]


@pytest.mark.parametrize("family", Family)
def test_a_cancelled_run_is_answered_only_where_a_queue_is_named(family):
    assert answers.terminal(plan(family), ended(Verdict.cancelled), {}, []) == {}
    said = answers.terminal(plan(family, queues={"cancelled": "/queue/X"}), ended(Verdict.cancelled), {}, [])
    assert said["done"]["queue"] == "/queue/X"


def test_a_run_whose_instrument_has_no_script_is_disabled_and_no_error():
    said = answers.disabled(plan(Family.SNS, queues={"disabled": "/queue/D"}), "skipped: no script")

    assert said["done"] == said["failed"]
    assert said["done"]["queue"] == "/queue/D"
    assert said["done"]["headers"]["event-id"] == "job-1:7:disabled"
    told = body(said["done"])
    assert {key: told[key] for key in ECHO_SNS} == ECHO_SNS
    assert told.keys() == ECHO_SNS.keys() | {"information", "supervisor"}
    assert (told["supervisor"]["verdict"], told["supervisor"]["sentence"]) == ("skipped", "skipped: no script")


@pytest.mark.parametrize(
    ("queues", "queue"), [({}, "/queue/E"), ({"skipped": "/queue/K"}, "/queue/K")], ids=["to errors", "to skipped"]
)
def test_without_a_queue_of_disabled_runs_the_reason_is_told_in_words(queues, queue):
    said = answers.disabled(plan(Family.SNS, queues=queues), "skipped: no script")

    assert said["done"]["queue"] == queue
    assert body(said["done"])["error"] == "REDUCTION: skipped: no script"


# --- whose words -----------------------------------------------------------------------------------------------------

MISSING, DENIED, FULL, READ_ONLY, NO_FOLDER = 2, 13, 28, 30, 20
WORDS = [
    (None, "data file", MISSING, "Permission error: Couldn't read /x  -  does not exist; "),
    (Family.ISIS2016, "data file", MISSING, "Permission error: Couldn't read /x  -  does not exist; "),
    (Family.ISIS2016, "data file", DENIED, "Permission error: Couldn't read /x  -  no read access; "),
    (Family.ISIS2016, "archive", READ_ONLY, f"Permission error: Couldn't write to {RESULT}  -  no write access; "),
    (Family.ISIS2016, "archive", NO_FOLDER, f"Permission error: Couldn't write to {RESULT}  -  does not exist; "),
    (Family.ISIS2018, "data file", MISSING, "Error encountered when trying to access the datafile /x; "),
    (Family.ISIS2018, "script", DENIED, "Error encountered when trying to read the reduction script /x; "),
    (Family.ISIS2018, "archive", DENIED, f"Error encountered when trying to read the reduction directory {RESULT}; "),
]


@pytest.mark.parametrize(("family", "what", "code", "begins"), WORDS)
def test_a_reply_about_what_cannot_be_used_begins_in_the_words_of_the_family(family, what, code, begins):
    errand = plan(family)
    problem = failed_access(what, "/x", code)
    outcome = unavailable(errand, problem)

    told = body(answers.terminal(errand, outcome, {}, [], trouble=problem)["done"])

    assert told["message"] == begins + outcome.sentence
    assert outcome.sentence.endswith("; given up after 3 tries")


def test_sns_is_told_of_a_missing_file_in_the_exact_words_and_of_the_rest_in_ours():
    errand = plan(Family.SNS)
    problem = failed_access("data file", "/SNS/x.nxs", MISSING)
    told = body(answers.terminal(errand, unavailable(errand, problem), {}, [], trouble=problem)["done"])
    assert told["error"] == "Data file not found: /SNS/x.nxs"
    assert told["supervisor"]["sentence"].endswith("; given up after 3 tries")

    problem = failed_access("data file", "/SNS/x.nxs", DENIED)
    outcome = unavailable(errand, problem)
    told = body(answers.terminal(errand, outcome, {}, [], trouble=problem)["done"])
    assert told["error"] == f"REDUCTION: {outcome.sentence}"


@pytest.mark.parametrize(
    "problem",
    [
        SiteTrouble("scratch", "scratch cannot be used: full"),
        failed_access("archive", "/x", FULL),
        failed_access("data file", "/x", 5),
        failed_access("returned folder", "/x", DENIED),
    ],
    ids=["scratch", "full archive", "input/output error", "returned folder"],
)
@pytest.mark.parametrize("family", [Family.ISIS2016, Family.ISIS2018])
def test_what_is_no_failure_of_access_is_told_in_our_sentence_alone(family, problem):
    errand = plan(family)
    outcome = unavailable(errand, problem)

    assert body(answers.terminal(errand, outcome, {}, [], trouble=problem)["done"])["message"] == outcome.sentence


# --- who tries again -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", Family)
def test_only_a_producer_that_retries_is_asked_to_and_only_for_what_the_site_did_not_give(family):
    problem = failed_access("data file", "/x", MISSING)
    for by, verdict, expected in (
        ("producer", Verdict.unavailable, 21600),
        ("producer", Verdict.script_error, None),
        ("supervisor", Verdict.unavailable, None),
    ):
        errand = plan(family, by=by)
        outcome = unavailable(errand, problem) if verdict is Verdict.unavailable else ended(verdict)
        told = body(answers.terminal(errand, outcome, {}, [], trouble=problem)["done"])
        assert told.get("retry_in") == expected


def test_the_sentence_says_who_tries_again_and_when():
    assert answers.unavailable_sentence("no file", plan(by="producer").retry) == "no file; to be sent again after 6 h"
    assert answers.unavailable_sentence("no file", plan().retry) == "no file; given up after 3 tries"
    assert answers.unavailable_sentence("no file", plan().retry | {"count": 0}).endswith("given up after 1 try")


@pytest.mark.parametrize(
    ("count", "luck", "seconds"), [(0, 0.5, 10), (1, 0.5, 20), (3, 0.5, 60), (10_000, 0.5, 60), (0, 0, 8), (0, 1, 12)]
)
def test_the_pause_before_a_retry_doubles_to_its_longest_and_is_spread(count, luck, seconds):
    retry = {"count": count, "first": 10.0, "longest": 60.0, "jitter": 0.2, "luck": luck}

    assert answers.retry_delay(retry) == pytest.approx(seconds)
