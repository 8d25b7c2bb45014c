"""Numbers of system calls that the C library has no function for, or that a filter has to name: data, one row a call.

Source: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux 6.18. A number never
changes once it is given (syscalls(2)); from 424 on it is the same everywhere.
"""

from __future__ import annotations

import os
from typing import Final

#: The processors that a filter can be written for, as uname(2) names them.
ARCHITECTURES: Final = ("x86_64", "aarch64")

#: Name: number on x86_64, on aarch64; None where the processor has no such call.
_NUMBERS: Final[dict[str, tuple[int | None, int | None]]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fcntl": (72, 25),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_setup": (206, 0),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "mmap": (9, 222),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "seccomp": (317, 277),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
}


def here() -> str:
    """Names the processor that this process runs on, as uname(2) does."""
    return os.uname().machine


def number(name: str, architecture: str) -> int | None:
    """Looks up one call.

    Args:
        name: the call's name in the kernel.
        architecture: one of `ARCHITECTURES`.

    Returns:
        Its number, or None where this processor has no such call.

    Raises:
        ValueError: a name or a processor that is not in the table.
    """
    if name not in _NUMBERS or architecture not in ARCHITECTURES:
        raise ValueError(f"system call '{name}' on processor '{architecture}' is not in the table of system calls")
    return _NUMBERS[name][ARCHITECTURES.index(architecture)]


def number_here(name: str) -> int:
    """Looks up one call for this processor.

    Raises:
        ValueError: the processor is not in the table, or has no such call.
    """
    found = number(name, here())
    if found is None:
        raise ValueError(f"processor '{here()}' has no system call '{name}'")
    return found
