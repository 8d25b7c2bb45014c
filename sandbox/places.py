"""Where things are, as the script sees them: in the scratch on the host, or under fixed names behind a tree."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Self

from sandbox import tree

#: Folder of the results in the output folder. A script may remove and remake it, as many do, which it could not do with
#: a mount point (rmdir(2), EBUSY).
RESULT: Final = "result"
_HARNESS_HERE: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "harness.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Absolute paths, valid inside the box."""

    #: Parent of the results; all that is written there is counted.
    out: str
    home: str
    tmp: str
    work: str
    handoff: str
    script: str
    harness: str

    @classmethod
    def on_host(cls, scratch: str) -> Self:
        """Returns the places of a box without a tree.

        Args:
            scratch: path of its folder.
        """
        folder = {name: os.path.join(scratch, name) for name in ("out", "home", "tmp", "work", "handoff", "script")}
        return cls(**folder, harness=_HARNESS_HERE)

    @classmethod
    def in_tree(cls) -> Self:
        """Returns the places of a box with a tree, which tell nothing of the host."""
        return cls(
            out=tree.OUT,
            home=tree.HOME,
            tmp=tree.TMP,
            work=tree.WORK,
            handoff=tree.HANDOFF,
            script=tree.SCRIPT,
            harness=tree.HARNESS,
        )

    @property
    def result(self) -> str:
        """Where the results go."""
        return os.path.join(self.out, RESULT)

    def writable(self) -> tuple[str, ...]:
        """Lists the folders that the script may write."""
        return (self.out, self.home, self.tmp, self.work, self.handoff, self.script)
