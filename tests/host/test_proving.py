"""What a host proves: every guard tried in a real box, and what is said where a guard or a facility is missing."""

from __future__ import annotations

import ast
import errno
import json
import os
import sys
from dataclasses import replace

import pytest
from boxes import closure_here

from sandbox import bait, facilities, guardfacts, levels, proving, trialbox
from sandbox.facilities import Facilities
from sandbox.interpreter import OLDEST
from sandbox.linux import acts, namespaces, trial
from sandbox.proving import prove

PYTHON = (sys.executable,)
#: What one box can show by itself of a guard whose effect others have as well: those are left out with it.
SAME_EFFECT = {
    "keyring": {"keyring", "seccomp"},
    "no_new_privs": {"no_new_privs", "landlock", "seccomp"},
    "mnt": {"mnt", "tree", "seccomp"},
}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """What this host proves, found out once."""
    return prove(str(tmp_path_factory.mktemp("spool")), PYTHON, closure_here())


def tried(spool, *, without=frozenset(), asked=None, **changes):
    """Run the acts in a box of level contained and return what became of them."""
    values = {
        "spool": str(spool),
        "interpreter": PYTHON,
        "env": {},
        "closure": closure_here(),
        "asked": asked or [act for act in proving.ASKED["contained"] if act not in trialbox.ONCE],
        "without": frozenset(without),
    }
    with bait.laid_out(str(spool)) as laid:
        return trialbox.try_box("contained", laid, **values | changes)


def program(path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_this_host_proves_that_scripts_are_contained(here):
    lacking = {name: here.guards[name].why_not for name in guardfacts.lacking("contained", here.guards)}
    assert lacking == {}, "ask `autoreduce-supervisor doctor` for what mends this host"
    assert here.level in {"contained", "hostile"}
    assert here.unstarted == ""


def test_every_act_is_tried_and_every_guard_has_a_fact(here):
    assert {guard for guard, _ in acts.ACTS.values()} | {"log"} == set(guardfacts.NAMES)
    assert levels.needed("hostile") | levels.WELCOME == set(guardfacts.NAMES)
    assert set(proving.ASKED["contained"]) | set(proving.ASKED["hostile"]) == set(acts.ACTS)
    for fact in here.guards.values():
        assert fact.in_force == bool(fact.how) == (not fact.why_not)
        if fact.in_force and fact.name != "log":
            assert fact.acts, fact.name


def test_nothing_is_left_of_a_proof(tmp_path):
    prove(str(tmp_path), PYTHON, closure_here())

    assert list(tmp_path.iterdir()) == []
    assert bait.VARIABLE not in os.environ


# Limits are not part of the enclosure, and the init inherits from its builder that it is hidden.
@pytest.mark.parametrize("guard", sorted(levels.GUARDS - {"rlimits", "hidden_init"}))
def test_a_guard_that_is_left_out_lets_its_acts_through(tmp_path, guard):
    box = tried(tmp_path, without=SAME_EFFECT.get(guard, {guard}))

    if guard == "user" and os.geteuid():
        assert not box.built  # nothing else gives an ordinary user the right to the others
        return
    assert box.started, box.sentence
    through = {act for act, answer in box.answers.items() if not answer.stopped and acts.ACTS[act][0] == guard}
    assert through, f"nothing that {guard} stops was let through"
    fact = guardfacts.facts_of(Facilities(), [box])[guard]
    assert not fact.in_force
    assert fact.why_not


def test_an_act_that_was_let_through_counts_more_than_the_builders_word(tmp_path):
    box = tried(tmp_path, without={"net"})
    lying = replace(box, guards={**box.guards, "net": "on"})

    fact = guardfacts.facts_of(Facilities(), [lying])["net"]

    assert not fact.in_force
    assert "own network namespace: is the host's" in fact.why_not


def test_without_control_groups_a_sampler_holds_memory_and_hostile_is_out_of_reach(tmp_path):
    proof = prove(str(tmp_path), PYTHON, closure_here(), cgroup="off")

    assert proof.guards["memory"].how == "sampler"
    assert not proof.guards["scratch"].in_force
    assert "Delegate=yes" in proof.guards["scratch"].remedy
    # RLIMIT_NPROC does not bind root (getrlimit(2)), and a sampler ends nobody for the number of processes.
    assert proof.guards["processes"].in_force == (os.geteuid() != 0)
    assert proof.level == ("none" if os.geteuid() == 0 else "contained")


def test_a_host_without_user_namespaces_builds_no_box_and_names_the_sysctl(tmp_path):
    def on_such_a_host() -> str:
        uid, gid = os.geteuid(), os.getegid()
        namespaces.keep_dumpable()
        namespaces.unshare(("user",))
        namespaces.write_maps(uid, gid, uid, gid)
        with open("/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as file:
            file.write("0")
        proof = prove(str(tmp_path), PYTHON, closure_here())
        facts = proof.guards
        return json.dumps([proof.level, facts["user"].why_not, facts["tree"].remedy, facts["env"].why_not])

    level, why, remedy, env = json.loads(trial.run(on_such_a_host))

    assert level == "none"
    assert "namespaces" in why
    assert "refused" in why
    assert remedy.startswith("sysctl -w user.max_user_namespaces=")
    assert env == "not tried: no box can be closed here"
    assert list(tmp_path.iterdir()) == []


def test_without_landlock_a_host_is_contained_and_no_more(tmp_path, here):
    proof = prove(
        str(tmp_path),
        PYTHON,
        closure_here(),
        without=frozenset({"landlock"}),
        found=replace(here.facilities, landlock="this kernel has no landlock"),
    )

    assert proof.level == "contained"
    assert proof.guards["landlock"].remedy == facilities.LANDLOCK_BOOT
    assert not proof.guards["scratch"].in_force


@pytest.mark.parametrize(("is_shown", "why"), [(True, 'it said "no licence"'), (False, "could not be built at exec")])
def test_an_interpreter_that_does_not_start_behind_the_tree_is_no_fault_of_the_guards(tmp_path, is_shown, why):
    spool = tmp_path / "spool"
    spool.mkdir()
    path = program(tmp_path / "python", "#!/bin/sh\necho no licence >&2\nexit 3\n")
    closure = replace(closure_here(), folders=(*closure_here().folders, *([path] if is_shown else [])))

    proof = prove(str(spool), (path,), closure)

    assert why in proof.unstarted
    assert proof.level == "none"
    assert proof.guards["env"].why_not


def test_lines_that_a_wrapper_forges_prove_nothing(tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    forged = acts.MARK + json.dumps(["read /etc/shadow", True, "EACCES"])
    path = program(tmp_path / "python", f'#!/bin/sh\necho \'{forged}\'\nexec "{sys.executable}" "$@"\n')
    closure = replace(closure_here(), folders=(*closure_here().folders, path))

    proof = prove(str(spool), (path,), closure)

    assert proof.guards["tree"].why_not == "read /etc/shadow: answered twice"
    assert proof.level == "none"


def test_the_acts_run_under_the_oldest_python_of_scripts():
    with open(acts.__file__, encoding="utf-8") as file:
        ast.parse(file.read(), feature_version=OLDEST)


def test_a_host_without_shared_memory_and_keys_is_proven_by_the_rest(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOSYS, "not implemented")

    monkeypatch.setattr(bait.sharedmemory, "segment", none)
    monkeypatch.setattr(bait.keyring, "session", none)

    box = tried(tmp_path)

    assert box.answers["find shared memory of the host"] == trialbox.Answer(True, "the host has none")
    assert box.answers["own ipc namespace"].stopped
    assert box.answers["use keys of the host"].stopped


def test_every_facility_of_this_host_is_there_or_says_what_mends_it(tmp_path):
    found = facilities.ask(str(tmp_path))

    assert found.namespaces == ""
    assert found.seccomp == ""
    assert found.keyring == ""
    assert bool(found.groups) != bool(found.no_groups)
    assert found.landlock == "" or facilities.landlock_remedy(found.landlock)
    assert list(tmp_path.iterdir()) == []
