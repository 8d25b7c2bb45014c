"""The store and the archive as the protocol has them, seen from outside, and what must hold of them at each moment.

Shared by the stage of threads (`protocolstage`) and the stage of real hosts (`stagedfleet`).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from supervisor import durable
from supervisor.promotion import asides_of
from supervisor.records import Target

if TYPE_CHECKING:
    from supervisor.layout import Layout


class Violation(AssertionError):
    """An invariant of the protocol does not hold."""


class ProtocolView:
    """What one store and archive hold, read by files alone.

    Args:
        layout: the store.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        #: The target of each RB that is looked at.
        self.rbs: dict[str, str] = {}
        #: Invariants that a test knows not to hold in what it sets up.
        self.tolerated: set[str] = set()
        self._outcomes: dict[tuple[str, int], bytes] = {}
        self._newest: dict[str, int] = {}
        #: RBs at whose target an older worker's result stood.
        self._had_old: set[str] = set()

    def target_of(self, rb: str) -> str:
        """Where the results of an RB stand."""
        return self.rbs[rb]

    def mark_of(self, record: dict[str, Any]) -> str:
        """What both files of a result hold that has this `.run`."""
        return f"{record['rb']} {record['epoch']}"

    def describe(self) -> str:
        """The cells and targets, for people."""
        lines = []
        for rb in self.rbs:
            for cell in self.cells_of(rb):
                outcome = (cell["outcome"] or {}).get("kind")
                promoted = (cell["promoted"] or {}).get("kind")
                lines.append(f"rb {rb} epoch {cell['n']}: {cell['epoch']['job']} {outcome} promoted {promoted}")
            lines.append(
                f"rb {rb} target {self.content(self.target_of(rb))} beside {self.beside(rb)} takes {self.takes(rb)}"
            )
        return "\n".join(lines)

    def content(self, path: str) -> tuple[int, bool] | None:
        """(epoch, whole) of what stands at a path; epoch 0 is the older worker's result."""
        try:
            names = set(os.listdir(path))
        except FileNotFoundError:
            return None
        if ".run" not in names:
            return 0, names - {"reduction_log"} == {"old.txt"}  # logs of later failures may be added
        record = record_at(os.path.join(path, ".run"))
        if record is None:
            return -1, False  # it is being written
        n = int(record["epoch"])
        whole = all(
            name in names and _read_text(os.path.join(path, name)) == self.mark_of(record)
            for name in ("a.txt", "b.txt")
        )
        return n, whole

    def cells_of(self, rb: str) -> list[dict[str, Any]]:
        """Every epoch of an RB with its cells, read from outside."""
        place = self.layout.rb(rb)
        found = []
        for name in sorted(_names(place.folder("epochs"))):
            n = int(name)
            found.append(
                {
                    "n": n,
                    "epoch": record_at(place.epoch(n)),
                    "outcome": record_at(place.outcome(n)),
                    "promoted": record_at(place.promoted(n)),
                }
            )
        return found

    def takes(self, rb: str) -> list[str]:
        return sorted(_names(self.layout.rb(rb).folder("promoting")))

    def beside(self, rb: str) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """(asides, stagings, failed) beside the target of an RB, each name with its epoch."""
        path = self.target_of(rb)
        folder = os.path.dirname(path)
        asides, staging, failed = {}, {}, {}
        all_names = os.listdir(folder)
        for aside in asides_of(Target(path=path, staging="", mode="replace"), all_names):
            content = self.content(aside)
            if content is not None:
                asides[os.path.basename(aside)] = content[0]
        for name in all_names:
            if name.startswith(".autoreduce-") and not name.startswith(".autoreduce-aside-"):
                content = self.content(os.path.join(folder, name))
                if content is not None and self.is_of(os.path.join(folder, name), rb):
                    (failed if name.endswith(".failed") else staging)[name] = content[0]
        return asides, staging, failed

    @staticmethod
    def is_of(path: str, rb: str) -> bool:
        record = record_at(os.path.join(path, ".run"))
        return record is not None and record["rb"] == rb

    # --- the invariants ------------------------------------------------------------------------------------------

    def violates(self, what: str, detail: str) -> None:
        if what not in self.tolerated:
            raise Violation(f"{what}: {detail}\n{self.describe()}")

    def check_now(self) -> None:
        """Look at everything that must hold at each moment."""
        for rb in self.rbs:
            known = self.cells_of(rb)
            self.check_cells(rb, known)
            self.check_target(rb, known)

    def check_cells(self, rb: str, known: list[dict[str, Any]]) -> None:
        committed: set[str] = set()
        for index, cell in enumerate(known):
            n, outcome = cell["n"], cell["outcome"]
            if n != index + 1:
                self.violates("EPOCH-ORDER", f"epoch {n} at place {index + 1}")
            if n < len(known) and outcome is None:
                self.violates("EPOCH-UNDECIDED-BELOW", f"epoch {n}")
            if outcome is None:
                continue
            raw = json.dumps(outcome, sort_keys=True).encode()
            if self._outcomes.setdefault((rb, n), raw) != raw:
                self.violates("OUTCOME-REPLACED", f"epoch {n}")
            if outcome["kind"] != "committed":
                continue
            job = cell["epoch"]["job"]
            if job in committed:
                self.violates("TWO-COMMITS-OF-A-JOB", job)
            committed.add(job)
            if n < len(known) and cell["promoted"] is None:
                self.violates("NEXT-EPOCH-BEFORE-PROMOTED", f"epoch {n}")
            final = record_at(self.layout.job(job).final)
            if cell["promoted"] is not None and final is None:
                self.violates("PROMOTED-WITHOUT-FINAL", job)
            if final is not None and final["n"] != n:
                self.violates("FINAL-NOT-COMMITTED", f"{job}: {final}")

    def check_target(self, rb: str, known: list[dict[str, Any]]) -> None:
        path = self.target_of(rb)
        shared = sum(1 for other in self.rbs if self.target_of(other) == path) > 1
        there = self.content(path)
        done = [c["n"] for c in known if is_completed(c) and (c["promoted"] or {}).get("kind") == "done"]
        takes = self.takes(rb)
        mine = there is not None and (there[0] == 0 or self.is_of(path, rb))
        if there is not None:
            if not there[1]:
                self.violates("PARTIAL-AT-TARGET", str(there))
            if mine and there[0] and not is_completed(known[there[0] - 1]):
                self.violates("UNCOMMITTED-AT-TARGET", str(there))
        if not shared:
            newest = self._newest.get(rb, -1)
            epoch = there[0] if there is not None else -1
            if epoch < newest and not takes:
                self.violates("OLDER-OVERWRITES-NEWER", f"{there} where {newest} stood, and no take stands")
            self._newest[rb] = max(newest, epoch)
        asides, staging, failed = self.beside(rb)
        have = {*asides.values(), *staging.values(), *failed.values(), there[0] if there is not None else -1}
        if done and max(done) not in have and not shared:
            self.violates("GOOD-COPY-LOST", f"epoch {max(done)}")
        if there is not None and there[0] == 0 and not shared:  # else another RB may replace it by right
            self._had_old.add(rb)
        if not done and rb in self._had_old and 0 not in have and not _places_first(known):
            self.violates("GOOD-COPY-LOST", "the older worker's result")
        for cell in known:
            if is_completed(cell) and cell["promoted"] is None and cell["n"] not in have:
                self.violates("GOOD-COPY-LOST", f"the committed epoch {cell['n']}")
            kind = (cell["promoted"] or {}).get("kind")
            if kind == "done" and cell["n"] in staging.values():
                self.violates("DONE-BUT-NOT-PLACED", f"epoch {cell['n']}")
            if kind == "failed" and mine and there is not None and there[0] == cell["n"]:
                self.violates("FAILED-BUT-PLACED", f"epoch {cell['n']}")


def _places_first(known: list[dict[str, Any]]) -> bool:
    return any((cell["promoted"] or {}).get("kind") == "done" and is_completed(cell) for cell in known)


def is_completed(cell: dict[str, Any]) -> bool:
    outcome = cell["outcome"] or {}
    return outcome.get("kind") == "committed" and outcome.get("verdict") == "completed"


def _names(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if not name.startswith(durable.TEMPORARY)]
    except FileNotFoundError:
        return []


_read_before: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {}


def record_at(path: str) -> dict[str, Any] | None:
    """The record at a path; a file that has not changed since is not read again."""
    try:
        facts = os.stat(path)
        stamp = (facts.st_ino, facts.st_mtime_ns, facts.st_size, facts.st_ctime_ns)
        known = _read_before.get(path)
        if known is None or known[0] != stamp:
            with open(path, "rb") as file:
                known = _read_before[path] = (stamp, json.load(file))
    except FileNotFoundError:
        return None
    except ValueError:
        return None  # it is being written; records of the store are whole when their names are seen
    return known[1]


def forget_records() -> None:
    """Forget what was read before; for the end of a test."""
    _read_before.clear()


def _read_text(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()
