"""The control group of one box: its leaves, how a process enters one, and the proof that nobody is left in it.

Version 1, version 2 and the null object differ in files and in what they can promise; the caller sees one `Group`. Its
leaf "script" carries the limits; the leaf "init" exists on version 2 only, where a group that holds processes can have
no children with controllers and where an out-of-memory kill takes its whole group: the reporter must survive it.
"""

from __future__ import annotations

import abc
import contextlib
import os
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from sandbox.linux import cgroupfiles
from sandbox.outcome import Measure

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Groups of boxes have names that begin so, and are found by it after a crash.
PREFIX: Final = "autoreduce-box-"
UNMEASURED: Final = Measure(value=None, source="none", exact=False)
#: Seconds between two rounds of a kill.
_ROUND: Final = 0.005

Leaf = Literal["init", "script"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupFacts:
    """What the kernel counted for the script's leaf; read it before the group is removed."""

    #: Processes that the kernel killed because the leaf was out of memory.
    oom_kills: int = 0
    #: Whether such a kill ends the whole leaf (version 2); else one process, the largest.
    group_oom: bool = False
    #: Largest memory with page cache, bytes.
    peak_memory: Measure = UNMEASURED
    #: Largest anonymous memory and largest page cache that were sampled, bytes.
    anonymous: Measure = UNMEASURED
    cache: Measure = UNMEASURED
    #: Processor time of all that ever ran in the leaf, seconds.
    cpu: Measure = UNMEASURED
    #: Most tasks (threads) at one time.
    tasks: Measure = UNMEASURED
    #: How often the limit of tasks refused a fork.
    forks_refused: int = 0
    #: Bytes from and to local block devices; a network file system shows nothing here.
    read_bytes: Measure = UNMEASURED
    written_bytes: Measure = UNMEASURED
    #: Seconds in which some task waited for memory, cpu or io (version 2).
    pressure: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the facts as plain JSON."""
        return asdict(self) | {"pressure": dict(self.pressure)}


class Group(abc.ABC):
    """One box's group, in as many hierarchies as it needs."""

    def __init__(self, name: str, leaves: Mapping[Leaf, tuple[str, ...]], roots: tuple[str, ...]) -> None:
        """Names what stands already.

        Args:
            name: the box's token.
            leaves: the folders of each leaf, one for each hierarchy.
            roots: the folders that hold all of it, one for each hierarchy.
        """
        self.name = name
        self._leaves = leaves
        self._roots = roots
        self._doorways: list[int] = []

    @abc.abstractmethod
    def guards(self) -> dict[str, str]:
        """Returns which limits this group holds, and how it kills."""

    @abc.abstractmethod
    def sample(self) -> None:
        """Notes what the kernel keeps no peak of; for the facts."""

    @abc.abstractmethod
    def cpu(self) -> float | None:
        """Returns the processor time of all that ever ran in the leaf, seconds; None where it is not counted."""

    @abc.abstractmethod
    def facts(self) -> CgroupFacts:
        """Returns what was counted; what cannot be read is unmeasured."""

    @abc.abstractmethod
    def kill(self) -> int:
        """Kills what stands in the group, in one bounded round; call it until `is_empty`.

        Returns:
            How many processes were signalled, as far as that is known.

        Raises:
            OSError: a file of the group could not be read or written.
        """

    def kill_script(self) -> int:
        """Kills what stands in the script's leaf; our own processes, which stand beside it, live on and report.

        Returns:
            See `kill`.

        Raises:
            OSError: see `kill`.
        """
        return self.kill()

    def holds(self, what: str) -> bool:
        """Whether the group itself limits "memory", "processes" or "cpu"."""
        return self.guards().get(what, "").startswith("cgroup")

    def doorways(self, leaf: Leaf) -> tuple[int, ...]:
        """Opens the leaf for a process that will be forked: it enters by `cgroupfiles.enter` before it does anything.

        Returns:
            Descriptors of this process; give them back with `close_doorways` after the fork.

        Raises:
            OSError: a folder of the leaf may not be entered.
        """
        opened: list[int] = []
        for folder in self._leaves.get(leaf, ()):
            opened.append(cgroupfiles.doorway(folder))
            self._doorways.append(opened[-1])
        return tuple(opened)

    def close_doorways(self) -> None:
        """Closes what `doorways` opened; the child has its own copies."""
        while self._doorways:
            os.close(self._doorways.pop())

    def enter(self, pid: int, leaf: Leaf = "script") -> None:
        """Moves a process that waits; memory that it was charged for before stays where it was charged.

        Raises:
            OSError: the kernel refused, or there is no such process.
        """
        for folder in self._leaves.get(leaf, ()):
            cgroupfiles.write(folder, "cgroup.procs", pid)

    def is_empty(self) -> bool:
        """Whether no process stands in any folder of the group.

        Raises:
            OSError: that cannot be read.
        """
        return not any(cgroupfiles.pids(path) for root in self._roots for path in cgroupfiles.below(root))

    def script_is_empty(self) -> bool:
        """Whether nobody stands in the script's leaf; our own processes may stand beside it.

        Raises:
            OSError: see `is_empty`.
        """
        return self.is_empty()

    def end(self, patience: float = 10.0) -> None:
        """Kills round after round until the group is empty, then removes it; blocks.

        Raises:
            TimeoutError: a process is still in it after `patience` seconds; it stands in the kernel (state D).
            OSError: see `kill` and `remove`.
        """
        deadline = time.monotonic() + patience
        while not self.is_empty():
            if time.monotonic() > deadline:
                raise TimeoutError(f"cgroup of box {self.name} still holds processes {patience:g} s after SIGKILL")
            self.kill()
            time.sleep(_ROUND)
        self.remove()

    def remove(self) -> None:
        """Removes the group in every hierarchy; one that is gone is no error.

        Raises:
            OSError: a folder could not be removed; the others are gone.
        """
        self.close_doorways()
        with contextlib.ExitStack() as all_of_them:
            for root in self._roots:
                all_of_them.callback(cgroupfiles.remove, root)


class NullGroup(Group):
    """The group of a box where there is none: nothing is limited, nothing counted, and nobody is ever in it."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name, {}, ())

    def guards(self) -> dict[str, str]:
        """Returns nothing: other guards must hold the limits."""
        return {}

    def sample(self) -> None:
        """Notes nothing."""

    def cpu(self) -> float | None:
        """Counts nothing."""
        return None

    def facts(self) -> CgroupFacts:
        """Returns that nothing was measured."""
        return CgroupFacts()

    def kill(self) -> int:
        """Kills nobody."""
        return 0


def number(folder: str, name: str) -> int | None:
    """Reads a file that holds one number; None when it is not there or holds a word such as "max"."""
    with contextlib.suppress(OSError, ValueError):
        return int(cgroupfiles.read(folder, name))
    return None


def counts(folder: str, name: str) -> dict[str, int]:
    """Reads a file of named numbers; empty when it is not there."""
    with contextlib.suppress(OSError):
        return cgroupfiles.table(folder, name)
    return {}
