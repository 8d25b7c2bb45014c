"""Resource limits of setrlimit(2) and resource usage of getrusage(2)."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The names used in plans and records, with the kernel's numbers.
_NUMBERS: Final[Mapping[str, int]] = {
    "core": resource.RLIMIT_CORE,
    "cpu": resource.RLIMIT_CPU,
    "fsize": resource.RLIMIT_FSIZE,
    "nofile": resource.RLIMIT_NOFILE,
    "nproc": resource.RLIMIT_NPROC,
}

#: The limit of a core that keeps it from being written to a file, and from being given to a program of the host. For
#: such a program 0 is no limit at all (core(5)); 1 is refused (do_coredump() of Linux 2.6.35), and no file
#: is as small. Where the service was started with a hard limit of 0 that stays, and such programs keep no core then.
NO_CORE: Final = 1
#: Open files of one process of ours, at most: the kernel's own bound where nobody changed it (fs.nr_open, proc(5)).
MOST_FILES: Final = 1 << 20
#: Seconds of processor time between SIGXCPU and SIGKILL.
_CPU_GAP: Final = 5


def apply(limits: Mapping[str, int]) -> None:
    """Sets soft and hard limit of each name for this process; a lower hard limit that stands already stays.

    Args:
        limits: `core`, `cpu` (seconds), `fsize` (bytes), `nofile`, `nproc` (tasks of the user) to their value.

    Raises:
        OSError: the kernel refused; the text names the limit.
    """
    for name, wanted in limits.items():
        number = _NUMBERS[name]
        _, hard = resource.getrlimit(number)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        # At the soft limit of processor time the kernel sends SIGXCPU, which tells why; at the hard one SIGKILL.
        highest = value + _CPU_GAP if name == "cpu" and hard == resource.RLIM_INFINITY else value
        try:
            resource.setrlimit(number, (value, highest))
        except (OSError, ValueError) as error:
            raise OSError(
                getattr(error, "errno", 0) or 0, f"cannot set the limit {name} to {value}: {error}"
            ) from error


def raise_open_files() -> int:
    """Raises this process's soft limit of open files to its hard one, or to `MOST_FILES`.

    Descriptors that scripts of the same user send and never receive count against whoever sends one with a lower limit
    than theirs (unix(7), ETOOMANYREFS): our own must lie well above that of scripts.

    Returns:
        The soft limit that stands now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft


def tasks_of_user(uid: int) -> int:
    """Counts the tasks (threads) that run as `uid` on this host: RLIMIT_NPROC counts those, not a box's own.

    Args:
        uid: the effective user id.

    Returns:
        The count; processes that end meanwhile are left out.
    """
    total = 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if os.stat(f"/proc/{name}").st_uid == uid:
                total += os.stat(f"/proc/{name}/task").st_nlink - 2  # one folder for each thread, "." and ".."
        except OSError:
            continue
    return total


def counts_tasks_by_namespace(release: str) -> bool:
    """Whether a kernel counts the tasks of a user for each user namespace apart (Linux 5.14, user_namespaces(7)).

    Args:
        release: of the kernel, such as ``6.1.0-18-amd64``; one that cannot be read is taken for an older one.
    """
    numbers = release.split(".")[:2]
    try:
        major, minor = (int("".join(char for char in part if char.isdigit()) or "0") for part in numbers)
    except ValueError:
        return False
    return (major, minor) >= (5, 14)


def usage_record(usage: Any) -> dict[str, float | int]:
    """Turns a struct rusage into plain numbers.

    Args:
        usage: what `os.wait4` or `resource.getrusage` returned.

    Returns:
        `cpu` (user and system, seconds) and `peak` (largest resident size of one process, bytes).
    """
    return {"cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}  # ru_maxrss is in KiB


def usage_of_children() -> dict[str, float | int]:
    """Measures all descendants that were waited for, by this process or by those in between."""
    return usage_record(resource.getrusage(resource.RUSAGE_CHILDREN))


def usage_of_self() -> dict[str, float | int]:
    """Measures this process alone."""
    return usage_record(resource.getrusage(resource.RUSAGE_SELF))
