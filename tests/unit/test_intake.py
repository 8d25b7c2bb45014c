"""What a message becomes: a run to journal, a cancel, or poison that is answered as its family is."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest
from fieldmessages import MESSAGES
from messagetable import fate_of

from supervisor import intake, records
from supervisor.family import Family
from supervisor.journal import digest
from supervisor.settings import Settings

SETTINGS = Settings()
ERRORS = {
    Family.ISIS2016: "/queue/ReductionError",
    Family.ISIS2018: "/queue/ReductionError",
    Family.SNS: "/queue/REDUCTION.ERROR",
}
BY_NAME = {message.name: message for message in MESSAGES}


def examined(body, headers=None, settings=SETTINGS):
    body = body if isinstance(body, bytes) else body.encode()
    headers = {"message-id": "ID:b:1:7", "timestamp": "1467000000000"} if headers is None else headers
    return intake.examine(body, headers, settings, host="h", hostname="host.example", now=5.0)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_a_message_of_the_field_becomes_what_its_fate_says(message):
    fate = fate_of(message)

    what = examined(message.body, {"message-id": "ID:b:1:7", **message.headers})

    assert {"run": intake.Run, "cancel": intake.CancelRun, "refused": intake.Poison}[fate.kind] is type(what)
    if fate.kind == "run":
        request = what.request
        assert request.family == fate.family
        assert (request.instrument, request.rb, request.run) == (
            fate.decoded.instrument,
            fate.decoded.rb,
            fate.decoded.run,
        )
        assert request.data == list(fate.decoded.data)
        assert request.software == fate.decoded.software
    elif fate.kind == "cancel":
        assert (what.cancel.instrument, what.cancel.run) == (fate.decoded.instrument, fate.decoded.run)
    else:
        assert (what.key, what.text) == (fate.bad.key, fate.bad.text)
        assert what.reply.queue == ERRORS[fate.family]
        said = json.loads(what.reply.body)
        assert fate.bad.text in said.values()


def test_a_run_to_journal_survives_the_store():
    request = examined(BY_NAME["M9 batch"].body).request

    again = records.from_record(records.Request, "x", records.to_record(request))

    assert again == request
    assert (again.family, again.run, again.run_raw) == ("isis2018", "batch-101-105", [101, 102, 105])
    assert len(again.data) == 3


def test_the_digest_of_a_script_is_noted_where_the_message_has_one():
    script = json.loads(BY_NAME["M1"].body)["reduction_script"]

    assert examined(BY_NAME["M1"].body).request.script_digest == hashlib.sha256(script.encode()).hexdigest()
    assert examined(BY_NAME["M9"].body).request.script_digest == ""
    assert examined(BY_NAME["M10"].body).request.script_digest == ""


def test_the_body_is_kept_as_it_came():
    body = "\ufeff" + BY_NAME["M1"].body

    request = examined(body).request

    assert request.body == BY_NAME["M1"].body
    assert request.digest == digest(body.encode())
    assert (request.job, request.sequence, request.time_ms) == ("ID:b:1:7", 7, 1467000000000)


def test_a_record_of_an_older_version_is_read():
    """Before there were families, every record said isis2016 and none named a software."""
    request = dataclasses.replace(examined(BY_NAME["M1"].body).request, family="isis2016")
    older = json.loads(records.to_record(request))
    del older["software"]

    again = records.from_record(records.Request, "x", json.dumps(older).encode())

    assert (again.family, again.software) == ("isis2016", "")


@pytest.mark.parametrize(
    ("body", "queue"),
    [
        (b"", ERRORS[Family.ISIS2016]),
        (b"\xff", ERRORS[Family.ISIS2016]),
        (b'{"data": 1', ERRORS[Family.ISIS2016]),
        (b'{"ipts": "IPTS-1", "ipts": "IPTS-2"}', ERRORS[Family.SNS]),
        (b'{"ipts": "\xff"}', ERRORS[Family.SNS]),
        (b'{"data": ["a", NaN]}', ERRORS[Family.ISIS2018]),
    ],
)
def test_a_body_that_cannot_be_decoded_is_answered_by_what_can_be_read_of_it(body, queue):
    what = examined(body)

    assert isinstance(what, intake.Poison)
    assert (what.key, what.reply.queue) == ("body", queue)


def test_a_message_without_an_identity_is_still_answered_to_its_family_with_its_run():
    what = examined(BY_NAME["M10"].body, {})

    assert isinstance(what, intake.Poison)
    assert what.reply.queue == ERRORS[Family.SNS]
    assert json.loads(what.reply.body)["run_number"] == "30892"


@pytest.mark.parametrize(("name", "place"), [("M2", "key"), ("M9 uneven batch", "headers"), ("M10 ping", "key")])
def test_an_error_carries_what_is_new_where_its_family_has_it(name, place):
    reply = examined(BY_NAME[name].body).reply

    assert ("supervisor" in json.loads(reply.body)) is (place == "key")
    assert ("supervisor-job-id" in reply.headers) is (place == "headers")


def test_a_conflict_is_told_to_the_family_of_the_record():
    record = examined(BY_NAME["M10"].body).request

    poison = intake.conflict(record, SETTINGS, hostname="host.example")

    assert poison.reply.queue == ERRORS[Family.SNS]
    assert (poison.key, "known with another body" in poison.text) == ("job-id", True)
    assert json.loads(poison.reply.body)["ipts"] == "IPTS-10674"


def test_a_conflict_with_a_record_that_is_no_message_any_more_is_told_too():
    record = dataclasses.replace(examined(BY_NAME["M1"].body).request, body='{"description": 3, "data": "x"}')

    poison = intake.conflict(record, SETTINGS, hostname="host.example")

    assert poison.key == "job-id"
    assert poison.reply.queue == ERRORS[Family.ISIS2018]
