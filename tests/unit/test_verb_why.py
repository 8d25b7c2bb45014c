"""`why`: the story of a job from its records, whatever state they are in."""

from __future__ import annotations

import json
import os
import pathlib
import time

import pytest
from embedded import INSTRUMENT, Embedded

from sandbox.limits import Limits
from sandbox.outcome import Guards, Mark, Measure, OutputFile, Sample, Usage, decode_status
from sandbox.outcome import Outcome as BoxOutcome
from sandbox.verdict import Verdict
from supervisor import advice, cli, config, dossier, durable, intake, journal, records, story
from supervisor.cells import link_final
from supervisor.records import Epoch, Final, Outcome, Promoted, RunRecord, Target

SOMEBODY = records.Identity(pid=1, start=1, boot="b")


@pytest.fixture
def site(tmp_path):
    return Embedded(tmp_path)


@pytest.fixture
def why(site, capsys):
    def said(*words, status=0):
        assert cli.main(["why", *words, "--config", site.config]) == status
        told = capsys.readouterr()
        return json.loads(told.out) if "--json" in words else told.out + told.err

    return said


def attempt(site, job, n, outcome, *, began=True):
    cells = site.cells(job)
    cells.make(journal.read_request(site.place(job)).rb)
    cells.link_epoch(n, Epoch(host=f"host-{n}", boot="b", job=job, time=time.time()))
    if began:
        durable.make_folder(site.place(job).attempt(n), "attempt")
        run = RunRecord(host="h", shepherd=SOMEBODY, builder=SOMEBODY, token="t", scratch="s", version="1", time=1.0)
        durable.replace(site.place(job).run(n), records.to_record(run), "run")
    if outcome is not None:
        cells.link_outcome(n, outcome)
    return cells


def decided(site, job, n, verdict, sentence="it ended", targets=(), promoted="done"):
    outcome = Outcome(
        kind="committed",
        verdict=verdict,
        sentence=sentence,
        time=time.time(),
        targets=[records.target_record(target) for target in targets],
    )
    cells = attempt(site, job, n, outcome)
    link_final(site.place(job), Final(rb=journal.read_request(site.place(job)).rb, n=n))
    if promoted:
        cells.link_promoted(n, Promoted(kind=promoted))
    return cells


def leave_exit(site, job, n, tails, **changes):
    fields = {
        "verdict": Verdict.memory_limit,
        "sentence": "memory limit 8 GiB reached",
        "exit": decode_status(9),
        "usage": Usage(
            peak_memory=Measure(value=8 << 30, source="sampler", exact=False),
            wall=Measure(value=212.0, source="clock", exact=True),
        ),
        "limits": Limits(),
        "guards": Guards(facts={"level": "none"}),
        "ceilings_hit": ("tmp",),
        "outputs": (OutputFile(path="a", size=1 << 30),),
        "message": "a remark",
        "traceback": 'File "reduce.py", line 12\nValueError: no counts in bank 2\n',
    }
    outcome = BoxOutcome(**(fields | changes))
    record = {"outcome": outcome.to_json(), "log_tails": tails}
    durable.replace(site.place(job).exit(n), records.pack(record), "exit")


def advised(verdict, **changes):
    known = {"job": "the-job", "instrument": "ENGINX", "rb": "1510111", "limits": Limits(cpu=600.0).to_json()}
    return advice.of(verdict, **(known | changes))


def test_every_verdict_has_a_line_of_advice_for_each_of_the_two_who_can_do_something():
    for verdict in Verdict:
        words = advised(verdict)
        for text in (words.scientist, words.operator):
            assert 0 < len(text) < 200
            assert "\n" not in text
            assert "{" not in text


@pytest.mark.parametrize(
    ("verdict", "sentence", "line"),
    [
        ("memory_limit", "", 'memory = "16 GiB"'),
        ("memory_limit_helper", "", 'memory = "16 GiB"'),
        ("wall_limit", "", 'wall = "8 h"'),
        ("cpu_limit", "", 'cpu = "20 min"'),
        ("log_limit", "", 'log = "20 MiB"'),
        ("output_limit", "output limit 20 GiB reached; raise limits.output for ENGINX", 'output = "40 GiB"'),
        ("output_limit", "limit of 100000 files reached; raise limits.files for ENGINX", "files = 200000"),
        ("output_limit", "file size limit reached; raise limits.file_size for ENGINX", "a larger file_size"),
    ],
)
def test_the_advice_about_a_limit_is_a_line_that_the_configuration_takes(verdict, sentence, line):
    words = advised(verdict, sentence=sentence, rb='1"5')
    assert f'[limits.instrument.ENGINX] or [limits.rb."1\\"5"] write {line}' in words.operator
    if " = " in line:
        text = f'[broker]\nurl = "none"\n[limits.instrument.ENGINX]\n{line}\n[limits.rb."1\\"5"]\n{line}\n'
        limits = config.parse(text, "site.toml").limits_for("ENGINX", "0")
        key = line.partition(" ")[0]
        assert getattr(limits, key) == 2 * getattr(Limits(cpu=600.0), key)


def test_a_verdict_of_a_newer_version_has_advice_as_well():
    assert "logs" in advised("eaten_by_mice").scientist


@pytest.mark.parametrize("limit", [None, True, "8 GiB", -1, 0, 1e300, float("nan")])
def test_advice_never_fails_over_a_limit_that_is_none(limit):
    assert "a larger memory" in advised("memory_limit", limits={"memory": limit}).operator


# --- the golden text: `PYTHONPATH=.:tests/support python tests/unit/test_verb_why.py > tests/unit/golden/why.txt`

GOLDEN = pathlib.Path(__file__).parent / "golden" / "why.txt"
#: 2026-01-01 12:00 UTC.
NOON = 1_767_268_800.0
#: Verdicts of runs that never began, and so were never measured.
UNMEASURED = {"unavailable", "gave_up", "refused", "setup_failed"}
LOG = "reduction_log/RB1510111Run75513"


def golden_sentence(verdict):
    """The sentences themselves are held in `sentences.txt`; one of them decides which limit the advice is about."""
    files = "limit of 100000 files reached at 100212 files after 212 s; raise limits.files for ENGINX"
    return files if verdict == "output_limit" else "the sentence"


def finished(verdict):
    """The dossier of a run that ended with this verdict."""
    request = records.Request(
        job="4f6c0f6e", body="{}", digest="d", headers={}, family="isis2016", instrument="ENGINX", facility="ISIS",
        rb="1510111", run="75513", run_raw=75513, version=0, data=["/d"], priority=4, time_ms=1, sequence=0,
        journaled=NOON, host="host-1",
    )  # fmt: skip
    box = BoxOutcome(
        verdict=Verdict(verdict), sentence=golden_sentence(verdict), exit=decode_status(0),
        usage=Usage(
            wall=Measure(value=212.0, source="clock", exact=True), cpu=Measure(value=401.0, source="rusage", exact=True),
            peak_memory=Measure(value=int(7.9 * 2**30), source="sampler", exact=False),
            processes=Measure(value=3, source="sampler", exact=False),
        ),
        limits=Limits(), guards=Guards(),
        outputs=(OutputFile(path="a.nxs", size=1 << 30),) if verdict == "completed" else (),
        traceback='File "reduce.py", line 12, in main\nValueError: no counts in bank 2\n' if verdict == "script_error" else "",
    )  # fmt: skip
    good, attempt_stem = verdict == "completed", f"{LOG}v0e2"
    names = [f"{LOG if good else attempt_stem}{name}" for name in ("Script.out", "Mantid.log")]
    names.append("reduction_log/reduction.json" if good else f"{attempt_stem}reduction.json")
    measured = verdict not in UNMEASURED
    target = dossier.Place(
        path="/archive/RB1510111/75513", kept="/archive/.failed", mode="replace" if good else "logs", files=names
    )
    run = RunRecord(host="host-1", shepherd=SOMEBODY, builder=SOMEBODY, token="t", scratch="s", version="1", time=NOON)
    first = dossier.Attempt(
        n=1, epoch=Epoch(host="host-1", boot="b", job="4f6c0f6e", time=NOON), run=run,
        outcome=Outcome(kind="retry", why='data file cannot be used: "/d": no such file or directory', not_before=NOON + 60),
    )  # fmt: skip
    last = dossier.Attempt(
        n=2, epoch=Epoch(host="host-2", boot="b", job="4f6c0f6e", time=NOON + 90), run=run,
        outcome=Outcome(kind="committed", verdict=verdict, sentence=golden_sentence(verdict)),
        exit=box.to_json() if measured else {},
        tails={"stdout": "reading bank 1\nreading bank 2\n"} if measured else {},
    )  # fmt: skip
    return dossier.Dossier(
        request=request, state="ended", attempts=(first, last), decided=last, places=(target,) if measured else (),
        promoted=Promoted(kind="done"), redelivered=verdict == "completed", started=measured, started_sent=measured,
        published=True,
    )  # fmt: skip


def golden_text():
    """What `why` tells of a run of each verdict, at noon in Greenwich."""
    rows = []
    for verdict in Verdict:
        rows += [f"== {verdict}", *story.text(finished(str(verdict)), NOON + 600), ""]
    return "\n".join(rows)


def test_what_why_tells_of_each_verdict_is_the_golden_text(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        assert golden_text() == GOLDEN.read_text(encoding="utf-8")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_sentence_comes_first_and_the_evidence_after(site, why):
    job = site.submit(site.message())
    target = Target(path="/archive/75513", staging="/archive/.x", mode="logs", files=["reduction_log/a.out"])
    attempt(site, job, 1, Outcome(kind="retry", why="data file cannot be used", not_before=time.time()))
    attempt(site, job, 2, Outcome(kind="released", why="nursery: gone"), began=False)
    decided(site, job, 4, "memory_limit", "memory limit 8 GiB reached at 8 GiB after 212 s", [target])
    leave_exit(site, job, 4, {"stdout": "one\ntwo\n", "stderr": "warned\n"})
    rows = why(job).splitlines()
    assert rows[0] == f"ENGINX run 75513 version 0, RB 1510111: job {job}"
    assert rows[1] == "memory_limit: memory limit 8 GiB reached at 8 GiB after 212 s"
    assert rows[2].startswith("advice:")
    assert "raise limits.memory for ENGINX" in rows[2]
    text = "\n".join(rows)
    assert "epoch 1:   retry: data file cannot be used" in text
    assert "epoch 2:   released: nursery: gone on host-2" in text
    assert "no shepherd began" in text
    assert "logs:      /archive/75513/reduction_log/a.out" in text
    assert "memory:    8.0 GiB of 8 GiB (100 %)" in text
    assert "wall:      212 s of 4 h (1 %)" in text
    assert "output:    1.0 GiB of 20 GiB (5 %)" in text
    assert "reached without ending the run: tmp" in text
    assert "    ValueError: no counts in bank 2" in text
    assert "end of stdout:\n    one\n    two" in text
    assert "remark:    a remark" in text


def test_json_holds_the_same_facts(site, why):
    job = site.submit(site.message())
    decided(site, job, 1, "memory_limit")
    leave_exit(site, job, 1, {"stdout": "one"})
    told = why("75513", "--json")
    assert (told["job"], told["verdict"], told["sentence"], told["state"]) == (job, "memory_limit", "it ended", "ended")
    assert told["usage"]["wall"]["value"] == 212.0
    assert told["limits"]["memory"] == 8 << 30
    assert told["attempts"][0]["kind"] == "committed"
    assert told["log_tails"] == {"stdout": "one"}
    assert told["replies"] == {"started": False, "started_told": False, "all_told": False}


def test_a_waiting_job_says_what_it_waits_for_and_a_running_one_that_it_runs(site, why):
    job = site.submit(site.message(rb=1))
    assert why(job, "--json")["waits_for"] == "no supervisor is heard of"
    attempt(site, job, 1, None)
    behind = site.submit(site.message(run=2, rb=1))
    told = why(job, "--json")
    assert (told["state"], told["headline"], told["verdict"]) == ("running", "running", None)
    assert why(behind, "--json")["waits_for"] == f"job {job} of its RB runs"
    journal.cancel_job(site.place(job), records.Cancel(who="operator anna", time_ms=1, written=time.time()))
    text = why(job)
    assert "running, and asked to end" in text
    assert "by operator anna" in text


def test_a_retry_is_told_with_its_reason_and_when_it_runs_next(site, why):
    job = site.submit(site.message())
    at = time.time() + 3600
    attempt(site, job, 1, Outcome(kind="retry", why="archive cannot be used: read-only", not_before=at))
    durable.replace(site.place(job).not_before, records.pack({"time": at}), "not-before")
    text = why(job)
    assert "waiting; the last attempt: retry: archive cannot be used: read-only" in text
    assert "advice:    it is tried again by itself" in text
    next_try = next(row for row in text.splitlines() if row.startswith("next try:"))
    assert next_try.startswith("next try:  attempt 2, not before ")
    assert next_try.endswith(", because: archive cannot be used: read-only")
    assert why(job, "--json")["not_before"] == at


def test_logs_and_record_of_a_result_are_told_by_the_names_people_look_for(site, why):
    job = site.submit(site.message())
    stem = "reduction_log/RB1510111Run75513"
    files = [f"{stem}Script.out", f"{stem}Mantid.log", "reduction_log/reduction.json", "reduction_log/reduce.py"]
    decided(site, job, 1, "completed", targets=[Target(path="/archive/9", staging="/x", mode="replace", files=files)])
    rows = why(job).splitlines()
    assert f"logs:      /archive/9/{stem}Script.out" in rows
    assert f"logs:      /archive/9/{stem}Mantid.log" in rows
    assert "record:    /archive/9/reduction_log/reduction.json" in rows
    assert not [row for row in rows if row.endswith("reduce.py")]


def test_a_message_that_came_twice_is_told_as_such(site, why):
    job = site.submit(site.message())
    durable.touch(site.place(job).redelivered, "redelivered")
    assert "delivery:  its message came more than once" in why(job)


def test_a_result_on_its_way_and_its_replies_are_told(site, why):
    job = site.submit(site.message())
    target = Target(path="/archive/75513", staging="/archive/.x", mode="replace")
    cells = decided(site, job, 1, "completed", targets=[target], promoted="")
    told = why(job)
    assert "on its way to /archive/75513" in told
    assert "tried again until it is done" in told
    cells.link_promoted(1, Promoted(kind="done"))
    durable.touch(site.place(job).started, "started")
    assert "started due; the answer is due" in why(job)
    durable.touch(site.place(job).published, "published")
    assert "replies:   all told" in why(job)


def test_a_cancel_that_came_too_late_is_told_as_such(site, why):
    job = site.submit(site.message())
    decided(site, job, 1, "completed")
    journal.cancel_job(site.place(job), records.Cancel(who="message", time_ms=1, written=time.time()))
    assert "too late to change anything" in why(job)


def test_the_newest_job_of_a_run_is_told_and_the_others_named(site, why):
    now = int(time.time() * 1000)
    old = site.submit(site.message(run="00075513"), time_ms=now - 5000)
    new = site.submit(site.message(run=75513), time_ms=now)
    told = why("75513.0", "--json")
    assert (told["job"], told["siblings"]) == (new, [old])
    assert f"job {old} is of the same run" in why("75513", "--instrument", "enginx")


def test_a_run_of_two_instruments_asks_for_one(site, why):
    site.submit(site.message())
    other = site.submit(site.message(instrument="HIFI"))
    text = why("75513", status=2)
    assert "ENGINX, HIFI" in text
    assert len(text.splitlines()) == 1
    assert why("75513", "--instrument", "HIFI", "--json")["job"] == other


def test_nothing_known_is_one_sentence_and_status_2(site, why):
    site.submit(site.message())
    for words in (["nobody"], ["1"], ["1", "--instrument", "HIFI"], ["../../etc"], ["a\x1bb"], [""]):
        text = why(*words, status=2)
        assert len(text.splitlines()) == 1
        assert "\x1b" not in text


def poison(site, job, told):
    body = b'{"instrument": "ENGINX\\u001b"}'
    headers = {"job-id": job}
    what = intake.examine(body, headers, site.settings(), host="h", hostname="h", now=1.0)
    assert isinstance(what, intake.Poison)
    journal.open_store(site.layout, create=True)
    record = {"key": what.key, "text": what.text, "body": what.body, "headers": headers, "reply": {}, "time": 1.0}
    durable.link_new(site.layout.poison(what.digest), records.pack(record), "poison")
    if told:
        durable.touch(site.layout.poison_told(what.digest), "told")
    return what


def test_a_refused_message_is_told_by_its_digest_and_by_its_id(site, why):
    what = poison(site, "odd one", told=True)
    for words in (what.digest, "odd one"):
        text = why(words)
        assert f"at fault:  {what.key}" in text
        assert "reply:     told" in text
        assert what.digest in text
    assert why(what.digest, "--json")["text"] == what.text


def test_a_job_whose_id_came_again_with_another_body_names_the_refused_one(site, why):
    job = site.submit(site.message())
    what = poison(site, job, told=False)
    assert why(job, "--json")["refused"] == [what.digest]
    assert f"why {what.digest}" in why(job)


def test_what_a_script_printed_cannot_move_the_cursor(site, why):
    job = site.submit(site.message())
    decided(site, job, 1, "script_error", "script error: \x1b]0;title\x07 \u202e")
    leave_exit(site, job, 1, {"std\x1bout": "a\x1b[2J\rb\x07\n\u202e\ttab"}, message="\x1b[31m", traceback="\x1bT\n")
    text = why(job)
    assert not [letter for letter in text if letter != "\n" and not letter.isprintable()]
    assert "\\x1b[2J" in text


@pytest.mark.parametrize("kind", ["final", "outcome", "epoch", "run", "exit", "cancel", "promoted", "not_before"])
@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"v":2}', b'{"v":1}', b'{"v":1,"time":[],"n":"x","outcome":7}'])
def test_a_corrupt_record_is_told_and_never_a_traceback(site, why, kind, text):
    job = site.submit(site.message())
    cells = decided(site, job, 1, "completed")
    place = site.place(job)
    path = {
        "outcome": cells.place.outcome(1),
        "epoch": cells.place.epoch(1),
        "run": place.run(1),
        "exit": place.exit(1),
        "promoted": cells.place.promoted(1),
    }.get(kind) or getattr(place, kind)
    with open(path, "wb") as file:
        file.write(text)
    assert job in why(job)
    told = why(job, "--json")
    harmless = text == b'{"v":1}' or kind == "exit"  # without a time, or without an outcome: nothing is told of it
    if not (harmless and kind in ("exit", "not_before")) or text in (b"", b"{"):
        assert any(path in trouble for trouble in told["unreadable"])


@pytest.mark.parametrize(
    "outcome", [{}, {"usage": 1, "limits": [], "outputs": {}, "ceilings_hit": "x"}, {"usage": {"wall": 3}}]
)
def test_an_exit_record_of_any_shape_is_shown_as_far_as_it_goes(site, why, outcome):
    job = site.submit(site.message())
    decided(site, job, 1, "crash")
    durable.replace(site.place(job).exit(1), records.pack({"outcome": outcome, "log_tails": [1]}), "exit")
    assert "crash" in why(job)
    assert why(job, "--json")["verdict"] == "crash"


def test_a_store_that_is_not_there_is_one_sentence(site, why):
    text = why("1", status=78)
    assert "is not a store" in text
    assert not os.path.exists(site.store)
    assert INSTRUMENT not in text


if __name__ == "__main__":
    os.environ["TZ"] = "UTC"
    time.tzset()
    print(golden_text(), end="")


def test_why_shows_the_curve_of_a_run_that_was_killed_with_its_limit_and_moments(site, why, monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    job = site.submit(site.message())
    decided(site, job, 1, "memory_limit")
    samples = tuple(Sample(t=float(n), rss=n << 28, cpu=n / 2, processes=1) for n in range(33))
    usage = Usage(wall=Measure(value=32.0, source="clock", exact=True), curve=samples)
    marks = (Mark(t=32.0, what="memory_limit"), Mark(t=32.0, what="kill"))
    leave_exit(site, job, 1, {}, usage=usage, marks=marks)

    told = why(job)

    assert "memory over 32 s; peak 8.0 GiB, limit 8 GiB" in told
    assert "A memory limit reached, kill at 32 s" in told
    assert max(map(len, (row for row in told.splitlines() if "│" in row))) <= 72
    assert [mark["what"] for mark in why(job, "--json")["marks"]] == ["memory_limit", "kill"]


def test_why_shows_the_beats_of_a_run_under_way_against_the_limit_of_the_configuration(site, why):
    job = site.submit(site.message())
    attempt(site, job, 1, None)
    with open(site.place(job).usage(1), "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"v": 1, "t": 10.0 * n, "cpu": n, "rss": n << 27}) + "\n" for n in range(1, 9))

    assert "memory over 80 s; peak 1.0 GiB, limit 2 GiB" in why(job)
