"""The nursery and its shepherds: descriptors, code that stays loaded, and who ends whom."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest
from embedded import Embedded
from waiting import wait_until

from sandbox.linux import proctree
from supervisor import errandsocket
from supervisor.attempts import run_record
from supervisor.flock import acquire

TRIVIAL = "def main(input_file, output_dir):\n    open(output_dir + '/a.txt', 'w').write('x')\n"


@pytest.fixture
def site(tmp_path):
    with Embedded(tmp_path) as site:
        yield site


def nursery_of(site):
    (name,) = [name for name in os.listdir(site.run_dir) if name.endswith(".sock")]
    link = errandsocket.connect(site.run_dir, name, 10.0)
    try:
        return errandsocket.check_peer(link)
    finally:
        link.close()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def hold_until(path):
    return textwrap.dedent(f"""
        import os, select
        def main(input_file, output_dir):
            open({str(path) + ".begun"!r}, "w").close()
            with open({str(path)!r}) as gate:  # a FIFO: opens when the test opens its other end
                gate.read()
            open(output_dir + "/late.txt", "w").write("late")
    """)


def begin_held(site, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    job = site.submit(site.message(hold_until(gate)))
    wait_until(lambda: os.path.exists(f"{gate}.begun"), 60, "the script to begin")
    return job, gate


def let_go(gate):
    with open(gate, "w"):
        return


def test_descriptors_stay_constant_and_every_lock_is_free_over_many_runs(site):
    site.start()
    first = site.submit(site.message(TRIVIAL, run=1))
    site.wait_final(first)
    pid = nursery_of(site)
    wait_until(lambda: not os.listdir(site.layout.waiting), 30, "the first run to be published")
    before = descriptors(pid), descriptors(site.process.pid)
    jobs = [site.submit(site.message(TRIVIAL, run=run, rb=run % 5)) for run in range(2, 42)]
    for job in jobs:
        assert site.wait_final(job).verdict == "completed"
    wait_until(lambda: not os.listdir(site.layout.waiting), 60, "every run to be published")
    wait_until(lambda: descriptors(pid) <= before[0], 30, f"the nursery to hold {before[0]} descriptors again")
    wait_until(lambda: descriptors(site.process.pid) <= before[1], 30, "the supervisor to hold no more than before")
    for rb in range(5):
        lock = wait_until(lambda rb=rb: acquire(site.layout.rb(str(rb)).lock), 30, f"the lock of RB {rb} to be free")
        lock.close()


@pytest.mark.soak
def test_descriptors_stay_constant_over_a_thousand_runs(site):
    site.start()
    site.wait_final(site.submit(site.message(TRIVIAL, run=1)))
    pid = nursery_of(site)
    before = descriptors(pid)
    jobs = [site.submit(site.message(TRIVIAL, run=run, rb=run % 20)) for run in range(2, 1002)]
    for job in jobs:
        assert site.wait_final(job).verdict == "completed"
    wait_until(lambda: not os.listdir(site.layout.waiting), 120, "every run to be published")
    wait_until(lambda: descriptors(pid) <= before, 30, f"the nursery to hold {before} descriptors again")


def test_a_run_is_committed_although_the_installed_package_was_removed_meanwhile(tmp_path):
    installed = tmp_path / "installed"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for package in ("supervisor", "sandbox"):
        shutil.copytree(os.path.join(root, package), installed / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "site").mkdir()
    with Embedded(tmp_path / "site") as site:
        site.environment["PYTHONPATH"] = str(installed)
        site.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        site.start()
        with open(f"/proc/{nursery_of(site)}/environ", "rb") as file:
            assert str(installed).encode() in file.read()  # the copy is what runs
        job, gate = begin_held(site, tmp_path)
        shutil.rmtree(installed)
        let_go(gate)
        assert site.wait_final(job).verdict == "completed"


def test_a_shepherd_imports_nothing_after_its_fork(tmp_path):
    """What `sys.modules` holds when the shepherd is forked is what it holds when it ends."""
    with Embedded(tmp_path) as site:
        watcher = tmp_path / "watcher"
        watcher.mkdir()
        report = tmp_path / "imported.json"
        (watcher / "sitecustomize.py").write_text(
            textwrap.dedent(f"""
            import gc, json, os, sys
            if any("supervisor.nursery" in word for word in sys.orig_argv):
                disable, end = gc.disable, os._exit
                known = set()
                def watched_disable():  # the first thing that a child of `fork_into` does
                    if not known:
                        known.update(sys.modules)
                        known.add("(the nursery's child)")
                    disable()
                def watched_end(status):
                    if known and "supervisor.shepherd" in sys.modules:
                        new = sorted(set(sys.modules) - known)
                        with open({str(report)!r} + "." + str(os.getpid()), "w") as file:
                            json.dump(new, file)
                    end(status)
                gc.disable, os._exit = watched_disable, watched_end
            """)
        )
        site.environment["PYTHONPATH"] = str(watcher)
        site.start()
        for script in (TRIVIAL, "def main(i, o):\n    raise ValueError('no')\n", "import os\nos.symlink('/', 'x')\n"):
            site.wait_final(site.submit(site.message(script)))
        reports = wait_until(
            lambda: [p for p in tmp_path.iterdir() if p.name.startswith("imported.json.")], 30, "a shepherd to report"
        )
        for path in reports:
            assert json.loads(path.read_text()) == [], f"{path} imported after the fork"


def test_two_supervisors_of_one_host_id_cannot_serve(site):
    site.start()
    second = subprocess.run(site.command("serve"), capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 78
    assert "is in use by another supervisor" in second.stderr


def test_a_killed_supervisor_loses_no_run_and_finds_its_shepherd_again(site, tmp_path):
    site.start()
    job, gate = begin_held(site, tmp_path)
    site.kill()
    site.start()
    let_go(gate)
    assert site.wait_final(job).verdict == "completed"
    assert len(os.listdir(site.layout.job(job).attempts)) == 1


def test_a_killed_nursery_leaves_its_shepherd_alone_and_another_one_is_started(site, tmp_path):
    site.start()
    job, gate = begin_held(site, tmp_path)
    os.kill(nursery_of(site), signal.SIGKILL)
    other = site.submit(site.message(TRIVIAL, run=2, rb=2))
    assert site.wait_final(other).verdict == "completed"
    let_go(gate)
    assert site.wait_final(job).verdict == "completed"
    assert len(os.listdir(site.layout.job(job).attempts)) == 1


def test_a_nursery_told_to_end_has_its_runs_released_and_they_run_again(site, tmp_path):
    site.start()
    job, gate = begin_held(site, tmp_path)
    os.kill(nursery_of(site), signal.SIGTERM)
    place = site.layout.job(job)
    wait_until(lambda: len(os.listdir(place.attempts)) == 2, 60, "a second attempt")
    let_go(gate)
    assert site.wait_final(job).verdict == "completed"


def test_the_box_of_a_killed_shepherd_is_ended_before_the_job_runs_again(site, tmp_path):
    site.start()
    job, gate = begin_held(site, tmp_path)
    place = site.layout.job(job)
    first = run_record(place, 1)
    os.kill(first.shepherd.pid, signal.SIGKILL)
    wait_until(lambda: run_record(place, 2) is not None, 60, "a second attempt")
    assert not proctree.carriers(first.token)
    assert not os.path.exists(first.scratch)
    let_go(gate)
    assert site.wait_final(job).verdict == "completed"


def test_interpreter_of_the_tests_is_not_needed_by_the_box(site):
    """A box whose interpreter is missing is told as what it is, not as the script's fault."""
    python = site.path("python3")
    os.symlink(sys.executable, python)
    site.configure(interpreter={"argv": [python]})
    site.start()  # one that is missing by now would be found out, and its runs not taken
    os.unlink(python)
    outcome = site.wait_final(site.submit(site.message(TRIVIAL)))
    assert outcome.verdict == "setup_failed"
    assert python in outcome.sentence
    assert sys.executable not in outcome.sentence
