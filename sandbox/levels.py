"""Levels of isolation: named minimum sets of guards (DESIGN §6, "Guards").

A guard is one separate fact about a box. A level is reached when all of its guards are in force; a box of that level is
built with them or not at all, and nothing falls to a lower one while it runs.
"""

from __future__ import annotations

from typing import Final, Literal

Level = Literal["none", "contained", "hostile"]

#: From the weakest to the strongest.
LEVELS: Final[tuple[Level, ...]] = ("none", "contained", "hostile")
#: What every box has.
_NONE: Final = frozenset({"rlimits", "no_new_privs", "env", "fds", "output", "log"})
_CONTAINED: Final = _NONE | {
    *("user", "mnt", "pid", "net", "ipc", "uts"),
    *("tree", "capabilities", "keyring", "seccomp", "hidden_init"),
    # By control group or by sampler; which one stands in the record.
    *("memory", "processes"),
}
#: Here memory, processes and the kill are held by a control group, and `scratch` by a sized file system.
_HOSTILE: Final = _CONTAINED | {"landlock", "kill", "scratch"}

#: Guards that a box is built with where the kernel has them, though no level but `hostile` needs them.
WELCOME: Final = frozenset({"landlock", "cgroupns"})
#: Every guard that containment is made of, and that a test may leave out.
GUARDS: Final = (_HOSTILE | WELCOME) - _NONE - {"memory", "processes", "kill", "scratch"} | {"no_new_privs", "rlimits"}
#: Where a control group must hold it: a sampler is not enough.
BY_GROUP: Final = frozenset({"memory", "processes", "kill"})


def needed(level: str) -> frozenset[str]:
    """Returns the guards that a level needs.

    Raises:
        ValueError: there is no such level.
    """
    if level not in LEVELS:
        raise ValueError(f"isolation level {level!r} is unknown; levels are {', '.join(LEVELS)}")
    return {"none": _NONE, "contained": _CONTAINED, "hostile": _HOSTILE}[level]
