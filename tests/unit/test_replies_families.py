"""Replies of each family, key by key, as its consumer of today reads them."""

from __future__ import annotations

import dataclasses
import json

import pytest
from consumers import Strict2021, WebApp2016, WorkflowSns
from hypothesis import given
from hypothesis import strategies as st

from supervisor import replies, request
from supervisor.family import Family
from supervisor.replies import Context, Report, extension_of
from supervisor.replybody import STRICT_KEYS, access_text

ECHO_2016 = {
    "run_number": "00075513",
    "rb_number": "1510188",
    "facility": "ISIS",
    "run_version": 0,
    "instrument": "GEM",
    "reduction_script": "def main(input_file, output_dir):\n    return ''\n",
    "data": "\\\\isis\\inst$\\NDXGEM\\Instrument\\data\\cycle_15_1\\GEM75513.nxs",
    "reduction_arguments": {"standard_vars": {"a": [1, 2.5]}, "advanced_vars": {}},
}
ECHO_2018 = {
    "description": "A batch",
    "facility": "ISIS",
    "run_number": [101, 102],
    "run_title": ["one", "two"],
    "instrument": "INTER",
    "rb_number": 1234567,
    "started_by": 0,
    "data": ["\\\\isis\\inst$\\a.nxs", "\\\\isis\\inst$\\b.nxs"],
    "overwrite": True,
    "run_version": "1",
    "job_id": 7,
    "reduction_script": None,
    "reduction_arguments": {"standard_vars": {"a": 1}, "advanced_vars": {}},
    "software": {"name": "Mantid", "version": "6.2.0"},
    "flat_output": False,
}
ECHO_SNS = {
    "run_number": "30892",
    "instrument": "EQSANS",
    "ipts": "IPTS-10674",
    "facility": "SNS",
    "data_file": "/SNS/EQSANS/IPTS-10674/0/30892/NeXus/EQSANS_30892_event.nxs",
}
ECHOES = {Family.ISIS2016: ECHO_2016, Family.ISIS2018: ECHO_2018, Family.SNS: ECHO_SNS}
DOUBLES = {Family.ISIS2016: WebApp2016, Family.ISIS2018: Strict2021, Family.SNS: WorkflowSns}
CONTEXTS = {
    family: Context(job="job-1", attempt=1, epoch=3, host="ndw1", family=family, extension=extension_of("auto", family))
    for family in Family
}
REPORT = Report(
    reduction_data=["/extra", "/archive/result"],
    reduction_log="all good\n",
    admin_log="ours\n",
    verdict="completed",
    sentence="completed in 3 s",
    usage={"wall": 3.0},
    limits={"memory": 8},
    isolation={"level": "none"},
    provenance={"version": "0.1"},
)
LOGS = {"reduction_log", "admin_log"}
FACTS = {"job_id", "attempt", "epoch", "host"}


def body(reply):
    return json.loads(reply.body)


def made(kind, family, echo=None, context=None, report=REPORT, message="why it ended", retry_in=None):
    echo = ECHOES[family] if echo is None else echo
    context = context or CONTEXTS[family]
    match kind:
        case "started":
            return replies.started("/queue/s", echo, context)
        case "complete":
            return replies.complete("/queue/c", echo, context, report)
        case "error":
            return replies.error("/queue/e", echo, context, report, message=message, retry_in=retry_in)
        case "skipped":
            return replies.skipped("/queue/e", echo, context, report)
        case "cancelled":
            return replies.cancelled("/queue/x", echo, context, report, message=message)
        case "disabled":
            return replies.disabled("/queue/d", echo, context, report, message=message)
        case "malformed":
            return replies.malformed("/queue/e", echo, context, text=message)
    raise AssertionError(kind)


#: What each reply has beside the echo.
OWN = {
    Family.ISIS2016: {
        "started": {"information", "supervisor"},
        "complete": {"information", "supervisor", "message", "reduction_data"} | LOGS,
        "error": {"information", "supervisor", "message", "reduction_data"} | LOGS,
        "skipped": {"information", "supervisor", "message", "reduction_data"} | LOGS,
        "cancelled": {"information", "supervisor", "message", "reduction_data"} | LOGS,
        "disabled": {"information", "supervisor", "message"} | LOGS,
        "malformed": {"information", "supervisor", "message", "error"},
    },
    Family.ISIS2018: {
        "started": set(),
        "complete": {"message", "reduction_data"} | LOGS,
        "error": {"message", "reduction_data"} | LOGS,
        "skipped": {"message", "reduction_data"} | LOGS,
        "cancelled": {"message", "reduction_data"} | LOGS,
        "disabled": {"message"} | LOGS,
        "malformed": {"message"},
    },
    Family.SNS: {
        "started": {"information", "supervisor"},
        "complete": {"information", "supervisor"},
        "error": {"information", "supervisor", "error"},
        "skipped": {"information", "supervisor", "error"},
        "cancelled": {"information", "supervisor", "error"},
        "disabled": {"information", "supervisor"},
        "malformed": {"information", "supervisor", "error"},
    },
}
CASES = [(family, kind) for family, kinds in OWN.items() for kind in kinds]


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_a_reply_is_the_message_back_and_exactly_these_keys(family, kind):
    sent = body(made(kind, family))

    assert {key: sent[key] for key in ECHOES[family]} == ECHOES[family]
    assert sent.keys() - ECHOES[family].keys() == OWN[family][kind]
    assert sent.get("information", "ndw1") == "ndw1"


@pytest.mark.parametrize("family", Family)
def test_the_facts_stand_where_the_consumer_of_the_family_does_not_trip_over_them(family):
    reply = made("complete", family)

    if family is Family.ISIS2018:
        assert reply.headers["supervisor-verdict"] == "completed"
        assert reply.headers["supervisor-host"] == "ndw1"
        assert json.loads(reply.headers["supervisor-usage"]) == {"wall": 3.0}
    else:
        assert body(reply)["supervisor"].keys() == FACTS | {
            "verdict",
            "sentence",
            "usage",
            "limits",
            "isolation",
            "provenance",
        }
        assert set(reply.headers) == {"persistent", "event-id"}


@pytest.mark.parametrize("family", Family)
def test_a_place_for_the_facts_that_somebody_configured_wins(family):
    context = dataclasses.replace(CONTEXTS[family], extension=extension_of("key", family))
    assert body(made("started", family, context=context))["supervisor"].keys() == FACTS

    context = dataclasses.replace(CONTEXTS[family], extension=extension_of("none", family))
    bare = made("started", family, context=context)
    assert "supervisor" not in body(bare)
    assert set(bare.headers) == {"persistent", "event-id"}


def test_each_family_has_its_own_sign_of_success():
    assert body(made("complete", Family.ISIS2016))["message"] == ""
    assert body(made("complete", Family.ISIS2018))["message"] is None
    assert "error" not in body(made("complete", Family.SNS))


def test_each_family_has_its_own_form_of_the_result_folders():
    assert body(made("complete", Family.ISIS2016))["reduction_data"] == ["/extra", "/archive/result"]
    assert body(made("complete", Family.ISIS2018))["reduction_data"] == "/archive/result"
    nothing = dataclasses.replace(REPORT, reduction_data=[])
    assert body(made("complete", Family.ISIS2018, report=nothing))["reduction_data"] is None
    unknown = dataclasses.replace(REPORT, reduction_data=None)
    assert "reduction_data" not in body(made("error", Family.ISIS2018, report=unknown))


def test_each_family_has_its_own_form_of_an_error():
    assert body(made("error", Family.ISIS2016, message="no beam"))["message"] == "no beam"
    assert body(made("error", Family.ISIS2018, message="no beam"))["message"] == "no beam"
    assert body(made("error", Family.SNS, message="no beam"))["error"] == "REDUCTION: no beam"
    assert body(made("error", Family.SNS, message="Data file not found: /x"))["error"] == "Data file not found: /x"
    assert body(made("malformed", Family.SNS, message="ipts is missing"))["error"] == "ipts is missing"


@pytest.mark.parametrize("family", Family)
def test_a_skipped_run_without_a_queue_of_its_own_is_an_error_with_the_text_of_2016(family):
    sent = body(made("skipped", family))

    if family is Family.SNS:
        assert sent["error"] == "REDUCTION: Run has been skipped in script"
    else:
        assert sent["message"] == "Run has been skipped in script"


def test_a_disabled_reply_says_nothing_of_an_error_and_keeps_its_reason_under_our_key():
    sent = body(made("disabled", Family.SNS, report=Report(), message="no script"))

    assert {key: sent[key] for key in ECHO_SNS} == ECHO_SNS
    assert not {"error", "message"} & sent.keys()
    assert sent["supervisor"]["sentence"] == "no script"


@pytest.mark.parametrize("family", Family)
def test_whoever_retries_reads_whole_seconds_in_any_family(family):
    assert body(made("error", family, retry_in=21599.5))["retry_in"] == 21600


@pytest.mark.parametrize("family", Family)
def test_what_only_a_reply_may_say_is_not_echoed_in_any_family(family):
    stale = {"message": "old", "retry_in": 1, "error": "old", "reduction_log": "old", "information": "old"}

    sent = body(made("complete", family, echo=ECHOES[family] | stale))

    assert "retry_in" not in sent
    assert "error" not in sent
    assert "old" not in sent.values()


def test_the_strict_consumer_gets_no_key_of_the_producer_that_it_does_not_know():
    sent = body(made("error", Family.ISIS2018, echo=ECHO_2018 | {"cancel": False, "x-new": 1, "log": "y"}))

    assert set(sent) <= STRICT_KEYS


@pytest.mark.parametrize(
    ("family", "what", "write", "missing", "text"),
    [
        (Family.ISIS2016, "data file", False, True, "Permission error: Couldn't read /x  -  does not exist"),
        (Family.ISIS2016, "data file", False, False, "Permission error: Couldn't read /x  -  no read access"),
        (Family.ISIS2016, "archive", True, True, "Permission error: Couldn't write to /x  -  does not exist"),
        (Family.ISIS2016, "archive", True, False, "Permission error: Couldn't write to /x  -  no write access"),
        (Family.ISIS2018, "data file", False, True, "Error encountered when trying to access the datafile /x"),
        (Family.ISIS2018, "script", False, True, "Error encountered when trying to read the reduction script /x"),
        (Family.ISIS2018, "archive", True, False, "Error encountered when trying to read the reduction directory /x"),
        (Family.SNS, "data file", False, True, "Data file not found: /x"),
        (Family.SNS, "data file", False, False, None),
        (Family.SNS, "archive", True, False, None),
    ],
)
def test_each_family_has_its_own_words_for_what_cannot_be_used(family, what, write, missing, text):
    assert access_text(family, "/x", what=what, write=write, missing=missing) == text


def test_a_batch_of_many_runs_is_still_found_by_all_of_them_in_a_short_reply():
    echo = ECHO_2018 | {"run_number": list(range(300)), "data": ["\\\\isis\\inst$\\a.nxs"] * 300}
    context = dataclasses.replace(CONTEXTS[Family.ISIS2018], max_bytes=4096)

    for kind in ("started", "complete"):
        reply = made(kind, Family.ISIS2018, echo=echo, context=context)
        assert len(reply.body.encode()) <= 4096
        assert body(reply)["run_number"] == list(range(300))
        assert body(reply)["data"] == []


@pytest.mark.parametrize("family", Family)
def test_what_gives_way_keeps_its_type(family):
    echo = ECHOES[family] | {
        "reduction_arguments": {"a": "x" * 50_000},
        "run_title": ["y" * 50_000],
        "reduction_script": "z" * 50_000,
    }
    context = dataclasses.replace(CONTEXTS[family], max_bytes=16_384)

    sent = body(made("error", family, echo=echo, context=context))

    assert "bytes left out" in sent["reduction_arguments"]["left out"]
    assert "bytes left out" in sent["run_title"][0]
    assert "bytes left out" in sent["reduction_script"]


# --- whatever comes --------------------------------------------------------------------------------------------------

TEXT = st.text(max_size=20) | st.sampled_from(["\0", "\ud800", "ä" * 3000, '"' * 3000, "x" * 20_000])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
REPORTS = st.builds(
    Report,
    reduction_data=st.none() | st.lists(TEXT, max_size=200),
    reduction_log=TEXT | st.binary(max_size=50) | st.just(b"\xff\0" * 30_000),
    admin_log=TEXT,
    verdict=st.none() | st.just("crash"),
    sentence=st.none() | TEXT,
    usage=st.none() | st.dictionaries(TEXT, JSON, max_size=3),
    isolation=st.none() | st.dictionaries(TEXT, JSON, max_size=3),
)
KINDS = ("started", "complete", "error", "skipped", "cancelled", "disabled", "malformed")
BOUNDS = st.sampled_from([4096, 4096, 6000, 65_536, 512 * 1024])
EXTENSIONS = st.sampled_from(["auto", "key", "headers", "none"])


def fits(reply, bound):
    """Check what every reply of any family is, and return its bytes."""
    data = reply.body.encode("utf-8")
    assert len(data) <= bound
    assert b"\0" not in data
    assert isinstance(json.loads(data), dict)
    assert all(value.isprintable() and len(value.encode()) <= 2048 for value in reply.headers.values())
    return data


@given(
    family=st.sampled_from(Family),
    kind=st.sampled_from(KINDS),
    echo=st.dictionaries(st.sampled_from(sorted(STRICT_KEYS | ECHO_SNS.keys())) | TEXT, JSON, max_size=12),
    report=REPORTS,
    message=TEXT.filter(str.strip),
    bound=BOUNDS,
    extension=EXTENSIONS,
)
def test_any_echo_and_any_report_make_a_reply_that_a_broker_carries(
    family, kind, echo, report, message, bound, extension
):
    context = dataclasses.replace(CONTEXTS[family], max_bytes=bound, extension=extension_of(extension, family))

    reply = made(kind, family, echo=echo, context=context, report=report, message=message)

    fits(reply, bound)
    if family is Family.ISIS2018 and context.extension != "key":
        assert set(body(reply)) <= STRICT_KEYS


VARIABLES = st.dictionaries(TEXT, JSON, max_size=3)
LEGAL = {
    Family.ISIS2016: st.fixed_dictionaries(
        {key: st.just(ECHO_2016[key]) for key in ("facility", "instrument", "data")}
        | {
            "rb_number": st.sampled_from(["1510188", 1510188, "CAL_2"]),
            "run_number": st.sampled_from(["00075513", 75513, 75513.0]),
            "run_version": st.sampled_from([0, "3"]),
            "reduction_script": TEXT,
            "reduction_arguments": st.just("None") | st.fixed_dictionaries({"standard_vars": VARIABLES}),
        },
        optional={"x": JSON, "message": TEXT, "retry_in": JSON},
    ),
    Family.ISIS2018: st.fixed_dictionaries(
        {key: st.just(ECHO_2018[key]) for key in ("facility", "instrument")}
        | {
            "rb_number": st.sampled_from([222, "1234567", "INVALID RB NUMBER CALIBRATION RUN PERHAPS"]),
            "run_number": st.sampled_from([101, "101", [101], list(range(300))]),
            "run_version": st.sampled_from([1, "1"]),
            "data": st.just("\\\\isis\\a.nxs") | st.just(["\\\\isis\\a.nxs"] * 300),
            "description": TEXT,
            "reduction_script": st.none() | TEXT,
            "reduction_arguments": st.none() | st.fixed_dictionaries({"standard_vars": VARIABLES}),
            "software": st.just({}) | st.fixed_dictionaries({"name": TEXT, "version": TEXT}) | TEXT,
        },
        optional={"x": JSON, "message": st.none(), "run_title": st.none() | TEXT | st.lists(TEXT, max_size=3)},
    ),
    Family.SNS: st.fixed_dictionaries(
        {key: st.just(value) for key, value in ECHO_SNS.items()}, optional={"x": JSON, "use_default": st.booleans()}
    ),
}


@pytest.mark.parametrize("family", Family)
@given(data=st.data())
def test_the_consumer_of_the_family_takes_every_reply_to_a_legal_message(family, data):
    message = data.draw(LEGAL[family])
    report = data.draw(REPORTS)
    end = data.draw(st.sampled_from(["complete", "error", "skipped"] + ["disabled"] * (family is Family.SNS)))
    bound = data.draw(BOUNDS)
    said = data.draw(TEXT.filter(str.strip))
    context = dataclasses.replace(CONTEXTS[family], max_bytes=bound)
    consumer = DOUBLES[family]()
    consumer.submit(message)

    for kind in ("started", end):
        reply = made(kind, family, echo=request.echo(message), context=context, report=report, message=said)
        queue = "skipped" if kind == "skipped" and family is Family.ISIS2018 else kind
        consumer.take("error" if queue == "skipped" and family is not Family.ISIS2018 else queue, fits(reply, bound))

    assert consumer.refused == []
    (shown,) = consumer.runs.values()
    assert shown.status in {"complete": ("Completed", "Reduced"), "disabled": ("Disabled",)}.get(
        end, ("Error", "Skipped")
    )
