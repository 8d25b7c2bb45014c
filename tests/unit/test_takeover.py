from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.takeover import (
    Evidence,
    JobFacts,
    MuteWatch,
    RbState,
    Ruling,
    Step,
    Watch,
    next_step,
    proof,
    rule,
)

EVIDENCE = st.builds(
    Evidence,
    same_host=st.booleans(),
    same_boot=st.booleans(),
    run_seen=st.booleans(),
    shepherd_alive=st.booleans(),
    tree_alive=st.booleans(),
    host_unmoved=st.floats(0, 400),
    run_unmoved=st.floats(0, 400),
    takeover_after=st.just(180.0),
    fenced_by=st.sampled_from(["", "anna"]),
)
STATES = st.builds(
    RbState,
    last=st.integers(0, 3),
    outcome=st.sampled_from(["", "committed", "retry", "released", "revoked"]),
    promoted=st.booleans(),
    final=st.booleans(),
    targets=st.booleans(),
    proof=st.sampled_from([None, "gone"]),
)


@given(EVIDENCE)
def test_the_proof_is_exactly_the_list_of_the_design(seen):
    if seen.same_host:
        expected = not seen.same_boot or not seen.run_seen or not (seen.shepherd_alive or seen.tree_alive)
    else:
        expected = bool(seen.fenced_by) or (seen.host_unmoved >= 180.0 and seen.run_unmoved >= 180.0)
    assert (proof(seen) is not None) is expected


@pytest.mark.parametrize(
    ("host", "run", "proven"), [(180, 180, True), (1e9, 179, False), (179, 1e9, False), (0, 0, False)]
)
def test_one_heartbeat_alone_is_no_proof(host, run, proven):
    seen = Evidence(same_host=False, same_boot=False, host_unmoved=host, run_unmoved=run)
    assert (proof(seen) is not None) is proven


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Evidence(same_host=True, same_boot=False), "its host has rebooted"),
        (Evidence(same_host=True, same_boot=False, shepherd_alive=True, tree_alive=True), "its host has rebooted"),
        (Evidence(same_host=True, same_boot=True), "no shepherd began it and its lock is free"),
        (Evidence(same_host=True, same_boot=True, run_seen=True), "its shepherd is gone and its box is empty"),
        (Evidence(same_host=True, same_boot=True, run_seen=True, shepherd_alive=True), None),
        (Evidence(same_host=False, same_boot=False, host_unmoved=181.4, run_unmoved=200.0), "stood still for 181 s"),
        (Evidence(same_host=False, same_boot=False, host_unmoved=180.0, run_unmoved=180.0), "stood still for 180 s"),
        (Evidence(same_host=False, same_boot=False, host_unmoved=179.9, run_unmoved=200.0), None),
        (Evidence(same_host=False, same_boot=False, fenced_by="anna"), "fenced by operator anna"),
    ],
)
def test_each_clause_of_the_proof_says_its_reason(seen, why):
    said = proof(seen)
    assert (said is None) if why is None else (said is not None and why in said)


@given(EVIDENCE)
def test_a_fence_of_our_own_boot_proves_nothing_to_us(seen):
    """It is the others' proof: a fenced host decides nothing of its living runs by it."""
    if seen.same_host:
        assert proof(seen) == proof(replace(seen, fenced_by=""))


@given(EVIDENCE, st.floats(0, 400), st.floats(0, 400))
def test_what_stood_still_for_longer_proves_no_less(seen, host, run):
    longer = replace(seen, host_unmoved=seen.host_unmoved + host, run_unmoved=seen.run_unmoved + run)
    assert proof(seen) is None or proof(longer) is not None


def test_a_living_process_of_the_box_keeps_the_epoch_though_its_shepherd_is_gone():
    assert proof(Evidence(same_host=True, same_boot=True, run_seen=True, tree_alive=True)) is None


@given(STATES)
def test_no_epoch_is_opened_over_one_that_is_undecided_or_not_promoted(state):
    step = next_step(state)
    if state.last == 0:
        assert step is Step.OPEN
    elif not state.outcome:
        assert step is (Step.REVOKE if state.proof else Step.LEAVE)
    elif state.outcome == "committed":
        assert (step is Step.OPEN) is (state.final and state.promoted)
        if not state.final:
            assert step is Step.LINK_FINAL
        elif not state.promoted:
            assert step is (Step.PROMOTE if state.targets else Step.LINK_PROMOTED)
    else:
        assert step is Step.OPEN


FACTS = st.builds(
    JobFacts,
    final=st.booleans(),
    waiting=st.booleans(),
    cancelled=st.booleans(),
    not_before=st.floats(0, 200),
    enabled=st.booleans(),
    lost_attempts=st.integers(0, 5),
    max_attempts=st.integers(1, 4),
    overtaken=st.booleans(),
)


@given(FACTS)
def test_a_job_runs_only_when_nothing_at_all_speaks_against_it(facts):
    ruling = rule(facts, 100.0)
    if ruling is Ruling.RUN:
        assert facts.waiting
        assert facts.enabled
        assert [facts.final, facts.cancelled, facts.overtaken] == [False] * 3
        assert facts.not_before <= 100.0
        assert facts.lost_attempts < facts.max_attempts


@given(FACTS)
def test_what_is_finished_stays_finished_and_a_cancel_comes_before_everything_else(facts):
    ruling = rule(facts, 100.0)
    if facts.final or not facts.waiting:
        assert ruling is Ruling.FINISHED
    elif facts.cancelled:
        assert ruling is Ruling.CANCEL
    elif facts.lost_attempts >= facts.max_attempts:
        assert ruling is Ruling.GIVE_UP


def test_a_watch_counts_from_the_last_movement_of_each_counter():
    watch = Watch()
    assert watch.unmoved("a", 1, 10.0) == 0.0
    assert watch.unmoved("a", 1, 25.0) == 15.0
    assert watch.unmoved("b", 1, 25.0) == 0.0
    assert watch.unmoved("a", 2, 30.0) == 0.0
    assert watch.unmoved("a", 1, 40.0) == 0.0
    assert watch.unmoved("a", None, 41.0) == 0.0
    assert watch.unmoved("a", None, 42.0) == 1.0


def test_a_shepherd_is_mute_only_by_time_in_which_somebody_looked():
    watch = MuteWatch(5.0)
    assert not watch.is_mute("run", 1, 0.0)
    assert not watch.is_mute("run", 1, 1000.0)  # nobody looked in between: at most one step counts
    assert not watch.is_mute("run", 1, 1002.0)
    assert watch.is_mute("run", 1, 1004.0)
    assert not watch.is_mute("run", 2, 1005.0)
    watch.forget("run")
    assert not watch.is_mute("run", 2, 5000.0)
