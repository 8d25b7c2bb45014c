"""The defects of the worker of 2016 that need real processes to show; each test fails on its mutant.

Which mutant that is stands in `tests/mutants/defects.py`. A run that must not happen fails inside its own script, so that
a mutant is found out at once and not by a time-out.
"""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from boxes import box, drive, outcome_and_logs, says
from embedded import Embedded
from waiting import wait_until

from sandbox.box import start
from sandbox.linux import proctree
from supervisor import journal
from supervisor.attempts import history
from supervisor.cells import read_final
from supervisor.records import Cancel


@pytest.fixture
def site_of(tmp_path):
    sites = []

    def make(**sections):
        sites.append(Embedded(tmp_path, **sections))
        sites[-1].start()
        return sites[-1]

    yield make
    for site in sites:
        site.end_everything()


def reply(outcome):
    return json.loads(outcome.replies["done"]["body"])


def first_decision(site, job):
    """Wait until the first epoch of the job's RB is decided, in whatever way."""
    cells = site.cells(job)
    return wait_until(lambda: cells.outcome(1), 60, f"the first epoch of job {job} to be decided")


def content(folder):
    """Every file below a folder, with what it holds and its time."""
    found = {}
    for root, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = (file.read(), os.stat(path).st_mtime_ns)
    return found


# Every end has its reply (D3)


def test_however_a_script_ends_its_producer_is_told_why(site_of):
    site = site_of()
    ends = {
        "killed": "    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n",
        "crash": "    import os, signal\n    os.kill(os.getpid(), signal.SIGSEGV)\n",
        "exit": "    raise SystemExit('no counts in bank 2')\n",
        "log": "    import os\n    os.write(1, b'caf\\xe9 \\xff\\n')\n    raise ValueError('no counts')\n",
    }
    jobs = {}
    for number, (name, body) in enumerate(ends.items()):
        script = f"def main(input_file, output_dir):\n{body}"
        jobs[name] = site.submit(site.message(script, run=number + 1, rb=number + 1))

    ended = {name: first_decision(site, job) for name, job in jobs.items()}

    assert {name: (outcome.kind, outcome.verdict) for name, outcome in ended.items()} == {
        "killed": ("committed", "killed_external"),
        "crash": ("committed", "crash"),
        "exit": ("committed", "script_error"),
        "log": ("committed", "script_error"),
    }
    for outcome in ended.values():
        assert reply(outcome)["message"] == outcome.sentence
        assert "ReductionError" in outcome.replies["done"]["queue"]
    assert "no counts in bank 2" in reply(ended["exit"])["message"]
    assert "caf\ufffd \ufffd" in reply(ended["log"])["reduction_log"]


def test_a_script_that_never_ends_is_ended(tmp_path):
    outcome, _ = outcome_and_logs(box(tmp_path, "import time\ntime.sleep(5)", wall=0.5))

    assert outcome.verdict == "wall_limit"


# What a skipped run is told as (D4)


def test_a_run_that_its_script_skips_is_told_as_skipped_and_leaves_nothing(site_of):
    site = site_of(queues={"skipped": "ReductionSkipped"})
    script = "SKIP_RUNS = ['00075513']\ndef main(input_file, output_dir):\n    return ''\n"

    outcome = site.wait_published(site.submit(site.message(script)))

    assert outcome.verdict == "skipped"
    assert reply(outcome)["message"] == "Run has been skipped in script"
    assert outcome.replies["done"]["queue"].endswith("ReductionSkipped")
    wait_until(lambda: not os.listdir(site.path("spool")), 30, "the scratch of the skipped run to be removed")
    assert [name for name in os.listdir(os.path.dirname(site.result())) if name.startswith(".autoreduce")] == []


# What the site does not give (D5, D6)


def test_a_producer_that_retries_is_told_what_cannot_be_read_and_why(site_of):
    site = site_of(retry={"by": "producer"})
    missing = os.path.join(site.data, "ENGINX00000001.nxs")

    outcome = site.wait_final(site.submit(site.message(run=2, data=missing)))

    said = reply(outcome)
    assert outcome.verdict == "unavailable"
    assert missing in said["message"]
    assert "No such file or directory" in said["message"]
    assert said["retry_in"] == 21600


def test_retries_have_an_end_and_the_last_reply_announces_none(site_of):
    cap = 2
    site = site_of(retry={"cap": cap, "first": "50 ms", "delay": "100 ms", "jitter": 0.0})
    missing = os.path.join(site.data, "ENGINX00000001.nxs")
    job = site.submit(site.message(run=2, data=missing))

    def retries():
        return history(site.place(job), site.cells(job)).retries

    wait_until(lambda: read_final(site.place(job)) or retries() >= cap, 60, "the retries to end")

    assert retries() == cap - 1  # attempts in all, the first one included
    outcome = site.wait_final(job)
    assert outcome.verdict == "unavailable"
    assert missing in reply(outcome)["message"]
    assert "retry_in" not in reply(outcome)


# Runs beside each other (D8, D9, D10)


def submit_patient(site, **keys):
    """Submit a run that ends when the gate of its site is open."""
    script = f"""
import os, time
def main(input_file, output_dir):
    while not os.path.exists({site.path("gate")!r}):
        time.sleep(0.02)
"""
    return site.submit(site.message(script, **keys))


def open_gate(site):
    with open(site.path("gate"), "w"):
        return


def claims(site, jobs):
    """How many runs of these jobs have been claimed: whoever claims one writes an epoch of its RB first."""
    folders = {site.cells(job).place: site.cells(job) for job in jobs}
    return sum(cells.last() for cells in folders.values())


def wait_for_a_look(site):
    """Wait until the supervisor has looked at all that waits once more, and has claimed what it may.

    A cancelled run needs no slot; one that is cancelled now is found by a look after those that found the others, and is
    told after they are claimed.
    """
    job = site.submit(site.message(run=99, rb="a witness"))
    cancel(site, job, run=99)
    assert site.wait_final(job).verdict == "cancelled"


def cancel(site, job, run):
    """Journal a cancel of a run, as the supervisor does that takes it."""
    now = time.time()
    stop = Cancel(
        who="test", time_ms=int(now * 1000) + 1, message_id="c", instrument="ENGINX", run=str(run), written=now
    )
    assert journal.cancel_run(site.layout, stop) == [job]


def test_two_runs_of_one_rb_never_overlap(tmp_path):
    with Embedded(tmp_path, host={"slots": 3}) as site:
        jobs = [submit_patient(site, run=run) for run in (1, 2, 3)]
        site.start()
        wait_until(lambda: claims(site, jobs), 60, "a run of the RB to be claimed")
        wait_for_a_look(site)

        assert claims(site, jobs) == 1
        open_gate(site)
        assert [site.wait_final(job).verdict for job in jobs] == ["completed"] * 3


def test_ten_held_runs_of_one_rb_do_not_stop_another_rb_whose_number_is_a_number(site_of, tmp_path):
    site = site_of(host={"slots": 2})
    flag = str(tmp_path / "the other RB has run")
    held = f"""
import os, time
def main(input_file, output_dir):
    until = time.monotonic() + 60
    while not os.path.exists({flag!r}):
        assert time.monotonic() < until, "the run of the other RB did not begin"
        time.sleep(0.05)
"""
    first, *_ = [site.submit(site.message(held, run=run, rb="1510111")) for run in range(1, 12)]
    site.wait_running(first)

    other = site.submit(site.message(f"def main(i, o):\n    open({flag!r}, 'w').close()\n", run=99, rb=1510112))

    assert site.wait_final(other).verdict == "completed"
    assert site.wait_final(first).verdict == "completed"


def test_no_more_runs_go_at_a_time_than_there_are_slots(tmp_path):
    with Embedded(tmp_path, host={"slots": 2}) as site:
        jobs = [submit_patient(site, run=run, rb=run) for run in (1, 2, 3, 4)]
        site.start()
        wait_until(lambda: claims(site, jobs) >= 2, 60, "as many runs as there are slots to be claimed")
        wait_for_a_look(site)

        assert claims(site, jobs) == 2
        open_gate(site)
        assert [site.wait_final(job).verdict for job in jobs] == ["completed"] * 4


# A running reduction can be cancelled (D11)


def test_a_cancel_ends_a_run_that_is_going(site_of, tmp_path):
    site = site_of()
    flag = str(tmp_path / "begun")
    script = f"import time\ndef main(i, o):\n    open({flag!r}, 'w').close()\n    time.sleep(10)\n"
    job = site.submit(site.message(script, run=7))
    wait_until(lambda: os.path.exists(flag), 60, "the script to begin")

    cancel(site, job, run=7)
    os.kill(site.wait_running(job).shepherd.pid, signal.SIGUSR1)  # as the supervisor does that took the cancel

    assert site.wait_final(job).verdict == "cancelled"


# What stands in the archive (D12, D13)


def test_a_failing_run_leaves_nothing_that_the_next_one_publishes(site_of):
    site = site_of(paths={"excitation_instruments": ["ENGINX"]})
    leaving = "def main(i, o):\n    open(o + '/half.nxs', 'w').write('half')\n    raise ValueError('no counts')\n"
    good = "def main(i, o):\n    open(o + '/whole.nxs', 'w').write('whole')\n"

    failed = site.wait_final(site.submit(site.message(leaving, run=1)))
    passed = site.wait_final(site.submit(site.message(good, run=2)))

    assert (failed.verdict, passed.verdict) == ("script_error", "completed")
    shared = content(os.path.join(site.archive, "excitation", "1510111"))
    assert {name for name in shared if not name.startswith((".", "reduction_log"))} == {"whole.nxs"}


def test_a_failing_re_run_leaves_the_good_result_as_it_was(site_of):
    site = site_of()
    good = "def main(i, o):\n    open(o + '/sum.nxs', 'w').write('good')\n"
    bad = "def main(i, o):\n    open(o + '/sum.nxs', 'w').write('bad')\n    raise ValueError('no counts')\n"
    assert site.wait_final(site.submit(site.message(good))).verdict == "completed"
    before = content(site.result())
    assert before["sum.nxs"][0] == b"good"

    outcome = site.wait_final(site.submit(site.message(bad, run_version=1)))

    after = content(site.result())
    assert outcome.verdict == "script_error"
    assert {name: after.get(name) for name in before} == before
    assert {os.path.dirname(name) for name in after.keys() - before.keys()} == {"reduction_log"}


def test_a_returned_folder_that_exists_keeps_what_others_put_there(site_of):
    site = site_of()
    cycle = os.path.join(site.archive, "cycle_15_1")
    os.makedirs(os.path.join(cycle, "deep"))
    for name in ("sum.nxs", "deep/other.nxs"):
        with open(os.path.join(cycle, name), "w") as file:
            file.write("theirs")
    before = content(cycle)
    script = f"def main(i, o):\n    open(o + '/sum.nxs', 'w').write('ours')\n    return {cycle!r}\n"

    assert site.wait_final(site.submit(site.message(script))).verdict == "completed"

    after = content(cycle)
    assert {name: after.get(name) for name in before} == before
    assert b"ours" in {data for data, _ in after.values()}


# Nothing of ours reaches a script (D15)


def test_a_script_begins_in_a_folder_of_its_own_with_a_umask_of_its_own(tmp_path):
    script = """
        import json, os
        def main(input_file, output_dir):
            print(json.dumps([os.getcwd(), os.umask(0)]))
    """
    before = os.umask(0)
    try:
        outcome, said = outcome_and_logs(box(tmp_path, script, mode="module"))
    finally:
        os.umask(before)

    assert outcome.verdict == "completed"
    folder, umask = json.loads(said)
    assert os.path.dirname(os.path.dirname(folder)) == str(tmp_path)
    assert os.path.basename(folder) == "work"
    assert umask == 0o027


def test_what_the_supervisor_knows_by_its_environment_reaches_neither_nursery_nor_script(tmp_path):
    with Embedded(tmp_path) as site:
        site.environment["BROKER_PASSWORD"] = "correct-horse-battery"
        site.start()
        script = "import os\ndef main(i, o):\n    open(o + '/seen', 'w').write(repr(os.environ))\n"
        assert site.wait_final(site.submit(site.message(script))).verdict == "completed"

        with open(f"/proc/{site.process.pid}/environ", "rb") as file:
            assert b"correct-horse-battery" in file.read()  # or this test would prove nothing
        with open(f"/proc/{site.nursery()}/environ", "rb") as file:
            assert b"correct-horse-battery" not in file.read()
        with open(site.result("seen"), "rb") as file:
            assert b"correct-horse-battery" not in file.read()


# The text of a script (D16)

#: In a comment of the script and among its arguments; whoever shows one of them in `ps` shows a stranger's text.
MARK = "only-the-script-knows-this"


def showing(mark):
    """Every process of this host, whatever it is, whose command line or environment shows a text."""
    found = []
    for pid in proctree.scan():
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    if mark.encode() in file.read():
                        found.append((pid, name))
            except OSError:  # it ended, or is another user's
                continue
    return found


def test_neither_script_nor_arguments_stand_in_a_command_line_or_an_environment(tmp_path):
    mark = f"{MARK}-{os.getpid()}"
    script = f"# {mark}\nimport time\ndef main(i, o):\n    print('in main', flush=True)\n    time.sleep(60)\n"
    made = box(tmp_path, script, mode="module", reduce_vars={"standard_vars": {"note": mark}, "advanced_vars": {}})

    with start(made) as running:
        drive(running, says("in main"))
        seen = showing(mark)

    assert seen == []


def test_a_script_may_be_longer_than_one_argument_of_a_program(tmp_path):
    script = "def main(input_file, output_dir):\n    return ''\n" + "# é\n" * 100_000

    outcome, _ = outcome_and_logs(box(tmp_path, script, mode="module"))

    assert (outcome.verdict, outcome.message) == ("completed", "")


def test_a_long_script_goes_the_whole_way(site_of):
    site = site_of()
    script = "def main(i, o):\n    open(o + '/size', 'w').write(str(len(open(__file__).read())))\n" + "# x\n" * 200_000

    assert site.wait_final(site.submit(site.message(script))).verdict == "completed"

    with open(site.result("size")) as file:
        assert int(file.read()) == len(script)


# All that a run says (D17)


def test_what_compiled_code_and_children_say_is_in_the_log_too(tmp_path):
    script = """
        import ctypes, subprocess, sys
        print("python says", flush=True)
        libc = ctypes.CDLL(None)
        libc.puts(b"a library says")
        libc.fflush(None)
        subprocess.run([sys.executable, "-c", "import sys; print('a child says'); print('a child complains', file=sys.stderr)"])
    """
    with start(box(tmp_path, script)) as running:
        drive(running)
        out, err = running.logs.stdout.text(), running.logs.stderr.text()

    assert out.splitlines() == [b"python says", b"a library says", b"a child says"]
    assert b"a child complains" in err


# Text beyond ASCII (D19)


def test_text_beyond_ascii_survives_the_whole_way(site_of):
    site = site_of()
    script = """
from reduce_vars import standard_vars
def main(input_file, output_dir):
    print("Zählrate 散乱")
    with open(output_dir + "/größe 中性子.txt", "w", encoding="utf-8") as file:
        file.write(standard_vars["títul"] + input_file)
"""
    data = os.path.join(site.data, "Ångström.nxs")
    with open(data, "w") as file:
        file.write("counts")
    arguments = {"standard_vars": {"títul": "Ünïcode 測定"}, "advanced_vars": {}}

    outcome = site.wait_final(site.submit(site.message(script, data=data, reduction_arguments=arguments)))

    assert outcome.verdict == "completed"
    with open(site.result("größe 中性子.txt"), encoding="utf-8") as file:
        assert file.read() == "Ünïcode 測定" + data
    assert "Zählrate 散乱" in reply(outcome)["reduction_log"]
    assert reply(outcome)["reduction_arguments"] == arguments
