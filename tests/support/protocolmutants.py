"""The model's mutants, and one for each of its corrections taken away, as changes of the code; see the model's README.

Each is a list of replacements, of a text that stands exactly once in its file, and the traces that must end badly with
it. When a text is no longer found, the code it guards has moved: write the mutant anew where the decision is made now.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Changes = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolMutant:
    """The code with one correction of the protocol taken away."""

    #: What is wrong with it, in a few words: the id of the test.
    name: str
    changes: Changes
    #: The counterexamples that must end badly.
    traces: tuple[str, ...]
    #: What must be found, one of these.
    violations: tuple[str, ...]
    #: What the mutant breaks at once and is not what is to be shown.
    tolerated: tuple[str, ...] = ()


def mutate(mutant: ProtocolMutant, source: Path, target: Path) -> Path:
    """Make a copy of the packages below `source` in `target` with the mutant's changes; return `target`."""
    target.mkdir()
    # With the times of the files: the compiled modules of a copy are as good as those of the original.
    shutil.copytree(source / "supervisor", target / "supervisor")
    (target / "sandbox").symlink_to(source / "sandbox")
    for name, old, new in mutant.changes:
        path = target / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{mutant.name}: the text stands {text.count(old)} times in {name}:\n{old}"
        path.write_text(text.replace(old, new), encoding="utf-8")
        compile(text.replace(old, new), str(path), "exec")
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            os.unlink(compiled)
    return target


_NO_TAKES: Changes = (
    (
        "supervisor/cells.py",
        '            if durable.link_new(self.place.take(n, k), records.to_record(take), "take"):\n                return k\n',
        "            return 1\n",
    ),
)
_NO_FENCE: Changes = (
    (
        "supervisor/promotion.py",
        "        return staging_name(target, self.n, self.k)\n",
        "        return staging_name(target, self.n, 0)\n",
    ),
)
_NO_LOOK_INTO_ASIDE: Changes = (
    ("supervisor/promotion.py", "if moved and self._put_back_if_newer(target, aside):", "if moved and False:"),
)
_FROM_FENCE = """            there = archive.look(target.path)  # again: an earlier promoter may have been faster than our fence
            if there is not None:
                if self._is_in_place(there) or not there.is_of(self.rb):
                    continue
"""
_MOVE_ASIDE = """                self.beat()
                aside = self._free_aside(target)
                moved = archive.rename(target.path, aside, "aside")
                if moved and self._put_back_if_newer(target, aside):
                    continue
"""
#: What stands at the target is exchanged with staging, and the target's older result is left in staging.
_EXCHANGED = """                self.beat()
                if archive.exchange(mine, target.path, "in"):
                    archive.sync(os.path.dirname(target.path))
                    return Ending.DONE
                continue
"""
_EXCHANGE_CALL: Changes = (
    (
        "supervisor/archive.py",
        "def sync(folder: str) -> None:\n",
        '''def exchange(source: str, target: str, what: str) -> bool:
    """Exchange two folders by renameat2(2)."""
    import ctypes
    import platform

    number = {"x86_64": 316, "aarch64": 276}[platform.machine()]
    with effect(f"archive.rename {what}"):
        libc = ctypes.CDLL(None, use_errno=True)
        paths = os.fsencode(source), os.fsencode(target)
        if libc.syscall(number, -100, ctypes.c_char_p(paths[0]), -100, ctypes.c_char_p(paths[1]), 2):
            return False
    return True


def sync(folder: str) -> None:
''',
    ),
)
_EXCHANGE: Changes = (
    *_EXCHANGE_CALL,
    ("supervisor/promotion.py", _FROM_FENCE + _MOVE_ASIDE, _FROM_FENCE + _EXCHANGED),
)
_EXCHANGE_UNSEEN: Changes = (
    *_EXCHANGE_CALL,
    ("supervisor/promotion.py", _FROM_FENCE + _MOVE_ASIDE, "            if there is not None:\n" + _EXCHANGED),
)
_NO_FLOCK: Changes = (
    (
        "supervisor/flock.py",
        "held = filelock.lock_descriptor(fd, blocking=False)",
        "held = filelock.lock_descriptor(fd, blocking=False) or True",
    ),
)
_PROOF_BY_TIME = "    if min(evidence.host_unmoved, evidence.run_unmoved) >= evidence.takeover_after:\n"

MUTANTS = (
    # --- the five that must be caught on every change ------------------------------------------------------------
    ProtocolMutant(
        name="check-then-publish-without-the-cell",
        changes=(
            (
                "supervisor/cells.py",
                '        return durable.link_new(self.place.outcome(n), records.to_record(outcome), f"outcome-{outcome.kind}")\n',
                (
                    "        if self.outcome(n) is not None:\n"
                    "            return False\n"
                    '        with durable.effect(f"store.link outcome-{outcome.kind}"):\n'
                    '            durable.replace(self.place.outcome(n), records.to_record(outcome), "outcome")\n'
                    "        return True\n"
                ),
            ),
        ),
        traces=("M1",),
        violations=("OUTCOME-REPLACED",),
    ),
    ProtocolMutant(
        name="no-re-read-after-the-epoch",
        changes=(
            (
                "supervisor/claim.py",
                "        ruling = rule(self.facts(request, past, overtaken=overtaken()), around.now())\n",
                "        ruling = Ruling.RUN\n",
            ),
            # The shepherd's own look before the start would save it: it is taken away as well, as in the model.
            (
                "supervisor/storehand.py",
                (
                    "        if self._insist(lambda: durable.exists(self._job.cancel), undecided=True):\n"
                    '            self._say("abandon", None)\n'
                ),
                '        if False:\n            self._say("abandon", None)\n',
            ),
        ),
        traces=("M2", "M2_final", "C5"),
        violations=("START-AFTER-CANCEL", "TWO-COMMITS-OF-A-JOB"),
    ),
    ProtocolMutant(
        name="promotion-without-the-run-check",
        changes=(
            (
                "supervisor/promotion.py",
                "        return content is not None and content.rb == self.rb and content.epoch >= self.n\n",
                "        return False\n",
            ),
        ),
        traces=("M3",),
        violations=("STUCK",),
    ),
    ProtocolMutant(
        name="takeover-on-the-heartbeat-of-the-host-alone",
        changes=(
            ("supervisor/takeover.py", _PROOF_BY_TIME, "    if evidence.host_unmoved >= evidence.takeover_after:\n"),
        ),
        traces=("M4",),
        violations=("LIVE-REVOKED",),
    ),
    ProtocolMutant(
        name="takeover-on-the-heartbeat-of-the-run-alone",
        changes=(
            ("supervisor/takeover.py", _PROOF_BY_TIME, "    if evidence.run_unmoved >= evidence.takeover_after:\n"),
        ),
        traces=("M4_run",),
        violations=("LIVE-REVOKED",),
    ),
    ProtocolMutant(
        name="no-proof-after-a-reboot",
        changes=(("supervisor/takeover.py", '        return "its host has rebooted"\n', "        return None\n"),),
        traces=("C4", "C4_running"),
        violations=("STUCK",),
    ),
    # --- the other mutants of the model --------------------------------------------------------------------------
    ProtocolMutant(
        name="aside-deleted-before-promoted",
        changes=(
            (
                "supervisor/promotion.py",
                '            if archive.rename(mine, target.path, "in"):\n',
                (
                    '            if archive.rename(mine, target.path, "in"):\n'
                    "                for aside in asides_of(target, self._beside(target)):\n"
                    "                    archive.remove_tree(aside)\n"
                ),
            ),
        ),
        traces=("M5",),
        violations=("GOOD-COPY-LOST",),
    ),
    ProtocolMutant(
        name="published-before-promoted",
        changes=(
            (
                "supervisor/scanning.py",
                "        if promoted is None or epoch is None:\n            return\n",
                "        if epoch is None:\n            return\n",
            ),
            (
                "supervisor/scanning.py",
                '"done" if promoted.kind == "done" else "failed"',
                '"done" if promoted is None or promoted.kind == "done" else "failed"',
            ),
        ),
        traces=("M6",),
        violations=("REPLY-NOT-FROZEN",),
    ),
    ProtocolMutant(
        name="re-read-from-a-stale-cache",
        changes=(
            (
                "supervisor/claim.py",
                "        around = self._around\n        epoch = Epoch(",
                (
                    "        around = self._around\n"
                    "        cached = self.facts(request, history(self._layout.job(request.job), cells), overtaken=False)\n"
                    "        epoch = Epoch("
                ),
            ),
            (
                "supervisor/claim.py",
                "        ruling = rule(self.facts(request, past, overtaken=overtaken()), around.now())\n",
                "        ruling = rule(cached, around.now())\n",
            ),
        ),
        traces=("C5",),
        violations=("START-AFTER-CANCEL",),
    ),
    ProtocolMutant(
        name="self-kill-later-than-takeover",
        changes=(
            (
                "supervisor/shepherd.py",
                "now - hand.last_beat >= self._plan.self_kill_after and not self._lost",
                "now - hand.last_beat >= 100 * self._plan.self_kill_after and not self._lost",
            ),
        ),
        traces=("M8",),
        violations=("OVERLAP",),
    ),
    ProtocolMutant(
        name="takeover-by-the-flock-alone",
        changes=(("supervisor/takeover.py", _PROOF_BY_TIME, "    if True:\n"),),
        traces=("M9",),
        violations=("OVERLAP",),
    ),
    ProtocolMutant(
        name="acknowledged-before-the-journal",
        changes=(
            (
                "supervisor/loop.py",
                "        self._taking.add(event.token)\n",
                "        self._taking.add(event.token)\n        self._link.ack(event.token, event.token)\n",
            ),
        ),
        traces=("M10",),
        violations=("MESSAGE-LOST",),
    ),
    # --- one correction taken away ------------------------------------------------------------------------------
    ProtocolMutant(
        name="final-not-linked-by-the-claimer",
        changes=(
            (
                "supervisor/takeover.py",
                "    if not state.final:\n        return Step.LINK_FINAL\n",
                "",
            ),
            (
                "supervisor/storehand.py",
                "        self._insist(lambda: link_final(self._job, Final(rb=plan.rb, n=plan.n)))\n",
                (
                    '        if plan.errand == "run":\n'
                    "            self._insist(lambda: link_final(self._job, Final(rb=plan.rb, n=plan.n)))\n"
                ),
            ),
        ),
        traces=("C1",),
        violations=("TWO-COMMITS-OF-A-JOB",),
        tolerated=("PROMOTED-WITHOUT-FINAL", "FINAL-NOT-COMMITTED"),
    ),
    ProtocolMutant(
        name="no-look-at-the-outcome-before-the-start",
        changes=(
            (
                "supervisor/storehand.py",
                "        if self._cells.outcome(self._plan.n) is not None:\n            raise Decided\n",
                "        return\n",
            ),
        ),
        traces=("C2",),
        violations=("START-AFTER-REVOKED",),
    ),
    ProtocolMutant(
        name="revoking-without-the-flock",
        changes=_NO_FLOCK,
        traces=("C3a", "C3b"),
        violations=("OVERLAP", "LIVE-REVOKED"),
    ),
    ProtocolMutant(
        name="remembered-cancels-not-read-again",
        changes=(
            (
                "supervisor/claim.py",
                "for _, cancel in journal.remembered(self._layout):",
                "for _, cancel in ():",
            ),
        ),
        traces=("C5",),
        violations=("START-AFTER-CANCEL",),
    ),
    ProtocolMutant(
        name="entry-removed-by-its-claimer-only",
        changes=(
            (
                "supervisor/scanning.py",
                '        if "published" in marks:\n',
                (
                    '        if "published" in marks and epoch.host != self._may_publish.__self__._facts.host:\n'
                    "            return\n"
                    '        if "published" in marks:\n'
                ),
            ),
        ),
        traces=("C6",),
        violations=("STUCK",),
    ),
    ProtocolMutant(
        name="promotion-as-it-was-written-first",
        changes=(*_NO_TAKES, *_NO_FENCE, *_NO_LOOK_INTO_ASIDE),
        traces=("C7",),
        violations=("OLDER-OVERWRITES-NEWER", "STUCK"),
    ),
    ProtocolMutant(
        name="promotion-as-it-was-written-first-by-exchange",
        changes=(*_NO_TAKES, *_NO_FENCE, *_EXCHANGE),
        traces=("C8",),
        violations=("OLDER-OVERWRITES-NEWER",),
    ),
    ProtocolMutant(
        name="aside-not-put-back-before-failed",
        changes=(
            ("supervisor/promotion.py", "            if aside is not None:\n", "            if False:\n"),
            ("supervisor/promoting.py", "        if ending is Ending.LEFT:  # what", "        if False:  # what"),
        ),
        traces=("C9",),
        violations=("GOOD-RESULT-LEFT-ASIDE",),
    ),
    ProtocolMutant(
        name="given-up-without-own-staging",
        changes=(
            (
                "supervisor/promotion.py",
                "        return os.path.basename(failed) in self._beside(target)\n",
                "        return True\n",
            ),
        ),
        traces=("C10",),
        violations=("FAILED-BUT-PLACED",),
    ),
    ProtocolMutant(
        name="no-takes",
        changes=_NO_TAKES,
        traces=("C11", "C11_host"),
        violations=("OLDER-OVERWRITES-NEWER", "STUCK"),
    ),
    ProtocolMutant(
        name="epochs-compared-across-rbs",
        changes=(
            ("supervisor/archive.py", '        return self.rb in ("", rb)\n', "        return True\n"),
            (
                "supervisor/promotion.py",
                "        return content is not None and content.rb == self.rb and content.epoch >= self.n\n",
                "        return content is not None and content.epoch >= self.n\n",
            ),
        ),
        traces=("C12",),
        violations=("DONE-BUT-NOT-PLACED",),
    ),
    ProtocolMutant(
        name="take-of-a-silent-host-removed-by-the-clock",
        changes=(
            (
                "supervisor/promoting.py",
                "        if n == plan.n and _is_gone(take, plan, me):\n",
                "        if n == plan.n:\n",
            ),
        ),
        traces=("C13",),
        violations=("OLDER-OVERWRITES-NEWER", "STUCK"),
    ),
    ProtocolMutant(
        name="source-not-fenced-by-exchange",
        changes=(*_NO_FENCE, *_EXCHANGE),
        traces=("C14",),
        violations=("DONE-BUT-NOT-PLACED", "OLDER-OVERWRITES-NEWER"),
    ),
    ProtocolMutant(
        name="no-look-after-the-fence-by-exchange",
        changes=_EXCHANGE_UNSEEN,
        traces=("C15",),
        violations=("DONE-BUT-NOT-PLACED", "OLDER-OVERWRITES-NEWER"),
    ),
    ProtocolMutant(
        name="nobody-ends-what-another-gave-up",
        changes=(
            (
                "supervisor/promotion.py",
                "if ending is Ending.UNSEEN and os.path.basename(failed_name(target, self.n)) in self._beside(target):",
                "if False:",
            ),
        ),
        traces=("C16",),
        violations=("STUCK",),
    ),
)
#: Tried on every change, by their first trace: the others with `make soak`.
ALWAYS = MUTANTS[:6]
