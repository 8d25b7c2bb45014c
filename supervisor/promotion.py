"""Promotion: committed results brought into place by rename, step by step as the model has it (DESIGN §5, `model/`).

Every promoter first links a *take*. For each target it makes the staging folder its own by renaming it to the name that
carries its number: that rename is the fence, since the staging renames of every earlier promoter now end in ENOENT,
even those that were decided before a host froze and land after the thaw. A beat before a rename fences nothing. Then it
looks again, moves what stands at the target aside, looks into that at once, and renames staging in.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import archive, merging, names
from supervisor.ending import Ending
from supervisor.records import Promoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from supervisor.cells import RbCells
    from supervisor.records import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One take of one epoch's promotion, by the process that holds the RB lock."""

    cells: RbCells
    rb: str
    job: str
    n: int
    #: The number of this take.
    k: int
    targets: Sequence[Target]
    #: One beat through the locked descriptor; raises `LostLock`.
    beat: Callable[[], None]
    host: str
    now: Callable[[], float]
    #: The operator's `promote JOB` after a `failed`: that cell does not end this take.
    after_failure: bool = False

    def run(self) -> Ending:
        """Bring every target into place, link `promoted`, delete what is older; the caller ends the take.

        Raises:
            LostLock: a beat was refused; nothing more may be renamed here.
            OSError: the archive or the store cannot be used now; try again.
        """
        for target in self.targets:
            ending = self._place(target)
            if ending is Ending.UNSEEN and os.path.basename(failed_name(target, self.n)) in self._beside(target):
                return self.give_up("an earlier promoter gave up, and ended before it could say so")
            if ending is not Ending.DONE:
                return ending
        done = Promoted(kind="done", time=self.now(), host=self.host)
        if not self.cells.link_promoted(self.n, done) and self.after_failure:
            self.cells.link_later(self.n, done)
        for target in self.targets:
            if target.mode == "replace":
                drop_older(self.cells, self.rb, target, asides_of(target, self._beside(target)))
        return Ending.DONE

    def give_up(self, why: str) -> Ending:
        """Put back what was moved aside, keep the result as `…failed`, and link `promoted` failed.

        Only the promoter that has the staging under its own name may give up: else another one has it and may place
        it. A staging that stands under its failed name already was given up by a promoter that died before the cell.
        """
        kept = [target for target in self.targets if self._keep(target)]
        if self.targets and not kept:
            return Ending.LEFT
        self.cells.link_promoted(self.n, Promoted(kind="failed", why=why, time=self.now(), host=self.host))
        return Ending.LEFT

    def _keep(self, target: Target) -> bool:
        """Bring the staging of a target to its failed name, what was moved aside first; False when it is not ours."""
        failed = failed_name(target, self.n)
        if not self._fence(target, look_aside=False) and os.path.basename(failed) not in self._beside(target):
            return False
        if target.mode == "replace" and not _is_taken(target.path):
            aside = self._newest_aside(target, below=self.n)
            if aside is not None:
                archive.rename(aside, target.path, "put-back")
        archive.rename(self._mine(target), failed, "failed")
        archive.sync(os.path.dirname(target.path))
        return os.path.basename(failed) in self._beside(target)

    def _place(self, target: Target) -> Ending:
        if target.mode == "replace":
            return self._replace(target)
        ending = merging.merge(
            target,
            n=self.n,
            rb=self.rb,
            own=self._mine(target),
            fence=lambda: self._fence(target),
            beat=self.beat,
            ended=self._ended,
        )
        if ending is Ending.DONE:
            self._drop_emptied(target)
        return ending

    def _ended(self) -> bool:
        return not self.after_failure and self.cells.promoted(self.n) is not None

    def _replace(self, target: Target) -> Ending:
        mine = self._mine(target)
        while True:
            there = archive.look(target.path)
            if there is not None and not there.is_of(self.rb):
                return Ending.REFUSED
            if self._is_in_place(there):
                return Ending.DONE
            if self._ended():
                return Ending.LEFT
            if not self._fence(target):
                if self._is_in_place(archive.look(target.path)) or self._ended():
                    continue
                return Ending.UNSEEN
            there = archive.look(target.path)  # again: an earlier promoter may have been faster than our fence
            if there is not None:
                if self._is_in_place(there) or not there.is_of(self.rb):
                    continue
                self.beat()
                aside = self._free_aside(target)
                moved = archive.rename(target.path, aside, "aside")
                if moved and self._put_back_if_newer(target, aside):
                    continue
            self.beat()
            if archive.rename(mine, target.path, "in"):
                archive.sync(os.path.dirname(target.path))
                return Ending.DONE

    def _is_in_place(self, content: archive.Content | None) -> bool:
        """Say whether this is the result of this epoch, or a newer one of this RB."""
        return content is not None and content.rb == self.rb and content.epoch >= self.n

    def _put_back_if_newer(self, target: Target, aside: str) -> bool:
        """Look at once into what was moved aside; this epoch, a newer one or another RB's goes back, without a beat."""
        content = archive.look(aside)
        if content is None or (content.is_of(self.rb) and content.epoch < self.n):
            return False
        while not archive.rename(aside, target.path, "put-back"):
            there = archive.look(target.path)
            if archive.look(aside) is None or (there is not None and not _may_give_way(there, content)):
                break
            if there is not None:  # an older one came back in between: it goes aside too
                archive.rename(target.path, self._free_aside(target), "aside")
        return True

    def _fence(self, target: Target, *, look_aside: bool = True) -> bool:
        """Make the staging folder ours by its name; False when neither staging nor an aside of this epoch is seen."""
        mine = self._mine(target)
        folder = os.path.dirname(target.path)
        while True:
            beside = self._beside(target)
            if os.path.basename(mine) in beside:
                return True
            source = self._older_staging(target, beside)
            if source is None and look_aside and not self._ended():  # else a newer epoch moved it aside, and by right
                source = next((a for a in asides_of(target, beside) if self._is_this(archive.look(a))), None)
            if source is None:
                return False
            if archive.rename(source, mine, "fence"):
                archive.sync(folder)
                return True

    def _older_staging(self, target: Target, beside: list[str]) -> str | None:
        """The staging of an earlier promoter, or of one that has ended its take and will rename nothing any more."""
        prefix = f"{os.path.basename(target.staging)}-{self.n}."
        folder = os.path.dirname(target.path)
        for name in beside:
            number = name.removeprefix(prefix)
            if name.startswith(prefix) and number.isdigit() and self._gives_way(int(number)):
                return os.path.join(folder, name)
            if self.after_failure and name == os.path.basename(failed_name(target, self.n)):
                return os.path.join(folder, name)
        return None

    def _gives_way(self, k: int) -> bool:
        """Say whether the staging of promoter `k` may be made ours: our number is above every take that stood."""
        return k < self.k or (self.n, k) not in self.cells.takes()

    def _drop_emptied(self, target: Target) -> None:
        """Delete the staging folders whose files were all moved, by us or by a promoter that died before it tidied."""
        prefix = f"{os.path.basename(target.staging)}-{self.n}."
        for name in self._beside(target):
            number = name.removeprefix(prefix).removesuffix(merging.PLACES)
            if name.startswith(prefix) and number.isdigit() and (int(number) == self.k or self._gives_way(int(number))):
                archive.remove_tree(os.path.join(os.path.dirname(target.path), name))

    def _is_this(self, content: archive.Content | None) -> bool:
        return content is not None and (content.job, content.epoch, content.rb) == (self.job, self.n, self.rb)

    def _mine(self, target: Target) -> str:
        return staging_name(target, self.n, self.k)

    def _beside(self, target: Target) -> list[str]:
        return archive.listing(os.path.dirname(target.path))

    def _newest_aside(self, target: Target, below: int) -> str | None:
        found = [
            (content.epoch, aside)
            for aside in asides_of(target, self._beside(target))
            if (content := archive.look(aside)) is not None and content.is_of(self.rb) and content.epoch < below
        ]
        return max(found)[1] if found else None

    def _free_aside(self, target: Target) -> str:
        return _free_name(f"{aside_prefix(target)}{self.n}.{self.k}", self._beside(target))


def staging_name(target: Target, n: int, k: int) -> str:
    """The staging folder of promoter `k` of epoch `n`; 0 is the one that was copied into."""
    return f"{target.staging}-{n}.{k}"


def failed_name(target: Target, n: int) -> str:
    """Where the result of an epoch stands whose promotion was given up."""
    return f"{target.staging}-{n}.failed"


def aside_prefix(target: Target) -> str:
    """What the names of asides of this target begin with; made from the target, so that any host finds them."""
    folder, name = os.path.split(target.path)
    return os.path.join(folder, f".autoreduce-aside-{names.part_of(name)}-")


def asides_of(target: Target, beside: list[str]) -> list[str]:
    """The asides of `target` among the `names` beside it, as paths."""
    prefix = os.path.basename(aside_prefix(target))
    folder = os.path.dirname(target.path)
    return [
        os.path.join(folder, n) for n in beside if n.startswith(prefix) and n[len(prefix) :].replace(".", "").isdigit()
    ]


def _free_name(stem: str, beside: list[str]) -> str:
    """The first of `<stem>.0`, `<stem>.1` ... that is not among the names `beside` it."""
    serial = 0
    while os.path.basename(f"{stem}.{serial}") in beside:
        serial += 1
    return f"{stem}.{serial}"


def _is_taken(path: str) -> bool:
    """Say whether anything stands at `path`, a folder or not."""
    try:
        return archive.look(path) is not None
    except NotADirectoryError:
        return True


def _may_give_way(there: archive.Content, better: archive.Content) -> bool:
    """Say whether what stands at a target may be moved aside for `better`, which stood there a moment ago."""
    return there.is_of(better.rb) and there.epoch < better.epoch


def older_asides(cells: RbCells, rb: str, target: Target, asides: list[str]) -> list[str]:
    """Return those `asides` that are older than a promoted result of `rb` that stands at the target."""
    found = []
    for aside in asides:
        there = archive.look(target.path)
        content = archive.look(aside)
        if there is None or content is None or there.rb != rb or content.epoch >= there.epoch or not content.is_of(rb):
            continue
        if cells.stands(there.epoch):
            found.append(aside)
    return found


def drop_older(cells: RbCells, rb: str, target: Target, asides: list[str]) -> None:
    """Delete those `asides` that are older than a promoted result of `rb` that stands at the target."""
    for aside in asides:
        for path in older_asides(cells, rb, target, [aside]):  # looked at right before it goes
            archive.remove_tree(path)


def repair(cells: RbCells, rb: str, targets: Sequence[Target]) -> None:
    """Put the newest aside in where the target is absent or older: a promoter died or froze between its renames."""
    for target in targets:
        if target.mode != "replace":
            continue
        while True:
            found = [
                (content.epoch, aside)
                for aside in asides_of(target, archive.listing(os.path.dirname(target.path)))
                if (content := archive.look(aside)) is not None and content.is_of(rb)
            ]
            there = archive.look(target.path)
            if not found or (there is not None and (there.epoch >= max(found)[0] or not there.is_of(rb))):
                break
            if there is not None:
                beside = archive.listing(os.path.dirname(target.path))
                archive.rename(target.path, _free_name(max(found)[1], beside), "aside")
                continue
            if archive.rename(max(found)[1], target.path, "put-back"):
                archive.sync(os.path.dirname(target.path))
        drop_older(cells, rb, target, asides_of(target, archive.listing(os.path.dirname(target.path))))
