"""The judgement of the guards: from what the facilities and the boxes showed to one fact for each guard, and the level.

Pure. A guard is in force when the builder says that it put it there and every act that it has to stop was stopped, in
each box where it was tried; what was not tried is not in force, and says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sandbox import facilities, levels
from sandbox.linux import acts
from sandbox.trialbox import LAST
from sandbox.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.facilities import Facilities
    from sandbox.levels import Level
    from sandbox.trialbox import Tried

#: Every guard of which a fact is told, in the order of building.
NAMES: Final = (
    *("user", "mnt", "pid", "net", "ipc", "uts", "cgroupns", "tree", "hidden_init", "capabilities"),
    *("no_new_privs", "keyring", "landlock", "seccomp", "rlimits", "env", "fds"),
    *("memory", "processes", "kill", "output", "log", "scratch"),
)
#: What unshare(2) and the maps give, and what stands on them: the tree, and the power to give up capabilities.
_ON_NAMESPACES: Final = frozenset(
    {"user", "mnt", "pid", "net", "ipc", "uts", "cgroupns", "tree", "capabilities", "hidden_init"}
)
#: The guards of each step of the building that can fail for a reason of theirs.
_OF_STAGE: Final[Mapping[str, frozenset[str]]] = {
    "cgroup": frozenset({"memory", "processes", "kill"}),
    "enclosure": _ON_NAMESPACES,
    "descriptors": frozenset({"fds"}),
    "limits": frozenset({"rlimits"}),
    "privileges": frozenset({"no_new_privs", "keyring", "landlock", "seccomp"}),
}
#: Words of the builder for what no control group holds.
_NO_GROUP: Final = frozenset({"", "sampler", "rlimit", "tree"})
_LET_SEE: Final = "let the user who serves enter and read what is named here"
#: Of these the builder's record has no word of its own.
_UNSAID: Final = {"log": "head and tail"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardFact:
    """One guard of this host."""

    name: str
    in_force: bool
    #: How it is held, in the builder's words, such as "abi 7" or "cgroup-v1"; "" when it is not.
    how: str = ""
    #: What was seen, "" when it is in force.
    why_not: str = ""
    #: The command, or what else mends it; "" when it is in force or nobody can say.
    remedy: str = ""
    #: Acts that it stopped, each with how.
    acts: Mapping[str, str] = field(default_factory=dict)


def facts_of(found: Facilities, tried: Sequence[Tried]) -> dict[str, GuardFact]:
    """Judges every guard.

    Args:
        found: what the facilities showed.
        tried: what the boxes showed, from the weakest level on.
    """
    return {name: _fact(name, found, tried) for name in NAMES}


def level_of(facts: Mapping[str, GuardFact]) -> Level:
    """Returns the highest level all of whose guards are in force; `hostile` takes those of control groups alone."""
    reached = [level for level in levels.LEVELS if not lacking(level, facts)]
    return reached[-1] if reached else "none"


def lacking(level: str, facts: Mapping[str, GuardFact]) -> tuple[str, ...]:
    """Lists the guards that a level needs and that are not in force, or not by control group where it must be one."""
    needed = [name for name in NAMES if name in levels.needed(level)]
    grouped = levels.BY_GROUP if level == "hostile" else frozenset()
    return tuple(
        name for name in needed if not facts[name].in_force or (name in grouped and facts[name].how in _NO_GROUP)
    )


def _fact(name: str, found: Facilities, tried: Sequence[Tried]) -> GuardFact:
    refused, remedy = _facility(name, found)
    if refused:
        return GuardFact(name=name, in_force=False, why_not=refused, remedy=remedy)
    boxes = [box for box in tried if _is_asked(name, box)]
    if not boxes:
        why, remedy = _untried(name, found, tried)
        return GuardFact(name=name, in_force=False, why_not=f"not tried: {why}", remedy=remedy)
    stopped: dict[str, str] = {}
    for box in boxes:
        why = _let_through(name, box, stopped)
        if why:
            remedy = _after_box(name, found, box)
            return GuardFact(name=name, in_force=False, why_not=why, remedy=remedy, acts=stopped)
    return GuardFact(name=name, in_force=True, how=_word(name, boxes[-1]), acts=stopped)


def _facility(name: str, found: Facilities) -> tuple[str, str]:
    """Returns why the facility behind a guard cannot be had, "" if it can, and what mends it."""
    if name in _ON_NAMESPACES and found.namespaces:
        return found.namespaces.split("; ", maxsplit=1)[0], facilities.namespaces_remedy(found.sysctls)
    if name == "landlock" and found.landlock:
        return found.landlock, facilities.landlock_remedy(found.landlock)
    if name == "seccomp" and found.seccomp:
        return found.seccomp, facilities.NEWER_KERNEL
    if name == "keyring" and found.keyring:
        return found.keyring, "raise kernel.keys.maxkeys with sysctl"
    return "", ""


def _is_asked(name: str, box: Tried) -> bool:
    if name == "scratch":
        return box.level == "hostile"
    if name == "log":
        return True
    return any(guard == name for act, (guard, _) in acts.ACTS.items() if act in box.asked)


def _untried(name: str, found: Facilities, tried: Sequence[Tried]) -> tuple[str, str]:
    """Returns why no box was there to try a guard in, and what mends it."""
    if found.namespaces:
        return "no box can be closed here", facilities.namespaces_remedy(found.sysctls)
    if name != "scratch" or not tried:
        return "no box was tried", ""
    ungrouped = sorted(levels.BY_GROUP - found.groups.keys())
    if ungrouped:
        return f"no control group holds {', '.join(ungrouped)}: {found.no_groups}", facilities.DELEGATE
    if found.landlock:
        return found.landlock, facilities.landlock_remedy(found.landlock)
    return "the weaker box has failed", ""


def _let_through(name: str, box: Tried, stopped: dict[str, str]) -> str:
    """Returns what was let through in a box, "" if nothing was; adds what was stopped to `stopped`."""
    if not box.built:
        is_its_own = name in _OF_STAGE.get(box.stage, {name})
        return box.sentence if is_its_own else f"not tried: the box could not be built at {box.stage}"
    if not box.started:
        return f"not tried: the script was not started; {box.sentence}"
    if not _word(name, box):
        return "the box was built without it"
    for act in (act for act in box.asked if acts.ACTS[act][0] == name):
        answer = box.answers.get(act)
        if answer is None and act == LAST and box.verdict in {Verdict.memory_limit, Verdict.memory_limit_helper}:
            stopped[act] = f"{box.verdict}"
        elif answer is None:
            return f"{act}: not answered; {box.sentence}"
        elif not answer.stopped:
            return f"{act}: {answer.how}"
        else:
            stopped[act] = answer.how
    if name == "kill" and box.left_behind:
        return f"stay behind: {box.left_behind} processes of the box live on"
    if name == "log" and box.kept >= box.said > 0 and box.verdict is Verdict.completed:
        return f"all {box.said} bytes were kept, which is more than its limit"
    return ""


def _word(name: str, box: Tried) -> str:
    word = box.guards.get(name, _UNSAID.get(name, ""))
    if name == "scratch" and word != "hard":
        return ""
    return word


def _after_box(name: str, found: Facilities, box: Tried) -> str:
    """Returns what mends a guard whose facility is there, and which a box let down all the same."""
    if box.stage == "enclosure" and name in _ON_NAMESPACES:
        shown = "cannot show" in box.sentence
        return _LET_SEE if shown else facilities.namespaces_remedy(found.sysctls)
    if name in {"memory", "processes", "kill"} and not found.groups:
        return facilities.DELEGATE
    return ""
