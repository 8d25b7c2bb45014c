from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervisor.publication import SUSPICIONS, Phase, Publication

GAP = 0.2
STARTED = {"kind": "started"}
TERMINAL = {"kind": "terminal"}


def publication(**changes):
    return Publication(key="job 101", **changes)


def test_the_usual_course():
    of = publication()
    assert of.name == "101"
    of.begin(STARTED)
    assert of.due(0.0, GAP) is STARTED
    assert of.due(0.0, GAP) is None
    of.finish(TERMINAL)
    assert of.due(0.1, GAP) is None
    assert of.received(1.0) == "started"
    assert of.due(1.1, GAP) is None
    assert of.wakes_at(GAP) == 1.2
    assert of.due(1.2, GAP) is TERMINAL
    assert of.received(2.0) == "published"
    assert of.phase is Phase.TOLD


def test_an_error_before_the_start_goes_without_a_started_reply():
    of = publication()
    of.finish(TERMINAL)
    assert of.due(0.0, GAP) is TERMINAL


def test_a_job_that_answers_nothing_is_told_without_a_send():
    of = publication()
    of.finish(None)
    assert of.due(0.0, GAP) is None
    assert of.phase is Phase.TOLD


def test_a_started_reply_that_is_parked_holds_nothing_up():
    of = publication()
    of.begin(STARTED)
    for _ in range(SUSPICIONS):
        assert of.due(0.0, GAP) is STARTED
        of.unsure(suspect=True)
    assert of.undeliverable
    of.finish(TERMINAL)
    assert of.due(0.0, GAP) is TERMINAL


def test_a_closed_connection_that_is_not_this_replys_fault_parks_nothing():
    of = publication()
    of.begin(STARTED)
    for _ in range(10):
        assert of.due(0.0, GAP) is STARTED
        of.unsure(suspect=False)
    assert not of.undeliverable


def test_a_reply_that_was_refused_for_certain_is_parked_at_once():
    of = publication()
    of.finish(TERMINAL)
    of.due(0.0, GAP)
    of.unsure(suspect=False, certain=True)
    assert of.undeliverable
    assert of.phase is Phase.TOLD


class Replies(RuleBasedStateMachine):
    """A broker that answers, or does not, while a run goes on and ends."""

    @initialize(with_started=st.booleans())
    def begins(self, with_started):
        self.of = publication()
        self.now = 100.0
        self.with_started = with_started
        self.sent = []
        self.outstanding = None
        self.started_receipt = None
        self.started_parked = False
        self.suspicions = 0
        if with_started:
            self.of.begin(STARTED)

    @rule(step=st.sampled_from([0.0, 0.1, 0.2, 5.0]))
    def time_passes(self, step):
        self.now += step

    @precondition(lambda self: not self.of.finished)
    @rule()
    def the_job_finishes(self):
        self.of.finish(TERMINAL)

    @precondition(lambda self: self.outstanding is None)
    @rule()
    def the_loop_asks(self):
        reply = self.of.due(self.now, GAP)
        if reply is None:
            return
        if reply is TERMINAL:
            assert self.of.finished
            if self.with_started and not self.started_parked:
                assert self.started_receipt is not None, "terminal before the receipt of started"
                assert self.now >= self.started_receipt + GAP, "terminal within the gap"
        else:
            assert TERMINAL not in self.sent, "started after terminal"
        self.outstanding = reply
        self.sent.append(reply)

    @precondition(lambda self: self.outstanding is not None)
    @rule()
    def a_receipt_comes(self):
        mark = self.of.received(self.now)
        assert mark == ("started" if self.outstanding is STARTED else "published")
        if self.outstanding is STARTED:
            self.started_receipt = self.now
        self.outstanding = None
        self.suspicions = 0

    @precondition(lambda self: self.outstanding is not None)
    @rule(suspect=st.booleans(), certain=st.booleans())
    def the_connection_breaks(self, suspect, certain):
        self.suspicions += SUSPICIONS if certain else suspect
        self.of.unsure(suspect=suspect, certain=certain)
        if self.suspicions >= SUSPICIONS:
            assert self.of.undeliverable
            self.started_parked = self.started_parked or self.outstanding is STARTED
            self.suspicions = 0
        self.outstanding = None

    @rule()
    def the_started_reply_is_told_again(self):
        if self.with_started:
            self.of.begin(STARTED)

    @invariant()
    def it_is_told_only_when_the_terminal_was_answered_or_parked(self):
        if hasattr(self, "of") and self.of.phase is Phase.TOLD:
            assert self.sent[-1:] == [TERMINAL]
            assert self.of.due(self.now + 100, GAP) is None

    def teardown(self):
        """From wherever it stands, a broker that answers brings it to its end."""
        if not hasattr(self, "of"):
            return
        self.of.finish(TERMINAL)
        if self.outstanding is not None:
            self.of.received(self.now)
        for _ in range(4):
            self.now += 1.0
            if self.of.due(self.now, GAP) is not None:
                self.of.received(self.now)
        assert self.of.phase is Phase.TOLD


TestReplies = Replies.TestCase
TestReplies.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
