"""Cases 119 and 165 to 170 of the hostile list: what fails or vanishes around a run is not laid at the script's door.

Nobody's script can bring these about, so they are no cases of the corpus; what other tests show of them is named in
`tests/host/corpus/absent.toml`.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from dataclasses import replace

import corpus
import pytest
from boxes import box, drive, says

from sandbox import cgroup_v1, cgroups
from sandbox.box import BoxError, prepare, run, start
from sandbox.limits import MiB
from sandbox.linux import cgroupfs, mounts, namespaces, proctree, trial
from sandbox.verdict import Verdict

#: The strongest level that whoever runs the tests can have here.
LEVEL = "hostile" if corpus.boxes_have_groups() else "contained"
WAITING = "import time\nprint('ready', flush=True)\ntime.sleep(60)"


def contained(spool, script, **changes):
    # Small, so that the sized scratch of a hostile box costs nothing.
    return box(spool, script, **{"level": LEVEL, "memory": 256 * MiB, "output": 8 * MiB, "files": 500} | changes)


def folders_of(token):
    """The folders of a box's control group, leaves first, in every hierarchy of this host."""
    found = []
    for root in set(cgroupfs.own_folders(cgroupfs.hierarchies(), cgroupfs.positions()).values()):
        for top, below, _ in os.walk(root, topdown=False):
            found += [os.path.join(top, name) for name in below if token in os.path.join(top, name)]
    return found


def ended(running):
    drive(running)
    outcome = running.outcome()
    assert proctree.carriers(running.token) == []
    return outcome


# 119: a script that is replaced between check and run


def test_a_script_that_is_replaced_before_it_is_read_does_not_run(tmp_path):
    prepared = prepare(contained(tmp_path, "print('the one that was ordered')"))
    with open(os.path.join(prepared.scratch, "script", "reduce.py"), "w") as file:
        file.write("print('another one')")
    with prepared.release() as running:
        outcome = ended(running)
        assert running.logs.stdout.text() == b""
    assert outcome.verdict is Verdict.script_error, outcome.sentence
    assert "the text of the script is not the one that was ordered" in outcome.sentence


# 166: builder or init are ended by somebody else


def test_a_builder_that_is_killed_before_it_begins_is_a_failure_of_the_set_up(tmp_path):
    prepared = prepare(contained(tmp_path, "open('ran', 'w')"))
    os.kill(prepared.builder.pid, signal.SIGKILL)
    with prepared.release() as running:
        assert ended(running).verdict is Verdict.setup_failed
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("victims", [("builder",), ("init",), ("init", "builder")], ids="+".join)
def test_a_builder_or_init_that_is_killed_takes_the_run_along(tmp_path, victims):
    """170 as well: the host's out-of-memory killer ends an init by SIGKILL, like anybody else."""
    with start(contained(tmp_path, WAITING)) as running:
        drive(running, says("ready", known=True))
        for victim in victims:
            os.kill(running.facts()[victim].pid, signal.SIGKILL)
        outcome = ended(running)
    assert outcome.verdict is Verdict.killed_external, outcome.sentence
    assert os.listdir(tmp_path) == []


def test_a_script_that_somebody_else_kills_is_not_told_as_out_of_memory(tmp_path):
    with start(contained(tmp_path, WAITING)) as running:
        drive(running, says("ready", known=True))
        inside = [p.pid for p in proctree.descendants(running.tree().pid, proctree.scan()) if p.living]
        assert len(inside) == 1
        os.kill(inside[0], signal.SIGKILL)
        outcome = ended(running)
    assert outcome.verdict is Verdict.killed_external, outcome.sentence
    assert outcome.exit["signal"] == signal.SIGKILL


# 167: the control group is gone or cannot be written


def test_a_group_that_cannot_be_made_is_a_failure_of_the_set_up(tmp_path, monkeypatch):
    """A hierarchy of plain files stands for one that takes no limit."""
    hierarchy = tmp_path / "memory"
    hierarchy.mkdir()
    spool = tmp_path / "spool"
    spool.mkdir()
    broken = cgroups.Groups(cgroup_v1.Subtree({"memory": str(hierarchy)}))
    monkeypatch.setattr(cgroups.Groups, "find", lambda *_: broken)

    with pytest.raises(BoxError) as raised:
        prepare(contained(spool, "open('ran', 'w')"))
    assert raised.value.failure.stage == "cgroup"
    assert raised.value.failure.errno == errno.ENOENT
    outcome = run(contained(spool, "open('ran', 'w')"))
    assert outcome.verdict is Verdict.setup_failed
    assert os.listdir(spool) == os.listdir(hierarchy) == []


def test_a_group_that_is_removed_before_the_run_is_a_failure_of_the_set_up(tmp_path):
    prepared = prepare(contained(tmp_path, "print('ran')"))
    gone = folders_of(prepared.token)
    # Whoever may make no control group has none to lose.
    assert bool(gone) is (LEVEL == "hostile")
    for folder in gone:
        os.rmdir(folder)
    with prepared.release() as running:
        outcome = ended(running)
        assert running.logs.stdout.text() == (b"" if gone else b"ran\n")
    assert outcome.verdict is (Verdict.setup_failed if gone else Verdict.completed), outcome.sentence
    assert ("cgroup" in outcome.sentence) is bool(gone)
    assert os.listdir(tmp_path) == []


def test_a_group_cannot_be_removed_under_a_run(tmp_path):
    with start(contained(tmp_path, WAITING + " if 0 else time.sleep(0.3)")) as running:
        drive(running, says("ready"))
        tried = [folder for folder in folders_of(running.token) if _holds_somebody(folder)]
        assert bool(tried) is (LEVEL == "hostile")
        for folder in tried:
            with pytest.raises(OSError) as raised:
                os.rmdir(folder)
            assert raised.value.errno == errno.EBUSY
        outcome = ended(running)
    assert outcome.verdict is Verdict.completed, outcome.sentence


def _holds_somebody(folder):
    with open(os.path.join(folder, "cgroup.procs")) as file:
        return bool(file.read().strip())


# 168: the scratch is full


@pytest.mark.parametrize(("size", "inodes", "stage"), [(1 << 20, 4, "scratch"), (64 << 10, 100, "script")])
def test_a_full_scratch_is_a_failure_of_the_set_up(tmp_path, size, inodes, stage):
    def in_a_small_spool():
        uid, gid = os.geteuid(), os.getegid()
        namespaces.keep_dumpable()
        namespaces.unshare(("user", "mnt"))
        namespaces.write_maps(uid, gid, uid, gid)
        mounts.make_private("/")
        mounts.tmpfs(str(tmp_path), size=size, inodes=inodes, mode=0o700)
        made = replace(contained(tmp_path, ""), script=b"x" * (128 << 10), cgroup="off", level="contained")
        try:
            prepare(made).abandon()
        except BoxError as error:
            left = os.listdir(tmp_path)
            verdict = run(made).verdict
            return f"{error.failure.stage} {errno.errorcode[error.failure.errno]} {left} {verdict}"
        return "prepared"

    assert trial.run(in_a_small_spool) == f"{stage} ENOSPC [] setup_failed"


# 169: the data vanish


def test_data_that_vanish_before_the_run_are_named_and_no_error_of_the_script(tmp_path):
    spool, data = tmp_path / "spool", tmp_path / "data"
    spool.mkdir()
    data.mkdir()
    (data / "ENGINX00075513.nxs").write_text("counts")
    prepared = prepare(contained(spool, "open('ran', 'w')", input_files=(str(data / "ENGINX00075513.nxs"),)))
    shutil.rmtree(data)
    with prepared.release() as running:
        outcome = ended(running)
    assert outcome.verdict is Verdict.setup_failed, outcome.sentence
    assert str(data) in outcome.sentence
    assert os.listdir(spool) == []


def test_data_that_vanish_during_the_run_end_in_the_words_of_the_script(tmp_path):
    """Whoever reads them sees it; what the script does about it is its own."""
    spool, data = tmp_path / "spool", tmp_path / "data"
    spool.mkdir()
    data.mkdir()
    (data / "ENGINX00075513.nxs").write_text("counts")
    script = """
        import sys, time
        print('ready', flush=True)
        while True:
            open(sys.argv[1]).read()
            time.sleep(0.01)
    """
    with start(contained(spool, script, input_files=(str(data / "ENGINX00075513.nxs"),))) as running:
        drive(running, says("ready"))
        shutil.rmtree(data)
        outcome = ended(running)
    assert outcome.verdict is Verdict.script_error, outcome.sentence
    assert "FileNotFoundError" in outcome.sentence
    assert os.listdir(spool) == []
