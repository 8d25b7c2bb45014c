"""The model's counterexamples of claiming, taking over and committing, for real hosts; see `traces.txt` of the model.

The host names h0 and h1 of the model are A and B here, a verb at an operator's desk is C.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from countertrace import Trace, collector
from stagedfleet import RUN
from stagedsite import INSTRUMENT, QUICK
from stompclient import StompClient
from waiting import wait_until

from supervisor import durable

if TYPE_CHECKING:
    from stagedfleet import StagedFleet
    from stagedhost import Held, StagedHost

TRACES: list[Trace] = []
trace = collector(TRACES)

#: Beats in which a host would have taken over what it may not: more than `takeover_after` and two cool-downs.
_ENOUGH = 15


@trace()
def C1(fleet: StagedFleet) -> None:
    """The shepherd dies between its commit and `final`: the claimer links that before it opens the next epoch."""
    (a,) = fleet.serve("A")
    fleet.old_result()
    a.arm("shepherd", "store.link outcome-committed after", "kill")
    fleet.submit("j1")
    fleet.wait(lambda: not a.armed, "the shepherd to die after its commit")
    fleet.settle()
    fleet.expect(fleet.outcomes() == ["committed"], "TWO-COMMITS-OF-A-JOB")


def _revoker(fleet: StagedFleet, b: StagedHost) -> Held:
    """B stands with the flock and the proof in hand, about to revoke."""
    return fleet.wake(b, "supervisor", "store.link outcome-revoked before")


@trace(watcher=QUICK)
def C2(fleet: StagedFleet) -> None:
    """A freezes before its box starts and is revoked; when it thaws it looks once more, and starts nothing."""
    a, b = fleet.serve("A", "B")
    shepherd = fleet.hold(a, "shepherd", "store.link started before", lambda: fleet.submit("j1"))
    a.freeze()
    fleet.lease_ends(a)
    revoker = _revoker(fleet, b)
    revoked = fleet.on(revoker, "supervisor", "store.link outcome-revoked after")
    a.thaw()
    shepherd.let_go()
    fleet.wait(
        lambda: a.traced("shepherd box.start before") or a.is_gone(shepherd), "the shepherd to end, or to start its box"
    )
    fleet.expect(not a.traced("shepherd box.start before"), "START-AFTER-REVOKED")
    revoked.let_go()
    fleet.settle()
    fleet.expect(fleet.outcomes()[0] == "revoked", "OUTCOME-REPLACED", str(fleet.outcomes()))


@trace(watcher=QUICK)
def C3a(fleet: StagedFleet) -> None:
    """A is frozen but its lease stands: B never wins the flock, so it cannot revoke, and no two boxes run."""
    a, b = fleet.serve("A", "B")
    shepherd = fleet.hold(a, "shepherd", "store.link started before", lambda: fleet.submit("j1", gated=True))
    a.freeze()
    b.thaw()
    revoker = fleet.hold_unless(b, "supervisor", "store.link outcome-revoked before", fleet.passed(_ENOUGH, b))
    a.thaw()
    shepherd.let_go()
    fleet.wait(lambda: fleet.began("j1"), "the script to begin on A")
    if revoker is not None:
        revoker.let_go()
        fleet.wait(lambda: fleet.began("j1") > 1, "the script to begin on B")
    fleet.go("j1")
    fleet.settle()
    fleet.expect(fleet.outcomes() == ["committed"], "LIVE-REVOKED", str(fleet.outcomes()))


@trace()
def C3b(fleet: StagedFleet) -> None:
    """A new supervisor finds an epoch of its own host without `run.json`: the shepherd that is about to write it lives."""
    (a,) = fleet.serve("A")
    shepherd = fleet.hold(a, "shepherd", "store.rename run before", lambda: fleet.submit("j1"))
    a.kill_supervisor()
    fleet.restart(a)
    fleet.pass_beats(a)
    fleet.expect(fleet.outcomes() == [None], "LIVE-REVOKED", str(fleet.outcomes()))
    shepherd.let_go()
    fleet.settle()
    fleet.expect(fleet.outcomes() == ["committed"], "LIVE-REVOKED", str(fleet.outcomes()))


@trace()
def C4(fleet: StagedFleet) -> None:
    """A dies with its epoch linked and boots again: another boot id of its own host is proof."""
    (a,) = fleet.serve("A")
    fleet.hold(a, "supervisor", "store.link epoch after", lambda: fleet.submit("j1"))
    first = a.boot
    a.power_off()
    fleet.restart(a)
    assert a.boot != first
    fleet.settle()
    fleet.expect(fleet.outcomes() == ["revoked", "committed"], "NOT-ONE-COMMIT-EACH", str(fleet.outcomes()))


@trace()
def C4_running(fleet: StagedFleet) -> None:
    """The same with `run.json` there and a box that computed: its processes are named on another boot."""
    (a,) = fleet.serve("A")
    fleet.submit("j1", gated=True)
    fleet.wait(lambda: fleet.began("j1"), "the script to begin")
    a.power_off()
    fleet.go("j1")
    fleet.restart(a)
    fleet.settle()
    fleet.expect(fleet.outcomes() == ["revoked", "committed"], "NOT-ONE-COMMIT-EACH", str(fleet.outcomes()))


def _claim(fleet: StagedFleet, a: StagedHost, claimer: Held) -> None:
    """Let a claimer link its epoch, after the job was cancelled: nothing may start."""
    a.arm("supervisor", "nursery.ask after")
    claimer.let_go()
    forked = fleet.wait(
        lambda: a.reached("nursery.ask after") or fleet.verdict_of("j1"), "the job to be forked, or to end"
    )
    if not a.disarm():  # while its supervisor stands, nobody but the shepherd can see the cancel
        fleet.wait(lambda: a.traced("shepherd box.start before") or fleet.verdict_of("j1"), "the box to start, or not")
        fleet.expect(not a.traced("shepherd box.start before"), "START-AFTER-CANCEL")
        forked.let_go()


def _cancelled(fleet: StagedFleet) -> None:
    fleet.settle()
    fleet.expect(fleet.verdict_of("j1") == "cancelled", "START-AFTER-CANCEL", fleet.verdict_of("j1"))
    fleet.expect(not fleet.began("j1"), "START-AFTER-CANCEL")


@trace()
def C5(fleet: StagedFleet) -> None:
    """A cancel that saw no job is remembered while the claimer stands before its epoch: it is read again after it."""
    a, c = fleet.hosts["A"], fleet.hosts["C"]
    fleet.serve("A")
    c.power_on()
    c.arm("supervisor", "store.link remembered-cancel before")
    c.run("cancel", "--instrument", INSTRUMENT, "--run", RUN, "--config", str(c.config))
    canceller = fleet.standing(c, "store.link remembered-cancel before")
    claimer = fleet.hold(a, "supervisor", "store.link epoch before", lambda: fleet.submit("j1", sent=time.time() - 60))
    remembered = fleet.on(canceller, "supervisor", "store.link remembered-cancel after")
    _claim(fleet, a, claimer)
    remembered.let_go()
    _cancelled(fleet)


@trace()
def M2(fleet: StagedFleet) -> None:
    """The job is cancelled while the claimer stands before its epoch: all is read again after it."""
    a, c = fleet.hosts["A"], fleet.hosts["C"]
    fleet.serve("A")
    c.power_on()
    claimer = fleet.hold(a, "supervisor", "store.link epoch before", lambda: fleet.submit("j1", sent=time.time() - 60))
    c.run("cancel", "j1", "--config", str(c.config))
    fleet.wait(lambda: durable.exists(fleet.layout.job("j1").cancel), "the cancel to stand")
    _claim(fleet, a, claimer)
    _cancelled(fleet)


@trace()
def M2_final(fleet: StagedFleet) -> None:
    """B has chosen its head and stands before the flock while A ends that very job: B must see it after its epoch."""
    a, b = fleet.serve("A", "B")
    fleet.submit("j1", gated=True)
    fleet.wait(lambda: fleet.began("j1"), "the script to begin on A")
    claimer = fleet.wake(b, "supervisor", "lock.flock before")
    fleet.go("j1")
    fleet.wait(lambda: not durable.listing(fleet.layout.waiting), "A to be done with the job")
    fleet.wait(lambda: len(a.processes()) == 2, "the shepherd of A to end")
    b.arm("supervisor", "store.link epoch after")
    claimer.let_go()
    linked = fleet.standing(b, "store.link epoch after")
    linked.let_go()
    fleet.wait(lambda: len(fleet.outcomes()) == 2 and fleet.outcomes()[1], "the epoch of B to be decided")
    fleet.settle()
    fleet.expect(fleet.outcomes() == ["committed", "released"], "TWO-COMMITS-OF-A-JOB", str(fleet.outcomes()))


@trace()
def C6(fleet: StagedFleet) -> None:
    """A redelivery makes the `waiting` entry of a published job again, and its claimer dies: any host removes it."""
    a, b = fleet.serve("A", "B")
    c = fleet.hosts["C"]
    c.power_on()
    a.arm("shepherd", "store.link outcome-committed before")
    body = fleet.submit("j1")
    shepherd = fleet.standing(a, "store.link outcome-committed before")
    message = fleet.base / "again.json"
    message.write_bytes(body)
    c.arm("supervisor", "store.touch waiting before")
    c.run("submit", str(message), "--job", "j1", "--config", str(c.config))
    duplicate = fleet.standing(c, "store.touch waiting before")
    shepherd.let_go()
    fleet.wait(lambda: not durable.listing(fleet.layout.waiting), "A to be done with the job")
    a.power_off()
    duplicate.let_go()
    fleet.wait(lambda: durable.listing(fleet.layout.waiting), "the entry to be made again")
    b.thaw()
    fleet.settle()
    fleet.expect(fleet.outcomes() == ["committed"], "TWO-COMMITS-OF-A-JOB")


@trace(watcher=QUICK)
def M1(fleet: StagedFleet) -> None:
    """A commit that was decided before the freeze lands after the revocation: it finds the cell taken."""
    a, b = fleet.serve("A", "B")
    shepherd = fleet.hold(a, "shepherd", "store.link outcome-committed before", lambda: fleet.submit("j1"))
    a.freeze()
    fleet.lease_ends(a)
    revoked = fleet.on(_revoker(fleet, b), "supervisor", "store.link outcome-revoked after")
    fleet.check()
    a.thaw()
    shepherd.let_go()
    fleet.gone(shepherd)
    fleet.check()
    revoked.let_go()
    fleet.settle()
    fleet.expect(fleet.outcomes()[0] == "revoked", "OUTCOME-REPLACED", str(fleet.outcomes()))


@trace(watcher=QUICK)
def M4(fleet: StagedFleet) -> None:
    """The supervisor of A is dead and its lock lost, but the run still beats: the other heartbeat keeps B away."""
    a, b = fleet.serve("A", "B")
    fleet.submit("j1", gated=True)
    fleet.wait(lambda: fleet.began("j1"), "the script to begin")
    a.kill_supervisor()
    fleet.lease_ends(a, silently=True)
    b.thaw()
    fleet.pass_beats(b, _ENOUGH)
    fleet.expect(fleet.outcomes() == [None], "LIVE-REVOKED", str(fleet.outcomes()))
    fleet.go("j1")
    fleet.restart(a)
    fleet.settle()
    fleet.expect(fleet.outcomes() == ["committed"], "LIVE-REVOKED", str(fleet.outcomes()))


@trace(watcher=QUICK)
def M4_run(fleet: StagedFleet) -> None:
    """The run of A beats no more and its lock is lost, but its host lives: that heartbeat keeps B away."""
    a, b = fleet.serve("A", "B")
    fleet.submit("j1", gated=True)
    fleet.wait(lambda: fleet.began("j1"), "the script to begin")
    _hang_beat(fleet, a)
    fleet.lease_ends(a, silently=True)
    b.thaw()
    fleet.pass_beats(b, _ENOUGH)
    fleet.expect(fleet.outcomes() == [None], "LIVE-REVOKED", str(fleet.outcomes()))
    a.heal()
    fleet.go("j1")
    fleet.settle()
    fleet.expect(fleet.outcomes() == ["committed"], "LIVE-REVOKED", str(fleet.outcomes()))


def _hang_beat(fleet: StagedFleet, a: StagedHost) -> None:
    """Have the next beat of A's shepherd hang, and wait until it does."""
    a.hang("shepherd", "lock.beat")
    before = a.traced("shepherd lock.beat before")
    fleet.wait(lambda: a.traced("shepherd lock.beat before") > before, "a beat to hang")


@trace(times=QUICK)
def M8(fleet: StagedFleet) -> None:
    """A is cut off: its shepherd ends the box by its own clock before B, by its own, may begin."""
    a, b = fleet.serve("A", "B")
    fleet.submit("j1", gated=True)
    fleet.wait(lambda: fleet.began("j1"), "the script to begin on A")
    a.cut_off()
    fleet.lease_ends(a)
    b.thaw()
    fleet.wait(lambda: fleet.began("j1") > 1, "the script to begin on B")
    fleet.check()
    a.heal()
    fleet.go("j1")
    fleet.settle()
    fleet.expect(fleet.outcomes()[0] == "revoked", "OUTCOME-REPLACED", str(fleet.outcomes()))


@trace()
def M9(fleet: StagedFleet) -> None:
    """The lock of A has passed while its host lives: B wins the flock, has no proof, and lets go of it."""
    a, b = fleet.serve("A", "B")
    fleet.submit("j1", gated=True)
    fleet.wait(lambda: fleet.began("j1"), "the script to begin on A")
    _hang_beat(fleet, a)
    fleet.lease_ends(a)
    b.thaw()
    enough = fleet.passed(6, b)
    fleet.wait(lambda: enough() or fleet.began("j1") > 1, "B to begin, or to keep away")
    fleet.check()
    a.heal()
    fleet.go("j1")
    fleet.settle()
    fleet.expect(fleet.outcomes() == ["revoked", "committed"], "NOT-ONE-COMMIT-EACH", str(fleet.outcomes()))


@trace(broker=True)
def M10(fleet: StagedFleet) -> None:
    """A dies before a message is journaled: it was not acknowledged, so the broker still has it."""
    (a,) = fleet.serve("A")
    queue = fleet.settings.queues.pending[0]
    a.hang("supervisor", "store.link request")
    with StompClient(fleet.broker_port) as client:
        client.send(queue, fleet.body("j1").decode(), {"job-id": "j1"})
    fleet.wait(lambda: a.traced("supervisor store.link request before"), "the message to come to the journal")
    _wait_in_vain(lambda: a.traced("supervisor broker.acked after"))
    a.power_off()
    with StompClient(fleet.broker_port) as client:
        kept = client.count(queue)
    fleet.expect(kept or durable.exists(fleet.layout.job("j1").request), "MESSAGE-LOST", f"{kept} in {queue}")
    os.unlink(a.points / "standing")
    fleet.restart(a)
    fleet.settle()
    fleet.expect(fleet.outcomes() == ["committed"], "MESSAGE-LOST", str(fleet.outcomes()))


def _wait_in_vain(happens: object, seconds: float = 1.0) -> None:
    """Give what must not happen its time; nothing tells that it does not."""
    try:
        wait_until(happens, seconds, "it")
    except AssertionError:
        return
