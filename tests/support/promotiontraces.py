"""The model's counterexamples of promotion, for real hosts; see `traces.txt` of the model.

The host names h0 and h1 of the model are A and B here. A promotes j1 in epoch 1 and freezes; B ends that promotion and
runs j2 in epoch 2; what A had decided before the freeze lands after the thaw.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from countertrace import Trace, collector
from stagedsite import QUICK

from supervisor import durable

if TYPE_CHECKING:
    from stagedfleet import StagedFleet
    from stagedhost import Held, StagedHost

TRACES: list[Trace] = []
trace = collector(TRACES)

#: Promotion steps: before the fence, the move aside, the rename that places the result, and after them.
FENCE, ASIDE, IN = "archive.rename fence", "archive.rename aside", "archive.rename in"


def zombie(fleet: StagedFleet, label: str) -> tuple[StagedHost, StagedHost, Held]:
    """A, frozen with its promoter of epoch 1 at a point and its lock passed on; B, which sleeps; and the promoter."""
    a, b = fleet.serve("A", "B")
    fleet.old_result()
    promoter = fleet.hold(a, "shepherd", label, lambda: fleet.submit("j1"))
    a.freeze()
    fleet.lease_ends(a)
    fleet.submit("j2")
    return a, b, promoter


def in_epoch_2(fleet: StagedFleet, b: StagedHost, label: str) -> Held:
    """Wake B, and hold its shepherd of epoch 2 at a point; epoch 1 is promoted by then."""
    claimer = fleet.wake(b, "supervisor", "store.link epoch before")
    return fleet.on(claimer, "shepherd", label)


def late(fleet: StagedFleet, a: StagedHost, promoter: Held) -> None:
    """A thaws, and what its promoter had decided lands."""
    a.thaw()
    promoter.let_go()
    fleet.gone(promoter)


def freeze_and_land(fleet: StagedFleet, frozen_at: str, thawed_at: str, n: int) -> None:
    """A freezes anywhere in its promotion and thaws when B has come anywhere in epoch `n`."""
    a, b, promoter = zombie(fleet, frozen_at)
    held = fleet.wake(b, "shepherd", thawed_at) if n == 1 else in_epoch_2(fleet, b, thawed_at)
    fleet.check()
    late(fleet, a, promoter)
    fleet.check()
    held.let_go()
    fleet.settle()
    fleet.expect(fleet.job_that_stands() == "j2", "OLDER-OVERWRITES-NEWER", fleet.job_that_stands())


@trace()
def C7(fleet: StagedFleet) -> None:
    """The late move aside takes away the result of epoch 2: who moved it looks into it, and puts it back."""
    freeze_and_land(fleet, f"{ASIDE} before", f"{IN} after", 2)


@trace()
def C8(fleet: StagedFleet) -> None:
    """The late rename of the older result finds no source, while the newer one is not in yet."""
    freeze_and_land(fleet, f"{IN} before", f"{IN} before", 2)


@trace(give_up="1 ms")
def C9(fleet: StagedFleet) -> None:
    """Who gives up between its two renames puts back what it moved aside; the next result goes in."""
    (a,) = fleet.serve("A")
    fleet.old_result()
    promoter = fleet.hold(a, "shepherd", f"{ASIDE} after", lambda: fleet.submit("j1"))
    a.fails(errno.EACCES, IN, pid=promoter.process.pid)
    promoter.let_go()
    fleet.gone(promoter)
    fleet.expect(fleet.promotions() == ["failed"], "DONE-BUT-NOT-PLACED", str(fleet.promotions()))
    fleet.expect(fleet.stands() == 0, "GOOD-RESULT-LEFT-ASIDE", str(fleet.stands()))
    fleet.submit("j2")
    fleet.settle()
    fleet.expect(fleet.job_that_stands() == "j2", "STUCK", fleet.job_that_stands())


@trace(give_up="1 ms")
def C10(fleet: StagedFleet) -> None:
    """A is about to give up when it freezes; B places the result: A's giving up, too late, says nothing of it."""
    a, b = fleet.serve("A", "B")
    fleet.old_result()
    a.fails(errno.EACCES, ASIDE)
    promoter = fleet.hold(a, "shepherd", "archive.rename failed before", lambda: fleet.submit("j1"))
    a.freeze()
    fleet.lease_ends(a)
    a.works_again()
    fleet.submit("j2")
    other = fleet.wake(b, "shepherd", "store.link promoted-done before")
    late(fleet, a, promoter)
    fleet.check()
    other.let_go()
    fleet.settle()
    fleet.expect(fleet.promotions() == ["done", "done"], "FAILED-BUT-PLACED", str(fleet.promotions()))


def _late_mover(fleet: StagedFleet) -> tuple[StagedHost, StagedHost, Held]:
    """A's late move has taken the result of epoch 2 away, long after B was done with it; there A stands."""
    a, b, promoter = zombie(fleet, f"{ASIDE} before")
    b.thaw()
    fleet.wait(lambda: durable.exists(fleet.layout.job("j2").published), "B to be done with both jobs")
    fleet.wait(lambda: len(fleet.takes("1")) <= 1, "B to end its takes")
    return a, b, promoter


@trace()
def C11(fleet: StagedFleet) -> None:
    """The late mover dies with the newer result in its hand: its take tells that there is something to repair."""
    a, _, promoter = _late_mover(fleet)
    a.thaw()
    moved = fleet.on(promoter, "shepherd", f"{ASIDE} after")
    moved.kill()
    fleet.settle()
    fleet.expect(fleet.job_that_stands() == "j2", "STUCK", fleet.job_that_stands())


@trace(watcher=QUICK)
def C11_host(fleet: StagedFleet) -> None:
    """The same when all of its host dies: the take of a silent host is work for any other."""
    a, _, promoter = _late_mover(fleet)
    a.thaw()
    fleet.on(promoter, "shepherd", f"{ASIDE} after")
    a.power_off()
    fleet.settle()
    fleet.expect(fleet.job_that_stands() == "j2", "STUCK", fleet.job_that_stands())


def _shared_target(fleet: StagedFleet, loser_at: str) -> None:
    """A promotes a result of RB 1, B one of RB 11 to the same folder; B comes last."""
    a, b = fleet.serve("A", "B")
    fleet.old_result()
    winner = fleet.hold(a, "shepherd", "store.link take before", lambda: fleet.submit("j1", rb="1", run="12"))
    a.freeze()
    fleet.submit("j2", rb="11", run="2")
    loser = fleet.wake(b, "shepherd", loser_at)
    a.thaw()
    winner.let_go()
    fleet.wait(lambda: fleet.promotions("1") == ["done"], "the promotion of A to end")
    loser.let_go()
    fleet.settle()
    fleet.expect(fleet.promotions("11") == ["failed"], "DONE-BUT-NOT-PLACED", str(fleet.promotions("11")))
    fleet.expect(fleet.is_of(fleet.target_of("1"), "1"), "OTHER-RB-OVERWRITTEN")


@trace()
def C12(fleet: StagedFleet) -> None:
    """Two RBs name one folder: epochs are compared within one RB, the later one is refused and says so."""
    _shared_target(fleet, "store.link take before")


@trace()
def C12_late(fleet: StagedFleet) -> None:
    """The same between the look at the target and the move aside: what was moved is not ours and goes back."""
    _shared_target(fleet, f"{ASIDE} before")


@trace(watcher=QUICK)
def C13(fleet: StagedFleet) -> None:
    """The take of a silent host is looked after, but never removed by the clock: its maker may still move."""
    a, b, promoter = _late_mover(fleet)
    fleet.settle()
    fleet.wait(lambda: b.traced("shepherd lock.beat before") and len(b.processes()) == 2, "B to be idle")
    fleet.pass_beats(b, 20)
    a.thaw()
    fleet.on(promoter, "shepherd", f"{ASIDE} after")
    a.power_off()
    fleet.settle()
    fleet.expect(fleet.job_that_stands() == "j2", "STUCK", fleet.job_that_stands())


@trace()
def C14(fleet: StagedFleet) -> None:
    """B has placed the result that A's late rename was to place: its source bears another name by then."""
    freeze_and_land(fleet, f"{IN} before", "store.link promoted-done after", 1)


@trace()
def C15(fleet: StagedFleet) -> None:
    """A's rename lands between the look of B and its fence: B looks again."""
    a, b, promoter = zombie(fleet, f"{IN} before")
    other = fleet.wake(b, "shepherd", f"{FENCE} before")
    a.thaw()
    landed = fleet.on(promoter, "shepherd", f"{IN} after")
    other.let_go()
    fleet.wait(lambda: fleet.promotions()[0] == "done", "B to end the promotion")
    fleet.check()
    landed.let_go()
    fleet.settle()
    fleet.expect(fleet.job_that_stands() == "j2", "OLDER-OVERWRITES-NEWER", fleet.job_that_stands())


@trace(watcher=QUICK, give_up="1 ms")
def C16(fleet: StagedFleet) -> None:
    """A freezes when the result bears its failed name and nobody was told: the next promoter says it."""
    a, b = fleet.serve("A", "B")
    fleet.old_result()
    a.fails(errno.EACCES, IN)
    promoter = fleet.hold(a, "shepherd", "archive.rename failed after", lambda: fleet.submit("j1"))
    a.freeze()
    fleet.lease_ends(a)
    a.works_again()
    fleet.submit("j2")
    b.thaw()
    fleet.settle()
    fleet.expect(fleet.promotions()[0] == "failed", "DONE-BUT-NOT-PLACED", str(fleet.promotions()))
    fleet.expect(fleet.job_that_stands() == "j2", "STUCK", fleet.job_that_stands())
    late(fleet, a, promoter)
    fleet.settle()


@trace()
def M3(fleet: StagedFleet) -> None:
    """The promoter dies after its rename: the next one sees the result in place, and ends the promotion."""
    (a,) = fleet.serve("A")
    fleet.old_result()
    a.arm("shepherd", f"{IN} after", "kill")
    fleet.submit("j1")
    fleet.wait(lambda: not a.armed, "the promoter to die after its rename")
    fleet.settle()
    fleet.expect(fleet.promotions() == ["done"], "STUCK", str(fleet.promotions()))


@trace()
def M5(fleet: StagedFleet) -> None:
    """Until `promoted` stands the older result is kept aside."""
    (a,) = fleet.serve("A")
    fleet.old_result()
    fleet.check()
    promoter = fleet.hold(a, "shepherd", "store.link promoted-done before", lambda: fleet.submit("j1"))
    fleet.check()
    promoter.kill()
    fleet.settle()


@trace()
def M6(fleet: StagedFleet) -> None:
    """A committed job is not answered before its promotion has ended: which of two replies is sent says that."""
    (a,) = fleet.serve("A")
    fleet.old_result()
    promoter = fleet.hold(a, "shepherd", f"{IN} before", lambda: fleet.submit("j1"))
    fleet.pass_beats(a)
    fleet.check()
    promoter.let_go()
    fleet.settle()
