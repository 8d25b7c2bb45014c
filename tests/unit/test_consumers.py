"""The doubles of today's consumers: each takes a good reply and refuses a bad one, or it could judge nothing."""

from __future__ import annotations

import json

import pytest
from consumers import MAX_RETRIES, Strict2021, WebApp2016, WorkflowSns

RUN_2016 = {
    "run_number": "00075513",
    "instrument": "GEM",
    "rb_number": "1510188",
    "data": "\\\\isis\\inst$\\x.nxs",
    "reduction_script": "pass",
    "reduction_arguments": {},
    "run_version": 0,
    "facility": "ISIS",
}
RUN_2021 = {
    "run_number": [101, 102],
    "instrument": "GEM",
    "rb_number": 1234567,
    "data": ["/a", "/b"],
    "reduction_script": None,
    "reduction_arguments": None,
    "run_version": 1,
    "facility": "ISIS",
    "started_by": 0,
    "software": {"name": "Mantid", "version": "6.2.0"},
}
RUN_SNS = {
    "run_number": "30892",
    "instrument": "EQSANS",
    "ipts": "IPTS-10674",
    "facility": "SNS",
    "data_file": "/SNS/EQSANS/IPTS-10674/0/30892/NeXus/EQSANS_30892_event.nxs",
}
DONE_2016 = {"message": "", "reduction_log": "r", "admin_log": "a", "reduction_data": ["\\\\isis\\x"]}
DONE_2021 = {"message": None, "reduction_log": "r", "admin_log": "a", "reduction_data": "/x"}


def knowing(double, message):
    consumer = double()
    consumer.submit(message)
    return consumer


def tell(consumer, kind, body):
    consumer.take(kind, json.dumps(body).encode())


def reason(consumer):
    (refusal,) = consumer.refused
    return refusal.reason


# --- ISIS 2016 -----------------------------------------------------------------------------------------------------


def test_the_web_app_completes_a_run_that_was_started():
    app = knowing(WebApp2016, RUN_2016)

    tell(app, "started", {**RUN_2016, "run_number": 75513})
    tell(app, "complete", RUN_2016 | DONE_2016)

    assert app.refused == []
    assert app.shown(RUN_2016).history == ["Queued", "Processing", "Completed"]
    assert app.shown(RUN_2016).locations == ("\\\\isis\\x",)
    assert app.shown(RUN_2016).logs == ("r", "a")


def test_the_web_app_drops_a_complete_that_overtakes_its_started():
    app = knowing(WebApp2016, RUN_2016)

    tell(app, "complete", RUN_2016 | DONE_2016)
    tell(app, "started", RUN_2016)

    assert app.dropped_completes == 1
    assert reason(app) == "complete, but the run is Queued"
    assert app.shown(RUN_2016).status == "Processing", "and so it stays for ever"


def test_the_web_app_begins_no_run_twice_and_begins_again_after_an_error():
    app = knowing(WebApp2016, RUN_2016)

    tell(app, "error", RUN_2016 | {"message": "no beam"})
    tell(app, "started", RUN_2016)
    tell(app, "started", RUN_2016)

    assert reason(app) == "started, but the run is Processing"
    assert app.shown(RUN_2016).history == ["Queued", "Error", "Processing"]


def test_the_web_app_takes_an_error_without_a_message():
    app = knowing(WebApp2016, RUN_2016)

    tell(app, "error", RUN_2016)

    assert app.refused == []
    assert app.shown(RUN_2016).status == "Error"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rb_number": "7"}, "unable to find the run"),
        ({"run_number": "x"}, "int(run_number)"),
        ({"run_version": None}, "int(run_version)"),
        ({"retry_in": "soon"}, "int(retry_in)"),
        ({"message": 7}, "message is no text"),
        ({"admin_log": "a\0b"}, "admin_log holds a NUL"),
    ],
)
def test_the_web_app_chokes_on_what_it_cannot_read(change, why):
    app = knowing(WebApp2016, RUN_2016)

    tell(app, "error", RUN_2016 | change)

    assert reason(app).startswith(why)
    assert app.accepted == []


@pytest.mark.parametrize("missing", ["rb_number", "run_number", "run_version"])
def test_the_web_app_needs_the_three_keys_by_which_it_finds_a_run(missing):
    app = knowing(WebApp2016, RUN_2016)

    tell(app, "error", {key: value for key, value in RUN_2016.items() if key != missing})

    assert reason(app) == f"KeyError: {missing}"


def test_the_web_app_needs_a_list_of_locations():
    app = knowing(WebApp2016, RUN_2016)
    tell(app, "started", RUN_2016)

    tell(app, "complete", RUN_2016 | DONE_2016 | {"reduction_data": "/x"})

    assert reason(app).startswith("reduction_data is no list of texts")


@pytest.mark.parametrize("double", [WebApp2016, Strict2021, WorkflowSns])
@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"x"', b'{"a": "\xff"}'])
def test_no_consumer_takes_what_is_no_json_object(double, data):
    consumer = double()

    consumer.take("error", data)

    assert reason(consumer).startswith("no JSON")


def test_the_web_app_sends_a_run_again_as_a_new_version_and_five_times_at_most():
    app = knowing(WebApp2016, RUN_2016)
    failed = dict(RUN_2016)

    for _ in range(MAX_RETRIES + 2):
        tell(app, "error", failed | {"message": "late", "retry_in": 21600})
        failed = app.outbox[-1].body

    assert [pending.body["run_version"] for pending in app.outbox] == [1, 2, 3, 4, 5]
    assert app.outbox[0].headers == {"priority": "0", "AMQ_SCHEDULED_DELAY": "21600000"}
    assert app.outbox[0].body.keys() == RUN_2016.keys() | {"message"}
    assert (app.outbox[0].body["run_number"], app.outbox[0].body["message"]) == (75513, "")
    assert app.shown(RUN_2016, version=1).status == "Error"


# --- ISIS 2018 to 2022 ---------------------------------------------------------------------------------------------


def test_the_strict_consumer_completes_a_batch_whose_message_is_null():
    consumer = knowing(Strict2021, RUN_2021)

    tell(consumer, "started", RUN_2021)
    tell(consumer, "complete", RUN_2021 | DONE_2021)

    assert consumer.refused == []
    assert consumer.shown(RUN_2021).history == ["Queued", "Processing", "Completed"]
    assert consumer.shown(RUN_2021).locations == ("/x",)


@pytest.mark.parametrize("kind", ["started", "error"])
@pytest.mark.parametrize("key", ["information", "supervisor", "error", "cancel"])
def test_the_strict_consumer_refuses_a_key_that_it_does_not_know(kind, key):
    consumer = knowing(Strict2021, RUN_2021)

    tell(consumer, kind, RUN_2021 | {"message": "x", key: "y"})

    assert reason(consumer) == f"unexpected key {key!r}"


@pytest.mark.parametrize(
    ("kind", "change", "why"),
    [
        ("complete", {"message": ""}, "complete, but its message makes it an error"),
        ("complete", {"reduction_data": ["/x"]}, "reduction_data cannot be"),
        ("complete", {"reduction_log": None}, "reduction_log cannot be"),
        ("complete", {"run_version": True}, "run_version cannot be"),
        ("complete", {"retry_in": 1.5}, "retry_in cannot be"),
        ("complete", {"flat_output": "no"}, "flat_output cannot be"),
        ("complete", {"rb_number": 8}, "unable to find the run"),
        ("error", {"message": None}, "error, but its message None makes it a success"),
        ("skipped", {"message": ""}, "skipped, but its message '' makes it a success"),
        ("started", {}, "started, but the run is Processing"),
    ],
)
def test_the_strict_consumer_refuses_what_it_would_misread(kind, change, why):
    consumer = knowing(Strict2021, RUN_2021)
    tell(consumer, "started", RUN_2021)

    tell(consumer, kind, RUN_2021 | DONE_2021 | change)

    assert reason(consumer).startswith(why)
    assert consumer.shown(RUN_2021).status == "Processing"


def test_the_strict_consumer_drops_a_complete_that_overtakes_its_started():
    consumer = knowing(Strict2021, RUN_2021)

    tell(consumer, "complete", RUN_2021 | DONE_2021)

    assert reason(consumer) == "complete, but the run is Queued"


def test_the_strict_consumer_shows_errors_and_skipped_runs():
    for kind, status in (("error", "Error"), ("skipped", "Skipped")):
        consumer = knowing(Strict2021, RUN_2021)
        tell(consumer, kind, RUN_2021 | DONE_2021 | {"message": "why"})

        assert (consumer.shown(RUN_2021).status, consumer.shown(RUN_2021).message) == (status, "why")


# --- SNS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "own", "status"),
    [
        ("complete", {}, "Reduced"),
        ("disabled", {}, "Disabled"),
        ("error", {"error": "REDUCTION: This is an ERROR!"}, "Error"),
        ("postprocess_error", {"error": "Data file not found: /SNS/DOES_NOT_EXIST.nxs"}, "Error"),
    ],
)
def test_the_workflow_manager_shows_what_each_queue_says(kind, own, status):
    manager = knowing(WorkflowSns, RUN_SNS)

    tell(manager, "started", RUN_SNS | {"information": "host"})
    tell(manager, kind, RUN_SNS | {"information": "host"} | own)

    assert manager.refused == []
    assert manager.shown(RUN_SNS).history == ["Queued", "Reducing", status]
    assert manager.shown(RUN_SNS).message == own.get("error", "")


def test_the_workflow_manager_cuts_an_error_after_two_hundred_characters():
    manager = knowing(WorkflowSns, RUN_SNS)

    tell(manager, "error", RUN_SNS | {"error": "e" * 300})

    assert manager.shown(RUN_SNS).message == "e" * 198 + ".."


@pytest.mark.parametrize(
    ("kind", "change", "why"),
    [
        ("error", {"message": "of another family"}, "an entry of an error, and nothing to show"),
        ("error", {"error": ["x"]}, "error is no text"),
        ("complete", {"error": "x"}, "the page shows an error beside complete"),
        ("complete", {"ipts": 10674}, "ipts is no text"),
        ("complete", {"run_number": "x"}, "int(run_number)"),
        ("complete", {"information": None}, "information is no text"),
    ],
)
def test_the_workflow_manager_refuses_what_it_would_choke_on_or_misread(kind, change, why):
    manager = knowing(WorkflowSns, RUN_SNS)

    tell(manager, kind, RUN_SNS | change)

    assert reason(manager).startswith(why)


@pytest.mark.parametrize("missing", ["instrument", "ipts", "run_number"])
def test_the_workflow_manager_needs_the_keys_by_which_it_finds_a_run(missing):
    manager = knowing(WorkflowSns, RUN_SNS)

    tell(manager, "complete", {key: value for key, value in RUN_SNS.items() if key != missing})

    assert reason(manager) == f"KeyError: {missing}"


def test_the_workflow_manager_needs_the_file_of_a_run_that_it_has_not_seen():
    manager = WorkflowSns()

    tell(manager, "complete", {key: value for key, value in RUN_SNS.items() if key != "data_file"})

    assert reason(manager) == "KeyError: data_file"
