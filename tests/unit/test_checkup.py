"""The findings of `doctor`: what each observation means, in words that somebody can act on."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from sandbox import facilities, guardfacts, levels
from sandbox.closure import Closure
from sandbox.facilities import Facilities
from sandbox.guardfacts import GuardFact
from sandbox.linux import acts, libc
from sandbox.proving import ASKED, Proof, judged
from sandbox.trialbox import Answer, Tried, read_answers
from sandbox.verdict import Verdict
from supervisor import checkbroker, checkclock, checkguards, checkplaces, checkstore, interpreterneeds
from supervisor.checkrun import bounded
from supervisor.checkup import Checkup, Finding, Status, caution, failed, passed
from supervisor.interpreterneeds import Needs
from supervisor.mountrules import LockTimes
from supervisor.profiles import Profile, Profiles

GROUPS = {"memory": "cgroup-v2", "processes": "cgroup-v2", "kill": "cgroup.kill"}
RECORD = {name: "on" for name in guardfacts.NAMES if name != "log"} | {"scratch": "watched"}


def box(level="contained", *, through=(), unanswered=(), **changes):
    """What a box shows in which everything was stopped but what is named."""
    answers = {
        act: Answer(act not in through, "was let through" if act in through else "EPERM")
        for act in ASKED[level]
        if act not in unanswered
    }
    values = {
        "level": level,
        "asked": ASKED[level],
        "answers": answers,
        "guards": {**RECORD, **GROUPS, "scratch": "hard" if level == "hostile" else "watched"},
        "verdict": Verdict.completed,
        "sentence": "completed",
        "said": 1000,
        "kept": 500,
    }
    return Tried(**values | changes)


def proof_of(*boxes, **found):
    return judged(Facilities(**{"groups": GROUPS} | found), list(boxes))


def report(*findings, met=True):
    return Checkup(findings=findings, level="contained", require="contained", met=met)


# --- what was found, and what it comes to


def test_the_worst_finding_decides_and_a_caution_is_no_failure():
    fine, careful, bad = passed("a", "b", "c"), caution("a", "b", "c"), failed("a", "b", "c", "d")
    assert (report(fine).status, report(fine).exit_status) == (Status.PASS, 0)
    assert (report(fine, careful).status, report(fine, careful).exit_status) == (Status.CAUTION, 0)
    assert (report(careful, bad, fine).status, report(bad).exit_status) == (Status.FAIL, 1)
    assert report(fine, met=False).exit_status == 1


def test_the_report_names_thing_cause_and_remedy_and_ends_with_the_level():
    rows = report(passed("guard", "net", "on"), failed("store", "/s", "may not be\x1b[2J", "chown x /s")).lines()
    assert rows == [
        "PASS     guard net: on",
        "FAIL     store /s: may not be\\x1b[2J",
        "           mend: chown x /s",
        'level contained: isolation.require = "contained" is met',
    ]
    assert report(met=False).lines()[-1].endswith("is not met: this host takes no run that needs it")


def test_a_report_is_plain_json_and_a_finding_survives_it():
    finding = failed("lock", "flock", "two hold it", "mount it")
    told = json.loads(json.dumps(report(finding).to_json()))
    assert (told["status"], told["level"], told["met"]) == ("fail", "contained", True)
    assert Finding.from_json(told["findings"][0]) == finding


# --- guards


def test_all_acts_stopped_in_both_boxes_prove_hostile_and_in_the_first_alone_contained():
    assert proof_of(box(), box("hostile")).level == "hostile"
    proof = proof_of(box())
    assert proof.level == "contained"
    assert guardfacts.lacking("hostile", proof.guards) == ("scratch",)


@pytest.mark.parametrize("act", [act for act, (guard, _) in acts.ACTS.items() if guard in levels.needed("contained")])
def test_one_act_that_is_let_through_takes_the_level_away(act):
    proof = proof_of(box(through=(act,)), box("hostile"))
    fact = proof.guards[acts.ACTS[act][0]]
    assert (fact.in_force, fact.why_not) == (False, f"{act}: was let through")
    assert proof.level == "none"


def test_an_act_that_was_not_answered_proves_nothing():
    proof = proof_of(box(unanswered=("mount",), sentence="script killed"))
    assert proof.guards["mnt"].why_not == "mount: not answered; script killed"
    assert proof.level == "none"


@pytest.mark.parametrize("verdict", [Verdict.memory_limit, Verdict.memory_limit_helper])
def test_a_memory_limit_that_ends_the_script_is_the_answer_of_its_last_act(verdict):
    assert proof_of(box(unanswered=("take too much memory",), verdict=verdict)).guards["memory"].in_force
    assert not proof_of(box(unanswered=("take too much memory",))).guards["memory"].in_force


def test_what_only_a_sampler_holds_is_contained_and_never_hostile():
    sampled = {**RECORD, "memory": "sampler", "processes": "rlimit", "kill": "tree"}
    proof = proof_of(
        box(guards=sampled), box("hostile", guards=sampled | {"scratch": "hard"}), groups={}, no_groups="none is ours"
    )
    assert proof.level == "contained"
    assert set(guardfacts.lacking("hostile", proof.guards)) == {"memory", "processes", "kill"}
    failing = [each for each in checkguards.findings(proof, "hostile") if each.status is Status.FAIL]
    assert {each.name for each in failing} == {"memory", "processes", "kill"}
    assert all("none is ours" in each.text and "Delegate=yes" in each.remedy for each in failing)


def test_processes_left_behind_and_a_log_without_end_are_seen():
    assert "2 processes of the box live on" in proof_of(box(left_behind=2)).guards["kill"].why_not
    assert "1000 bytes were kept" in proof_of(box(kept=1000)).guards["log"].why_not


@pytest.mark.parametrize(
    ("sentence", "guards", "remedy"),
    [
        ("at enclosure: EPERM (Operation not permitted): mount failed", ("user", "tree", "pid"), "unshare"),
        ("at enclosure: EACCES (Permission denied): cannot show '/x' at '/x'", ("tree",), "let the user who serves"),
        ("at privileges: EINVAL (Invalid argument): seccomp failed", ("seccomp", "landlock", "keyring"), ""),
        ("at limits: EPERM (Operation not permitted)", ("rlimits",), ""),
        ("at spool: ENOSPC (No space left on device)", ("env", "user", "kill"), ""),
    ],
)
def test_a_box_that_cannot_be_built_is_the_fault_of_the_guards_of_that_step(sentence, guards, remedy):
    whole = f"box could not be built {sentence}"
    proof = proof_of(box(answers={}, guards={}, verdict=Verdict.setup_failed, sentence=whole))
    assert proof.level == "none"
    for name in guards:
        assert proof.guards[name].why_not == whole
        assert remedy in proof.guards[name].remedy
    others = {fact.why_not for fact in proof.guards.values() if fact.why_not != whole}
    assert all(why.startswith("not tried: ") for why in others)


def test_a_host_without_namespaces_fails_once_for_all_they_carry():
    proof = proof_of(
        namespaces="namespaces user mnt are refused here: No space left on device; raise it",
        sysctls={"user.max_user_namespaces": 0},
    )
    failing = [each for each in checkguards.findings(proof, "contained") if each.status is Status.FAIL]
    (first, *others) = failing
    assert first.name.startswith("user, mnt, pid")
    assert first.text == "namespaces user mnt are refused here: No space left on device"
    assert first.remedy.startswith("sysctl -w user.max_user_namespaces=15000")
    assert all(each.text.startswith("not tried: no box can be closed here") for each in others)


def test_what_no_run_needs_is_a_caution_that_says_what_it_is_good_for():
    proof = proof_of(box(guards=RECORD | {"landlock": ""}), landlock="this kernel has no landlock")
    (found,) = (each for each in checkguards.findings(proof, "contained") if "landlock" in each.name)
    assert found.status is Status.CAUTION
    assert found.text.endswith("(level hostile needs it)")
    assert "lsm=" in found.remedy
    (found,) = (each for each in checkguards.findings(proof, "contained", ["hostile"]) if "landlock" in each.name)
    assert found.text.endswith("instruments that ask for more are left to other hosts")
    (found,) = (each for each in checkguards.findings(proof, "hostile") if "landlock" in each.name)
    assert found.status is Status.FAIL


def test_a_site_that_trusts_every_script_meets_cautions_alone():
    proof = proof_of(namespaces="namespaces user are refused here: No space left on device; raise it")
    found = checkguards.findings(proof, "none")
    assert {each.status for each in found} == {Status.CAUTION}
    assert found[0].text.endswith("(level contained needs it)")


def test_root_is_told_that_it_cannot_be_hostile():
    proof = proof_of(box(), box("hostile"))
    assert [each.status for each in checkguards.findings(proof, "contained", as_root=True)][-1] is Status.CAUTION
    assert [each.status for each in checkguards.findings(proof, "hostile", as_root=True)][-1] is Status.FAIL
    assert all(each.status is Status.PASS for each in checkguards.findings(proof, "hostile"))


def test_a_proof_can_be_made_of_facts_alone():
    fact = GuardFact(name="user", in_force=True, how="on")
    proof = Proof(level="none", guards={"user": fact}, facilities=Facilities())
    assert proof.unstarted == ""


@pytest.mark.parametrize(
    ("sysctls", "remedy"),
    [
        ({"user.max_user_namespaces": 0}, "sysctl -w user.max_user_namespaces=15000"),
        ({"kernel.unprivileged_userns_clone": 0}, "sysctl -w kernel.unprivileged_userns_clone=1"),
        ({"kernel.apparmor_restrict_unprivileged_userns": 1}, "apparmor_parser -r"),
        ({"user.max_user_namespaces": 100}, "in no container that denies unshare"),
    ],
)
def test_what_keeps_namespaces_away_is_read_from_the_hosts_settings(sysctls, remedy):
    assert remedy in facilities.namespaces_remedy(sysctls)


def test_settings_of_the_host_are_read_as_far_as_it_has_them(tmp_path):
    (tmp_path / "user").mkdir()
    (tmp_path / "user/max_user_namespaces").write_text("7\n")
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel/unprivileged_userns_clone").write_text("yes\n")
    assert facilities.read_sysctls(str(tmp_path)) == {"user.max_user_namespaces": 7}


# --- what comes out of a box


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'["mount", true]',
        b'["mount", 1, "EPERM"]',
        b'["no such act", true, "EPERM"]',
        b'[["mount"], true, "EPERM"]',
        b"[" * 900,
        b'["mount", true, "' + b"x" * 5000,
        b"\xff\xfe",
    ],
)
def test_lines_that_are_none_of_ours_are_left_out(line):
    assert read_answers(acts.MARK.encode() + line + b"\nmount\n") == {}


def test_an_answer_counts_once_and_its_text_is_made_safe():
    line = acts.MARK.encode() + b'["mount", true, "a\\u001b[2J"]\n'
    assert read_answers(b"banner\n" + line) == {"mount": Answer(True, "a\ufffd[2J")}
    assert read_answers(line * 2) == {"mount": Answer(stopped=False, how="answered twice")}
    assert read_answers(b"\n" * 600 + line) == {}


# --- places


def test_a_host_serves_the_roots_that_it_has_and_fails_only_without_any():
    here, there = passed("data", "/a", "is there"), caution("data", "/b", "no such file or directory")
    assert checkplaces.joined([here, here], "data") == [here, here]
    kept, missing = checkplaces.joined([here, there], "data")
    assert (kept, missing.status, missing.name) == (here, Status.CAUTION, "/b")
    assert checkplaces.joined([there, there], "data")[0].status is Status.FAIL


def test_roots_that_may_not_be_read_or_are_not_there_are_told(tmp_path):
    assert checkplaces.data_root(str(tmp_path))[0].status is Status.PASS
    assert checkplaces.result_root(str(tmp_path / "none"))[0].text == "no such file or directory"
    if os.geteuid():
        tmp_path.chmod(0)
        assert "may not read it" in checkplaces.data_root(str(tmp_path))[0].text
        assert "may not enter it" in checkplaces.result_root(str(tmp_path))[0].text
        tmp_path.chmod(0o700)


def test_a_run_directory_that_is_open_to_all_fails(tmp_path):
    assert checkplaces.run_dir(str(tmp_path / "later"))[0].status is Status.PASS
    tmp_path.chmod(0o755)
    (found,) = checkplaces.run_dir(str(tmp_path))
    assert (found.status, found.remedy) == (Status.FAIL, f"chmod o= {tmp_path}")
    tmp_path.chmod(0o750)
    assert checkplaces.run_dir(str(tmp_path))[0].status is Status.PASS


# --- store, lock and clock


@pytest.fixture
def store(tmp_path):
    from supervisor import journal
    from supervisor.layout import Layout

    path = tmp_path / "store"
    journal.open_store(Layout(str(path)), create=True)
    path.chmod(0o2770)
    return path


def look(path, *, unproven=False, several=False):
    found = checkstore.findings(str(path), unproven=unproven, several=several, host="h0", times=LockTimes())
    return {each.name: each for each in found}


def test_a_good_store_is_written_and_locked_and_left_as_it_was(store):
    before = sorted(store.rglob("*"))
    found = look(store)
    assert found["flock"].status is Status.PASS, found["flock"]
    assert found["write"].status is not Status.FAIL
    assert found[str(store)].status is Status.PASS
    assert sorted(store.rglob("*")) == before


def test_a_store_that_is_not_there_yet_is_made_by_serve(tmp_path):
    (found,) = look(tmp_path / "a/store").values()
    assert (found.status, "serve" in found.text) == (Status.CAUTION, True)


def test_a_folder_that_is_no_store_fails(tmp_path):
    (tmp_path / "file").write_text("x")
    (found,) = look(tmp_path).values()
    assert (found.status, "is not a store" in found.text) == (Status.FAIL, True)


def test_a_store_of_another_version_or_with_a_spoilt_format_fails(store):
    (store / "FORMAT").write_text('{"v": 1, "format": 99}')
    assert next(iter(look(store).values())).status is Status.FAIL
    (store / "FORMAT").write_text("{")
    assert next(iter(look(store).values())).status is Status.FAIL


def test_a_store_that_everybody_may_read_is_told_with_the_command(store):
    store.chmod(0o2775)
    found = look(store)[str(store)]
    assert (found.status, found.remedy) == (Status.CAUTION, f"chmod o= {store}")
    store.chmod(0o770)
    assert look(store)[str(store)].remedy == f"chmod g+s {store}"


def test_a_local_store_that_other_hosts_were_seen_in_fails(store):
    kinds = [each for name, each in look(store, several=True).items() if " at /" in name]
    assert [each.status for each in kinds] == [Status.FAIL]


@pytest.mark.parametrize("broken", ["everybody", "nobody"])
def test_a_lock_that_keeps_nobody_out_or_everybody_fails(store, monkeypatch, broken):
    real = checkstore.acquire
    fake = {"everybody": lambda path: real(f"{path}.{time.monotonic_ns()}"), "nobody": lambda path: None}
    monkeypatch.setattr(checkstore, "acquire", fake[broken])
    found = look(store)["flock"]
    assert found.status is Status.FAIL
    assert found.remedy


@pytest.mark.parametrize(
    ("ahead", "status"), [(0.0, Status.PASS), (-1.5, Status.PASS), (5.0, Status.CAUTION), (-45.0, Status.FAIL)]
)
def test_a_store_whose_clock_is_far_away_fails(ahead, status):
    found = checkclock.judged(ahead)
    assert found.status is status
    assert status is Status.PASS or ("ahead of" if ahead > 0 else "behind") in found.text


def test_the_time_of_a_file_is_this_hosts(tmp_path):
    assert abs(checkstore.file_time(str(tmp_path))) < 2
    assert list(tmp_path.iterdir()) == []
    assert checkclock.host().status in {Status.PASS, Status.CAUTION}


def test_a_kernel_that_says_nothing_of_its_clock_is_told_in_words(monkeypatch):
    def refuses(memory):
        return libc._minus_one_is_an_error(-1, libc.prctl, (memory, 1, b"x"))

    monkeypatch.setattr(libc, "_adjtimex", refuses)
    found = checkclock.host()
    assert found.status == Status.CAUTION
    assert "prctl(..., 1, b'x') failed: " in found.text


# --- looks that hang


def test_a_look_that_hangs_or_breaks_down_is_a_failure_and_holds_nobody():
    (hung,) = bounded("store", "/s", signal.pause, patience=0.3)
    assert (hung.status, "does not answer within 0.3 s" in hung.text) == (Status.FAIL, True)
    (broken,) = bounded("store", "/s", lambda: [1 / 0])
    assert (broken.status, "ZeroDivisionError" in broken.text) == (Status.FAIL, True)
    assert bounded("store", "/s", lambda: [passed("store", "/s", "\u20ac")]) == [passed("store", "/s", "\u20ac")]


# --- broker


def test_one_address_that_works_makes_the_others_a_caution():
    good, bad = passed("broker", "a", "in"), failed("broker", "b", "refused", "start it")
    assert checkbroker.judged([bad, bad]) == [bad, bad]
    assert [each.status for each in checkbroker.judged([bad, good])] == [Status.CAUTION, Status.PASS]


@pytest.mark.parametrize(
    ("host", "answer"),
    [("localhost", True), ("127.0.0.2", True), ("::1", True), ("broker.example", False), ("10.0.0.1", False)],
)
def test_which_brokers_are_on_this_host(host, answer):
    assert checkbroker.is_loopback(host) is answer


# --- interpreters


def test_a_profile_is_found_by_any_of_its_names_and_a_program_by_its_path():
    gem = Profile(name="interpreter.instrument.GEM", argv=("/gem/python",))
    mantid = Profile(name="interpreter.software.Mantid 6.2.0", argv=("/mantid/python",))
    common = Profile(name="interpreter", argv=("/usr/bin/python3",), env={"A": "1"}, bind=("/opt/x",))
    profiles = Profiles(common=common, instrument={"GEM": gem}, software={"Mantid 6.2.0": mantid})
    assert interpreterneeds.named(profiles, "") is common
    for word in ("GEM", "instrument.GEM", "interpreter.instrument.GEM"):
        assert interpreterneeds.named(profiles, word) is gem
    assert interpreterneeds.named(profiles, "Mantid 6.2.0") is mantid
    other = interpreterneeds.named(profiles, "/opt/other/python")
    assert (other.argv, other.env, other.bind) == (("/opt/other/python",), {"A": "1"}, ("/opt/x",))


def test_the_table_to_write_names_what_only_an_import_brought_in():
    base, wide = Closure(folders=("/opt/a",), links={}), Closure(folders=("/opt/a/lib", "/opt/b"), links={})
    bind = interpreterneeds.added(base, wide)
    profile = Profile(name="interpreter.software.Mantid 6", argv=("/opt/a/python",), bind=("/opt/c",))
    text = interpreterneeds.toml_of(Needs(profile=profile, bind=bind))
    assert text == '[interpreter.software."Mantid 6"]\nargv = ["/opt/a/python"]\nbind = ["/opt/c", "/opt/b"]'


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("python: error while loading shared libraries: libx.so.1: cannot open shared object file", "find libx.so.1"),
        ("ImportError: libfoo.so.2: cannot open shared object file: No such file", "find libfoo.so.2"),
        ("ModuleNotFoundError: No module named 'encodings'", "module encodings"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/opt/licence'", "/opt/licence"),
        ("exit status 3", "strace"),
    ],
)
def test_what_a_program_misses_behind_the_tree_is_read_off_what_it_said(why, words):
    assert words in interpreterneeds.remedy(why)


def test_a_chain_of_links_is_followed_and_a_circle_ends(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/real").write_text("")
    (tmp_path / "bin/two").symlink_to("real")
    (tmp_path / "one").symlink_to("bin/two")
    names = [os.path.relpath(path, tmp_path) for path in interpreterneeds.chain(str(tmp_path / "one"))]
    assert names == ["one", "bin/two", "bin/real"]
    (tmp_path / "round").symlink_to("round")
    assert len(interpreterneeds.chain(str(tmp_path / "round"))) < 50
