"""`promote`: puts the result of a given-up promotion into place: a new take, under the RB lock (DESIGN §5, 7)."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from sandbox.linux import proctree
from supervisor import archive, durable, fences, merging, shown, waiting
from supervisor.cells import RbCells, read_final
from supervisor.ending import Ending
from supervisor.exitcodes import INTERNAL, OK
from supervisor.flock import acquire
from supervisor.promoting import targets_of
from supervisor.promotion import Promotion, asides_of, failed_name, repair
from supervisor.rblock import LostLock
from supervisor.records import Take
from supervisor.verbs import opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from supervisor.rblock import RbLock
    from supervisor.records import Request, Target
    from supervisor.verbs.opened import OpenStore

EPILOG = """\
For a job whose result was made but could not be put into place within publish.give_up; why says where it is kept. What
the producer was told is not told again. A newer result of the same RB is never replaced. A result that stood in its
place and was moved aside since, by a promoter of a host that was fenced and was not dead, is put back.

Exit status: 0 the result, or a newer one, stands; 2 no such job; 70 it could not be put into place.

Example:
  autoreduce-supervisor promote 4f6c0f6e-8d0c-4c52-9b60-2e3f3c4f9a11
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("job", metavar="JOB", help="the id of the job")
    opened.arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Promote, and say what was done."""
    return opened.carefully("promote", _main, args)


def _main(args: argparse.Namespace) -> int:
    store = opened.store(args)
    if isinstance(store, int):
        return store
    request = opened.job(store, args.job)
    if isinstance(request, int):
        return request
    text, status = promote(store, request)
    (shown.say if status == OK else shown.complain)(shown.line(text))
    return status


def promote(store: OpenStore, request: Request) -> tuple[str, int]:
    """Put the result of `request` into place; return what was done, and the exit status."""
    name = f"job {request.job}"
    final = read_final(store.layout.job(request.job))
    if final is None:
        return f"{name} is not decided yet: there is no result to put into place", INTERNAL
    cells = RbCells(store.layout.rb(request.rb))
    promoted = cells.promoted(final.n)
    if promoted is None:
        return f"the result of {name} is being put into place, and that is tried again until it is done", INTERNAL
    outcome = cells.outcome(final.n)
    targets = targets_of(outcome) if outcome is not None else []
    if cells.stands(final.n) and not _moved_aside(targets, request.rb):
        return f"the result of {name} was put into place before; nothing changes", OK
    if fences.read_fence(store.layout, store.facts.host, store.facts.boot) is not None:
        return f"host {store.facts.host} was declared dead in this boot: say it on another host", INTERNAL
    lock = acquire(cells.place.lock)
    if lock is None:
        return (
            f"RB {request.rb} is busy: another run or promotion holds its lock; try again when it has ended",
            INTERNAL,
        )
    try:
        # A take without a waiting entry would be work that no poll sees, if we die in the middle.
        durable.touch(store.layout.path("waiting", waiting.entry_of(request).name), "waiting")
        return _promote(store, request, cells, final.n, targets, lock)
    except LostLock as lost:
        return f"the lock of RB {request.rb} was lost ({lost}); try again", INTERNAL
    finally:
        lock.close()


def _moved_aside(targets: Sequence[Target], rb: str) -> str:
    """Return the first target from which a promoter has moved a result of this RB aside, and put none in, or ""."""
    for target in targets:
        if target.mode != "replace":
            continue
        there = archive.look(target.path)
        beside = archive.listing(os.path.dirname(target.path))
        asides = [content for aside in asides_of(target, beside) if (content := archive.look(aside)) is not None]
        newest = max((content.epoch for content in asides if content.is_of(rb)), default=-1)
        if newest >= 0 and (there is None or (there.is_of(rb) and there.epoch < newest)):
            return target.path
    return ""


def _promote(
    store: OpenStore, request: Request, cells: RbCells, n: int, targets: Sequence[Target], lock: RbLock
) -> tuple[str, int]:
    name = f"job {request.job}"
    if cells.stands(n):  # read again: what was read before the lock was won decides nothing
        moved = _moved_aside(targets, request.rb)
        if not moved:
            return f"the result of {name} was put into place before; nothing changes", OK
        lock.beat(cells.last())
        repair(cells, request.rb, targets)
        return f'the newest result of RB {request.rb} had been moved aside from "{moved}" and stands again', OK
    newer = _newer(targets, request.rb, n)
    if newer:
        return f'a newer result of RB {request.rb} stands at "{newer}"; nothing changes', OK
    me = proctree.identity(os.getpid())
    assert me is not None  # we live
    facts = store.facts
    k = cells.link_take(n, Take(host=facts.host, boot=facts.boot, pid=me.pid, start=me.start))
    beating = cells.last()
    promotion = Promotion(
        cells=cells,
        rb=request.rb,
        job=request.job,
        n=n,
        k=k,
        targets=targets,
        beat=lambda: lock.beat(beating),
        host=facts.host,
        now=time.time,
        after_failure=True,
    )
    why = ""
    try:
        promotion.beat()
        ending = promotion.run()
    except OSError as error:
        ending, why = Ending.LEFT, str(error)
    if ending is Ending.DONE:
        cells.remove_take(n, k)
        return f"the result of {name} stands: {', '.join(target.path for target in targets)}", OK
    _keep(promotion)
    return f"the result of {name} could not be put into place: {why or _why(ending, targets, n)}", INTERNAL


def _keep(promotion: Promotion) -> None:
    """Leave everything as after giving up; where that cannot be done either, the take stands as work for a poll."""
    try:
        promotion.give_up("promote could not put it into place")
        repair(promotion.cells, promotion.rb, promotion.targets)
        promotion.cells.remove_take(promotion.n, promotion.k)
    except OSError as error:
        shown.complain(shown.line(f"the archive cannot be tidied either: {error}"))


def _why(ending: Ending, targets: Sequence[Target], n: int) -> str:
    if ending is Ending.REFUSED:
        return "what stands there belongs to another RB"
    kept = ", ".join(failed_name(target, n) for target in targets)
    return f"it is not seen from this host; it was kept as {kept}: use a host that sees this folder"


def _newer(targets: Sequence[Target], rb: str, n: int) -> str:
    """Return the first target at which a newer epoch of this RB stands, or ""."""
    for target in targets:
        if target.mode == "logs":
            continue  # their names carry the epoch: they replace nothing
        look = archive.look_at_marker(merging.marker(target)) if target.mode == "merge" else archive.look(target.path)
        if look is not None and look.rb == rb and look.epoch > n:
            return target.path
    return ""
