"""Sweeping: what crashes left behind and nobody comes back for, found for the verb `sweep`.

Most of it goes by itself: a shepherd sweeps the staging of earlier attempts, a poll what takes have left, the pruner
its own. What remains is what no run and no poll will ever look at again. Nothing is proposed that a living take or an
undecided epoch may still need: staging and asides are looked at under the lock of their RB, held until they are gone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from supervisor import archive, durable, journal, leftovers, records, tombstones
from supervisor.cells import RbCells
from supervisor.flock import acquire
from supervisor.layout import RbPlace
from supervisor.promoting import targets_of
from supervisor.promotion import asides_of, older_asides
from supervisor.staging import planned, stagings_of
from supervisor.storecall import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from supervisor.layout import Layout
    from supervisor.pruning import Pruner
    from supervisor.records import Outcome, Target

#: Seconds for which a temporary file, or an empty folder, is left alone: its maker may be at work.
_YOUNG = 3600.0
#: Seconds for which the scratch of a box is: it may be in the making.
_YOUNG_BOX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """One thing that may go."""

    #: `staging`, `aside`, `temporary file`, `cancel`, `folder` or `scratch`.
    what: str
    path: str
    why: str
    #: Removes it; raises OSError where that cannot be done.
    remove: Callable[[], object]


@dataclass(slots=True, kw_only=True)
class Sweeping:
    """One sweep of a store, and of the spool of this host."""

    layout: Layout
    pruner: Pruner
    spool: str
    run_dir: str
    #: Seconds since 1970, by the clock of the store and by that of this host.
    store_now: float
    now: float
    #: RBs that were left alone, each with why, and what could not be looked at.
    passed_over: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def found(self) -> Iterator[Leftover]:
        """Yield what may go; each is to be removed, or not, before the next is asked for."""
        yield from self._results()
        yield from self._temporary()
        yield from self._cancels()
        yield from self._folders()
        dead, _ = leftovers.dead_scratch(self.spool, older_than=_YOUNG_BOX, now=self.now)
        for name in dead:
            yield Leftover(
                what="scratch",
                path=os.path.join(self.spool, name),
                why="its box is dead",
                remove=lambda name=name: leftovers.remove_scratch(self.spool, self.run_dir, name),  # type: ignore[misc]
            )

    # --- beside results ---------------------------------------------------------------------------------------

    def _results(self) -> Iterator[Leftover]:
        root = self.layout.path("rb")
        for shard in durable.listing(root):
            for component in durable.listing(os.path.join(root, shard)):
                place = RbPlace(os.path.join(root, shard, component))
                try:
                    yield from self._of_rb(place, component)
                except records.CorruptRecord as damage:
                    self.troubles.append(str(damage))
                except OSError as error:
                    self.troubles.append(f"RB {component}: {reason(error)}")

    def _of_rb(self, place: RbPlace, component: str) -> Iterator[Leftover]:
        lock = acquire(place.lock)
        if lock is None:
            self.passed_over.append(f"RB {component}: a run or a promotion holds its lock")
            return
        try:
            cells = RbCells(place)
            why_not = _needed(cells)
            if why_not:
                self.passed_over.append(f"RB {component}: {why_not}")
                return
            data = durable.read(place.name)
            rb = str(records.unpack(place.name, data).get("rb", "")) if data is not None else ""
            told: set[str] = set()  # epochs of one run have the same target, and the same asides beside it
            for name in durable.listing(place.folder("epochs")):
                for leftover in self._of_epoch(cells, rb, int(name)) if name.isdigit() else ():
                    if leftover.path not in told:
                        told.add(leftover.path)
                        yield leftover
        finally:
            lock.close()

    def _of_epoch(self, cells: RbCells, rb: str, n: int) -> Iterator[Leftover]:
        epoch, outcome = cells.epoch(n), cells.outcome(n)
        if epoch is None or outcome is None:
            return
        targets = _targets(planned(self.layout.job(epoch.job), n), outcome)
        if outcome.kind != "committed":
            why = f"epoch {n} of RB {rb} was {_ENDED.get(outcome.kind, outcome.kind)}"
            for target in targets:
                for path in stagings_of(target, n):
                    yield _beside("staging", path, why)
        for target in targets:
            if target.mode == "replace":
                beside = archive.listing(os.path.dirname(target.path))
                for path in older_asides(cells, rb, target, asides_of(target, beside)):
                    yield _beside("aside", path, f'a newer result of RB {rb} stands at "{target.path}"')

    # --- in the store -----------------------------------------------------------------------------------------

    def _temporary(self) -> Iterator[Leftover]:
        for folder, _, names in os.walk(self.layout.root):
            for name in names:
                path = os.path.join(folder, name)
                if name.startswith(durable.TEMPORARY) and self._is_old(path):
                    yield Leftover(
                        what="temporary file",
                        path=path,
                        why="its writer died",
                        remove=lambda path=path: durable.remove(path, "temporary"),  # type: ignore[misc]
                    )

    def _is_old(self, path: str) -> bool:
        changed = durable.made_at(path)
        return changed is not None and self.store_now - changed >= _YOUNG

    def _cancels(self) -> Iterator[Leftover]:
        for name, cancel in journal.remembered(self.layout):
            if self.now - cancel.written > journal.CANCEL_EXPIRES:
                path = self.layout.path("cancels", name)
                yield Leftover(
                    what="cancel",
                    path=path,
                    why=f"no job of {cancel.instrument} run {cancel.run} came in time",
                    remove=lambda path=path: durable.remove(path, "remembered-cancel"),  # type: ignore[misc]
                )

    def _folders(self) -> Iterator[Leftover]:
        doomed = tombstones.pruning(self.layout)
        for component in durable.listing(doomed):
            if self._is_old(os.path.join(doomed, component)):
                yield Leftover(
                    what="folder",
                    path=os.path.join(doomed, component),
                    why="its job was pruned",
                    remove=lambda component=component: self.pruner.finish(component),  # type: ignore[misc]
                )
        for top in ("jobs", "by-run"):
            root = self.layout.path(top)
            for folder in durable.listing(root):
                for name in durable.listing(os.path.join(root, folder)):
                    path = os.path.join(root, folder, name)
                    if not durable.listing(path) and self._is_old(path):
                        yield Leftover(
                            what="folder",
                            path=path,
                            why="it is empty",
                            remove=lambda path=path: durable.remove_folder(path, "job"),  # type: ignore[misc]
                        )


#: How an epoch that was not committed is said to have ended.
_ENDED = {"retry": "put off"}


def _needed(cells: RbCells) -> str:
    """Why staging and asides of an RB, whose lock is held, may still be needed; "" where they cannot be."""
    takes = cells.takes()
    if takes:
        return f"the promotion of epoch {min(n for n, _ in takes)} has not ended"
    last = cells.last()
    outcome = cells.outcome(last) if last else None
    if last and outcome is None:
        return f"epoch {last} is not decided"
    if outcome is not None and outcome.kind == "committed" and cells.promoted(last) is None:
        return f"the result of epoch {last} is to be put into place"
    return ""


def _targets(plan: list[Target], outcome: Outcome) -> list[Target]:
    """The targets of an attempt: those of its plan, and those that were committed."""
    known = {(target.path, target.staging): target for target in (*plan, *targets_of(outcome))}
    return list(known.values())


def _beside(what: str, path: str, why: str) -> Leftover:
    return Leftover(what=what, path=path, why=why, remove=lambda: archive.remove_tree(path))
