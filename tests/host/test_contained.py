"""Boxes of levels contained and hostile: what good scripts may still do, and that nothing survives its box."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import corpus
import pytest
from boxes import box, drive, outcome_and_logs, outcome_of, says

from sandbox.box import BoxError, prepare, start
from sandbox.linux import proctree
from sandbox.verdict import KillReason, Verdict

#: Level hostile needs control groups, which an ordinary user may make where some were handed over.
GROUPS = corpus.boxes_have_groups()
CLOSED = ["contained", "hostile"] if GROUPS else ["contained"]
levels = pytest.mark.parametrize("level", CLOSED)

SLEEP = """
import time
print("ready", flush=True)
time.sleep(600)
"""


@levels
def test_the_output_folder_can_be_removed_and_made_anew(tmp_path, level):
    outcome = outcome_of(
        box(
            tmp_path,
            """
            import os, shutil, sys
            out = sys.argv[2]
            open(os.path.join(out, "old"), "w").close()
            os.chdir("/")
            shutil.rmtree(out)
            os.makedirs(out)
            open(os.path.join(out, "new"), "w").write("kept")
            """,
            level=level,
        )
    )
    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert [found.path for found in outcome.outputs] == ["new"]


@levels
def test_the_neighbours_of_the_data_file_are_seen_and_cannot_be_changed(tmp_path, level):
    data = tmp_path / "cycle" / "run.nxs"
    data.parent.mkdir()
    data.write_text("data")
    (data.parent / "run.log").write_text("neighbour")
    outcome, said = outcome_and_logs(
        box(
            tmp_path,
            """
            import os, sys
            folder = os.path.dirname(sys.argv[1])
            print(sorted(os.listdir(folder)), open(os.path.join(folder, "run.log")).read())
            for act in (lambda: open(sys.argv[1], "a"), lambda: os.unlink(sys.argv[1]), lambda: open("/output", "w")):
                try:
                    act()
                    print("done")
                except OSError as error:
                    print(error.strerror)
            """,
            level=level,
            input_files=(str(data),),
        )
    )
    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert said.decode().splitlines() == ["['run.log', 'run.nxs'] neighbour", *["Read-only file system"] * 3]
    assert data.read_text() == "data"


@levels
def test_a_data_file_that_is_a_link_comes_with_what_it_leads_to(tmp_path, level):
    for name in ("store", "cycle"):
        (tmp_path / name).mkdir()
    (tmp_path / "store" / "00001").write_text("counts")
    (tmp_path / "store" / "00002").write_text("of another experiment")
    os.symlink("../store/00001", tmp_path / "cycle" / "run.nxs")
    outcome, said = outcome_and_logs(
        box(
            tmp_path,
            "import os, sys; print(open(sys.argv[1]).read(), os.listdir(os.path.dirname(os.path.realpath(sys.argv[1]))))",
            level=level,
            input_files=(str(tmp_path / "cycle" / "run.nxs"),),
        )
    )
    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert said.decode().strip() == "counts ['00001']"


def test_other_boxes_are_hidden_where_the_spool_lies_below_the_data(tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "other").write_text("of another run")
    data = tmp_path / "run.nxs"
    data.write_text("data")
    outcome, said = outcome_and_logs(
        box(
            spool,
            "import os, sys; print(sorted(os.listdir(os.path.join(os.path.dirname(sys.argv[1]), 'spool'))))",
            level="contained",
            input_files=(str(data),),
        )
    )
    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert said.decode().strip() == "[]"


def test_a_data_folder_that_is_gone_is_a_setup_failure_that_names_it(tmp_path):
    outcome = outcome_of(box(tmp_path, "", level="contained", input_files=(str(tmp_path / "gone" / "run.nxs"),)))
    assert outcome.verdict is Verdict.setup_failed
    assert "enclosure" in outcome.sentence
    assert f"{tmp_path}/gone" in outcome.sentence


@levels
def test_raw_ends_are_told_as_they_are(tmp_path, level):
    for text, verdict, status in (
        ("import os; os._exit(77)", Verdict.script_error, 77),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", Verdict.crash, signal.SIGSEGV),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", Verdict.killed_external, signal.SIGKILL),
    ):
        outcome = outcome_of(box(tmp_path, text, level=level))
        assert outcome.verdict is verdict, outcome.sentence
        assert status in outcome.exit.values()


@levels
@pytest.mark.parametrize("victim", ["builder", "init"])
def test_nothing_lives_on_when_one_of_ours_is_killed(tmp_path, level, victim):
    text = """
        import os, time
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                time.sleep(600)
        print("ready", flush=True)
        time.sleep(600)
        """
    with start(box(tmp_path, text, level=level)) as running:
        drive(running, says("ready", known=True))
        who = running.builder if victim == "builder" else running.tree()
        os.kill(who.pid, signal.SIGKILL)
        drive(running)
        assert running.outcome().verdict is Verdict.killed_external
        assert proctree.carriers(running.token) == []


@levels
def test_nothing_lives_on_when_the_shepherd_is_killed(tmp_path, level):
    text = f"""
    import sys
    sys.path[:0] = {sys.path!r}
    from boxes import box, drive, says
    from sandbox.box import start
    running = start(box({str(tmp_path)!r}, {SLEEP!r}, level={level!r}))
    drive(running, says("ready", known=True))
    print(running.token, running.tree().pid, flush=True)
    import time
    time.sleep(600)
    """
    shepherd = subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)], stdout=subprocess.PIPE, text=True)
    try:
        token, init = shepherd.stdout.readline().split()
        end = os.pidfd_open(int(init))
        assert proctree.carriers(token)
    finally:
        shepherd.kill()
        shepherd.wait()
        shepherd.stdout.close()
    with os.fdopen(end) as pidfd:
        _wait_for(pidfd)
    assert proctree.carriers(token) == []
    # What a dead shepherd leaves is discarded by whoever finds it (supervisor.leftovers).
    from sandbox.cgroups import Groups

    Groups.find().discard(token)


def _wait_for(pidfd) -> None:
    import select

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(30_000), "the init outlived its shepherd"


@levels
def test_a_run_that_is_asked_to_end_may_do_so_itself(tmp_path, level):
    text = """
        import os, signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"asked\\n"), sys.exit(3)))
        print("ready", flush=True)
        time.sleep(600)
        """
    with start(box(tmp_path, text, level=level, grace=30)) as running:
        drive(running, says("ready"))
        running.stop(KillReason.cancelled)
        drive(running)
        assert running.outcome().verdict is Verdict.cancelled
        assert running.logs.stdout.text().splitlines()[-1] == b"asked"


@levels
def test_the_pids_of_a_run_are_those_of_the_host(tmp_path, level):
    with start(box(tmp_path, SLEEP, level=level)) as running:
        drive(running, says("ready", known=True))
        init, script = running.tree(), running.facts()["script"]
        assert proctree.look(init.pid).ppid == running.builder.pid
        assert proctree.look(script.pid).ppid == init.pid
        assert proctree.alive(script)
        running.stop(KillReason.cancelled)
        running.hurry()
        drive(running)


@levels
def test_a_tmp_that_is_full_is_a_ceiling(tmp_path, level):
    text = """
        try:
            open("/tmp/big", "wb").write(bytes(2 << 20))
        except OSError as error:
            print(error.strerror)
        """
    outcome, said = outcome_and_logs(box(tmp_path, text, level=level, tmp=1 << 20))
    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert said.decode().strip() == "No space left on device"
    assert outcome.ceilings_hit == ("tmp",)


def test_files_in_tmp_count_as_memory_for_the_sampler(tmp_path):
    text = """
        import time
        open("/dev/shm/big", "wb").write(bytes(64 << 20))
        time.sleep(600)
        """
    outcome = outcome_of(box(tmp_path, text, level="contained", cgroup="off", memory=48 << 20, tmp=1 << 30))
    assert outcome.verdict is Verdict.memory_limit, outcome.sentence


@pytest.mark.skipif(not GROUPS, reason="hostile needs a control group")
@pytest.mark.parametrize(
    ("limits", "text", "named"),
    [
        ({"output": 1 << 20}, "open(sys.argv[2] + '/big', 'wb').write(bytes(4 << 20))", "output limit 1 MiB"),
        ({"output": 1 << 20}, "open('/work/big', 'wb').write(bytes(4 << 20))", "output limit 1 MiB"),
        ({"files": 50}, "[open(f'{sys.argv[2]}/{n}', 'w').close() for n in range(500)]", "50"),
    ],
)
def test_a_hard_scratch_ends_the_run_that_fills_it(tmp_path, limits, text, named):
    outcome = outcome_of(box(tmp_path, "import sys\n" + text, level="hostile", **limits))
    assert outcome.verdict is Verdict.output_limit, outcome.sentence
    assert named in outcome.sentence


@pytest.mark.skipif(not GROUPS, reason="hostile needs a control group")
def test_an_error_is_told_although_the_scratch_is_full(tmp_path):
    text = """
        import os, sys
        fd = os.open(sys.argv[2] + "/big", os.O_CREAT | os.O_WRONLY)
        try:
            while os.write(fd, bytes(4096)): pass
        except OSError:
            pass
        os.ftruncate(fd, 4096)
        raise ValueError("of its own")
        """
    outcome = outcome_of(box(tmp_path, text, level="hostile", output=1 << 20))
    assert outcome.verdict is Verdict.script_error, outcome.sentence
    assert "of its own" in outcome.sentence


@levels
def test_a_script_has_its_own_loopback_and_no_way_out(tmp_path, level):
    text = """
        import socket
        server = socket.create_server(("127.0.0.1", 0))
        socket.create_connection(server.getsockname()).close()
        print("own loopback")
        for address in (("127.0.0.1", 9), ("192.0.2.1", 80)):
            try:
                socket.create_connection(address, timeout=20)
                print("out")
            except OSError as error:
                print(error.strerror)
        """
    outcome, said = outcome_and_logs(box(tmp_path, text, level=level))
    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert said.decode().splitlines() == ["own loopback", "Connection refused", "Network is unreachable"]


def test_the_network_of_the_host_is_there_where_it_is_asked_for(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=20); print('reached')"
        outcome, said = outcome_and_logs(box(tmp_path, text, level="contained", network=True))
    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert said.decode().strip() == "reached"
    assert outcome.guards.facts["network"] == "host"


def test_a_level_that_cannot_be_had_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(BoxError, match="hostile needs a control group that holds kill, memory, processes"):
        prepare(box(tmp_path, "", level="hostile", cgroup="off"))
    with pytest.raises(BoxError, match="isolation level 'total' is unknown; levels are none, contained, hostile"):
        prepare(box(tmp_path, "", level="total"))
    with pytest.raises(BoxError, match="guard 'wall' is unknown"):
        prepare(box(tmp_path, "", level="contained", without=frozenset({"wall"})))
    assert os.listdir(tmp_path) == []


@levels
def test_a_waiting_box_takes_another_interpreter_with_what_that_needs(tmp_path, level):
    from sandbox.closure import Closure

    wrapper = tmp_path / "opt" / "bin" / "wrapper"
    wrapper.parent.mkdir(parents=True)
    wrapper.write_text(f'#!/bin/sh\necho wrapped\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    made = box(tmp_path, "print('never')", level=level)
    assert made.closure is not None
    prepared = prepare(made)
    closure = Closure(folders=(*made.closure.folders, str(wrapper.parent)), links={})
    prepared.give(script=b"print('given')", interpreter=(str(wrapper),), closure=closure)
    with prepared.release() as running:
        drive(running)
        assert running.outcome().verdict is Verdict.completed, running.outcome().sentence
        assert running.logs.stdout.text() == b"wrapped\ngiven\n"


@pytest.mark.soak
@pytest.mark.parametrize("level", ["none", *CLOSED])
def test_the_shepherd_stays_small_under_a_flood_and_a_million_files(tmp_path, level):
    """In a shepherd of its own, so that what other tests have left in this process is not counted."""
    text = f"""
    import sys
    sys.path[:0] = {sys.path!r}
    import psutil
    from boxes import box, drive
    from sandbox.box import start
    FLOOD = "import os, sys\\nfor _ in range(1024): os.write(1, bytes(1 << 20))\\n"
    FILES = '''
    import os, sys
    for number in range(1_000_000):
        if number % 1000 == 0:
            os.mkdir(f"{{sys.argv[2]}}/{{number}}")
        open(f"{{sys.argv[2]}}/{{number - number % 1000}}/{{number}}", "w").close()
    '''
    me = psutil.Process()
    def run(script, **limits):
        before, most = me.memory_info().rss, [0]
        def look(running):
            most[0] = max(most[0], me.memory_info().rss)
            return running.ended
        with start(box({str(tmp_path)!r}, script, level={level!r}, **limits)) as running:
            drive(running, look, timeout=300)
            outcome = running.outcome()
            kept, total = len(running.logs.stdout.text()), running.logs.stdout.total
        print(outcome.verdict, most[0] - before, kept, total, flush=True)
    run("print(1)")  # what is loaded when it is first needed
    run(FLOOD, log=20 << 20, memory=1 << 30)
    run(FILES, memory=2 << 30)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    _, flood, files = (line.split() for line in done.stdout.splitlines())
    assert flood[0] == "completed"
    assert int(flood[3]) == 1 << 30
    assert int(flood[2]) < 21 << 20
    assert int(flood[1]) < 64 << 20, "twice the log, and a little"
    assert files[0] == "output_limit"
    assert int(files[1]) < 16 << 20
