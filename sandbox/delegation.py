"""Handing a subtree of control groups over to the user that everything runs as, while this process is still root.

cgroups(7), "Cgroups delegation": the delegatee gets the folder of the group and the files by which processes and
controllers are moved below it, and nothing else; the limits of the folder itself stay with root. On version 2 the
group is the one that was delegated to this process. Version 1 has no delegation that a service manager would make for a
user (systemd.resource-control(5), `Delegate=`), so root makes a folder with a fixed name at the top of each hierarchy:
whoever serves next finds what its predecessor has left. The name is the user's own: a service of another user on the
same host, or its `doctor`, would take the folder away, and from then on no box of the first could be built.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from sandbox import cgroup_v1, cgroup_v2
from sandbox.linux import cgroupfiles, cgroupfs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.linux.cgroupfs import Hierarchy

#: The folder of version 1, at the top of what is mounted, is called so and by its owner's number.
_NAME: Final = "autoreduce-supervisor"
#: Files of a group that its new owner needs where the kernel does not list them (`_LISTED`, Linux 4.15).
_V2_FILES: Final = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")
_V1_FILES: Final = ("cgroup.procs", "tasks")
_LISTED: Final = "/sys/kernel/cgroup/delegate"


def fixed_name(uid: int) -> str:
    """Returns what the folders of a user are called on version 1."""
    return f"{_NAME}-{uid}"


def fixed_folders(mounted: Sequence[Hierarchy], name: str) -> dict[str, str]:
    """Returns the folders of version 1 with a fixed name, by controller, whether they stand or not.

    Args:
        mounted: the hierarchies of this host.
        name: what they are called.
    """
    found: dict[str, str] = {}
    for hierarchy in mounted:
        for controller in hierarchy.controllers.intersection(cgroup_v1.WANTED):
            if hierarchy.writable:
                found[controller] = os.path.join(hierarchy.point, name)
    return found


def handed_over(mounted: Sequence[Hierarchy], uid: int, name: str = "") -> dict[str, str]:
    """Returns which of the fixed folders of version 1 stand and belong to a user, by controller; "" is his own name."""
    found: dict[str, str] = {}
    for controller, folder in fixed_folders(mounted, name or fixed_name(uid)).items():
        with contextlib.suppress(OSError):
            if os.stat(folder, follow_symlinks=False).st_uid == uid:
                found[controller] = folder
    return found


def hand_over(uid: int, gid: int, name: str = "") -> tuple[dict[str, str], str]:
    """Makes the subtree of this host's boxes and gives it to a user; the caller is root and has one thread.

    On version 2 this process is moved to the leaf `supervisor` of its own group.

    Args:
        uid: the user id of the new owner.
        gid: ditto for the group.
        name: what the folders of version 1 are called; "" for the name of that user.

    Returns:
        The folders by controller ("" for version 2), and why there are none ("" where there are).

    Raises:
        OSError: the kernel refused a step.
    """
    mounted = cgroupfs.hierarchies()
    unified = cgroupfs.own_folders(mounted, cgroupfs.positions()).get(cgroupfs.UNIFIED)
    reason = "no control group file system is mounted"
    if unified is not None:
        try:
            subtree = cgroup_v2.Subtree.take(unified)
        except (cgroup_v2.NotDelegatedError, FileNotFoundError) as error:
            reason = str(error)
        else:
            _give(subtree.folder, _listed(), uid, gid)
            return subtree.folders(), ""
    single = fixed_folders(mounted, name or fixed_name(uid))
    for folder in dict.fromkeys(single.values()):  # controllers that are mounted together share a folder
        with contextlib.suppress(FileExistsError):
            cgroupfiles.make(folder)
        _give(folder, _V1_FILES, uid, gid)
    return single, "" if single else reason


def _listed() -> Sequence[str]:
    try:
        with open(_LISTED, encoding="ascii") as file:
            return file.read().split()
    except FileNotFoundError:
        return _V2_FILES


def _give(folder: str, files: Sequence[str], uid: int, gid: int) -> None:
    os.chown(folder, uid, gid, follow_symlinks=False)
    for name in files:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            os.chown(path, uid, gid)
