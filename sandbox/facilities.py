"""What the kernel and the host's settings offer to boxes: each facility tried alone, with the command that mends it.

A box shows that its guards hold together; where one cannot be built at all, the trials here say which facility is
missing, and the settings of the host say why.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from sandbox.cgroups import Groups
from sandbox.enclosure import OLDEST_LANDLOCK
from sandbox.linux import keyring, landlock, landproof, namespaces, seccomp, trial

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Settings of the host that decide on namespaces of ordinary users (user_namespaces(7), AppArmor's and Debian's own).
SYSCTLS: Final = (
    "user.max_user_namespaces",
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
)
NEWER_KERNEL: Final = "use a kernel of the distribution that has it"
LANDLOCK_BOOT: Final = 'put "landlock" first into the kernel\'s boot parameter lsm= (see /sys/kernel/security/lsm)'
DELEGATE: Final = 'start it from a systemd unit with "Delegate=yes" (systemd-run --user --scope -p Delegate=yes ...)'


@dataclass(frozen=True, slots=True, kw_only=True)
class Facilities:
    """What can be had, each "" or why not."""

    namespaces: str = ""
    landlock: str = ""
    seccomp: str = ""
    keyring: str = ""
    #: What control groups hold, to how; and why there are none.
    groups: Mapping[str, str] = field(default_factory=dict)
    no_groups: str = ""
    #: Settings of the host: those of `SYSCTLS` that it has.
    sysctls: Mapping[str, int] = field(default_factory=dict)


def ask(spool: str, cgroup: Literal["auto", "off"] = "auto") -> Facilities:
    """Tries every facility in a forked child of its own; the caller has one thread.

    Args:
        spool: folder for the trials' files, on the file system that boxes use.
        cgroup: "off" leaves control groups out, as for a box.

    Raises:
        OSError: a trial itself could not be made.
    """
    groups, reason = _groups(cgroup)
    return Facilities(
        namespaces=namespaces.can_unshare(),
        landlock=_landlock(spool),
        seccomp=_seccomp(),
        keyring=trial.run(_own_keyring),
        groups=groups,
        no_groups=reason,
        sysctls=read_sysctls(),
    )


def read_sysctls(root: str = "/proc/sys") -> dict[str, int]:
    """Reads those of `SYSCTLS` that this host has."""
    found = {}
    for name in SYSCTLS:
        try:
            with open(os.path.join(root, name.replace(".", "/")), encoding="ascii") as file:
                found[name] = int(file.read())
        except (OSError, ValueError):
            continue
    return found


def namespaces_remedy(sysctls: Mapping[str, int]) -> str:
    """Returns the command that lets this user make namespaces (pure).

    Args:
        sysctls: see `Facilities.sysctls`.
    """
    if sysctls.get("user.max_user_namespaces") == 0:
        return "sysctl -w user.max_user_namespaces=15000 (and write it into /etc/sysctl.d/)"
    if sysctls.get("kernel.unprivileged_userns_clone") == 0:
        return "sysctl -w kernel.unprivileged_userns_clone=1 (and write it into /etc/sysctl.d/)"
    if sysctls.get("kernel.apparmor_restrict_unprivileged_userns") == 1:
        return "load the AppArmor profile of this package: apparmor_parser -r /etc/apparmor.d/autoreduce-supervisor"
    return "start it where namespaces are allowed: in no chroot, and in no container that denies unshare"


def landlock_remedy(why: str) -> str:
    """Returns what gives this host a Landlock (pure)."""
    return LANDLOCK_BOOT if "has no landlock" in why else NEWER_KERNEL


def _groups(cgroup: str) -> tuple[dict[str, str], str]:
    if cgroup == "off":
        return {}, "control groups are switched off"
    try:
        groups = Groups.find()
    except OSError as error:
        return {}, f"control groups cannot be used: {error}"
    return groups.guards(), groups.reason


def _landlock(spool: str) -> str:
    try:
        why = landproof.self_test(spool)
        usable = landlock.usable_abi() if not why else 0
    except OSError as error:
        return f"landlock could not be tried: {error}"
    if why or usable >= OLDEST_LANDLOCK:
        return why
    return f"landlock has ABI {usable} only, and good scripts need ABI {OLDEST_LANDLOCK} to move files"


def _seccomp() -> str:
    try:
        return seccomp.self_test()
    except (OSError, ValueError) as error:
        return f"the filter could not be tried: {error}"


def _own_keyring() -> str:
    before = keyring.session()
    if not keyring.join_new_session():
        return ""  # a kernel without keys
    return "" if keyring.session() != before else "the session keyring stayed the same"
