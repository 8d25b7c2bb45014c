"""What `doctor` does to the store: reads it, writes and locks a file of its own in it, and takes that away again.

Everything here may hang with the file system; it is meant to run in a process of its own (`supervisor.checkrun`).
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING, Final

from sandbox.limits import GiB, MiB, format_duration, format_size
from sandbox.linux import trial
from supervisor import durable, journal, lockproof, mounted, mountrules, probereport, records, storeformat, storeground
from supervisor.checkup import Finding, Status, caution, failed, passed
from supervisor.flock import acquire
from supervisor.layout import Layout
from supervisor.rblock import LostLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisor.mountrules import LockTimes
    from supervisor.storeground import Ground

_AREA: Final = "store"
#: Free space below which a store is in danger, and below which it cannot be worked with.
_LITTLE: Final = 2 * GiB
_TOO_LITTLE: Final = 64 * MiB
#: Free inodes, ditto; a job takes some twenty.
_FEW: Final = 100_000
_TOO_FEW: Final = 1000
#: Seconds that a durable record may take before an intake of many messages is felt to be slow.
_SLOW: Final = 1.0


def findings(path: str, *, unproven: bool, several: bool, host: str, times: LockTimes) -> list[Finding]:
    """Look at the store, its file system, its lock and its time.

    Args:
        path: `store.path`.
        unproven: `store.unproven`.
        several: whether other hosts have been seen in it, whose locks must hold against ours.
        host: the id of this host, for the probes that name it.
        times: `lock.*`.
    """
    layout = Layout(os.path.abspath(path))
    absent = _absence(layout)
    if absent:
        return [absent]
    found = [*_folder(layout.root), _writing(layout), *room(_AREA, layout.root)]
    ground = storeground.read(layout.root)
    if ground is not None:
        found += mount_findings(ground, times, unproven=unproven, several=several)
    found.append(_lock(layout))
    if ground is not None:
        proof = lockproof.weigh(ground, host, probereport.newest_first(layout), times, time.time())
        found += proof.finding(unproven=unproven)
    return found


def _absence(layout: Layout) -> Finding | None:
    try:
        journal.open_store(layout, create=False)
    except storeformat.UnknownStore as unknown:
        if os.path.isdir(layout.root) and os.listdir(layout.root):
            return failed(_AREA, layout.root, str(unknown), "write another store.path, or empty the folder")
        return _to_be_made(layout.root)
    except OSError as error:
        return failed(_AREA, layout.root, f"cannot be read: {_reason(error)}", _as_owner(layout.root))
    except records.CorruptRecord as error:
        return failed(_AREA, layout.root, str(error), "restore its FORMAT from a backup")
    return None


def _to_be_made(path: str) -> Finding:
    above = mounted.standing(path)
    if os.access(above, os.W_OK | os.X_OK):
        return caution(_AREA, path, "there is no store yet; `serve` makes it when it starts")
    return failed(
        _AREA,
        path,
        f"there is no store, and uid {os.geteuid()} may not make it in {above}",
        f"install -d -m 2770 -o '#{os.geteuid()}' {path}",
    )


def _folder(path: str) -> Iterator[Finding]:
    facts = os.stat(path)
    if not os.access(path, os.W_OK | os.X_OK):
        yield failed(_AREA, path, f"uid {os.geteuid()} may not write it", _as_owner(path))
        return
    mode = stat.S_IMODE(facts.st_mode)
    said = f"mode {mode:04o}, uid {facts.st_uid}, gid {facts.st_gid}"
    if mode & 0o007:
        yield caution(_AREA, path, f"everybody on this host may look into it ({said})", f"chmod o= {path}")
    elif mode & 0o070 and not mode & stat.S_ISGID:
        yield caution(_AREA, path, f"files of its group's members would get other groups ({said})", f"chmod g+s {path}")
    else:
        yield passed(_AREA, path, f"is there; {said}")


def _as_owner(path: str) -> str:
    with contextlib.suppress(OSError):
        return f"say it as the service user: sudo -u '#{os.stat(path).st_uid}' autoreduce-supervisor doctor"
    return "mount it, or correct store.path"


def _writing(layout: Layout) -> Finding:
    path = _own_path(layout, "record")
    begun = time.monotonic()
    try:
        won = durable.link_new(path, b"doctor\n", "doctor")
        lasted = time.monotonic() - begun
        same = durable.read(path) == b"doctor\n"
    except OSError as error:
        return failed(_AREA, "write", f"a record cannot be made durable: {_reason(error)}", "mend the file system")
    finally:
        with contextlib.suppress(OSError):
            durable.remove(path, "doctor")
    if not (won and same):
        return failed(_AREA, "write", "a record was linked and does not read as it was written", "use another store")
    text = f"a record is written, fsynced and linked in {format_duration(lasted)}"
    return caution(_AREA, "write", f"{text}, which is slow") if lasted > _SLOW else passed(_AREA, "write", text)


def room(area: str, path: str, needed: int = 0) -> Iterator[Finding]:
    """Yield how much room there is where a path lies.

    Args:
        area: of the finding.
        path: an existing folder.
        needed: bytes without which runs would meet the end of it.
    """
    facts = os.statvfs(path)
    free = facts.f_bavail * facts.f_frsize
    text = f"{format_size(free, measured=True)} free"
    if free < _TOO_LITTLE:
        yield failed(area, "room", text, f"make room below {path}")
    elif free < max(_LITTLE, needed):
        what = f", and runs may take {format_size(needed)} together" if needed else ""
        yield caution(area, "room", f"{text}{what}", f"make room below {path}")
    else:
        yield passed(area, "room", text)
    if facts.f_files and facts.f_favail < _FEW:  # a file system that makes inodes as it goes tells none
        make = failed if facts.f_favail < _TOO_FEW else caution
        yield make(area, "inodes", f"{facts.f_favail} files can still be made", f"remove files below {path}")


def mount_findings(ground: Ground, times: LockTimes, *, unproven: bool, several: bool) -> list[Finding]:
    """Say what the mount of a store promises (pure).

    Args:
        ground: what the store lies on.
        times: `lock.*`.
        unproven: `store.unproven`, with which a mount that is refused is a caution.
        several: whether other hosts have been seen in the store.
    """
    name = f"{ground.kind} at {ground.point}"
    if ground.is_local and several:
        return [
            failed(
                _AREA,
                name,
                "other hosts have been seen in this store, and it lies on a file system of one host",
                "put store.path on a shared file system",
            )
        ]
    found = mountrules.findings(ground, times)
    if not found:
        return [passed(_AREA, name, f"good for {'one host' if ground.is_local else 'a fleet'}")]
    return [
        caution(each.area, each.name, f"{each.text}; store.unproven allows it", each.remedy)
        if unproven and each.status is Status.FAIL
        else each
        for each in found
    ]


def _lock(layout: Layout) -> Finding:
    """Take a lock, and try whether another descriptor and another process are kept out while it is held."""
    path = _own_path(layout, "lock")
    remedy = "mount the store with working locks; see docs/how-to/doctor.md"
    try:
        held = acquire(path)
        if held is None:
            return failed("lock", "flock", "a lock that nobody holds was refused", remedy)
        try:
            again = acquire(path)
            if again is not None:
                again.close()
                return failed("lock", "flock", "two descriptors of one process hold the same lock", remedy)
            if trial.run(lambda: _try_lock(path)) != "kept out":
                return failed("lock", "flock", "another process got a lock that is held", remedy)
            held.beat(1)
        finally:
            held.close()
        said = trial.run(lambda: _try_lock(path))
        if said != "taken":
            return failed("lock", "flock", f"a lock that was given back is not free: {said}", remedy)
    except (OSError, LostLock) as error:
        return failed("lock", "flock", f"cannot be taken: {error}", remedy)
    finally:
        with contextlib.suppress(OSError):
            durable.remove(path, "doctor")
    return passed("lock", "flock", "keeps out another descriptor and another process, and is free when given back")


def _try_lock(path: str) -> str:
    lock = acquire(path)
    if lock is None:
        return "kept out"
    lock.close()
    return "taken"


def file_time(path: str) -> float:
    """Return how far the clock of a file system is ahead of this host's, in seconds.

    Raises:
        OSError: no file can be made there.
    """
    probe = _own_path(Layout(path), "time")
    fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        before = time.time()
        os.write(fd, b"x")
        os.fsync(fd)
        after = time.time()
        made = os.fstat(fd).st_mtime
    finally:
        os.close(fd)
        os.unlink(probe)
    return made - before if made < before else max(0.0, made - after)


def _own_path(layout: Layout, name: str) -> str:
    """Return the path of a file of ours, which listings of the store pass over."""
    return layout.path(f"{durable.TEMPORARY}doctor.{os.uname().nodename[:40]}.{os.getpid()}.{name}")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
