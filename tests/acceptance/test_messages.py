"""Messages of every size, form and sense through a real broker: what comes back, and how often."""

from __future__ import annotations

import json
import os

import pytest
from acceptancesite import KNOCK, WRITES
from waiting import wait_until

pytestmark = pytest.mark.broker

#: `replies.max_bytes` by default.
REPLY_BYTES = 512 * 1024


# --- sizes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [128 * 1024 + 1, 800_000])
def test_a_script_longer_than_an_argument_of_a_process_can_be_is_run_and_answered(site, size):
    text = WRITES + "#" * (size - len(WRITES) - 1) + "\n"
    run = site.send(site.run(text))

    started, complete = site.answer_frame("started"), site.answer_frame("complete")

    assert (run.result / "result.txt").read_text() == "done"
    for frame in (started, complete):
        told = json.loads(frame.body)
        assert len(frame.body) <= REPLY_BYTES
        if size < REPLY_BYTES:
            assert told["reduction_script"] == text
        else:
            assert len(told["reduction_script"]) < 1000, "a note stands where the script does not fit"
    assert json.loads(complete.body)["message"] == ""


def test_a_log_of_10_mib_is_answered_through_a_broker_that_takes_1_mib(site):
    lines = 10 * 1024 * 1024 // 64
    script = f"""
def main(input_file, output_dir):
    print("the first line")
    for number in range({lines}):
        print(f"line {{number:9}} " + 48 * ".")
    print("the last line")
"""
    run = site.send(site.run(script))

    site.answer("started")
    frame = site.answer_frame("complete")
    told = json.loads(frame.body)

    assert len(frame.body) <= REPLY_BYTES
    assert told["message"] == ""
    assert "the last line" in told["reduction_log"]
    assert "the first line" in told["reduction_log"], "of a log that is too long, head and tail are kept"
    (log,) = (run.result / "reduction_log").glob("*Script.out")
    kept = log.read_text()
    assert kept.startswith("the first line\n")
    assert kept.endswith("the last line\n")
    assert log.stat().st_size > 9 * 1024 * 1024


# --- forms ---------------------------------------------------------------------------------------------------------


def test_text_beyond_ascii_survives_in_script_paths_arguments_results_and_log(site):
    script = """# Zerfällt Ångström in µm? 回折 😀
import os
import reduce_vars as web_var


def main(input_file, output_dir):
    print("gemessen: Å µ 回折 😀", os.path.basename(os.path.dirname(input_file)))
    os.write(1, b"kein UTF-8: \\xe4\\n")
    with open(os.path.join(output_dir, "Meßwerte 回折.txt"), "w", encoding="utf-8") as out:
        out.write(web_var.standard_vars["Größe"])
"""
    run = site.run(script, rb="ΔE-Ω 7", folder="Lösung 回折", arguments={"Größe": "5 Å 😀"})

    site.send(run)
    complete = site.completed(run)

    assert (run.result / "Meßwerte 回折.txt").read_text(encoding="utf-8") == "5 Å 😀"
    assert "gemessen: Å µ 回折 😀 Lösung 回折" in complete["reduction_log"]
    assert "kein UTF-8: \ufffd" in complete["reduction_log"]
    assert complete["reduction_script"] == script
    assert complete["reduction_arguments"]["standard_vars"] == {"Größe": "5 Å 😀"}
    assert complete["rb_number"] == "ΔE-Ω 7"
    (location,) = complete["reduction_data"]
    assert location.endswith("\\autoreduced\\ΔE-Ω 7\\75513")


def test_a_run_number_in_any_form_is_one_run(site):
    forms = (75513, "75513", "00075513", 75513.0, " 75513 ")
    results = set()

    for number, form in enumerate(forms):
        run = site.run(WRITES, run=form, arguments={"text": f"by {form!r}"}, run_version=number)
        site.send(run)
        assert site.completed(run)["run_number"] == form, "the producer finds its own form in the reply"
        results.add((run.result, (run.result / "result.txt").read_text()))

    assert {folder for folder, _ in results} == {run.result}
    assert [text for _, text in sorted(results, key=str)] == sorted(f"by {form!r}" for form in forms)
    assert os.listdir(run.result.parent) == ["75513"]


# --- how often -------------------------------------------------------------------------------------------------------


def test_a_message_that_comes_twice_is_one_run_with_one_outcome(site):
    run, door = site.held()
    site.send(run)
    door.rung()

    site.send(run)  # while it runs
    site.send(run)
    wait_until(lambda: site.client.count(site.queue("pending")) == 0, why="the duplicates taken")
    door.open()
    site.completed(run)
    site.outcome(run)
    site.send(run)  # when it is over
    wait_until(lambda: site.client.count(site.queue("pending")) == 0, why="the last duplicate taken")
    after = site.run(WRITES, run=75514)
    site.send(after)  # of the same RB, so that a second run of the first would come before it
    site.completed(after)

    assert site.attempts(run) == 1
    assert door.is_quiet()
    assert site.left() == {}


def test_an_id_that_comes_again_with_another_body_is_answered_and_changes_nothing(site):
    run = site.run(WRITES, arguments={"text": "first"})
    site.send(run)
    site.completed(run)
    site.outcome(run)

    run.message["reduction_arguments"]["standard_vars"]["text"] = "second"
    site.send(run)

    assert run.job in site.answer("error")["message"]
    assert (run.result / "result.txt").read_text() == "first"
    assert site.attempts(run) == 1


@pytest.mark.parametrize("label", ["broker.ack before", "broker.ack after", "store.link request after"])
def test_a_supervisor_killed_around_the_acknowledgement_runs_a_message_once(site, label):
    run = site.run(WRITES)
    site.arm("supervisor", label)
    site.send(run)
    site.wait_killed()

    site.start()
    site.completed(run)
    site.outcome(run)
    wait_until(lambda: site.client.count(site.queue("pending")) == 0, why="the redelivery taken")

    assert site.attempts(run) == 1
    assert site.left() == {}


# --- sense -----------------------------------------------------------------------------------------------------------


def malformed(good):
    """Every way in which a message can be wrong: a body, and the key that the answer must name."""
    needed = ("data", "facility", "instrument", "rb_number", "run_number", "reduction_script", "reduction_arguments")
    for key in needed:
        yield json.dumps({k: v for k, v in good.items() if k != key}), key
    wrong = {
        "data": [7, "relative/path.nxs", "/etc/passwd", "\\\\isis\\inst$\\NDXGEM\\cycle_15_1\\..\\..\\x.nxs", None],
        "facility": [1, []],
        "instrument": [7, "", "GEM/../X", "GÉM", None],
        "rb_number": [[], {}, True, "", "a/b", ".."],
        "run_number": ["abc", [], [75513, "abc"], None, 1.5, True, 10**30],
        "run_version": ["x", {}],
        "reduction_script": [7, ["pass"]],
        "reduction_arguments": ["all", [1], 5, {"standard_vars": [1]}],
    }
    for key, values in wrong.items():
        for value in values:
            yield json.dumps({**good, key: value}), key
    yield "", "body"
    yield "no JSON", "body"
    yield json.dumps(good)[:-20], "body"
    yield json.dumps([good]), "body"
    yield '"text"', "body"
    yield "[" * 5000, "body"
    yield json.dumps(good)[:-1] + ', "run_number": 1}', "run_number"
    yield json.dumps({**good, "run_version": float("nan")}), "body"
    yield json.dumps(good).encode("utf-16"), "body"
    yield b'{"data": "\xff"}', "body"


def test_each_malformed_message_is_kept_answered_once_by_the_key_at_fault_and_acknowledged(site):
    good = site.run(WRITES)
    cases = {f"bad-{number}": case for number, case in enumerate(malformed(good.message))}

    for job, (body, _) in cases.items():
        site.send_raw(body, job)
    answers = {}
    for _ in cases:
        frame = site.answer_frame("error")
        told = json.loads(frame.body)
        # A message with a list is of 2018, whose consumer knows no key of ours: the facts stand in headers.
        job = told["supervisor"]["job_id"] if "supervisor" in told else frame.headers["supervisor-job-id"]
        answers.setdefault(job, []).append(told)
    site.send(good)
    site.completed(good)

    assert set(answers) == set(cases)
    for job, (body, key) in cases.items():
        (told,) = answers[job]
        assert told["message"] == told.get("error", told["message"]), body
        assert key == "body" or key in told["message"], f"{body!r} is answered by {told['message']!r}"
        assert told["message"].strip(), body
    assert site.left() == {}, "one answer each"
    assert site.client.count(site.queue("pending")) == 0, "each is acknowledged"
    kept = [name for name in os.listdir(site.layout.path("poison")) if not name.endswith(".told")]
    assert len(kept) == len(cases)


def test_a_message_that_was_an_error_before_and_is_sent_again_can_succeed(site):
    old = {
        "message": "REDUCTION Error: disk full",
        "retry_in": 21600,
        "error": "x",
        "reduction_log": "old",
        "admin_log": "old",
    }
    run = site.send(site.run(WRITES, reduction_data=["\\\\old"], information="old-host", **old))

    complete = site.completed(run)

    assert complete["message"] == ""
    assert "retry_in" not in complete
    assert "error" not in complete
    assert "old" not in json.dumps([complete[key] for key in ("reduction_log", "admin_log", "reduction_data")])


# --- order -----------------------------------------------------------------------------------------------------------


def test_runs_of_one_rb_go_by_priority_and_then_as_they_came(site):
    first, door = site.held(run=1)
    site.send(first)
    door.rung()
    waiting = [(0, 2), (4, 3), (9, 4), (4, 5), (0, 6), (9, 7)]
    runs = []
    for priority, number in waiting:
        runs.append(site.send(site.run(WRITES, run=number), priority=priority))
        site.wait_journaled(runs[-1])
    door.open()

    order = [site.answer("complete")["run_number"] for _ in range(len(waiting) + 1)]

    assert order == [1, 4, 7, 3, 5, 2, 6]


def test_runs_of_one_rb_never_overlap_and_hold_nobody_else_back(make_site):
    site = make_site(host={"slots": 2})
    busy, busy_door = site.held(run=1, rb="100")
    site.send(busy)
    busy_door.rung()
    behind = [site.send(site.run(WRITES, run=number, rb="100")) for number in range(2, 32)]
    site.wait_journaled(*behind)
    threads = os.listdir(f"/proc/{site.pid}/task")

    other, other_door = site.held(run=50, rb="200")
    site.send(other)
    other_door.rung()  # the second slot is free for it, whatever waits behind the first RB
    third, third_door = site.held(run=60, rb="300")
    site.send(third)
    site.wait_journaled(third)
    site.send_raw("the supervisor has taken a turn when this is answered", "bad")
    site.answer("error")

    assert third_door.is_quiet(), "two slots are two runs"
    assert not any(os.path.exists(site.place(run).attempts) for run in behind)
    assert os.listdir(f"/proc/{site.pid}/task") == threads, "a waiting run costs no thread"
    other_door.open()
    third_door.rung()
    third_door.open()
    busy_door.open()
    done = [site.answer("complete")["run_number"] for _ in range(33)]
    assert sorted(done) == [1, *range(2, 32), 50, 60]
    assert [number for number in done if number < 50] == list(range(1, 32))


# --- what a script may say -------------------------------------------------------------------------------------------

SKIPS = {
    "SKIP_RUNS": "SKIP_RUNS = [75512, 75513]\ndef main(input_file, output_dir):\n    raise SystemExit('ran')\n",
    "an exception": "def main(input_file, output_dir):\n    raise Exception('Skip: no beam in this run')\n",
}


@pytest.mark.parametrize("how", SKIPS)
@pytest.mark.parametrize("queue", ["error", "skipped"])
def test_a_skipped_run_is_told_as_skipped(make_site, how, queue):
    site = make_site(queues={"skipped": "skipped"} if queue == "skipped" else {})
    run = site.send(site.run(SKIPS[how]))

    site.answer("started")
    told = site.answer(queue)

    assert told["message"] == "Run has been skipped in script"
    assert told["supervisor"]["verdict"] == site.outcome(run).verdict == "skipped"
    assert site.left() == {}
    site.wait_clean()


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), 11)", "os.kill(os.getpid(), 9)", "sys.exit(3)", "os._exit(0)", "1 / 0"]
)
def test_whatever_way_a_script_dies_the_producer_is_told_and_the_next_run_goes(site, end):
    script = f"{KNOCK}\nimport sys\ndef main(input_file, output_dir):\n    os.write(2, b'\\xff dying\\n')\n    {end}\n"
    run = site.send(site.run(script))
    after = site.send(site.run(WRITES, run=75514))

    assert site.answer("started")["supervisor"]["job_id"] == run.job
    told = site.answer("error")
    assert site.completed(after)

    assert told["supervisor"]["job_id"] == run.job
    assert told["message"] == told["supervisor"]["sentence"]
    assert "\ufffd dying" in told["reduction_log"]
    assert site.left() == {}
