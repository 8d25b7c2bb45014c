"""Whole runs with real processes: how they end, what is measured, and that nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from boxes import NO_CORE, box, children_of, drive, outcome_and_logs, outcome_of, says
from opendescriptors import none_left
from waiting import wait_until

from sandbox import copyout
from sandbox.box import BoxError, prepare, run, start
from sandbox.limits import MiB
from sandbox.linux import proctree, rlimits
from sandbox.verdict import KillReason, Verdict

IGNORE_ALL = "import signal\nfor n in set(range(1, 65)) - {9, 17, 19, 32, 33}: signal.signal(n, signal.SIG_IGN)\n"


@pytest.fixture(autouse=True)
def _no_child_is_left():
    before = set(children_of(os.getpid()))
    yield
    wait_until(lambda: set(children_of(os.getpid())) <= before, 30, "the end of every child of the test")


def living(pid):
    found = proctree.look(pid)
    return found is not None and found.living


# How a script ends by itself


def test_a_script_that_returns_is_completed_and_its_results_are_listed(tmp_path):
    outcome, said = outcome_and_logs(box(tmp_path, "print('hello')\nopen('a.txt', 'w').write('result')"))

    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert [(file.path, file.size) for file in outcome.outputs] == [("a.txt", 6)]
    assert said == b"hello\n"
    assert outcome.exit == {"status": 0, "code": 0, "signal": None}
    assert outcome.usage.wall.exact
    assert outcome.usage.cpu.value > 0
    assert outcome.usage.peak_memory.value > MiB


def test_a_caller_with_more_descriptors_than_select_takes_runs_and_closes_boxes(tmp_path):
    """`run` is a library call too; select(2) takes no descriptor above 1023."""
    assert rlimits.raise_open_files() >= 4096, "the hard limit of open files is too low; set: ulimit -Hn 4096"
    with contextlib.ExitStack() as opened:
        for _ in range(1100):
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

        assert outcome_of(box(tmp_path, "print('hello')")).verdict is Verdict.completed
        running = start(box(tmp_path, "import time\nprint('up', flush=True)\ntime.sleep(600)"))
        drive(running, says("up"))
        running.close()

    assert running.ended


def test_module_mode_calls_main_with_input_and_output(tmp_path):
    script = "def main(input_file, output_dir):\n    open(output_dir + '/in.txt', 'w').write(input_file)\n"

    outcome = outcome_of(box(tmp_path, script, mode="module"))

    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert outcome.outputs[0].path == "in.txt"


def test_an_exception_is_a_script_error_at_its_line(tmp_path):
    outcome = outcome_of(box(tmp_path, "x = 1\nraise ValueError('no counts in bank 2')\n"))

    assert outcome.verdict is Verdict.script_error
    assert "line 2" in outcome.sentence
    assert "no counts in bank 2" in outcome.sentence


def test_a_segmentation_fault_is_a_crash_with_signal_11(tmp_path):
    outcome = outcome_of(box(tmp_path, "import os\nos.kill(os.getpid(), 11)"))

    assert outcome.verdict is Verdict.crash
    assert outcome.exit["signal"] == 11


@pytest.mark.parametrize(
    ("code", "verdict"), [(0, Verdict.completed), (3, Verdict.script_error), (256, Verdict.script_error)]
)
def test_sys_exit_keeps_its_meaning(tmp_path, code, verdict):
    assert outcome_of(box(tmp_path, f"import sys\nsys.exit({code})")).verdict is verdict


def test_leaving_without_a_report_is_a_handoff_error(tmp_path):
    assert outcome_of(box(tmp_path, "import os\nos._exit(0)")).verdict is Verdict.handoff_error


def test_a_claim_of_success_before_a_crash_is_not_believed(tmp_path):
    script = """
        import atexit, os
        atexit.register(lambda: os.kill(os.getpid(), 6))
    """
    assert outcome_of(box(tmp_path, script)).verdict is Verdict.crash


# Limits


def test_the_wall_limit_ends_a_sleeper(tmp_path):
    outcome = outcome_of(box(tmp_path, "import time\nwhile True: time.sleep(1)", wall=0.5))

    assert outcome.verdict is Verdict.wall_limit, outcome.sentence
    assert outcome.usage.wall.value >= 0.5


def test_an_outcome_tells_when_its_limit_was_reached_and_when_it_was_asked_and_killed(tmp_path):
    script = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)"

    outcome = outcome_of(box(tmp_path, script, wall=0.5, grace=0.4))

    assert [mark.what for mark in outcome.marks] == ["wall_limit", "term", "kill"]
    times = [mark.t for mark in outcome.marks]
    assert times[0] >= 0.5
    assert times == sorted(times)
    assert times[2] - times[1] >= 0.4
    assert times[2] <= outcome.usage.wall.value + 0.1


def test_a_script_that_ends_by_itself_bears_no_mark(tmp_path):
    assert outcome_of(box(tmp_path, "print('done')")).marks == ()


def test_the_wall_limit_ends_a_script_that_stopped_itself(tmp_path):
    outcome = outcome_of(box(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", wall=0.5))

    assert outcome.verdict is Verdict.wall_limit, outcome.sentence


def test_the_cpu_limit_counts_the_whole_tree_and_its_dead(tmp_path):
    script = """
        import os, time
        while True:
            if not os.fork():
                end = time.process_time() + 0.1
                while time.process_time() < end: pass
                os._exit(0)
            os.wait()
    """
    outcome = outcome_of(box(tmp_path, script, cpu=0.6, wall=60))

    assert outcome.verdict is Verdict.cpu_limit, outcome.sentence
    assert outcome.usage.cpu.value >= 0.6


def test_the_memory_limit_ends_a_script_by_what_the_sampler_saw(tmp_path):
    script = """
        import time
        held = []
        while True:
            held.append(bytearray(4 << 20)); time.sleep(0.01)
    """
    outcome = outcome_of(box(tmp_path, script, memory=120 * MiB, wall=60, grace=30, cgroup="off"))

    assert outcome.verdict is Verdict.memory_limit, outcome.sentence
    assert outcome.usage.peak_memory.value > 120 * MiB


def test_memory_that_workers_share_is_counted_once(tmp_path):
    script = """
        import os, time
        shared = bytearray(os.urandom(1 << 20) * 60)
        children = []
        for _ in range(6):
            pid = os.fork()
            if not pid:
                time.sleep(1); os._exit(0)
            children.append(pid)
        for pid in children: os.waitpid(pid, 0)
    """
    outcome = outcome_of(box(tmp_path, script, memory=180 * MiB, wall=60, cgroup="off"))

    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert 60 * MiB < outcome.usage.peak_memory.value < 180 * MiB


def test_too_much_output_ends_the_run(tmp_path):
    script = """
        import time
        for n in range(10 ** 6):
            open(f"{n}.bin", "wb").write(bytes(1 << 20)); time.sleep(0.05)
    """
    outcome = outcome_of(box(tmp_path, script, output=5 * MiB, wall=60))

    assert outcome.verdict is Verdict.output_limit, outcome.sentence
    assert "output limit 5 MiB" in outcome.sentence


def test_one_file_larger_than_the_output_limit_is_an_output_limit(tmp_path):
    outcome = outcome_of(box(tmp_path, "open('big', 'wb').write(bytes(8 << 20))", output=2 * MiB, wall=60))

    assert outcome.verdict is Verdict.output_limit, outcome.sentence


def test_too_much_output_at_a_quick_end_is_an_output_limit(tmp_path):
    script = "for n in range(4): open(str(n), 'wb').write(bytes(1 << 20))"

    outcome = outcome_of(box(tmp_path, script, output=2 * MiB, wall=60))

    assert outcome.verdict is Verdict.output_limit, outcome.sentence


def test_too_many_files_end_the_run(tmp_path):
    script = """
        import os
        n = 0
        while True:
            os.mkdir(str(n)); n += 1
            if n % 100 == 0: os.sched_yield()
    """
    outcome = outcome_of(box(tmp_path, script, files=500, wall=60))

    assert outcome.verdict is Verdict.output_limit, outcome.sentence
    assert "500 files" in outcome.sentence


def test_a_long_log_loses_its_middle_and_the_run_goes_on(tmp_path):
    script = "print('first')\nprint('x' * 50_000)\nprint('last')"

    outcome, said = outcome_and_logs(box(tmp_path, script, log=10_000))

    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert outcome.ceilings_hit == ("log",)
    assert said.startswith(b"first\n")
    assert said.endswith(b"last\n")
    assert b"bytes left out" in said
    assert len(said) < 11_000


def test_a_log_flood_ends_the_run(tmp_path):
    outcome = outcome_of(box(tmp_path, "while True: print('x' * 100_000)", log=10_000, wall=60))

    assert outcome.verdict is Verdict.log_limit, outcome.sentence


def test_a_full_private_tmp_is_a_ceiling_that_ends_nothing(tmp_path):
    script = """
        import os, tempfile, time
        open(os.path.join(tempfile.gettempdir(), "t"), "wb").write(bytes(2 << 20))
    """
    outcome = outcome_of(box(tmp_path, script, tmp=1 * MiB))

    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert outcome.ceilings_hit == ("tmp",)


def test_many_processes_are_a_ceiling_and_the_bomb_is_ended_by_the_wall_limit(tmp_path):
    script = """
        import os, time
        for _ in range(60):
            try:
                if not os.fork(): time.sleep(600)
            except OSError: break
        print('forked', flush=True)
        while True: time.sleep(1)
    """
    outcome = outcome_of(box(tmp_path, script, processes=20, wall=2.0))

    assert outcome.verdict is Verdict.wall_limit, outcome.sentence
    assert "processes" in outcome.ceilings_hit


# What a script leaves behind


def test_a_daemon_left_behind_is_killed_and_counted(tmp_path):
    script = IGNORE_ALL + textwrap.dedent("""
        import os, time
        if not os.fork():
            os.setsid()
            if os.fork(): os._exit(0)
            while True: time.sleep(60)
        os.wait()
    """)
    with start(box(tmp_path, script)) as running:
        drive(running)
        assert running.outcome().verdict is Verdict.completed, running.outcome().sentence
        assert running.facts()["leftovers_killed"] == 1
        assert "1 process that the script left behind was killed" in running.outcome().message
        assert proctree.carriers(running.token) == []


def test_a_helper_that_ends_soon_after_the_script_is_no_leftover(tmp_path):
    script = """
        import os, time
        read, write = os.pipe()
        if not os.fork():
            os.close(write); os.read(read, 1); open('helper.txt', 'w').write('tidy'); os._exit(0)
    """
    with start(box(tmp_path, script)) as running:
        drive(running)
        assert running.facts()["leftovers_killed"] == 0
        assert [file.path for file in running.outcome().outputs] == ["helper.txt"]


def test_a_daemon_that_holds_stdout_open_does_not_hold_the_run(tmp_path):
    script = """
        import os, time
        print('main says', flush=True)
        if not os.fork():
            os.setsid()
            while True: time.sleep(60)
    """
    outcome, said = outcome_and_logs(box(tmp_path, script))

    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert said == b"main says\n"


def test_closed_streams_do_not_end_the_run(tmp_path):
    script = "import os\nos.close(0); os.close(1); os.close(2)\nopen('a', 'w').write('x')"

    assert outcome_of(box(tmp_path, script)).verdict is Verdict.completed


def test_three_hundred_deaf_processes_in_sessions_of_their_own_are_gone_soon(tmp_path):
    script = IGNORE_ALL + textwrap.dedent("""
        import os, time
        for _ in range(300):
            if not os.fork():
                os.setsid()
                while True: time.sleep(600)
        print('ready', flush=True)
        while True: time.sleep(600)
    """)
    with start(box(tmp_path, script, processes=2000, grace=1.0)) as running:
        drive(running, says("ready"))
        began = time.monotonic()
        running.stop(KillReason.cancelled)
        drive(running)
        took = time.monotonic() - began
        print(f"300 processes: {took:.2f} s")
        assert proctree.carriers(running.token) == []
        assert running.outcome().verdict is Verdict.cancelled
        assert took < 1.0 + 10.0


def test_a_tree_that_never_stands_still_is_outrun(tmp_path):
    """Sixty-three processes that each fork their successor and end: a moving target of constant size.

    Not a bomb: no limit of this level holds the number of root's processes, and this test runs as root too.
    """
    script = """
        import os, signal
        main = os.getpid()
        for _ in range(6): os.fork()
        print('up', flush=True)
        if os.getpid() == main: signal.pause()  # its own end would be a race with our signal
        while True:
            try:
                if os.fork(): os._exit(0)
            except OSError: pass
    """
    with start(box(tmp_path, script, processes=400, grace=0.2)) as running:
        drive(running, says("up"))
        running.stop(KillReason.cancelled)
        drive(running)
        assert proctree.carriers(running.token) == []
        assert running.outcome().verdict is Verdict.cancelled


# Cancel


def test_cancel_asks_first_and_the_script_may_tidy_up(tmp_path):
    script = """
        import os, signal, sys, time
        def tidy(*_):
            os.write(1, b'tidied')  # not print: the signal may come while the main line is still inside its own
            sys.exit(0)
        signal.signal(signal.SIGTERM, tidy)
        print('ready', flush=True)
        while True: time.sleep(1)
    """
    with start(box(tmp_path, script, grace=30)) as running:
        drive(running, says("ready"))
        running.stop(KillReason.cancelled)
        drive(running)
        assert b"tidied" in running.logs.stdout.text()
        assert running.outcome().verdict is Verdict.cancelled, running.outcome().sentence


def test_a_reason_that_comes_after_the_script_ended_is_no_verdict(tmp_path):
    with start(box(tmp_path, "print('done')")) as running:
        init = drive(running, lambda r: r.tree())
        wait_until(lambda: proctree.look(init.pid) is None, 30, "the end of the init")
        running.stop(KillReason.wall_limit)
        drive(running)
        assert running.outcome().verdict is Verdict.completed, running.outcome().sentence


def test_cancel_before_the_script_exists_is_a_cancel(tmp_path):
    running = start(box(tmp_path, "import time\ntime.sleep(600)"))
    with running:
        running.stop(KillReason.cancelled)
        drive(running)
        assert running.outcome().verdict is Verdict.cancelled


def test_shutdown_leaves_no_verdict(tmp_path):
    with start(box(tmp_path, "print('ready', flush=True)\nimport time\ntime.sleep(600)")) as running:
        drive(running, says("ready"))
        running.stop(KillReason.shutdown)
        drive(running)
        assert running.outcome().verdict is None


def test_closing_a_running_box_ends_its_tree(tmp_path):
    running = start(box(tmp_path, "print('ready', flush=True)\nimport time\ntime.sleep(600)"))
    drive(running, says("ready"))

    running.close()

    assert running.ended
    assert proctree.carriers(running.token) == []
    assert os.listdir(tmp_path) == []


# Signals from outside, and hands laid on our own processes

WAITING = "print('ready', flush=True)\nimport time\nwhile True: time.sleep(1)"


def test_a_kill_from_outside_is_told_apart_from_ours(tmp_path):
    with start(box(tmp_path, WAITING)) as running:
        drive(running, says("ready", known=True))
        os.kill(running.facts()["script"].pid, signal.SIGKILL)
        drive(running)
        assert running.outcome().verdict is Verdict.killed_external
        assert running.outcome().exit["signal"] == 9


FAMILY = IGNORE_ALL + textwrap.dedent("""
    import os, time
    for _ in range(3):
        if not os.fork():
            os.setsid()
            while True: time.sleep(60)
    print('ready', flush=True)
    while True: time.sleep(60)
""")


@pytest.mark.parametrize("victims", [("init",), ("builder",), ("builder", "init"), ("init", "builder")])
def test_killing_our_own_processes_ends_the_tree(tmp_path, victims):
    with start(box(tmp_path, FAMILY)) as running:
        drive(running, says("ready", known=True))
        for victim in victims:
            os.kill(running.facts()[victim].pid, signal.SIGKILL)
        drive(running)
        assert proctree.carriers(running.token) == []
        assert running.outcome().verdict is Verdict.killed_external, running.outcome().sentence
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("victims", [("init",), ("builder",), ("init", "builder")])
def test_stopping_our_own_processes_does_not_stop_the_kill(tmp_path, victims):
    with start(box(tmp_path, FAMILY, grace=0.2)) as running:
        drive(running, says("ready", known=True))
        for victim in victims:
            os.kill(running.facts()[victim].pid, signal.SIGSTOP)
        running.stop(KillReason.cancelled)
        drive(running)
        assert proctree.carriers(running.token) == []
        assert running.outcome().verdict is Verdict.cancelled, running.outcome().sentence


def test_the_shepherds_rescue_ends_a_tree_whose_init_is_stopped_again_and_again(tmp_path):
    script = FAMILY.replace(
        "print('ready'",
        textwrap.dedent("""
        init = os.getppid()
        for _ in range(2):
            if not os.fork():
                os.setsid()
                print('stopper', flush=True)
                while True: os.kill(init, signal.SIGSTOP)
        print('ready'""").strip(),
    )
    with start(box(tmp_path, script, grace=0.2)) as running:
        drive(running, says("stopper"))
        running.stop(KillReason.cancelled)
        drive(running)
        assert proctree.carriers(running.token) == []
        assert running.outcome().verdict is Verdict.cancelled, running.outcome().sentence


def test_signals_to_our_own_processes_are_without_effect(tmp_path):
    script = """
        import os, signal
        init = os.getppid()
        builder = int(open(f'/proc/{init}/stat').read().rsplit(')', 1)[1].split()[1])
        for pid in (init, builder):
            for number in set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, 32, 33, 4, 5, 6, 7, 8, 11, 31}:
                os.kill(pid, number)
        print('alive')
    """
    outcome, said = outcome_and_logs(box(tmp_path, script))

    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert said == b"alive\n"


SHEPHERD = """
import sys, time
sys.path[:0] = {path!r}
from boxes import box, drive, says
from sandbox.box import start
running = start(box({spool!r}, {script!r}, mute_after={mute!r}))
drive(running, says('ready', known=True))
print(running.token, running.tree().pid, flush=True)
while True: time.sleep(60)
"""


def _shepherd(tmp_path, mute=60.0):
    text = SHEPHERD.format(path=sys.path, spool=str(tmp_path), script=FAMILY, mute=mute)
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    token, init = process.stdout.readline().split()
    assert len(proctree.carriers(token)) == 4
    return process, token, int(init)


def test_the_tree_dies_with_its_shepherd(tmp_path):
    shepherd, token, init = _shepherd(tmp_path)

    shepherd.kill()

    with shepherd:
        shepherd.wait()
        wait_until(lambda: not proctree.carriers(token) and not living(init), 30, "the end of tree and init")


def test_the_tree_of_a_mute_shepherd_is_ended(tmp_path):
    shepherd, token, _ = _shepherd(tmp_path, mute=1.0)

    shepherd.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: not proctree.carriers(token), 30, "the end of the tree")
    finally:
        shepherd.kill()
        with shepherd:
            shepherd.wait()


def test_a_shepherd_that_was_silent_for_too_long_gives_no_verdict_when_it_goes_on(tmp_path):
    """A host that was frozen: the init goes on first, and what it did is no fault of the script's."""
    with start(box(tmp_path, FAMILY, mute_after=1.0)) as running:
        drive(running, says("ready"))
        token = running.token
        wait_until(lambda: not proctree.carriers(token), 30, "the end of the tree")  # nobody pumps meanwhile
        drive(running)
        outcome = running.outcome()

    assert outcome.exit["signal"] == signal.SIGKILL
    assert outcome.verdict is None, outcome.sentence
    assert "the run starts again" in outcome.sentence


def test_another_supervisor_ends_what_carries_the_token(tmp_path):
    # Given a chain in which everyone who could end the tree has been stopped.
    shepherd, token, init = _shepherd(tmp_path)
    shepherd.send_signal(signal.SIGSTOP)
    os.kill(init, signal.SIGSTOP)
    try:
        killed = proctree.end_carriers(token)

        assert killed == 4
        assert proctree.carriers(token) == []
    finally:
        shepherd.kill()
        os.kill(init, signal.SIGCONT)
        with shepherd:
            shepherd.wait()
        wait_until(lambda: not living(init), 30, "the end of the init")


# What a script can see


def test_the_environment_is_made_from_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("BROKER_PASSWORD", "secret")
    script = "import json, os\nprint(json.dumps(dict(os.environ)))"

    _, said = outcome_and_logs(box(tmp_path, script, env={"MANTID": "yes"}))

    seen = json.loads(said)
    assert "BROKER_PASSWORD" not in seen
    assert seen["MANTID"] == "yes"
    assert set(seen) - {"AUTOREDUCE_HANDOFF"} == {
        "PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "MPLBACKEND", "MPLCONFIGDIR", "PYTHONDONTWRITEBYTECODE",
        "PYTHONNOUSERSITE", "HDF5_USE_FILE_LOCKING", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS", "AUTOREDUCE_BOX", "MANTID",
    }  # fmt: skip


def test_only_the_three_streams_are_open(tmp_path):
    inheritable = os.dup(0)
    os.set_inheritable(inheritable, True)
    try:
        look = "import os\nprint(sorted(int(n) for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')))"
        _, said = outcome_and_logs(box(tmp_path, "", interpreter=(sys.executable, "-c", look)))
    finally:
        os.close(inheritable)

    assert said == b"[0, 1, 2]\n"


def test_the_script_starts_with_defaults(tmp_path):
    script = """
        import os, resource, signal, sys
        print(sys.stdin.read() == '', os.getsid(0) == os.getpid(), oct(os.umask(0)), os.getcwd() == os.path.dirname(os.path.realpath('x')))
        print(resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        print(signal.pthread_sigmask(signal.SIG_BLOCK, []) == set(), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
              signal.getsignal(signal.SIGHUP) == signal.SIG_DFL, signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL)
        print([line.split()[1] for line in open('/proc/self/status') if line.startswith('NoNewPrivs')])
    """
    _, said = outcome_and_logs(box(tmp_path, script, open_files=333))

    assert said.decode().splitlines() == ["True True 0o27 True", f"{NO_CORE} 333", "True True True True", "['1']"]


# The shepherd's own house


def test_descriptors_and_scratch_are_the_same_after_many_runs(tmp_path):
    outcome_of(box(tmp_path, "pass"))

    with none_left():
        for _ in range(8):
            outcome_of(box(tmp_path, "pass"))

    assert os.listdir(tmp_path) == []


def test_an_interpreter_that_does_not_exist_is_a_setup_failure(tmp_path):
    outcome = outcome_of(box(tmp_path, "pass", interpreter=("/no/such/python",)))

    assert outcome.verdict is Verdict.setup_failed
    assert "exec" in outcome.sentence
    assert "ENOENT" in outcome.sentence
    assert "/no/such/python" in outcome.sentence


def test_a_spool_that_does_not_exist_is_a_setup_failure_of_run(tmp_path):
    made = box(tmp_path / "gone", "pass")

    with pytest.raises(BoxError, match="scratch"):
        prepare(made)
    assert run(made).verdict is Verdict.setup_failed


def test_an_abandoned_box_leaves_nothing(tmp_path):
    with none_left():
        prepared = prepare(box(tmp_path, "open('ran', 'w')"))
        assert proctree.alive(prepared.builder)
        prepared.abandon()

    assert not proctree.alive(prepared.builder)
    assert os.listdir(tmp_path) == []


def test_a_builder_killed_before_the_start_is_a_setup_failure(tmp_path):
    prepared = prepare(box(tmp_path, "open('ran', 'w')"))
    os.kill(prepared.builder.pid, signal.SIGKILL)
    with prepared.release() as running:
        drive(running)
        assert running.outcome().verdict is Verdict.setup_failed, running.outcome().sentence


def test_two_boxes_beside_each_other_do_not_touch(tmp_path):
    with start(box(tmp_path, FAMILY)) as first, start(box(tmp_path, FAMILY)) as second:
        drive(first, says("ready", known=True))
        drive(second, says("ready"))
        for victim in ("builder", "init"):
            os.kill(first.facts()[victim].pid, signal.SIGKILL)
        drive(first)
        assert len(proctree.carriers(second.token)) == 4
        second.stop(KillReason.cancelled)
        drive(second)
        assert first.outcome().verdict is Verdict.killed_external
        assert second.outcome().verdict is Verdict.cancelled


def test_run_collects_the_results_before_the_scratch_goes(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    spool = tmp_path / "spool"
    spool.mkdir()
    ticks = []

    def collect(running, outcome):
        with_target = os.open(target, os.O_RDONLY)
        try:
            copyout.copy(running.manifest, running.out_fd, with_target)
        finally:
            os.close(with_target)
        return outcome

    script = "import os\nos.mkdir('d')\nopen('d/a.txt', 'w').write('x')"
    outcome = run(box(spool, script), on_tick=lambda r: ticks.append(r.progress()), collect=collect)

    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert (target / "d" / "a.txt").read_text() == "x"
    assert ticks
    assert os.listdir(spool) == []


def test_ctrl_c_cancels_a_run(tmp_path):
    def interrupt(running):
        if says("ready")(running) and running.reason is None:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    outcome = run(box(tmp_path, WAITING), on_tick=interrupt)

    assert outcome.verdict is Verdict.cancelled, outcome.sentence
    assert signal.getsignal(signal.SIGINT) is before


def test_a_script_that_shuts_its_output_folder_is_still_collected(tmp_path):
    script = """
        import os
        os.mkdir('d'); open('d/a.txt', 'w').write('x'); open('b.txt', 'w').write('y')
        os.chmod('d/a.txt', 0); os.chmod('d', 0); os.chmod('b.txt', 0); os.chmod('.', 0)
    """
    with start(box(tmp_path, script)) as running:
        drive(running)
        assert running.outcome().verdict is Verdict.completed, running.outcome().sentence
        target = os.open(tmp_path, os.O_RDONLY)
        try:
            copied = copyout.copy(running.manifest, running.out_fd, target)
        finally:
            os.close(target)
        assert [file.path for file in copied] == ["b.txt", "d/a.txt"]
    assert (tmp_path / "d" / "a.txt").read_text() == "x"
    assert sorted(os.listdir(tmp_path)) == ["b.txt", "d"]


def test_a_script_may_make_its_output_folder_anew(tmp_path):
    script = """
        import os, shutil, sys
        out = sys.argv[2]
        shutil.rmtree(out); os.makedirs(out)
        open(os.path.join(out, 'a.txt'), 'w').write('x')
    """
    outcome = outcome_of(box(tmp_path, script))

    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert [file.path for file in outcome.outputs] == ["a.txt"]


def test_a_removed_output_folder_is_rejected(tmp_path):
    outcome = outcome_of(box(tmp_path, "import shutil, sys\nshutil.rmtree(sys.argv[2])"))

    assert outcome.verdict is Verdict.output_rejected
    assert "removed" in outcome.sentence


def test_a_link_among_the_results_is_rejected_by_name(tmp_path):
    outcome = outcome_of(box(tmp_path, "import os\nos.symlink('/etc/passwd', 'innocent.txt')"))

    assert outcome.verdict is Verdict.output_rejected
    assert "innocent.txt" in outcome.sentence


def test_a_very_deep_tree_is_rejected_and_removed(tmp_path):
    script = """
        import os
        for _ in range(4000):
            os.mkdir('d'); os.chdir('d')
    """
    outcome = outcome_of(box(tmp_path, script))

    assert outcome.verdict is Verdict.output_rejected, outcome.sentence


def test_returned_folders_outside_the_allowed_roots_are_left_out_with_a_word(tmp_path):
    allowed = tmp_path / "archive"
    (allowed / "extra").mkdir(parents=True)
    spool = tmp_path / "spool"
    spool.mkdir()
    script = f"def main(i, o):\n    return [{str(allowed / 'extra')!r}, '/etc', {str(allowed) + '/../..'!r}]\n"

    outcome = outcome_of(box(spool, script, mode="module", allowed_roots=(str(allowed),)))

    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert outcome.extra_dirs == (str(allowed / "extra"),)
    assert "'/etc'" in outcome.message


def test_threads_of_the_caller_after_the_start_do_no_harm(tmp_path):
    with start(box(tmp_path, WAITING)) as running:
        seen = []
        thread = threading.Thread(target=lambda: seen.append(copyout.shown("x")))
        thread.start()
        drive(running, says("ready"))
        thread.join()
        running.stop(KillReason.cancelled)
        drive(running)
        assert running.outcome().verdict is Verdict.cancelled
    assert seen == ["x"]
