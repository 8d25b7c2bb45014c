"""The system calls that a script is denied, as data; everything else is allowed.

A list of what is denied, not of what is allowed: the second breaks with each new C library. File locks, memory policy,
processor affinity, memfd, shared memory and threads are what numeric code lives on, so none of them is here.
`name_to_handle_at` is left alone too: a handle opens nothing without `open_by_handle_at`.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """What one argument must be for a rule to apply; one of `one_of`, `none_of` and `any_bit` is given.

    Only the low 32 bits of the argument count: the kernel reads no more of those that the table names.
    """

    #: Place of the argument, from 0.
    argument: int
    one_of: tuple[int, ...] = ()
    none_of: tuple[int, ...] = ()
    any_bit: int = 0

    def __post_init__(self) -> None:
        if bool(self.one_of) + bool(self.none_of) + bool(self.any_bit) != 1:
            raise ValueError("a condition is one of one_of, none_of and any_bit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Calls that get an error instead of being made. Of the rules of one call, the first that applies decides."""

    why: str
    calls: tuple[str, ...]
    #: The errno that the caller sees.
    answer: int = errno.EPERM
    #: All of these must hold; empty means always.
    when: tuple[When, ...] = ()


#: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of <linux/sched.h>.
_NAMESPACES: Final = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_UNIX, _INET, _INET6 = 1, 2, 10
_TIOCSTI: Final = 0x5412
_TIOCLINUX: Final = 0x541C
_F_SETLEASE: Final = 1024
#: MAP_HUGETLB, MFD_HUGETLB and SHM_HUGETLB of <linux/mman.h>, <linux/memfd.h> and <linux/shm.h>.
_MAP_HUGETLB, _MFD_HUGETLB, _SHM_HUGETLB = 0x40000, 0x4, 0o4000
#: PER_LINUX, PER_LINUX32, UNAME26 and both, and the question what it is; not ADDR_NO_RANDOMIZE, not READ_IMPLIES_EXEC.
_HARMLESS_PERSONALITIES: Final = (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

DENIED: Final = (
    Rule(
        why="the tree of files stays as it was built",
        calls=(
            *("mount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr", "move_mount"),
            *("fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"),
        ),
    ),
    Rule(why="no other namespaces, and no capabilities in them", calls=("unshare", "setns")),
    Rule(
        why="ditto, by the flags of clone",
        calls=("clone",),
        when=(When(argument=0, any_bit=_NAMESPACES),),
    ),
    Rule(
        why="its flags lie in memory, where a filter cannot look; the C library falls back to clone",
        calls=("clone3",),
        answer=errno.ENOSYS,
    ),
    Rule(
        why="a second door to sockets and files that passes by this filter; callers fall back",
        calls=("io_uring_setup", "io_uring_enter", "io_uring_register"),
        answer=errno.ENOSYS,
    ),
    Rule(
        # Every open of the file then waits for its holder, up to 45 s (fcntl(2), /proc/sys/fs/lease-break-time).
        why="holds up whoever on the host opens a file that the service owns",
        calls=("fcntl",),
        when=(When(argument=1, one_of=(_F_SETLEASE,)),),
    ),
    Rule(
        # aio-max-nr is for the whole host; the C library's own aio_read(3) works with threads (io_setup(2), proc(5)).
        why="takes from a number of requests that all programs of the host share; callers fall back",
        calls=("io_setup",),
        answer=errno.ENOSYS,
    ),
    Rule(
        # Its pages are in no resident size, are never swapped, and keep the host from hibernating (memfd_secret(2)).
        why="memory that nobody can measure; callers fall back",
        calls=("memfd_secret",),
        answer=errno.ENOSYS,
    ),
    *(
        Rule(
            # They are in no resident size and in no group's memory (hugetlbpage.rst); transparent ones need no flag.
            why="huge pages come from a pool that somebody on the host has set aside; callers fall back",
            calls=(call,),
            answer=errno.ENOMEM,
            when=(When(argument=argument, any_bit=flag),),
        )
        for call, argument, flag in (
            ("mmap", 3, _MAP_HUGETLB),
            ("memfd_create", 1, _MFD_HUGETLB),
            ("shmget", 2, _SHM_HUGETLB),
        )
    ),
    Rule(
        why="the kernel's own machinery, where most of its holes were",
        calls=("bpf", "perf_event_open", "userfaultfd", "modify_ldt", "lookup_dcookie", "uselib"),
    ),
    Rule(
        why="keys outlive the run and are shared by all processes of a user", calls=("keyctl", "add_key", "request_key")
    ),
    Rule(why="opens files without walking to them", calls=("open_by_handle_at",)),
    Rule(why="sees what others do with files", calls=("fanotify_init",)),
    Rule(
        why="no other process is read, written, steered or robbed of its descriptors",
        calls=(
            *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),
            *("move_pages", "migrate_pages"),
        ),
    ),
    Rule(
        why="the host's own affairs",
        calls=(
            *("kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "init_module", "finit_module"),
            *("delete_module", "iopl", "ioperm", "quotactl", "quotactl_fd", "syslog", "acct"),
        ),
    ),
    Rule(why="the host's clock", calls=("settimeofday", "clock_settime", "adjtimex", "clock_adjtime")),
    Rule(
        why="no other system's conventions, no predictable addresses",
        calls=("personality",),
        when=(When(argument=0, none_of=_HARMLESS_PERSONALITIES),),
    ),
    Rule(
        why="typing into a terminal in another's name",
        calls=("ioctl",),
        when=(When(argument=1, one_of=(_TIOCSTI, _TIOCLINUX)),),
    ),
    Rule(
        # What a netlink socket buffers is counted in no control group; the C library does without (getaddrinfo(3)).
        why="only the families that programs use: no netlink, vsock, packet, alg, bluetooth ...",
        calls=("socket", "socketpair"),
        when=(When(argument=0, none_of=(_UNIX, _INET, _INET6)),),
    ),
)
