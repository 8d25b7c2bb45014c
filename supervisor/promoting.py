"""Promoting until it is done: takes, tries, and giving up after `publish.give_up` (DESIGN §5, promotion 1, 5, 7)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sandbox.linux import proctree
from supervisor.ending import Ending
from supervisor.fences import read_fence
from supervisor.layout import Layout
from supervisor.promotion import Promotion, repair
from supervisor.records import Promoted, Take, Target, build

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.cells import RbCells
    from supervisor.records import Identity, Outcome
    from supervisor.runplan import RunPlan
    from supervisor.storenotes import StoreNote

#: Seconds between tries of an archive that does not take the result: first, and longest.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


def targets_of(outcome: Outcome) -> list[Target]:
    """The targets that a committed outcome names."""
    return [build(Target, "outcome", record) for record in outcome.targets]


def promote_until_done(
    cells: RbCells,
    plan: RunPlan,
    me: Identity,
    beat: Callable[[], None],
    *,
    insist: Callable[[Callable[[], Any]], Any] = lambda call: call(),
    note: StoreNote | None = None,
) -> Ending:
    """Promote the committed epoch of `plan` and end: done, left to another, or given up.

    Args:
        cells: of the RB.
        plan: the errand.
        me: the promoter.
        beat: one beat through the locked descriptor.
        insist: calls the store until it answers.
        note: told of tries that failed.

    Raises:
        LostLock: a beat was refused; whoever holds the lock now goes on.
    """
    outcome = insist(lambda: cells.outcome(plan.n))
    if outcome is None or outcome.kind != "committed":
        return Ending.LEFT
    targets = targets_of(outcome)
    if not targets:
        done = Promoted(kind="done", time=time.time(), host=plan.host)
        insist(lambda: cells.link_promoted(plan.n, done))
        return Ending.DONE
    k = insist(lambda: cells.link_take(plan.n, Take(host=plan.host, boot=me.boot, pid=me.pid, start=me.start)))
    if insist(lambda: read_fence(Layout(plan.store), plan.host, me.boot)) is not None:
        # A take of a fenced boot may be removed while we rename: another host promotes, and need not fear us.
        insist(lambda: cells.remove_take(plan.n, k))
        return Ending.LEFT
    promotion = Promotion(
        cells=cells,
        rb=plan.rb,
        job=plan.job,
        n=plan.n,
        k=k,
        targets=targets,
        beat=beat,
        host=plan.host,
        now=time.time,
    )
    if insist(lambda: cells.promoted(plan.n)) is not None:
        # Looked at after the take: whoever ends the job looks at `promoted` first and at the takes afterwards, so that
        # a take which may have moved something is never left where no poll looks.
        _end_take(promotion, Ending.LEFT)
        return Ending.LEFT
    began = time.monotonic()
    pause = _FIRST_PAUSE
    while True:
        ending, why = _try(promotion, note)
        if ending is Ending.REFUSED or (ending is None and time.monotonic() - began >= plan.give_up):
            ending = _give_up(promotion, why)
        if ending is not None:
            break
        time.sleep(pause)  # the archive is away: nothing tells when it is back
        pause = min(_LONGEST_PAUSE, pause * 2)
    _end_take(promotion, ending)
    return ending


def _try(promotion: Promotion, note: StoreNote | None) -> tuple[Ending | None, str]:
    """One try under the one take of this promoter; None and why when the archive or the store cannot be used now."""
    try:
        promotion.beat()
        ending = promotion.run()
    except OSError as error:
        if note is not None:
            note.failed(error)
        return None, str(error)
    if note is not None:
        note.well()
    return ending, "the result folder belongs to another RB" if ending is Ending.REFUSED else ""


def _end_take(promotion: Promotion, ending: Ending) -> None:
    """Look last and end the take; where that fails it stands, and is work for a poll of this host (DESIGN §5, 5)."""
    try:
        if ending is Ending.LEFT:  # what we moved aside late goes back: `promoted` exists, nobody else will look
            repair(promotion.cells, promotion.rb, promotion.targets)
        promotion.cells.remove_take(promotion.n, promotion.k)
    except OSError:
        return


def _give_up(promotion: Promotion, why: str) -> Ending | None:
    try:
        return promotion.give_up(why)
    except OSError:
        return None  # not even that: the next turn tries again


def repair_takes(cells: RbCells, plan: RunPlan, me: Identity) -> None:
    """Put in what the takes of epoch n left aside, and end those whose makers are proven gone.

    Of this host: by its process. A take of another host stays, since its maker may only be frozen, unless an operator
    has fenced the boot it was made in (DESIGN §5, 5).
    """
    outcome = cells.outcome(plan.n)
    if outcome is not None and outcome.kind == "committed":
        repair(cells, plan.rb, targets_of(outcome))
    for (n, k), take in cells.takes().items():
        if n == plan.n and _is_gone(take, plan, me):
            cells.remove_take(n, k)


def _is_gone(take: Take, plan: RunPlan, me: Identity) -> bool:
    if take.host != plan.host:
        return read_fence(Layout(plan.store), take.host, take.boot) is not None
    return take.boot != me.boot or not proctree.alive(proctree.Identity(take.pid, take.start))
