"""Messages of ISIS 2018 to 2022 and of SNS, and how the keys of a message tell its family."""

from __future__ import annotations

import json

import pytest

from supervisor.family import Family
from supervisor.messagevalues import MOST_RUNS
from supervisor.request import REQUIRED, BadRequest, decode, family_of
from supervisor.request_isis import ONLY_2018

M9 = {
    "run_number": 101,
    "instrument": "ARMI",
    "rb_number": 1234567,
    "started_by": 0,
    "data": "/isis/NDXARMI/Instrument/data/cycle_21_1/101.nxs",
    "reduction_script": None,
    "reduction_arguments": None,
}
M10 = {
    "run_number": "30892",
    "instrument": "EQSANS",
    "ipts": "IPTS-10674",
    "facility": "SNS",
    "data_file": "/SNS/EQSANS/IPTS-10674/0/30892/NeXus/EQSANS_30892_event.nxs",
}


def decoded(message, /, **changes):
    return decode(json.dumps(message | changes).encode(), {})


def refused(message, /, **changes):
    with pytest.raises(BadRequest) as caught:
        decoded(message, **changes)
    assert caught.value.text.isprintable()
    assert caught.value.text.startswith(caught.value.key)
    return caught.value


def without(message, key):
    return {name: value for name, value in message.items() if name != key}


# Which family


@pytest.mark.parametrize(
    ("message", "family"),
    [
        ({}, Family.ISIS2016),
        ({"data": "x", "run_number": 1, "reduction_script": ""}, Family.ISIS2016),
        *[({"data": "x", key: None}, Family.ISIS2018) for key in ONLY_2018],
        ({"data": ["x"]}, Family.ISIS2018),
        ({"data": "x", "run_number": [1]}, Family.ISIS2018),
        ({"data": "x", "reduction_script": None}, Family.ISIS2018),
        ({"data_file": "x"}, Family.SNS),
        ({"ipts": "x"}, Family.SNS),
        ({"data_file": "x", "data": "x"}, Family.ISIS2016),
        ({"ipts": "x", "data": "x", "software": {}}, Family.ISIS2018),
        ({"reply_to": "x"}, Family.SNS),
        ({"use_default": True}, Family.SNS),
        ({"src_name": "x", "role": "y"}, Family.SNS),
        ({"src_name": "x"}, Family.ISIS2016),
        ({"reply_to": "x", "data": "x"}, Family.ISIS2016),
    ],
)
def test_the_keys_alone_tell_the_family(message, family):
    assert family_of(message) is family


@pytest.mark.parametrize(("message", "family"), [(M9, Family.ISIS2018), (M10, Family.SNS)])
def test_each_required_key_is_asked_for_by_name(message, family):
    for key in REQUIRED[family]:
        if key in {"data_file", "ipts"}:
            continue  # the other of the two still tells the family
        assert refused(without(message, key)).text == f"{key} is missing"
        assert refused(message, **{key: None}).text == f"{key} is missing: it is null"
    assert refused(without(M10, "data_file")).text == "data_file is missing"
    assert refused(without(M10, "ipts")).text == "ipts is missing"


# ISIS 2018 to 2022


def test_a_null_script_is_the_instruments_own():
    request = decoded(M9)

    assert (request.family, request.facility, request.instrument) == (Family.ISIS2018, "ISIS", "ARMI")
    assert (request.rb, request.run, request.runs, request.version) == ("1234567", "101", ("101",), 0)
    assert request.script is None
    assert request.data == (M9["data"],)
    assert (request.batch, request.flat, request.software, request.description) == (False, False, "", "")
    assert (request.standard_vars, request.advanced_vars) == ({}, {})
    assert decoded(without(M9, "reduction_script")).script is None


def test_a_script_in_the_message_is_taken_and_an_empty_one_is_a_script():
    assert decoded(M9, reduction_script="pass").script == "pass"
    assert decoded(M9, reduction_script="").script == ""


@pytest.mark.parametrize(("facility", "known"), [(None, "ISIS"), ("isis", "ISIS"), ("ral", "RAL")])
def test_a_facility_that_is_not_named_is_isis(facility, known):
    assert decoded(M9, facility=facility).facility == known


def test_a_batch_is_named_by_its_first_and_last_run_and_keeps_all_of_them():
    request = decoded(M9, run_number=["00101", 102, 105.0], data=["/a", "/b", "/c"])

    assert request.run == "batch-101-105"
    assert request.runs == ("101", "102", "105")
    assert request.run_raw == ["00101", 102, 105]
    assert (request.data, request.batch) == (("/a", "/b", "/c"), True)


def test_a_batch_of_one_is_a_batch():
    request = decoded(M9, run_number=[101], data=["/a"])

    assert (request.run, request.runs, request.data, request.batch) == ("batch-101-101", ("101",), ("/a",), True)


def test_one_file_in_a_list_for_one_run_is_taken_as_it_was_sent():
    request = decoded(M9, data=["/a"])

    assert (request.run, request.data, request.batch) == ("101", ("/a",), True)


@pytest.mark.parametrize(
    ("changes", "key", "why"),
    [
        ({"run_number": [1, 2], "data": ["/a"]}, "data", "names 1 file for 2 runs"),
        ({"run_number": [1], "data": ["/a", "/b"]}, "data", "names 2 files for 1 run;"),
        ({"data": ["/a", "/b"]}, "data", "names 2 files for 1 run;"),
        ({"run_number": [1, 2]}, "data", "names 1 file for 2 runs"),
        ({"run_number": [], "data": []}, "run_number", "is an empty list; name at least one run"),
        ({"data": []}, "data", "is an empty list; name at least one file"),
        ({"run_number": [1, "x"], "data": ["/a", "/b"]}, "run_number", "'x' is not a whole number"),
        ({"run_number": [1, None], "data": ["/a", "/b"]}, "run_number", "a run number is a number or a text"),
        ({"run_number": [[1]], "data": ["/a"]}, "run_number", "a run number is a number or a text"),
        ({"run_number": [1, 2], "data": ["/a", 3]}, "data", "must be a text, not a number; so must each entry"),
        ({"run_number": [1, 2], "data": ["/a", " "]}, "data", "has an empty entry"),
        ({"data": 3}, "data", "must be a text, not a number or a list of texts"),
        ({"data": " "}, "data", "is empty"),
        ({"run_number": [1] * (MOST_RUNS + 1)}, "run_number", f"name at most {MOST_RUNS}"),
        ({"software": []}, "software", "must be an object with name and version, not a list"),
        ({"software": 6.2}, "software", "must be an object with name and version, not a number"),
        ({"software": {"name": ["Mantid"]}}, "software", "name must be a text, not a list"),
        ({"software": {"version": True}}, "software", "version must be a text, not true or false"),
        ({"software": "x" * 101}, "software", "at most 100"),
        ({"software": "a\nb"}, "software", "plain characters"),
        ({"description": 3}, "description", "must be a text, not a number"),
        ({"reduction_script": 3}, "reduction_script", "must be a text, not a number"),
        ({"facility": 3}, "facility", "must be a text, not a number"),
        ({"facility": " "}, "facility", "is empty"),
    ],
)
def test_what_is_wrong_with_a_later_message_is_told_by_its_key(changes, key, why):
    fault = refused(M9, **changes)

    assert fault.key == key
    assert why in fault.text
    assert fault.body == M9 | changes


@pytest.mark.parametrize(
    ("sent", "software"),
    [
        (None, ""),
        ({}, ""),
        ("", ""),
        ("None", ""),
        ("6.2.0", "6.2.0"),
        ({"name": "Mantid", "version": "6.2.0"}, "Mantid 6.2.0"),
        ({"name": " Mantid ", "version": 6.2}, "Mantid 6.2"),
        ({"name": "Mantid"}, "Mantid"),
        ({"version": "latest", "name": None}, "latest"),
    ],
)
def test_software_is_a_name_with_a_version_or_a_text(sent, software):
    assert decoded(M9, software=sent).software == software


@pytest.mark.parametrize(("sent", "flat"), [(True, True), (False, False), (None, False), ("false", False), (1, True)])
def test_flat_output_is_told_by_truth(sent, flat):
    assert decoded(M9, flat_output=sent).flat is flat


@pytest.mark.parametrize("version", ["3", 3, 3.0, "003"])
def test_a_version_may_be_a_text(version):
    assert decoded(M9, run_version=version).version == 3


def test_what_a_message_already_says_of_a_reply_is_not_echoed():
    stale = {"message": None, "retry_in": None, "reduction_data": "/old", "reduction_log": "old", "admin_log": "old"}

    assert decoded(M9, **stale).reply_body == M9


def test_a_batch_is_cancelled_by_its_list_and_its_other_values_are_not_judged():
    run = decoded(M9, run_number=[101, 102], data=["/a", "/b"])

    cancel = decoded(
        {"instrument": "armi", "run_number": ["00101", 102.0], "cancel": True},
        software=3,
        data=["/a"],
        description=[],
        facility=3,
    )

    assert cancel.cancel_key.matches(run.cancel_key)
    assert cancel.cancel_key.version is None
    assert (cancel.script, cancel.data, cancel.rb) == ("", (), "")


# SNS


def test_a_message_of_sns_is_understood():
    request = decoded(M10, information="mac83808.sns.gov")

    assert (request.family, request.facility, request.instrument) == (Family.SNS, "SNS", "EQSANS")
    assert (request.rb, request.run, request.runs, request.version) == ("IPTS-10674", "30892", ("30892",), 0)
    assert (request.script, request.data, request.batch) == (None, (M10["data_file"],), False)
    assert request.run_raw == "30892"
    assert request.reply_body == M10


@pytest.mark.parametrize("number", ["30892", 30892, "00030892", 30892.0])
def test_a_run_of_sns_is_known_by_value(number):
    assert decoded(M10, run_number=number).run == "30892"


def test_an_ipts_is_compared_in_upper_case_and_may_be_a_number():
    assert decoded(M10, ipts=" ipts-10674 ").rb == "IPTS-10674"
    assert decoded(M10, ipts=10674).rb == "10674"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"data_file": ["/a"]}, "data_file"),
        ({"data_file": " "}, "data_file"),
        ({"ipts": ["x"]}, "ipts"),
        ({"ipts": " "}, "ipts"),
        ({"run_number": [1]}, "run_number"),
        ({"facility": 3}, "facility"),
        ({"instrument": "a/b"}, "instrument"),
    ],
)
def test_what_is_wrong_with_a_message_of_sns_is_told_by_its_key(changes, key):
    assert refused(M10, **changes).key == key


def test_a_run_of_sns_is_cancelled_by_instrument_and_number():
    cancel = decoded({"ipts": None, "instrument": "eqsans", "run_number": 30892, "cancel": True})

    assert cancel.family is Family.SNS
    assert cancel.cancel_key.matches(decoded(M10).cancel_key)


@pytest.mark.parametrize(
    ("message", "key", "what"),
    [
        ({"instrument": "TOPAZ", "use_default": True, "template_data": {}}, "use_default", "a reduction script"),
        ({"instrument": "TOPAZ", "template_data": {"value": 42}}, "template_data", "a reduction script"),
        ({"reply_to": "/queue/PING_TEST"}, "reply_to", "is a ping"),
        ({"src_name": "<host>", "role": "postprocessing", "status": "0", "pid": "1234"}, "src_name", "is a heartbeat"),
    ],
)
def test_a_message_that_asks_for_no_run_is_told_what_it_is(message, key, what):
    fault = refused(message)

    assert fault.key == key
    assert what in fault.text
    assert "send it to" in fault.text
    assert fault.body == message
