"""Builder and init before, at and after the start: who ends when whom, and what a failing step reports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from boxes import box, drive, outcome_and_logs, outcome_of
from waiting import wait_until

from sandbox.box import BoxError, prepare
from sandbox.linux import fork, prctl, proctree
from sandbox.verdict import Verdict

PREPARE_AND_WAIT = """
import sys, time
sys.path[:0] = {path!r}
from boxes import box
from sandbox.box import BoxError, prepare
prepared = prepare(box({spool!r}, "open('ran', 'w')"))
print(*prepared.builder, flush=True)
while True: time.sleep(60)
"""


def test_a_waiting_builder_dies_with_its_shepherd(tmp_path):
    text = PREPARE_AND_WAIT.format(path=sys.path, spool=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True) as shepherd:
        pid, start = map(int, shepherd.stdout.readline().split())
        builder = proctree.Identity(pid, start)
        assert proctree.alive(builder)

        shepherd.kill()

        wait_until(lambda: not proctree.alive(builder), 30, "the end of the builder")


def test_a_waiting_builder_has_nothing_of_its_shepherd(tmp_path):
    secret = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(secret, True)
    prepared = prepare(box(tmp_path, "pass", cgroup="off"))
    try:
        folder = f"/proc/{prepared.builder.pid}/fd"
        if os.geteuid() == 0:
            wait_until(lambda: len(os.listdir(folder)) == 7, 30, "three streams and four pipe ends")
            targets = {os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}
            assert {target.split(":")[0] for target in targets} == {"/dev/null", "pipe"}
        else:
            wait_until(lambda: not os.access(folder, os.R_OK), 30, "the builder to hide")
        assert proctree.look(prepared.builder.pid).session == prepared.builder.pid
    finally:
        prepared.abandon()
        os.close(secret)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT])
def test_a_waiting_builder_ignores_what_a_terminal_or_service_sends(tmp_path, number):
    prepared = prepare(box(tmp_path, "open('ran', 'w')"))
    os.kill(prepared.builder.pid, number)
    with prepared.release() as running:
        drive(running)
        assert running.outcome().verdict is Verdict.completed, running.outcome().sentence


def test_a_working_folder_that_is_gone_is_a_setup_failure_that_names_its_step(tmp_path):
    prepared = prepare(box(tmp_path, "pass", mode="module"))
    os.rmdir(os.path.join(prepared.scratch, "work"))
    with prepared.release() as running:
        drive(running)
        outcome = running.outcome()

    assert outcome.verdict is Verdict.setup_failed
    assert "folder" in outcome.sentence
    assert "ENOENT" in outcome.sentence


def test_a_program_without_the_right_to_be_executed_is_a_setup_failure(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\n")

    outcome = outcome_of(box(tmp_path, "pass", interpreter=(str(program),)))

    assert outcome.verdict is Verdict.setup_failed
    assert "EACCES" in outcome.sentence


def test_a_program_without_a_path_is_found_in_the_boxes_path(tmp_path):
    _, said = outcome_and_logs(box(tmp_path, "", interpreter=("sh", "-c", "echo found")))

    assert said == b"found\n"


def test_a_wrapper_may_stand_before_the_interpreter(tmp_path):
    outcome = outcome_of(box(tmp_path, "open('a', 'w')", interpreter=("/usr/bin/env", "X=1", sys.executable)))

    assert outcome.verdict is Verdict.completed, outcome.sentence


def test_few_processors_are_kept_and_told_to_libraries(tmp_path):
    script = "import json, os\nprint(json.dumps([len(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS']]))"

    _, said = outcome_and_logs(box(tmp_path, script, cpus=1.0))

    assert json.loads(said) == [1, "1"]


def test_orphans_go_where_they_went_before_the_first_box(tmp_path):
    assert not prctl.adopts_orphans()
    with prepare(box(tmp_path, "pass")).release() as running:
        assert prctl.adopts_orphans()
        drive(running)
    assert not prctl.adopts_orphans()


def test_a_box_works_for_a_caller_without_standard_streams(tmp_path):
    text = (
        "import sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "import os\n"
        "from boxes import box, outcome_and_logs\n"
        "report = os.dup(1)\n"
        "os.set_inheritable(report, False)\n"
        "for n in range(3): os.close(n)\n"
        f"outcome, said = outcome_and_logs(box({str(tmp_path)!r}, \"print('hello')\"))\n"
        "os.write(report, repr((str(outcome.verdict), said)).encode())\n"
        "os._exit(0)\n"
    )

    said = subprocess.run([sys.executable, "-c", text], stdout=subprocess.PIPE, check=True, timeout=60).stdout

    assert said == b"('completed', b'hello\\n')"


def test_a_child_never_returns_into_its_parents_stack():
    read, write = os.pipe()

    def child():
        raise KeyboardInterrupt

    pid = fork.fork_into(child)
    _, status = os.waitpid(pid, 0)
    os.write(write, b"parent")
    os.close(write)

    assert os.waitstatus_to_exitcode(status) == 70
    assert os.read(read, 100) == b"parent"
    os.close(read)


def test_a_death_signal_is_refused_when_the_parent_is_another():
    def child():
        try:
            prctl.die_with_parent(signal.SIGKILL, 1 << 30)
        except prctl.ParentGoneError:
            return 42
        return 0

    _, status = os.waitpid(fork.fork_into(child), 0)

    assert os.waitstatus_to_exitcode(status) == 42


def test_a_waiting_box_takes_another_script_and_another_interpreter(tmp_path):
    prepared = prepare(box(tmp_path, "raise SystemExit('the first text')"))
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexport WRAPPED=yes\nexec "{sys.executable}" "$@"\n')
    wrapper.chmod(0o755)

    text = b"import os; print(os.environ['WRAPPED'], os.environ['OF_THE_SITE'])"
    prepared.give(script=b"raise SystemExit('the second')", interpreter=("/none",), env={})
    prepared.give(script=text, interpreter=(str(wrapper), "-B"), env={"OF_THE_SITE": "x" * 40_000})
    with prepared.release() as running:
        drive(running)

        assert running.outcome().verdict is Verdict.completed, running.outcome().sentence
        assert running.logs.stdout.text() == b"yes " + b"x" * 40_000 + b"\n"


def test_a_builder_that_is_gone_is_told_nothing(tmp_path):
    prepared = prepare(box(tmp_path, "pass"))
    os.kill(prepared.builder.pid, signal.SIGKILL)
    wait_until(lambda: not proctree.alive(prepared.builder), 30, "the end of the builder")

    with pytest.raises(BoxError, match="plan"):
        prepared.give(script=b"pass")

    with prepared.release() as running:
        drive(running)
        assert running.outcome().verdict is Verdict.setup_failed


def test_a_waiting_box_takes_the_defaults_of_its_instrument(tmp_path):
    text = "import reduce_vars; main = lambda a, b: print(reduce_vars.standard_vars)"
    values = {"standard_vars": {"bank": 2}, "advanced_vars": {}}
    prepared = prepare(box(tmp_path, text, mode="module", reduce_vars=values))

    prepared.give(defaults=b"standard_vars = {'bank': 1, 'vanadium': '236516'}\n")
    with prepared.release() as running:
        drive(running)

        assert running.outcome().verdict is Verdict.completed, running.outcome().sentence
        assert running.logs.stdout.text() == b"{'bank': 2, 'vanadium': '236516'}\n"
