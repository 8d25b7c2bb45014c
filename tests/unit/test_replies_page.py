"""The page on replies has, table by table, exactly the keys, facts, queues and texts that real replies have."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import pytest

from sandbox.limits import Limits
from sandbox.outcome import Guards, Outcome, Usage, decode_status
from sandbox.verdict import Verdict
from supervisor import answers, config, intake, replies, request, sentences
from supervisor.family import Family
from supervisor.replybody import STRICT_KEYS, access_text
from supervisor.replysize import cut, fit
from supervisor.runplan import RunPlan
from supervisor.staging import SiteTrouble, trouble

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "replies.md").read_text(encoding="utf-8")
NAMES = {"ISIS 2016": Family.ISIS2016, "ISIS 2018 to 2022": Family.ISIS2018, "SNS": Family.SNS}
ECHOES = {
    Family.ISIS2016: {"run_number": 75513, "rb_number": "1510188", "instrument": "GEM", "run_version": 0},
    Family.ISIS2018: {"run_number": [1, 2], "rb_number": 7, "instrument": "GEM", "software": {}, "description": ""},
    Family.SNS: {
        "run_number": "1",
        "ipts": "IPTS-1",
        "instrument": "EQSANS",
        "facility": "SNS",
        "data_file": "/SNS/x",
    },
}
KINDS = ("started", "complete", "error", "skipped", "cancelled", "disabled", "malformed")
ENDED = ("complete", "error", "skipped", "cancelled")
RESULT = "/isis/NDXGEM/result"
LOGS = {"stdout": b"out", "stderr": b"err"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """The defaults, but that cancelled runs are answered."""
    file = tmp_path_factory.mktemp("replies") / "supervisor.toml"
    file.write_text(
        '[broker]\nurl = "none"\n[store]\npath = "/store"\n[queues]\ncancelled = "/queue/Cancelled"\n', encoding="utf-8"
    )
    return config.load(str(file))


# --- real replies --------------------------------------------------------------------------------------------------


def plan(family, settings, *, by="supervisor", provenance=True):
    queues = settings.queues.of(family)
    return RunPlan(
        errand="run",
        store="/store",
        rb="1510188",
        n=3,
        job="4f6c0f6e",
        host="id",
        boot="boot",
        hostname="ndw1",
        code_version="1",
        instrument="GEM",
        run="75513",
        target={"path": RESULT, "layout": "replace", "reported": "\\\\isis\\inst$\\NDXGEM\\result"},
        replies={
            "queues": {name: getattr(queues, name) for name in type(queues).__dataclass_fields__},
            "family": str(family),
            "extension": replies.extension_of("auto", family),
            "max_bytes": settings.replies.max_bytes,
            "attempt": 2,
            "echo": ECHOES[family],
            "windows_prefixes": [],
            "root_map": [],
            **({"provenance": {"script_sha256": "", "message_sha256": "", "version": "1"}} if provenance else {}),
        },
        retry={"by": by, "count": 2, "cap": 2, "first": 1.0, "longest": 21599.5, "jitter": 0.0, "luck": 0.5},
    )


def ended(verdict, sentence="how it ended"):
    return Outcome(
        verdict=verdict, sentence=sentence, exit=decode_status(None), usage=Usage(), limits=Limits(), guards=Guards()
    )


def no_data():
    error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/isis/x")
    try:
        raise trouble("data file", "/isis/x", error) from error
    except SiteTrouble as problem:
        return problem


def poison(family, settings):
    bad = request.BadRequest("run_number", "run_number is missing", ECHOES[family])
    return intake.poison(b"{}", {}, settings, job="4f6c0f6e", hostname="ndw1", bad=bad).reply.to_json()


def made(family, kind, settings):
    """Every form that a reply of a kind can have, by the ways that lead to it."""
    whole, bare = plan(family, settings), plan(family, settings, provenance=False)

    def terminal(verdict, targets, of=whole, end="done", **facts):
        return answers.terminal(of, ended(verdict), LOGS, targets, **facts)[end]

    match kind:
        case "started":
            return [answers.started(whole)]
        case "complete":
            return [terminal(Verdict.completed, [RESULT]), terminal(Verdict.completed, ["/isis/extra", RESULT])]
        case "error":
            asking = plan(family, settings, by="producer")
            return [
                *(
                    terminal(verdict, targets)
                    for targets in ([RESULT], [])
                    for verdict in set(Verdict) - {Verdict.completed, Verdict.skipped, Verdict.cancelled}
                ),
                terminal(Verdict.completed, [RESULT], end="failed"),
                terminal(Verdict.unavailable, [], asking, trouble=no_data()),
                terminal(Verdict.refused, [], bare),
            ]
        case "skipped" | "cancelled":
            verdict = Verdict(kind)
            return [terminal(verdict, [RESULT]), terminal(verdict, []), terminal(verdict, [], bare)]
        case "disabled":
            return [answers.disabled(whole, "no script")["done"]] if whole.replies["queues"]["disabled"] else []
        case "malformed":
            return [poison(family, settings)]
    raise AssertionError(kind)


def occurrence(found):
    """For each key, whether each of the sets has it or only some."""
    return {key: "always" if all(key in keys for keys in found) else "sometimes" for key in set().union(*found)}


# --- the page --------------------------------------------------------------------------------------------------------


def section(title):
    """Return what stands below a heading, down to the next heading of its level or above."""
    level, _, _ = title.partition(" ")
    begin = re.search(rf"^{re.escape(title)}$", PAGE, re.MULTILINE)
    assert begin, f"the page has no section {title!r}"
    rest = PAGE[begin.end() :]
    end = re.search(rf"^#{{1,{len(level)}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text):
    """Return the rows of the one table of a section, its head and ruler left out."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert len({len(row) for row in found}) == 1, "a table has one width"
    return found[2:]


def code(cell):
    word = re.fullmatch(r"`([^`]+)`", cell)
    assert word, f"{cell!r} is no name in backticks"
    return word[1]


def titles():
    return set(re.findall(r"^### (.+: .+)$", PAGE, re.MULTILINE))


# --- the one against the other -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_a_reply_has_exactly_the_keys_of_that_reply(settings, name, kind):
    family = NAMES[name]
    said = made(family, kind, settings)
    if not said:
        assert f"{name}: {kind}" not in titles(), "what is never sent has no table"
        return
    own = [json.loads(reply["body"]).keys() - ECHOES[family].keys() for reply in said]

    table = rows(section(f"### {name}: {kind}"))

    assert len({row[0] for row in table}) == len(table)
    assert {code(key): there for key, there, _ in table} == (occurrence(own) if any(own) else {})
    assert all(value for _, _, value in table)


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("kind", KINDS)
def test_every_reply_has_the_keys_of_its_message_and_its_event_id(settings, family, kind):
    for reply in made(family, kind, settings):
        body = json.loads(reply["body"])
        assert {key: body[key] for key in ECHOES[family]} == ECHOES[family]
        epoch = 0 if kind == "malformed" else 3
        assert reply["headers"]["event-id"] == f"4f6c0f6e:{epoch}:{kind}"
        assert reply["headers"]["persistent"] == "true"


def test_the_page_has_no_table_of_a_reply_that_is_never_sent(settings):
    sent = {f"{name}: {kind}" for name, family in NAMES.items() for kind in KINDS if made(family, kind, settings)}

    assert titles() == sent
    assert sent == {f"{name}: {kind}" for name in NAMES for kind in KINDS} - {
        "ISIS 2016: disabled",
        "ISIS 2018 to 2022: disabled",
    }


@pytest.mark.parametrize("family", Family)
def test_the_table_of_facts_has_exactly_the_facts_of_each_reply(settings, family):
    def facts(reply):
        if family is Family.ISIS2018:
            found = {name.removeprefix("supervisor-").replace("-", "_") for name in reply["headers"]}
            return found - {"persistent", "event_id"}
        assert set(reply["headers"]) == {"persistent", "event-id"}
        return json.loads(reply["body"])["supervisor"].keys()

    table = rows(section("## The new facts"))
    columns = [("started",), ENDED, ("disabled",), ("malformed",)]

    for place, kinds in enumerate(columns, start=1):
        found = [facts(reply) for kind in kinds for reply in made(family, kind, settings)]
        if found:
            told = {code(row[0]): row[place] for row in table if row[place] != "no"}
            assert told == occurrence(found), kinds


@pytest.mark.parametrize("family", Family)
def test_the_table_of_queues_says_where_a_reply_goes_by_default(settings, family):
    table = {
        code(row[0]): row[3 if family is Family.SNS else 2] for row in rows(section("## What is told, where and when"))
    }

    assert set(table) == set(KINDS)
    for kind in KINDS:
        queues = {reply["queue"] for reply in made(family, kind, settings)}
        if kind == "cancelled":
            assert table[kind] == "`queues.cancelled`; empty, as by default: nothing is sent"
            assert queues == {"/queue/Cancelled"}
            assert type(settings)().queues.cancelled == ""
        elif kind == "skipped":
            key = code(table[kind].partition("as by default: ")[2])
            assert table[kind].startswith("`queues.skipped`; empty, ")
            assert {dig(settings, key)} == queues
        elif queues:
            key, queue = (code(word) for word in table[kind].split(": "))
            assert {queue} == {dig(settings, key)} == queues
        else:
            assert table[kind].startswith("none")


def dig(settings, key):
    for name in key.split("."):
        settings = getattr(settings, name)
    return settings


def test_a_cancelled_run_is_answered_by_nothing_where_no_queue_is_configured(settings):
    silent = plan(Family.ISIS2016, settings)
    silent.replies["queues"]["cancelled"] = type(settings)().queues.cancelled

    assert answers.terminal(silent, ended(Verdict.cancelled), {}, []) == {}


def test_the_texts_of_the_page_are_those_that_are_sent(settings):
    errors = {family: made(family, "error", settings) for family in Family}
    said = {family: {text(reply) for reply in of} for family, of in errors.items()}
    path = "<path>"
    words = {
        "## ISIS 2016": (replies.SKIPPED, sentences.CANCELLED, *said_of(Family.ISIS2016, path)),
        "## ISIS 2018 to 2022": (replies.SKIPPED, sentences.CANCELLED, *said_of(Family.ISIS2018, path)),
        "## SNS": (f"REDUCTION: {replies.SKIPPED}", *said_of(Family.SNS, path)),
    }

    for title, texts in words.items():
        for word in texts:
            assert f"`{word}`" in section(title), word
    failed = "the result was made but could not be put in place; see why"
    assert failed in said[Family.ISIS2016] & said[Family.ISIS2018]
    assert f"`{failed}`" in section("### ISIS 2016: error")
    assert f"REDUCTION: {failed}" in said[Family.SNS]
    assert f"`REDUCTION: {failed}`" in section("### SNS: error")
    assert "Data file not found: /isis/x" in said[Family.SNS]
    begin = "Permission error: Couldn't read /isis/x  -  does not exist; "
    assert any(word.startswith(begin) for word in said[Family.ISIS2016])


def said_of(family, path):
    """The words for a data file, a script and an archive that are not there, as far as the family has any."""
    texts = (
        access_text(family, path, what=what, write=what == "archive", missing=True)
        for what in ("data file", "script", "archive")
    )
    if family is Family.ISIS2016:
        return {word for word in texts if "write" not in word}
    return {word for word in texts if word}


def text(reply):
    body = json.loads(reply["body"])
    return body.get("message") or body.get("error")


def test_the_keys_that_come_back_are_named():
    dropped = {f"`{key}`" for key in request.REPLY_KEYS}
    assert f"({', '.join(sorted(dropped))})" in section("## ISIS 2016")
    named = set(re.findall(r"`(\w+)`", section("## ISIS 2018 to 2022").partition("is left out.")[0])) - {"Message"}
    assert named == STRICT_KEYS - request.REPLY_KEYS


def test_of_a_message_that_cannot_be_read_nothing_is_repeated(settings):
    bad = request.BadRequest("body", "body: no JSON", None)
    body = json.loads(intake.poison(b"\xff", {}, settings, job="j", hostname="ndw1", bad=bad).reply.body)

    assert body.keys() == {code(row[0]) for row in rows(section("### ISIS 2016: malformed"))}


def test_what_stands_for_what_is_too_long_is_said(settings):
    about = section("## Replies that are too long")
    note = json.loads(fit({"reduction_script": "x" * 12345, "run_number": 1}, 4096))["reduction_script"]
    line = cut("x" * 12345, 400).splitlines()[1]

    for said in (note, line):
        shape = re.sub(r"[0-9]+", "12345", said)
        assert f"`{shape}`" in about
    many = {f"reduction_{number}": "y" * 200 for number in range(50)}
    last = json.loads(fit(dict.fromkeys(LAST, "x" * 9000) | many | {"reduction_log": "z"}, 4096))
    assert last.keys() == {*LAST, "reduction_log"}
    assert last["reduction_log"] == ""
    (item,) = [line for line in about.splitlines() if line.startswith("7. ")]
    assert set(re.findall(r"`(\w+)`", item)) == set(LAST)
    assert settings.replies.max_bytes == 512 * 1024
    assert settings.replies.gap == 0.2


LAST = ("rb_number", "ipts", "run_number", "run_version", "instrument", "information", "retry_in", "message", "error")
