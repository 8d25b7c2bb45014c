"""What of a box is made before it is let go, what comes after the word, and how all of it ends when the word never comes."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys
import textwrap

import corpus
import pytest
from boxes import box, drive, outcome_and_logs
from waiting import wait_until

from sandbox import drawing, enclosure, gate, rootfs
from sandbox.box import BoxError, prepare
from sandbox.init import Plan
from sandbox.linux import mounttable, proctree
from sandbox.rescue import Rescue
from sandbox.verdict import Verdict

CLOSED = ["contained", "hostile"] if corpus.boxes_have_groups() else ["contained"]
levels = pytest.mark.parametrize("level", CLOSED)
PLAN = Plan(argv=("/bin/true",), env={"A": "é"}, cwd="/", rlimits={})


def below(builder):
    return proctree.descendants(builder.pid, proctree.scan())


def standing(prepared):
    """Wait until init and script of a box that was not let go exist, and return them."""
    return wait_until(lambda: len(found := below(prepared.builder)) == 2 and found, 30, "init and script's process")


# --- the words --------------------------------------------------------------------------------------------------------


def amendment(plan) -> bytes:
    return gate.amendment(plan.argv, plan.env, None)


def pipe_with(words: bytes) -> int:
    read, write = os.pipe()
    os.write(write, words)
    os.close(write)
    return read


def test_the_last_plan_that_is_told_before_the_word_is_the_one():
    other = Plan(argv=("/bin/sh", "-c", "ü"), env={"B": "x" * 10_000}, cwd="/", rlimits={})

    told = gate.wait(pipe_with(amendment(PLAN) + amendment(other) + gate.GO), PLAN)

    assert (told.argv, told.env, told.cwd) == (other.argv, other.env, PLAN.cwd)
    assert gate.wait(pipe_with(gate.GO), PLAN) is PLAN


@pytest.mark.parametrize("words", [b"", b".", gate.STANDS, amendment(PLAN)])
def test_a_gate_that_is_shut_lets_nobody_through(words):
    assert gate.wait(pipe_with(words), PLAN) is None


def test_a_plan_that_breaks_off_is_an_error():
    words = amendment(PLAN)
    for length in (1, 3, 5, len(words) - 1):
        with pytest.raises(OSError, match="is gone"):
            gate.wait(pipe_with(words[:length]), PLAN)


def test_more_than_a_pipe_holds_is_passed_on_and_one_that_is_gone_hears_nothing():
    long = Plan(argv=("/bin/true",), env={"A": "x" * 300_000}, cwd="/", rlimits={})
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        told = gate.wait(read, PLAN)
        os._exit(0 if told and told.env == long.env else 1)
    os.close(read)
    gate.pass_on(write, long, PLAN)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    read, write = os.pipe()
    os.close(read)
    gate.pass_on(write, long, PLAN)
    assert not os.path.exists(f"/proc/self/fd/{write}")


# --- before the word --------------------------------------------------------------------------------------------------


@levels
def test_a_box_stands_before_its_data_are_there(tmp_path, level):
    """The archive is not looked at before the word: the folder of the data does not even exist yet."""
    data = tmp_path / "archive" / "NDX" / "run.nxs"
    spool = tmp_path / "spool"
    spool.mkdir()
    prepared = prepare(box(spool, "import sys; print(open(sys.argv[1]).read())", level=level, input_files=(str(data),)))
    init, script = standing(prepared)
    assert (init.ppid, script.ppid) == (prepared.builder.pid, init.pid)

    data.parent.mkdir(parents=True)
    data.write_text("counts")
    with prepared.release() as running:
        drive(running)
        assert running.outcome().verdict is Verdict.completed, running.outcome().sentence
        assert running.logs.stdout.text() == b"counts\n"
        assert running.facts()["init"] == init.identity


@levels
def test_the_shepherd_never_looks_at_what_is_to_be_shown(tmp_path, level, monkeypatch):
    """A look at an archive may hang for ever, and the shepherd has limits to keep."""
    looked = []

    def noting(call):
        def look(path, *given, **more):
            looked.append(path)
            return call(path, *given, **more)

        return look

    for call in (os.stat, os.lstat, os.readlink, os.open, os.scandir, os.listdir):
        monkeypatch.setattr(os, call.__name__, noting(call))
    archive = "/archive/of/nobody"
    made = box(tmp_path, "pass", level=level, input_files=(f"{archive}/run.nxs",), readable=(f"{archive}/masks",))

    prepared = prepare(made)
    prepared.give(script=b"pass #")
    prepared.abandon()

    assert looked
    assert [path for path in looked if archive in str(path)] == []


@levels
def test_data_that_are_still_missing_after_the_word_are_a_setup_failure_that_names_them(tmp_path, level):
    with prepare(box(tmp_path, "pass", level=level, input_files=("/no/such/run.nxs",))).release() as running:
        drive(running)
        outcome = running.outcome()

    assert outcome.verdict is Verdict.setup_failed
    assert "'/no/such' at '/no/such'" in outcome.sentence
    assert not running.stale


@levels
def test_a_box_that_is_given_up_leaves_nothing(tmp_path, level):
    prepared = prepare(box(tmp_path, "open('ran', 'w')", level=level))
    others = standing(prepared)

    prepared.abandon()

    assert not any(proctree.alive(who.identity) for who in others)
    assert not os.path.exists(f"/proc/{prepared.builder.pid}")
    assert os.listdir(tmp_path) == []


def test_a_box_without_pids_of_its_own_leaves_no_child_to_its_shepherd(tmp_path):
    prepared = prepare(box(tmp_path, "pass", level="contained", without=frozenset({"pid"})))
    init, script = standing(prepared)

    prepared.abandon()

    assert not os.path.exists(f"/proc/{init.pid}")
    assert not os.path.exists(f"/proc/{script.pid}")


@levels
@pytest.mark.parametrize("stopped", ["builder", "init", "script"])
def test_a_box_whose_processes_are_stopped_is_given_up_too(tmp_path, level, stopped, monkeypatch):
    monkeypatch.setattr("sandbox.forked.PATIENCE", 0.1)
    prepared = prepare(box(tmp_path, "pass", level=level))
    init, script = standing(prepared)
    who = {"builder": prepared.builder, "init": init.identity, "script": script.identity}[stopped]
    os.kill(who.pid, signal.SIGSTOP)
    wait_until(lambda: proctree.look(who.pid).state == "T", 30, "the stop")

    prepared.abandon()

    assert not any(os.path.exists(f"/proc/{one.pid}") for one in (prepared.builder, init, script))
    assert os.listdir(tmp_path) == []


@levels
@pytest.mark.parametrize("killed", ["init", "script"])
def test_one_of_ours_that_was_killed_before_the_word_is_told(tmp_path, level, killed):
    prepared = prepare(box(tmp_path, "pass", level=level))
    init, script = standing(prepared)
    who = init if killed == "init" else script
    os.kill(who.pid, signal.SIGKILL)
    wait_until(lambda: not proctree.alive(who.identity), 30, "its end")

    with prepared.release() as running:
        drive(running)
        assert running.outcome().verdict in {Verdict.setup_failed, Verdict.killed_external}
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("level", ["none", "contained"])
def test_a_builder_that_is_gone_while_its_box_waits_is_heard_of_once(tmp_path, level):
    """Else the loop of its shepherd would turn without a pause until the word to go."""
    prepared = prepare(box(tmp_path, "pass", level=level))
    if level != "none":
        standing(prepared)
    os.kill(prepared.builder.pid, signal.SIGKILL)

    def heard():
        prepared.listen()
        return not select.select([prepared.fileno()], [], [], 0)[0] and not proctree.look(prepared.builder.pid)

    wait_until(heard, 30, "nothing more to hear")
    with prepared.release() as running:
        drive(running)
        assert running.outcome().verdict is Verdict.setup_failed
    assert os.listdir(tmp_path) == []


def test_a_box_that_cannot_stand_says_why_when_it_is_given_something(tmp_path, monkeypatch):
    def refused(*_given, **_more):
        raise OSError(28, "cannot make '/tmp' in the box: No space left on device")

    monkeypatch.setattr(rootfs, "build", refused)
    prepared = prepare(box(tmp_path, "pass", level="contained"))
    wait_until(lambda: not proctree.alive(prepared.builder), 30, "the end of the builder")

    with pytest.raises(BoxError, match=r"at enclosure: .*cannot make '/tmp'") as failed:
        prepared.give(script=b"pass")
    assert failed.value.failure.errno == 28
    prepared.abandon()
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif("hostile" not in CLOSED, reason="only level hostile has the script in a sized file system")
def test_a_script_may_become_larger_while_the_box_waits(tmp_path):
    prepared = prepare(box(tmp_path, "pass", level="hostile"))
    standing(prepared)

    prepared.give(script=b"print('it ran')\n" + b"#" * (6 << 20))
    with prepared.release() as running:
        drive(running)
        assert running.outcome().verdict is Verdict.completed, running.outcome().sentence
        assert running.logs.stdout.text() == b"it ran\n"


@levels
def test_no_descriptor_of_the_building_is_left_in_the_box(tmp_path, level):
    script = """
    import os
    for name in sorted(os.listdir("/proc/self/fd")):
        if os.path.lexists("/proc/self/fd/" + name):  # not that of the listing
            print(os.readlink("/proc/self/fd/" + name))
    """
    _, said = outcome_and_logs(box(tmp_path, script, level=level))
    _, bare = outcome_and_logs(box(tmp_path, script))

    assert len(said.splitlines()) == len(bare.splitlines()), said
    assert b"mountinfo" not in said


# --- where the ground has to wait -------------------------------------------------------------------------------------


@levels
def test_a_host_with_a_link_on_the_way_to_a_place_of_ours_builds_after_the_word(tmp_path, level, monkeypatch):
    monkeypatch.setattr("sandbox.tree.has_links", bool)
    script = """
    import os
    def tried(act):
        try:
            return act()
        except OSError as error:
            return error.errno
    print(tried(lambda: open("/usr/x", "w")), tried(lambda: os.mkdir("/x")),
          tried(lambda: open("/dev/null", "w").write("x")), os.getpid(), sorted(os.listdir("/")))
    """
    made = box(tmp_path, script, level=level)
    prepared = prepare(made)
    standing(prepared)
    with prepared.release() as running:
        drive(running)
        outcome = running.outcome()
        assert outcome.verdict is Verdict.completed, outcome.sentence
        said = running.logs.stdout.text()
    monkeypatch.undo()
    early, said_early = outcome_and_logs(made)
    assert said == said_early
    denied = (errno.EROFS, errno.EACCES)
    assert said.startswith(tuple(b"%d %d 1 2 ['bin'" % (one, other) for one in denied for other in denied)), said
    assert outcome.guards.facts == early.guards.facts


def test_the_ground_waits_where_the_interpreter_may_move_a_place_of_ours(monkeypatch):
    monkeypatch.setattr(os.path, "islink", lambda path: path == "/home")
    made = enclosure.Enclosure(
        guards=frozenset({"tree"}), scratch="/s", harness="/h", tmp=enclosure.Sized(size=1, inodes=1)
    )
    assert drawing.ground(made) is None
    assert not enclosure.draw(made).stands_early


# --- mounts that come while a box waits -------------------------------------------------------------------------------

WAITING = """
import json, os, sys
sys.path[:0] = {path!r}
from boxes import box, drive
from waiting import wait_until
from sandbox import tree
from sandbox.box import prepare
from sandbox.linux import libc, mounts, namespaces, proctree

{before}
uid, gid = os.geteuid(), os.getegid()
namespaces.unshare(("user", "mnt"))
namespaces.write_maps(uid, gid, uid, gid)
libc.mount(None, "/", None, 0x4000 | {propagation})
SPOOL, ARCHIVE, USR = {spool!r}, {archive!r}, "/usr/share"
prepared = prepare(box(SPOOL, {script!r}, level="contained", input_files=(ARCHIVE + "/cycle/run.nxs",)))
wait_until(lambda: len(proctree.descendants(prepared.builder.pid, proctree.scan())) == 2, 60, "the box to stand")
{act}
with prepared.release() as running:
    drive(running)
    outcome = running.outcome()
    print(json.dumps([str(outcome.verdict), outcome.sentence, running.logs.stdout.text().decode(), running.stale]))
"""
MOUNT = """
mounts.tmpfs(ARCHIVE, size=1 << 20, inodes=10, mode=0o755)
os.mkdir(ARCHIVE + "/cycle")
open(ARCHIVE + "/cycle/run.nxs", "w").write("mounted")
"""
PRIVATE, SHARED = 0x4_0000, 0x10_0000


def waited(tmp_path, script, act, propagation, before=""):
    """Run a box in a mount namespace of the test's own, in which something is mounted while it waits."""
    for name in ("spool", "archive/cycle"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "archive/cycle/run.nxs").write_text("bare")
    text = WAITING.format(
        path=sys.path,
        before=before,
        propagation=propagation,
        spool=str(tmp_path / "spool"),
        archive=str(tmp_path / "archive"),
        script=textwrap.dedent(script),
        act=act,
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


READ = "import sys; print(open(sys.argv[1]).read())"


def test_an_archive_that_is_mounted_while_a_box_waits_is_seen_where_mounts_are_shared(tmp_path):
    verdict, sentence, said, stale = waited(tmp_path, READ, MOUNT, SHARED)

    assert (verdict, said, stale) == ("completed", "mounted\n", ""), sentence


def test_where_they_are_not_shared_the_box_is_not_built_over_what_was_there_before(tmp_path):
    verdict, sentence, said, stale = waited(tmp_path, READ, MOUNT, PRIVATE)

    assert (verdict, said) == ("setup_failed", ""), sentence
    assert f"'{tmp_path}/archive/cycle' was mounted or unmounted on this host" in stale
    assert stale in sentence


def test_a_box_that_is_built_after_the_word_does_not_show_what_was_there_before_either(tmp_path):
    """Its namespace was made before it as well."""
    verdict, sentence, said, stale = waited(tmp_path, READ, MOUNT, PRIVATE, before="tree.has_links = bool")

    assert (verdict, said) == ("setup_failed", ""), sentence
    assert f"'{tmp_path}/archive/cycle' was mounted or unmounted on this host" in stale


def test_a_mount_elsewhere_changes_nothing(tmp_path):
    elsewhere = (
        f"os.mkdir({str(tmp_path / 'other')!r}); mounts.tmpfs({str(tmp_path / 'other')!r}, size=1, inodes=9, mode=0o7)"
    )

    assert waited(tmp_path, READ, elsewhere, PRIVATE)[0::2] == ["completed", "bare\n"]


def test_what_is_mounted_below_something_that_is_shown_stays_outside(tmp_path):
    """It would be writable in a box whose folders are not."""
    act = 'mounts.tmpfs(USR, size=1 << 20, inodes=10, mode=0o755)\nopen(USR + "/foreign", "w").close()'

    verdict, sentence, said, _ = waited(tmp_path, "import os; print(os.path.exists('/usr/share/foreign'))", act, SHARED)

    assert (verdict, said) == ("completed", "False\n"), sentence


def test_the_rescue_of_a_box_that_is_gone_is_over_soon(tmp_path):
    prepared = prepare(box(tmp_path, "pass", level="contained"))
    prepared.abandon()
    rescue = Rescue(prepared.builder, None)
    assert [rescue.turn(), rescue.turn()] == [False, True]


# --- the table of mounts ----------------------------------------------------------------------------------------------

ROOT = b"22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
ARCHIVE = b"30 22 0:40 / /archive ro,relatime master:2 - nfs4 server:/archive rw\n"
SPACED = b"31 30 0:41 /cycle /archive/a\\040b rw - nfs4 server:/cycle rw\n"
OTHER = b"32 22 0:42 / /archive rw - nfs4 spare:/archive rw\n"


@pytest.mark.parametrize(
    ("host", "own", "path", "differs"),
    [
        (ROOT, ROOT, "/archive/x", False),
        (ROOT + ARCHIVE, ROOT, "/archive/x", True),
        (ROOT, ROOT + ARCHIVE, "/archive", True),
        (ROOT + ARCHIVE, ROOT, "/archives", False),
        (ROOT + ARCHIVE, ROOT, "/home", False),
        (ROOT + ARCHIVE + SPACED, ROOT + ARCHIVE, "/archive", True),
        (ROOT + ARCHIVE + SPACED, ROOT + ARCHIVE, "/archive/a b/run", True),
        (ROOT + ARCHIVE + SPACED, ROOT + ARCHIVE, "/archive/a", False),
        (ROOT + ARCHIVE + OTHER, ROOT + ARCHIVE, "/archive/x", True),
        (ROOT + ARCHIVE + OTHER, ROOT + OTHER, "/archive/x", False),
        (ROOT + b"33 22 0:9 / /spool/box/root rw - tmpfs tmpfs rw\n", ROOT, "/spool", False),
        (ROOT, ROOT, "/", False),
        (ROOT + ARCHIVE, ROOT, "/", True),
    ],
)
def test_two_tables_differ_where_a_path_lies_on_another_file_system(host, own, path, differs):
    assert mounttable.differs(host, own, [path], but="/spool/box") == (path if differs else None)


def test_the_table_of_this_host_can_be_read_and_stands_still():
    with mounttable.MountTable() as table:
        text = table.read()
        assert any(line.split(b" ")[4] == b"/" for line in text.splitlines())
        assert mounttable.differs(text, text, ["/", "/usr", str(os.getcwd())], but="/none") is None
