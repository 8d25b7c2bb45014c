"""Messages of the 2016 family: real ones are understood, any other bytes are refused in words."""

from __future__ import annotations

import json
import re

import pytest

from supervisor.family import Family
from supervisor.request import (
    REPLY_KEYS,
    BadRequest,
    broker_time_ms,
    decode,
    job_id,
    producer_sequence,
    readable,
)
from supervisor.request import REQUIRED as REQUIRED_OF
from supervisor.strictjson import MAX_BYTES, MAX_DEPTH

REQUIRED = REQUIRED_OF[Family.ISIS2016]
M1 = {
    "run_number": "75513",
    "rb_number": "1510188",
    "facility": "ISIS",
    "run_version": 0,
    "instrument": "GEM",
    "reduction_script": "def main(input_file, output_dir):\n    return ''\n",
    "data": "\\isis\\NDXGEM\\Instrument\\data\\cycle_15_1\\GEM75513.nxs",
    "reduction_arguments": {
        "advanced_vars": {"var_6": [2, 0.5], "var_5": [0, 7]},
        "standard_vars": {"var_4": [22413, 22450], "var_3": [2.87], "var_2": "5,2,4,30.0", "var_1": "-3,-5,-4,-5.0"},
    },
}


def decoded(headers=None, **changes):
    return decode(json.dumps(M1 | changes).encode(), headers or {})


def refused(body, headers=None):
    with pytest.raises(BadRequest) as caught:
        decode(body if isinstance(body, bytes) else json.dumps(body).encode(), headers or {})
    assert caught.value.text.isprintable()
    return caught.value


def without(*keys):
    return {key: value for key, value in M1.items() if key not in keys}


def test_a_message_of_today_is_understood_and_kept():
    request = decoded({"priority": "9"})

    assert (request.facility, request.instrument, request.rb, request.run) == ("ISIS", "GEM", "1510188", "75513")
    assert (request.version, request.priority, request.cancel) == (0, 9, False)
    assert (request.family, request.runs, request.batch) == (Family.ISIS2016, ("75513",), False)
    assert (request.software, request.description, request.flat) == ("", "", False)
    assert request.data == (M1["data"],)
    assert request.script == M1["reduction_script"]
    assert request.standard_vars == M1["reduction_arguments"]["standard_vars"]
    assert request.advanced_vars == M1["reduction_arguments"]["advanced_vars"]
    assert request.body == request.reply_body == M1


@pytest.mark.parametrize("number", ["75513", "00075513", 75513, 75513.0, "75513.0"])
def test_the_run_is_known_by_value_and_kept_as_sent(number):
    request = decoded(run_number=number)

    assert request.run == "75513"
    assert request.run_raw == number
    assert request.reply_body["run_number"] == number


@pytest.mark.parametrize(("sent", "rb"), [(3, "3"), ("1510188", "1510188"), (" rb12a ", "RB12A"), (12.0, "12")])
def test_an_rb_number_may_be_a_number_or_a_text(sent, rb):
    assert decoded(rb_number=sent).rb == rb


@pytest.mark.parametrize(
    ("sent", "version"), [(None, 0), ("", 0), ("None", 0), (0, 0), (2, 2), ("3", 3), (4.0, 4), (-1, -1)]
)
def test_a_version_may_be_missing_or_null(sent, version):
    assert decoded(run_version=sent).version == version
    assert decode(json.dumps(without("run_version")).encode(), {}).version == 0


@pytest.mark.parametrize("sent", [None, "None", "", {}, {"standard_vars": None}, {"advanced_vars": {}}, {"other": 1}])
def test_arguments_may_be_absent_in_every_way_that_producers_know(sent):
    request = decoded(reduction_arguments=sent)

    assert (request.standard_vars, request.advanced_vars) == ({}, {})


def test_names_are_compared_in_upper_case():
    request = decoded(instrument=" engin-x_2 ", facility="isis", rb_number="calibration")

    assert (request.instrument, request.facility, request.rb) == ("ENGIN-X_2", "ISIS", "CALIBRATION")
    assert request.reply_body["instrument"] == " engin-x_2 "


def test_text_beyond_ascii_and_odd_scripts_survive():
    script = "# -*- coding: utf-8 -*-\r\nprint('Å \U0001f600 \u2028')\t\x00\n"

    request = decode(json.dumps(M1 | {"reduction_script": script}, ensure_ascii=False).encode(), {})

    assert request.script == request.reply_body["reduction_script"] == script


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_has_the_text_of_2016(key):
    fault = refused(without(key))

    assert fault.key == key
    assert f"{key} is missing" in fault.text
    assert fault.body == without(key)


def test_the_first_missing_key_in_the_order_of_2016_is_named():
    assert refused({}).text == "data is missing"
    assert refused(without("reduction_script", "instrument")).text == "instrument is missing"


@pytest.mark.parametrize("key", [key for key in REQUIRED if not key.startswith("reduction_")])
def test_null_is_as_good_as_missing(key):
    assert f"{key} is missing" in refused(M1 | {key: None}).text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data", 3),
        ("data", {"a": "b"}),
        ("data", "  "),
        ("facility", 3),
        ("instrument", "GEM/../x"),
        ("instrument", "GÉM"),
        ("instrument", ""),
        ("instrument", 5),
        ("instrument", "X" * 61),
        ("rb_number", True),
        ("rb_number", [1]),
        ("rb_number", "  "),
        ("rb_number", "1\n2"),
        ("rb_number", 1.5),
        ("run_number", "abc"),
        ("run_number", True),
        ("run_number", 1.5),
        ("run_number", {"a": 1}),
        ("run_number", "9" * 19),
        ("run_version", "x"),
        ("run_version", True),
        ("run_version", {}),
        ("reduction_script", 7),
        ("reduction_arguments", [1]),
        ("reduction_arguments", "x=3"),
        ("reduction_arguments", {"standard_vars": [1]}),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_its_key(key, value):
    fault = refused(M1 | {key: value})

    assert fault.key == key
    assert fault.text.startswith(f"{key}: ")
    assert fault.body == M1 | {key: value}


@pytest.mark.parametrize("key", sorted(REPLY_KEYS))
def test_what_only_a_reply_may_say_is_never_echoed(key):
    request = decoded(**{key: "an old error"})

    assert key not in request.reply_body
    assert request.body[key] == "an old error"


def test_unknown_keys_are_echoed_as_they_came():
    assert decoded(colour={"name": "red"}).reply_body["colour"] == {"name": "red"}


def test_a_cancel_needs_only_instrument_and_run():
    request = decode(b'{"cancel": true, "instrument": "gem", "run_number": "00075513"}', {})

    assert request.cancel
    assert (request.instrument, request.run, request.rb, request.script) == ("GEM", "75513", "", "")
    assert request.cancel_key.version is None
    assert request.cancel_key.matches(decoded(run_number=75513, run_version=4).cancel_key)


def test_a_cancel_with_a_version_means_that_version():
    request = decoded(cancel=True, run_version="2")

    assert request.cancel_key.version == 2
    assert not request.cancel_key.matches(decoded().cancel_key)


def test_a_cancel_is_not_judged_by_what_it_does_not_need():
    assert decoded(cancel=1, reduction_arguments=[1], data=None, reduction_script=None).cancel


@pytest.mark.parametrize("key", ["instrument", "run_number"])
def test_a_cancel_without_its_run_is_refused(key):
    assert f"{key} is missing" in refused(without(key) | {"cancel": True}).text


@pytest.mark.parametrize(
    ("value", "cancel"),
    [
        *[(value, True) for value in (True, 1, "true", "yes")],
        *[(value, False) for value in (False, 0, None, "", "false", "None")],
    ],
)
def test_a_cancel_is_told_by_truth(value, cancel):
    assert decoded(cancel=value).cancel is cancel


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"not json", "not JSON"),
        (b"[1, 2]", "not an object"),
        (b'"x"', "not an object"),
        (b"null", "not an object"),
        (b'{"a": 1} x', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"[" * 100_000, "not JSON|nested"),
    ],
)
def test_bytes_that_are_no_message_are_refused(body, why):
    fault = refused(body)

    assert fault.key == "body"
    assert re.search(why, fault.text)
    assert fault.body is None


def spoiled(old, new):
    return json.dumps(M1).encode().replace(old, new)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (spoiled(b'"GEM"', b'"GEM", "instrument": "WISH"'), "'instrument' twice"),
        (spoiled(b"22413", b"NaN"), "NaN"),
        (spoiled(b"22413", b"-Infinity"), "Infinity"),
        (spoiled(b"22413", b"1e999"), "too large"),
        (spoiled(b"22413", b"9" * 5000), "digits"),
        (spoiled(b"5,2,4", b"\xff\xfe"), "UTF-8"),
        (spoiled(b"5,2,4", b"\\ud800"), "surrogate"),
        (spoiled(b"22413", b"[" * MAX_DEPTH + b"]" * MAX_DEPTH), "nested"),
    ],
)
def test_json_that_is_not_strict_is_refused_but_its_run_is_still_named(body, why):
    fault = refused(body)

    assert fault.key == "body"
    assert why in fault.text
    assert fault.body is not None
    assert fault.body["rb_number"] == "1510188"
    json.dumps(fault.body, allow_nan=False)


def test_a_byte_order_mark_is_no_fault():
    assert decode(b"\xef\xbb\xbf" + json.dumps(M1).encode(), {}).run == "75513"


def test_a_message_beyond_the_cap_is_refused_unread():
    fault = refused(b" " * (MAX_BYTES + 1))

    assert str(MAX_BYTES) in fault.text
    assert fault.body is None


def test_many_keys_before_a_doubled_one_cost_no_time():
    body = "{" + ", ".join(f'"k{number}": 0' for number in range(200_000)) + ', "k199999": 1}'

    assert "'k199999' twice" in refused(body.encode()).text


def test_what_can_be_read_of_a_body_is_what_a_reply_repeats():
    assert readable(json.dumps(M1 | {"message": "old"}).encode()) == M1
    assert readable(b'{"a": 1, "a": 2, "error": 3}') == {"a": 2}
    assert readable(b"[1]") is None
    assert readable(b"\xff") is None


def test_a_job_is_known_by_its_producers_id_and_else_by_the_brokers():
    assert job_id({"job-id": " mine ", "message-id": "ID:1"}) == "mine"
    assert job_id({"message-id": "ID:host-1:2:3"}) == "ID:host-1:2:3"
    assert job_id({"job-id": "", "message-id": "x"}) == "x"
    assert job_id({"message-id": "17,16", "timestamp": "1795892273157"}) == "16@1795892273157"
    assert job_id({"job-id": "17,16", "message-id": "17,16", "timestamp": "1795892273157"}) == "17,16"


@pytest.mark.parametrize("headers", [{}, {"message-id": " "}, {"job-id": "a\nb"}, {"job-id": "x" * 1025}])
def test_a_message_without_a_usable_identity_is_refused(headers):
    with pytest.raises(BadRequest, match=r"header|job-id"):
        job_id(headers)


@pytest.mark.parametrize(
    ("sent", "priority"), [("0", 0), ("4", 4), ("9", 9), ("12", 9), ("", 4), ("x", 4), ("-1", 4), ("٣", 4)]
)
def test_a_priority_that_is_none_is_the_usual_one(sent, priority):
    assert decoded({"priority": sent}).priority == priority
    assert decoded().priority == 4


@pytest.mark.parametrize(
    ("sent", "time"), [("1467000000000", 1467000000000), ("", 0), ("x", 0), ("-5", 0), ("9" * 30, 0)]
)
def test_the_brokers_time_is_zero_when_it_did_not_say(sent, time):
    assert broker_time_ms({"timestamp": sent}) == time
    assert broker_time_ms({}) == 0


@pytest.mark.parametrize(
    ("message_id", "sequence"),
    [
        ("ID:broker-40001-1467000000000-3:1:1:1:7", 7),
        ("ID:broker-40001-1467000000000-3:1:-1:1:12", 12),
        ("2147483651", 2147483651),
        ("ID:0b3a7c1e-8a77-11ee-b9d1-0242ac120002", 0),
        ("", 0),
        ("ID:x:" + "9" * 40, 0),
    ],
)
def test_the_producers_sequence_ends_a_message_id(message_id, sequence):
    assert producer_sequence({"message-id": message_id}) == sequence
