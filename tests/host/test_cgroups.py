"""Control groups with real processes: limits, kill, counters and removal here, and the null object for other users."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
from pathlib import Path

import pytest
from boxes import box, drive, outcome_and_logs, outcome_of, says
from waiting import wait_until

from sandbox import cgroup, cgroup_v1
from sandbox.box import BoxError, prepare, start
from sandbox.cgroups import Groups
from sandbox.limits import Limits, MiB
from sandbox.linux import cgroupfiles, cgroupfs, fork, proctree
from sandbox.verdict import KillReason, Verdict

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
#: No test may hurt the machine when a guard fails.
MOST_FORKS = 300


def group_folders():
    """Every folder of a box's group on this host."""
    mounted = {mount.point for mount in cgroupfs.hierarchies()}
    found = (folder for point in mounted for folder in cgroupfiles.below(point))
    return sorted(folder for folder in found if os.path.basename(folder).startswith(cgroup.PREFIX))


@pytest.fixture(autouse=True)
def _no_group_is_left():
    before = set(group_folders())
    yield
    # Tests that run beside this one have groups of their own, for a while.
    wait_until(lambda: not {name for name in group_folders() if _mine(name)} - before, 30, "the end of our groups")


def _mine(folder):
    return os.path.basename(folder).startswith(f"{cgroup.PREFIX}test{os.getpid()}")


@pytest.fixture
def groups():
    """What this user gets on this host; the tests below say what they expect of either."""
    return Groups.find()


@pytest.fixture
def made(groups):
    """Makes groups by their limits, and takes them back."""
    made = []

    def make(**limits):
        made.append(groups.make(f"test{os.getpid()}n{len(made)}", Limits(**limits)))
        return made[-1]

    yield make
    for group in made:
        group.end()


def in_group(group, text, leaf="script"):
    """Starts a child that stands in the group before it does anything, and returns its pid."""
    doors = group.doorways(leaf)

    def main():
        fork.default_signals()
        fork.unblock_signals()
        cgroupfiles.enter(doors)
        exec(compile(textwrap.dedent(text), "child", "exec"), {"os": os, "signal": signal})
        return 0

    pid = fork.fork_into(main)
    group.close_doorways()
    return pid


def status_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def reaped(group, pid):
    """Waits for the group's end while its dead are taken."""
    os.waitpid(pid, 0)
    return wait_until(group.is_empty, 20, "an empty group")


# What a host gives


def test_root_gets_groups_where_they_may_be_written_and_anyone_else_the_null_object(groups):
    folders = cgroupfs.own_folders(cgroupfs.hierarchies(), cgroupfs.positions())
    writable = [folder for folder in folders.values() if os.access(folder, os.W_OK)]

    assert groups.available == bool(writable), groups.reason
    assert set(groups.guards()) >= {"memory", "processes", "kill"} if groups.available else groups.reason


def as_stranger(text):
    """Runs Python text as an ordinary user and returns what it printed as JSON."""
    who = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
    program = [*who, "/usr/bin/python3", "-c", textwrap.dedent(text)]
    done = subprocess.run(program, env={"PYTHONPATH": ROOT}, capture_output=True, check=True, timeout=60, cwd="/")
    return json.loads(done.stdout)


def test_a_user_without_a_writable_hierarchy_gets_the_null_object_and_the_reason(groups):
    told = as_stranger("""
        import json
        from sandbox.cgroups import Groups
        from sandbox.limits import Limits
        groups = Groups.find()
        if groups.available:
            print(json.dumps("available"))
        else:
            group = groups.make("nobody", Limits())
            group.enter(1)
            group.remove()
            print(json.dumps([groups.reason, groups.guards(), group.guards(), group.doorways("script"), group.kill(),
                group.is_empty(), group.facts().to_json()["peak_memory"]["value"], groups.sweep(lambda name: False)]))
    """)

    if groups.available and os.geteuid() != 0:  # the stranger is ourselves, in a subtree that was delegated to us
        assert told == "available"
    else:
        assert told[1:] == [{}, {}, [], 0, True, None, []]
        assert "may" in told[0] or "no " in told[0]


def test_a_base_that_is_not_there_is_no_place():
    missing = Groups.find("/autoreduce-there-is-no-such-group")

    assert not missing.available
    assert "may be written" in missing.reason or "no group" in missing.reason


# One group


def test_a_child_enters_by_descriptor_before_it_does_anything_and_is_counted(groups, made):
    group = made(memory=64 * MiB)
    pid = in_group(group, "signal.pause()")
    expected = groups.available
    wait_until(lambda: group.is_empty() is not expected, 20, "the child in its group")

    if expected:
        inside = cgroupfs.parse_positions(Path(f"/proc/{pid}/cgroup").read_text())
        ours = {path for path in inside.values() if cgroup.PREFIX in path}
        assert ours
        assert all(f"/{cgroup.PREFIX}{group.name}" in path for path in ours)
        assert group.kill() == 1
    else:
        os.kill(pid, signal.SIGKILL)
    assert status_of(pid) == -signal.SIGKILL
    assert wait_until(group.is_empty, 20, "an empty group")


def test_a_waiting_child_is_moved_by_its_parent(groups, made):
    group = made()
    pid = fork.fork_into(lambda: signal.sigwait({signal.SIGTERM}) and 0)
    group.enter(pid)

    assert group.is_empty() is not groups.available
    os.kill(pid, signal.SIGTERM)
    assert status_of(pid) == 0


def test_a_stopped_tree_that_ignores_signals_is_killed_and_proven_empty(groups, made):
    group = made(processes=40)
    pid = in_group(
        group,
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for _ in range(10):
            if os.fork() == 0:
                os.setsid()
                while True: signal.pause()
        os.kill(os.getpid(), signal.SIGSTOP)
        """,
    )
    wait_until(lambda: (proctree.look(pid) or proctree.look(1)).state == "T", 20, "the stopped child")
    below = [process.identity for process in proctree.descendants(pid, proctree.scan())]
    assert len(below) == 10
    if not groups.available:  # the null object kills nobody
        assert group.kill() == 0
        for who in below:
            os.kill(who.pid, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
    else:
        assert group.kill() == 11
    assert reaped(group, pid)
    wait_until(lambda: not any(map(proctree.alive, below)), 20, "the end of all below")


def test_the_scripts_leaf_is_killed_and_our_own_processes_beside_it_live_on(groups, made):
    group = made(processes=40)
    ours = in_group(group, "signal.pause()", leaf="init")
    theirs = in_group(group, "os.fork()\nsignal.pause()")
    below = wait_until(lambda: _all_forked(theirs, 1), 20, "the child of the script")

    assert group.kill_script() == (2 if groups.available else 0)
    if not groups.available:  # the null object kills nobody
        for process in (*below, proctree.look(theirs)):
            os.kill(process.pid, signal.SIGKILL)

    assert status_of(theirs) == -signal.SIGKILL
    wait_until(group.script_is_empty, 20, "an empty leaf")
    assert proctree.look(ours).living
    os.kill(ours, signal.SIGKILL)
    assert status_of(ours) == -signal.SIGKILL


def test_without_a_freezer_a_tree_is_killed_process_by_process(groups):
    folders = cgroupfs.own_folders(cgroupfs.hierarchies(), cgroupfs.positions())
    single = {name: folder for name, folder in folders.items() if name == "pids" and os.access(folder, os.W_OK)}
    assert bool(single) is (groups.guards().get("processes") == "cgroup-v1")
    subtree = cgroup_v1.Subtree(single)
    group = subtree.make(f"test{os.getpid()}bare", Limits(processes=20))
    pid = in_group(group, "for _ in range(5): os.fork() or signal.pause()\nsignal.pause()")
    wait_until(lambda: _all_forked(pid, 5), 20, "five children")
    if not single:
        for process in proctree.descendants(pid, proctree.scan()):
            os.kill(process.pid, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)

    group.end()

    assert subtree.guards()["kill"] == "cgroup.procs"
    assert status_of(pid) == -signal.SIGKILL
    assert subtree.names() & {group.name} == set()


def test_the_limit_of_processes_refuses_the_next_fork_and_says_so(groups, made):
    group = made(processes=5)
    pid = in_group(
        group,
        """
        for _ in range(20):
            try:
                if os.fork() == 0: signal.pause()
            except OSError:
                break
        signal.pause()
        """,
    )
    below = wait_until(lambda: _all_forked(pid, 4 if groups.available else 20), 20, "the children")
    wait_until(lambda: group.facts().forks_refused == (1 if groups.available else 0), 20, "the refusal")
    facts = group.facts()
    for process in (*below, proctree.look(pid)):
        os.kill(process.pid, signal.SIGKILL)

    assert status_of(pid) == -signal.SIGKILL
    assert facts.tasks.value in ({5, None} if groups.available else {None})


def _all_forked(pid, count):
    found = proctree.descendants(pid, proctree.scan())
    return found if len(found) == count else None


def test_what_was_used_is_told_with_source_and_exactness(groups, made):
    group = made(memory=256 * MiB)
    pid = in_group(group, "text = bytearray(os.urandom(1 << 20)) * 80\nos.read(0, 0)\nsignal.pause()")
    wait_until(
        lambda: group.sample() or not groups.available or (group.facts().anonymous.value or 0) >= 80 * MiB,
        20,
        "80 MiB in the group",
    )
    facts = group.facts()
    os.kill(pid, signal.SIGKILL)
    assert status_of(pid) == -signal.SIGKILL

    if groups.available:
        assert 80 * MiB <= facts.peak_memory.value <= 256 * MiB
        assert facts.peak_memory.source in {"memory.max_usage_in_bytes", "memory.peak", "memory.current"}
        assert facts.peak_memory.exact is (facts.peak_memory.source != "memory.current")
        assert facts.anonymous.exact is False
        assert facts.cpu.value > 0
        assert facts.cpu.exact
    else:
        assert facts == cgroup.CgroupFacts()
    assert json.loads(json.dumps(facts.to_json()))["oom_kills"] == 0


def test_what_a_crash_left_is_swept_by_name_and_what_lives_is_left_alone(groups, made):
    living, dead = made(), made()
    pids = [in_group(group, "signal.pause()") for group in (living, dead)]
    wait_until(lambda: not groups.available or not (living.is_empty() or dead.is_empty()), 20, "both in their groups")
    # Groups of other tests beside this one are somebody else's.
    swept = groups.sweep(lambda name: name != dead.name)

    assert swept == ((dead.name,) if groups.available else ())
    assert living.is_empty() is not groups.available
    if not groups.available:
        os.kill(pids[1], signal.SIGKILL)
    assert status_of(pids[1]) == -signal.SIGKILL
    os.kill(pids[0], signal.SIGKILL)
    assert status_of(pids[0]) == -signal.SIGKILL


# A hierarchy of plain files: what fails is told


def test_a_file_that_is_missing_is_told_by_call_and_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"read\({tmp_path}/memory.stat\) failed"):
        cgroupfiles.read(str(tmp_path), "memory.stat")
    with pytest.raises(FileNotFoundError, match=rf"write '5'\({tmp_path}/pids.max\) failed"):
        cgroupfiles.write(str(tmp_path), "pids.max", 5)
    with pytest.raises(FileExistsError, match=rf"mkdir\({tmp_path}\) failed"):
        cgroupfiles.make(str(tmp_path))
    with pytest.raises(FileNotFoundError, match=rf"open\({tmp_path}/cgroup.procs\) failed"):
        cgroupfiles.doorway(str(tmp_path))


def test_a_group_whose_limit_cannot_be_set_is_not_made(tmp_path):
    # Folders of a common file system have no limit files, so the first one that is needed is missing.
    subtree = cgroup_v1.Subtree({"memory": str(tmp_path)})

    with pytest.raises(FileNotFoundError, match=r"memory\.limit_in_bytes"):
        subtree.make("x", Limits(memory=MiB))
    assert os.listdir(tmp_path) == []


def test_a_group_that_stands_already_is_not_taken(tmp_path):
    os.mkdir(tmp_path / f"{cgroup.PREFIX}x")
    subtree = cgroup_v1.Subtree({"memory": str(tmp_path)})

    with pytest.raises(FileExistsError):
        subtree.make("x", Limits(memory=None))
    assert os.listdir(tmp_path) == [f"{cgroup.PREFIX}x"]


# Boxes


def test_a_box_says_which_guards_hold_it(tmp_path, groups):
    outcome = outcome_of(box(tmp_path, "print(1)"))

    assert outcome.verdict is Verdict.completed, outcome.sentence
    guards = outcome.guards.to_json()
    if groups.available:
        assert {key: guards[key] for key in groups.guards()} == groups.guards()
        assert outcome.usage.peak_memory.source.startswith("memory.")
    else:
        assert guards["memory"] == "sampler"
        assert guards["kill"] == "tree"


@pytest.mark.parametrize("level", ["none", "contained"])
def test_a_tree_that_heeds_nothing_is_told_with_its_status_and_its_sums(tmp_path, level):
    script = """
        import os, signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for _ in range(3): os.fork()
        if os.getsid(0) == os.getpid(): print("up", flush=True)
        while True: signal.pause()
    """
    with start(box(tmp_path, script, level=level, grace=0.2)) as running:
        drive(running, says("up"))
        running.stop(KillReason.cancelled)
        drive(running)
        outcome = running.outcome()

    assert outcome.verdict is Verdict.cancelled
    assert outcome.exit["signal"] == signal.SIGKILL, "the init was ended before it could report"
    assert outcome.usage.wall.exact


def test_a_box_that_wants_no_group_has_none(tmp_path):
    with start(box(tmp_path, "import time\nprint('up', flush=True)\ntime.sleep(60)", cgroup="off")) as running:
        drive(running, says("up"))
        assert not [name for name in group_folders() if running.token in name]
        running.stop(KillReason.cancelled)
        drive(running)
        assert running.facts()["cgroup"] is None
        assert running.outcome().guards.to_json()["memory"] == "sampler"


def test_an_unknown_word_for_the_group_is_refused(tmp_path):
    with pytest.raises(BoxError, match="neither 'auto' nor 'off'"):
        prepare(box(tmp_path, "print(1)", cgroup="on"))
    assert os.listdir(tmp_path) == []


def test_the_group_goes_with_the_box_also_when_it_is_given_up(tmp_path, groups):
    prepared = prepare(box(tmp_path, "print(1)"))
    assert bool([name for name in group_folders() if prepared.token in name]) is groups.available

    prepared.abandon()

    assert not [name for name in group_folders() if prepared.token in name]


def test_a_waiting_builder_has_the_doors_of_the_script_and_the_script_has_none(tmp_path, groups):
    script = """
        import os
        links = [os.readlink(f"/proc/self/fd/{fd}") for fd in range(64) if os.path.exists(f"/proc/self/fd/{fd}")]
        print(len(links) >= 3, [link for link in links if "cgroup" in link])
    """
    prepared = prepare(box(tmp_path, script))
    folder = f"/proc/{prepared.builder.pid}/fd"
    doors = {name for name in group_folders() if prepared.token in name and name.rsplit("/", 1)[1] != "init"}
    if os.geteuid() == 0:
        wait_until(lambda: len(os.listdir(folder)) == 7 + len(doors), 30, "three streams, four pipe ends, the doors")
        targets = {os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}
        door = "script/cgroup.procs" if groups.guards().get("memory") == "cgroup-v2" else "tasks"
        assert {target for target in targets if "cgroup" in target} == {f"{folder}/{door}" for folder in doors}
    with prepared.release() as running:
        drive(running)
        assert running.outcome().verdict is Verdict.completed, running.outcome().sentence
        assert running.logs.stdout.text() == b"True []\n"


def test_memory_beyond_the_limit_is_a_memory_limit_with_the_measured_peak(tmp_path):
    outcome = outcome_of(box(tmp_path, "x = bytearray(400 << 20)\nimport time\ntime.sleep(60)", memory=64 * MiB))

    assert outcome.verdict is Verdict.memory_limit, outcome.sentence
    assert outcome.sentence.startswith("memory limit 64 MiB reached at ")


def test_an_oom_in_a_helper_that_the_script_swallows_is_told(tmp_path, groups):
    script = """
        import subprocess, sys
        done = subprocess.run([sys.executable, "-c", "x = bytearray(400 << 20); import time; time.sleep(5)"])
        print(done.returncode)
    """
    with start(box(tmp_path, script, memory=64 * MiB)) as running:
        drive(running)
        outcome, counted = running.outcome(), running.facts()["cgroup"]

    if groups.available and not counted["group_oom"]:  # version 1
        assert counted["oom_kills"] == 1
        assert outcome.verdict is Verdict.memory_limit_helper, outcome.sentence
        assert "a helper process was killed while the script went on" in outcome.sentence
        assert running.logs.stdout.text() == b"-9\n"
    else:  # the whole leaf went, or the sampler ended the run
        assert outcome.verdict is Verdict.memory_limit, outcome.sentence


def test_page_cache_that_fills_the_limit_is_no_oom(tmp_path, groups):
    script = """
        with open("big", "wb") as file:
            for _ in range(256):
                file.write(bytes(1 << 20))
    """
    with start(box(tmp_path, script, memory=64 * MiB)) as running:
        drive(running)
        outcome, counted = running.outcome(), running.facts()["cgroup"]

    assert outcome.verdict is Verdict.completed, outcome.sentence
    if groups.available:
        assert counted["oom_kills"] == 0
        assert outcome.usage.peak_memory.value > 32 * MiB  # near the limit, which says nothing
    assert outcome.usage.cache.source == ("memory.stat" if groups.available else "none")


def test_a_bounded_fork_bomb_is_held_by_the_limit_of_processes(tmp_path, groups):
    script = f"""
        import os, time
        forked = 0
        for _ in range({MOST_FORKS}):
            try:
                if os.fork() == 0:
                    time.sleep(120)
                    os._exit(0)
            except OSError:
                break
            forked += 1
        print(forked, flush=True)
        time.sleep(120)
    """
    # Without a group the limit is the user's (RLIMIT_NPROC), which does not hold root.
    with start(box(tmp_path, script, processes=50, wall=15)) as running:
        drive(running, says("\n"))
        forked = int(running.logs.stdout.text())
        running.stop(KillReason.cancelled)
        drive(running)
        outcome = running.outcome()
        assert proctree.carriers(running.token) == []

    if groups.available:
        assert forked == 49  # and the script itself
        assert running.facts()["cgroup"]["tasks"]["value"] in {50, None}
    else:
        assert forked < MOST_FORKS or os.geteuid() == 0
    assert outcome.verdict is Verdict.cancelled, outcome.sentence
    if groups.available:  # else a sample tells, if there was one
        assert outcome.ceilings_hit == ("processes",)


def test_a_tree_that_stops_our_own_processes_is_ended_by_its_group(tmp_path, groups):
    script = """
        import os, signal, time
        init = os.getppid()
        for _ in range(20):
            if os.fork() == 0:
                os.setsid()
                time.sleep(120)
        os.kill(init, signal.SIGKILL)
        time.sleep(120)
    """
    with start(box(tmp_path, script, processes=60)) as running:
        drive(running)
        outcome = running.outcome()
        assert proctree.carriers(running.token) == []
        assert running.facts()["cgroup_problem"] == ""

    assert outcome.verdict in {Verdict.killed_external, Verdict.crash}, outcome.sentence


def test_who_stands_in_the_group_without_being_of_the_tree_is_ended_before_the_run_is(tmp_path, groups):
    stranger = fork.fork_into(lambda: signal.sigwait({signal.SIGTERM}) and 0)
    with start(box(tmp_path, "import time\nprint('up', flush=True)\ntime.sleep(60)")) as running:
        drive(running, says("up"))
        running._group.enter(stranger)
        running.stop(KillReason.cancelled)
        drive(running)
        assert running._group.is_empty()
        assert running.outcome().verdict is Verdict.cancelled

    if not groups.available:
        os.kill(stranger, signal.SIGTERM)
    assert status_of(stranger) == (-signal.SIGKILL if groups.available else 0)


def test_the_wall_limit_is_ours_although_the_group_kills_as_well(tmp_path):
    script = """
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for _ in range(30):
            if os.fork() == 0: time.sleep(120)
        time.sleep(120)
    """
    outcome, _ = outcome_and_logs(box(tmp_path, script, wall=1.0, grace=0.2, processes=80))

    assert outcome.verdict is Verdict.wall_limit, outcome.sentence


def test_multiprocessing_and_its_shared_memory_work_in_a_group(tmp_path):
    script = """
        import multiprocessing
        def double(x): return 2 * x
        if __name__ == "__main__":
            with multiprocessing.Pool(3) as pool:
                print(sum(pool.map(double, range(100))))
    """
    outcome, said = outcome_and_logs(box(tmp_path, script))

    assert (outcome.verdict, said) == (Verdict.completed, b"9900\n"), outcome.sentence


def test_a_script_that_runs_too_many_threads_sees_an_error_of_its_own(tmp_path, groups):
    script = """
        import threading
        hold = threading.Event()
        try:
            for _ in range(100): threading.Thread(target=hold.wait, daemon=True).start()
        except RuntimeError as error:
            print("refused", error)
    """
    outcome, said = outcome_and_logs(box(tmp_path, script, processes=30))

    assert outcome.verdict is Verdict.completed, outcome.sentence
    assert (b"refused" in said) is (groups.available or os.geteuid() != 0)
    if groups.available:  # without one only a sample can tell, and a short run may have none
        assert outcome.ceilings_hit == ("processes",)
