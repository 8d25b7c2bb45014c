"""Replies: today's keys, the same bytes every time, never too long, whatever a script has written."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor import replies, replyheaders
from supervisor.replies import SKIPPED, Context, Reply, Report, extension_of
from supervisor.replybody import permission_error
from supervisor.replysize import cut

ECHO = {
    "run_number": "00075513",
    "rb_number": "1510188",
    "facility": "ISIS",
    "run_version": 0,
    "instrument": "GEM",
    "reduction_script": "def main(input_file, output_dir):\n    return ''\n",
    "data": "\\\\isis\\inst$\\NDXGEM\\Instrument\\data\\cycle_15_1\\GEM75513.nxs",
    "reduction_arguments": {"standard_vars": {"a": [1, 2.5]}, "advanced_vars": {"größe": "Å \U0001f600"}},
}
CONTEXT = Context(job="ID:broker-1:2:3", attempt=2, epoch=7, host="ndw1")
REPORT = Report(
    reduction_data=["\\\\isis\\inst$\\NDXGEM\\x"],
    reduction_log="all good\n",
    admin_log="started\n",
    verdict="completed",
    sentence="completed in 3 s",
    usage={"wall": 3.0},
    limits={"memory": 8},
    isolation={"level": "none"},
    provenance={"version": "0.1"},
)


def body(reply):
    return json.loads(reply.body)


def context(**changes):
    return dataclasses.replace(CONTEXT, **changes)


def test_started_is_the_message_back_with_the_host():
    sent = body(replies.started("/queue/ReductionStarted", ECHO, CONTEXT))

    assert {key: sent[key] for key in ECHO} == ECHO
    assert sent.keys() - ECHO.keys() == {"information", "supervisor"}
    assert sent["information"] == "ndw1"


def test_complete_has_the_keys_of_2016_and_an_empty_message():
    sent = body(replies.complete("/queue/ReductionComplete", ECHO, CONTEXT, REPORT))

    assert {key: sent[key] for key in ECHO} == ECHO
    assert sent.keys() - ECHO.keys() == {
        "information",
        "reduction_data",
        "message",
        "reduction_log",
        "admin_log",
        "supervisor",
    }
    assert sent["message"] == ""
    assert sent["reduction_data"] == ["\\\\isis\\inst$\\NDXGEM\\x"]
    assert (sent["reduction_log"], sent["admin_log"]) == ("all good\n", "started\n")


def test_what_is_new_stands_under_one_key():
    sent = body(replies.complete("/q", ECHO, CONTEXT, REPORT))

    assert sent["supervisor"] == {
        "job_id": "ID:broker-1:2:3",
        "attempt": 2,
        "epoch": 7,
        "host": "ndw1",
        "verdict": "completed",
        "sentence": "completed in 3 s",
        "usage": {"wall": 3.0},
        "limits": {"memory": 8},
        "isolation": {"level": "none"},
        "provenance": {"version": "0.1"},
    }


def test_what_is_new_may_stand_in_headers():
    reply = replies.complete("/q", ECHO, context(extension="headers"), REPORT)

    assert "supervisor" not in body(reply)
    assert reply.headers["supervisor-verdict"] == "completed"
    assert reply.headers["supervisor-attempt"] == "2"
    assert json.loads(reply.headers["supervisor-usage"]) == {"wall": 3.0}


def test_what_is_new_may_be_left_out():
    reply = replies.complete("/q", ECHO, context(extension="none"), REPORT)

    assert "supervisor" not in body(reply)
    assert reply.headers == {"persistent": "true", "event-id": "ID:broker-1:2:3:7:complete"}


def test_a_resent_error_does_not_spoil_a_success():
    """Defect D7: an incoming message survived success and made it an error; so would an old retry_in or error."""
    stale = {"message": "old", "retry_in": 21600, "error": "old", "reduction_data": ["old"], "supervisor": {"x": 1}}

    sent = body(replies.complete("/q", ECHO | stale, CONTEXT, REPORT))

    assert sent["message"] == ""
    assert "retry_in" not in sent
    assert "error" not in sent
    assert sent["reduction_data"] == ["\\\\isis\\inst$\\NDXGEM\\x"]
    assert "x" not in sent["supervisor"]
    assert "message" not in body(replies.started("/q", ECHO | stale, CONTEXT))


def test_an_error_says_why_and_names_no_folders_when_none_was_tried():
    sent = body(replies.error("/q", ECHO, CONTEXT, Report(admin_log="x"), message="wall limit 4 h reached"))

    assert sent["message"] == "wall limit 4 h reached"
    assert "reduction_data" not in sent
    assert "retry_in" not in sent
    assert "error" not in sent


def test_an_error_of_a_producer_that_retries_carries_whole_seconds():
    reply = replies.error("/q", ECHO, CONTEXT, Report(reduction_data=[]), message="x", retry_in=21599.5)

    assert body(reply)["retry_in"] == 21600
    assert body(reply)["reduction_data"] == []


@pytest.mark.parametrize("message", ["", "  \n"])
def test_an_error_without_words_would_say_success_and_is_refused(message):
    with pytest.raises(ValueError, match="an empty one says success"):
        replies.error("/q", ECHO, CONTEXT, REPORT, message=message)
    with pytest.raises(ValueError, match="an empty one says success"):
        replies.malformed("/q", ECHO, CONTEXT, text=message)


def test_a_skipped_run_has_the_text_that_2016_meant_to_send():
    """Defect D4: its worker sent an UnboundLocalError instead."""
    sent = body(replies.skipped("/queue/ReductionError", ECHO, CONTEXT, REPORT))

    assert sent["message"] == SKIPPED == "Run has been skipped in script"


def test_access_faults_have_the_text_that_2016_meant_to_send():
    """Defect D5: its worker overwrote it."""
    assert permission_error("/isis/x", write=True, exists=False) == (
        "Permission error: Couldn't write to /isis/x  -  does not exist"
    )
    assert permission_error("/isis/x", write=True, exists=True).endswith("  -  no write access")
    assert permission_error("/isis/x", write=False, exists=True) == (
        "Permission error: Couldn't read /isis/x  -  no read access"
    )


def test_a_cancelled_run_is_told_as_such():
    reply = replies.cancelled("/q", ECHO, CONTEXT, REPORT, message="cancelled while waiting")

    assert body(reply)["message"] == "cancelled while waiting"
    assert reply.headers["event-id"].endswith(":cancelled")


def test_a_message_that_is_no_run_is_answered_with_what_could_be_read():
    start = context(attempt=0, epoch=0)

    sent = body(replies.malformed("/q", ECHO, start, text="data is missing"))
    assert sent["error"] == sent["message"] == "data is missing"
    assert sent["rb_number"] == "1510188"

    sent = body(replies.malformed("/q", None, start, text="the message is not JSON"))
    assert sent.keys() == {"information", "message", "error", "supervisor"}


def test_every_reply_is_kept_by_the_broker_and_known_by_its_event():
    made = {
        "started": replies.started("/q", ECHO, CONTEXT),
        "complete": replies.complete("/q", ECHO, CONTEXT, REPORT),
        "error": replies.error("/q", ECHO, CONTEXT, REPORT, message="x"),
        "skipped": replies.skipped("/q", ECHO, CONTEXT, REPORT),
        "malformed": replies.malformed("/q", ECHO, CONTEXT, text="x"),
    }

    for kind, reply in made.items():
        assert reply.queue == "/q"
        assert reply.headers["persistent"] == "true"
        assert reply.headers["event-id"] == f"ID:broker-1:2:3:7:{kind}"


def test_a_job_id_cannot_add_a_header():
    reply = replies.started("/q", ECHO, context(job="a\nevil: 1\r\0b", extension="headers"))

    assert all(value.isprintable() for value in reply.headers.values())
    assert reply.headers["event-id"] == "a\ufffdevil: 1\ufffd\ufffdb:7:started"


def test_a_long_sentence_in_a_header_is_cut_and_long_facts_are_left_out():
    report = Report(verdict="crash", sentence="ä" * 5000, usage={"curve": list(range(2000))})

    headers = replies.error("/q", ECHO, context(extension="headers"), report, message="x").headers

    assert len(headers["supervisor-sentence"].encode()) <= 2048
    assert "supervisor-usage" not in headers


def test_the_same_facts_give_the_same_bytes():
    first = replies.complete("/q", ECHO, CONTEXT, REPORT)

    assert first == replies.complete("/q", dict(ECHO), CONTEXT, REPORT)
    assert first.body == replies.complete("/q", json.loads(json.dumps(ECHO)), CONTEXT, REPORT).body


def test_a_frozen_reply_is_the_reply():
    reply = replies.complete("/q", ECHO, CONTEXT, REPORT)

    assert Reply.from_json(json.loads(json.dumps(reply.to_json()))) == reply
    assert Reply.from_json(reply.to_json() | {"v": 2}) == reply


@pytest.mark.parametrize("change", [{"queue": None}, {"body": {}}, {"headers": []}, {"headers": {"a": 1}}])
def test_a_record_that_is_no_reply_is_refused(change):
    record = replies.started("/q", ECHO, CONTEXT).to_json() | change

    with pytest.raises(ValueError, match="cannot read a frozen reply"):
        Reply.from_json(record)


def test_a_log_that_is_no_text_still_makes_a_reply():
    """Defect D3: bytes that were no UTF-8 silenced the worker. D19: characters were dropped in silence."""
    report = Report(reduction_log=b"caf\xc3\xa9 \xff\x00 end", admin_log="half \ud83d and \0")

    reply = replies.error("/q", ECHO, CONTEXT, report, message="\ud800 na\u00efve")

    reply.body.encode("utf-8")
    assert body(reply)["reduction_log"] == "café \ufffd\ufffd end"
    assert body(reply)["admin_log"] == "half \ufffd and \ufffd"
    assert body(reply)["message"] == "\ufffd naïve"
    assert "größe" in reply.body


def test_numbers_that_are_no_json_become_null():
    report = Report(usage={"wall": float("nan"), "cpu": float("inf"), "curve": ((1, 2.0),)})

    sent = body(replies.error("/q", ECHO, CONTEXT, report, message="x"))

    assert sent["supervisor"]["usage"] == {"wall": None, "cpu": None, "curve": [[1, 2.0]]}


def test_logs_give_way_first_and_keep_head_and_tail():
    report = Report(reduction_log="HEAD" + "x\n" * 500_000 + "TAIL", admin_log="short")

    reply = replies.error("/q", ECHO, context(max_bytes=64 * 1024), report, message="why")

    sent = body(reply)
    assert 60 * 1024 < len(reply.body.encode()) <= 64 * 1024
    assert sent["reduction_log"].startswith("HEAD")
    assert sent["reduction_log"].endswith("TAIL")
    assert "characters left out" in sent["reduction_log"]
    assert sent["admin_log"] == "short"
    assert sent["reduction_script"] == ECHO["reduction_script"]


def test_two_long_logs_share_the_room():
    report = Report(reduction_log="r" * 500_000, admin_log="a" * 500_000)

    sent = body(replies.error("/q", ECHO, context(max_bytes=64 * 1024), report, message="why"))

    assert abs(len(sent["reduction_log"]) - len(sent["admin_log"])) < 1024


def test_the_script_gives_way_before_the_logs_say_nothing():
    echo = ECHO | {"reduction_script": "# " + "s" * 100_000}
    report = Report(reduction_log="HEAD" + "x" * 100_000 + "TAIL")

    reply = replies.error("/q", echo, context(max_bytes=64 * 1024), report, message="why")

    sent = body(reply)
    assert len(reply.body.encode()) <= 64 * 1024
    assert sent["reduction_script"] == "[100002 bytes left out: the reply would have been too long]"
    assert len(sent["reduction_log"]) > 50_000
    assert sent["reduction_arguments"] == ECHO["reduction_arguments"]


def test_a_script_that_fits_beside_cut_logs_stays():
    echo = ECHO | {"reduction_script": "# " + "s" * 30_000}

    sent = body(
        replies.error("/q", echo, context(max_bytes=64 * 1024), Report(reduction_log="x" * 10**6), message="why")
    )

    assert sent["reduction_script"] == echo["reduction_script"]
    assert len(sent["reduction_log"]) > 20_000


HUGE = st.fixed_dictionaries(
    {
        "script": st.integers(0, 60_000),
        "argument": st.integers(0, 60_000),
        "keys": st.integers(0, 2_000),
        "rb": st.integers(1, 10_000),
        "log": st.integers(0, 100_000),
        "message": st.integers(1, 30_000),
        "curve": st.integers(0, 5_000),
        "folders": st.integers(0, 500),
        "char": st.sampled_from(["x", "\n", "\x01", "ä", "\U0001f600", '"', "\ud800", "\0"]),
        "max_bytes": st.sampled_from([4096, 5000, 16_384, 65_536]),
    }
)


@given(HUGE)
@settings(max_examples=60, deadline=None)
def test_no_reply_is_longer_than_its_bound(sizes):
    char = sizes["char"]
    echo = ECHO | {
        "reduction_script": char * sizes["script"],
        "reduction_arguments": {"standard_vars": {"v": char * sizes["argument"]}},
        "rb_number": char * sizes["rb"],
        **{f"key{number}": number for number in range(sizes["keys"])},
    }
    report = Report(
        reduction_data=[f"\\\\isis\\{number}" for number in range(sizes["folders"])],
        reduction_log=char * sizes["log"],
        admin_log=char * (sizes["log"] // 2),
        sentence=char * sizes["message"],
        usage={"curve": list(range(sizes["curve"]))},
    )

    reply = replies.error("/q", echo, context(max_bytes=sizes["max_bytes"]), report, message="m" * sizes["message"])

    assert len(reply.body.encode()) <= sizes["max_bytes"]
    sent = body(reply)
    assert sent["message"].startswith("m")
    assert (sent["run_number"], sent["run_version"], sent["instrument"]) == ("00075513", 0, "GEM")


def test_a_message_of_sixteen_megabytes_is_answered_within_the_bound():
    echo = ECHO | {"reduction_script": "s" * 16_000_000}

    reply = replies.started("/q", echo, CONTEXT)

    assert len(reply.body.encode()) <= CONTEXT.max_bytes
    assert body(reply)["run_number"] == "00075513"


@given(st.text(max_size=400), st.integers(0, 300))
def test_a_cut_text_has_its_head_its_tail_and_the_wanted_size(text, budget):
    short = cut(text.replace("\0", ""), budget)

    assert len(json.dumps(short, ensure_ascii=False).encode("utf-8", "surrogatepass")) - 2 <= budget
    if "left out" in short and "left out" not in text:
        head, _, tail = short.partition("\n[... ")
        assert text.startswith(head)
        assert text.endswith(tail.partition(" ...]\n")[2])


@pytest.mark.parametrize(
    ("configured", "extension"), [("auto", "key"), ("key", "key"), ("headers", "headers"), ("none", "none")]
)
def test_the_family_of_2016_takes_new_facts_under_a_key(configured, extension):
    assert extension_of(configured) == extension


def test_an_unknown_place_for_new_facts_is_refused():
    with pytest.raises(ValueError, match="write"):
        extension_of("nowhere")


@pytest.mark.parametrize("module", ["replies", "request", "paths", "runkey"])
def test_what_the_shepherd_uses_needs_the_standard_library_alone(module):
    code = f"import sys; import supervisor.{module}; sys.exit(bool({{'pydantic', 'stomp', 'rich'}} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)})

    assert done.returncode == 0


def test_the_facts_in_headers_are_bounded_as_a_whole():
    facts = {"job_id": "j", "verdict": "v" * 2000, "sentence": ":" * 2000, "usage": {"a": 1}}

    headers = replyheaders.of_facts(facts)

    assert set(headers) == {"supervisor-job-id", "supervisor-verdict"}, "a colon takes two bytes on the wire"
