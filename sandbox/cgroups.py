"""Where the groups of boxes are made on this host: version 2, version 1, or nowhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, Self

from sandbox import cgroup_v1, cgroup_v2, delegation
from sandbox.cgroup import Group, NullGroup
from sandbox.linux import cgroupfs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.limits import Limits


class Subtree(Protocol):
    """A place below which groups can be made."""

    def guards(self) -> dict[str, str]:
        """Returns what its groups can hold."""

    def names(self) -> set[str]:
        """Finds the groups of boxes that stand there."""

    def folders(self) -> dict[str, str]:
        """Returns where it is, by controller."""

    def existing(self, name: str) -> Group:
        """Returns a group that stands."""

    def make(self, name: str, limits: Limits) -> Group:
        """Makes a group."""


class Groups:
    """Makes the groups of boxes; where this host gives us none, each is the null object."""

    def __init__(self, subtree: Subtree | None, reason: str = "") -> None:
        """Takes the place, and why there is none."""
        self._subtree = subtree
        #: Why no group can be made, "" where they can.
        self.reason = reason

    @classmethod
    def find(cls, base: str | None = None) -> Self:
        """Finds the place below which this process may make groups.

        On version 2 this process may be moved to the leaf `supervisor` of its own group; see `cgroup_v2.Subtree.take`.
        On version 1 what root has handed over to this user goes before the group in which the process stands.

        Args:
            base: the group to use, as /proc/<pid>/cgroup would name it ("/autoreduce"); None for the one in which this
                process stands, by controller.

        Raises:
            OSError: /proc cannot be read, or the kernel refused a step in a group that is ours.
        """
        mounted = cgroupfs.hierarchies()
        if not mounted:
            return cls(None, "no control group file system is mounted")
        standing = cgroupfs.positions()
        if base is not None:
            standing = dict.fromkeys(standing, base)
        folders = cgroupfs.own_folders(mounted, standing)
        reasons: list[str] = []
        unified = folders.get(cgroupfs.UNIFIED)
        if unified is not None:
            try:
                return cls(cgroup_v2.Subtree.take(unified))
            except cgroup_v2.NotDelegatedError as error:
                reasons.append(str(error))
            except FileNotFoundError:
                reasons.append(f"there is no group {unified}")
        single: dict[str, str] = {name: folders[name] for name in cgroup_v1.WANTED if name in folders}
        if base is None:
            single |= delegation.handed_over(mounted, os.geteuid())
        writable = {name: folder for name, folder in single.items() if os.access(folder, os.W_OK | os.X_OK)}
        if {"memory", "pids"} & writable.keys():
            return cls(cgroup_v1.Subtree(writable))
        if single:
            reasons.append(f"no group of version 1 may be written by user {os.geteuid()}: {', '.join(single.values())}")
        return cls(None, "; ".join(reasons) or "this process stands in no group that is mounted here")

    @classmethod
    def at(cls, folders: Mapping[str, str]) -> Self:
        """Finds a place again that `folders` named, from another process; groups can be found, ended and removed there.

        Args:
            folders: what `folders` returned; what is gone by now is left out.
        """
        there = {name: folder for name, folder in folders.items() if os.path.isdir(folder)}
        try:
            if cgroupfs.UNIFIED in there:
                return cls(cgroup_v2.Subtree.standing(there[cgroupfs.UNIFIED]))
        except FileNotFoundError:
            return cls(None, "its place is gone")
        return cls(cgroup_v1.Subtree(there)) if there else cls(None, "its place is gone")

    def folders(self) -> dict[str, str]:
        """Returns where groups are made, by controller ("" for version 2); empty where none are."""
        return self._subtree.folders() if self._subtree else {}

    @property
    def available(self) -> bool:
        """Whether groups can be made."""
        return self._subtree is not None

    def guards(self) -> dict[str, str]:
        """Returns what groups made here hold: "memory", "processes", "cpu" and "kill" to how; empty for nothing."""
        return self._subtree.guards() if self._subtree else {}

    def make(self, name: str, limits: Limits) -> Group:
        """Makes the group of a box, with its limits on the script's leaf.

        Args:
            name: the box's token.
            limits: `memory`, `processes` and `cpus` are held here.

        Raises:
            OSError: a folder or a limit could not be made; nothing is left.
        """
        return self._subtree.make(name, limits) if self._subtree else NullGroup(name)

    def existing(self, name: str) -> Group:
        """Returns the group of a box, whether it stands or not."""
        return self._subtree.existing(name) if self._subtree else NullGroup(name)

    def sweep(self, alive: Callable[[str], bool], patience: float = 10.0) -> tuple[str, ...]:
        """Ends and removes the groups that a crash has left.

        Args:
            alive: whether the box of this name still has a shepherd; such a group is left alone.
            patience: seconds for each group.

        Returns:
            The names of the groups that were removed, in order.

        Raises:
            TimeoutError, OSError: see `Group.end`; the first that could not be ended.
        """
        left = sorted(name for name in self._subtree.names() if not alive(name)) if self._subtree else []
        for name in left:
            self.discard(name, patience)
        return tuple(left)

    def discard(self, name: str, patience: float = 10.0) -> None:
        """Ends and removes the group of one box whose shepherd is gone; one that is gone is no error.

        Args:
            name: the box's token.
            patience: seconds for its processes to end.

        Raises:
            TimeoutError, OSError: see `Group.end`.
        """
        self.existing(name).end(patience)
