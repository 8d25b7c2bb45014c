"""Process identities and trees as /proc tells them, and the end of a whole tree: stop it first, then kill it.

A pid alone names nobody: it is used again. A process is named by its pid and its start time (proc(5), field 22 of
/proc/<pid>/stat), on one boot of the host. A tree is what the parent links of /proc say; a process that outlives its
parent goes to the nearest ancestor that adopts orphans (`prctl.adopt_orphans`), so nothing leaves the tree.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

#: Name of the variable by which a later supervisor finds what a box left behind.
BOX_VARIABLE: Final = "AUTOREDUCE_BOX"
#: How often newly found processes are stopped before what is stopped is killed. A bomb that still outruns us then is
#: thinned out by the kill and met again in the next round.
_STOP_PASSES: Final = 8
#: Every pid is classified anew after this many seconds, so that a foreign pid that was used again is found.
_FORGET_AFTER: Final = 2.0
#: States of proc(5) in which a thread does nothing any more.
_DEAD: Final = "ZXx"
#: No environment is longer: it shares ARG_MAX (a quarter of an 8 MiB stack, execve(2)) with the arguments.
_ENVIRON_BYTES: Final = 2 << 20


class Identity(NamedTuple):
    """What names a process on one boot of one host."""

    pid: int
    #: Start time in clock ticks since boot.
    start: int


class Process(NamedTuple):
    """One line of /proc/<pid>/stat, as far as a tree needs it."""

    pid: int
    start: int
    ppid: int
    pgrp: int
    session: int
    #: One letter of proc(5): R, S, D, Z, T, t, X ...
    state: str
    threads: int

    @property
    def identity(self) -> Identity:
        """The name that stays with this process."""
        return Identity(self.pid, self.start)

    @property
    def living(self) -> bool:
        """Whether it can still act; a zombie cannot, unless only its first thread has ended (pthread_exit(3))."""
        return self.state not in _DEAD or self.is_headless

    @property
    def is_headless(self) -> bool:
        """Whether its first thread has ended and others go on: its own files in /proc show no memory any more."""
        return self.state in _DEAD and self.threads > 1


def threads(pid: int) -> list[int]:
    """Lists the threads of a process, none when it is gone (proc_pid_task(5))."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def shown_at(process: Process) -> str:
    """Names the folder of /proc that shows the memory of a living process: of another thread for a headless one."""
    others = [each for each in threads(process.pid) if each != process.pid] if process.is_headless else []
    return f"/proc/{(others or [process.pid])[0]}"  # every thread has one, though none but the first is listed


def boot_id() -> str:
    """Reads the id of this boot; a pid of another boot names nobody."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def look(pid: int) -> Process | None:
    """Reads one process.

    Args:
        pid: the process id.

    Returns:
        What /proc says of it, or None when there is no such process.
    """
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(fd, 1024)
    except OSError:
        return None
    finally:
        os.close(fd)
    # The name in brackets is the process's own choice and may hold blanks and brackets: cut after the last one.
    fields = text[text.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    return Process(
        pid=pid,
        start=int(fields[19]),
        ppid=int(fields[1]),
        pgrp=int(fields[2]),
        session=int(fields[3]),
        state=fields[0].decode("ascii", "replace"),
        threads=int(fields[17]),
    )


def identity(pid: int) -> Identity | None:
    """Names the process that has this pid now, or None."""
    found = look(pid)
    return found.identity if found else None


def inside(init: int, pid: int) -> Identity | None:
    """Names the child of an init that has this pid in the init's own pid namespace.

    Args:
        init: pid of the first process of the namespace, as the host knows it.
        pid: what the child is called inside (proc_pid_status(5), NSpid, Linux 4.1).

    Returns:
        Its name on the host, or None when it is gone.
    """
    for process in _children(init):
        try:
            with open(f"/proc/{process.pid}/status", encoding="utf-8", errors="replace") as file:
                numbers = next((line.split()[1:] for line in file if line.startswith("NSpid:")), [])
        except OSError:
            continue
        if numbers and int(numbers[-1]) == pid:
            return process.identity
    return None


def _children(parent: int) -> Iterator[Process]:
    """Yields the children of a process that has one thread; some of them twice.

    The kernel lists them (proc_tid_children(5), Linux 3.5, an option when it is built), and may leave one out while
    others end; so the whole host is read after a list that was not empty, and where there is no list.
    """
    try:
        with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
            listed = file.read().split()
    except OSError:
        listed = None
    yield from (child for pid in listed or () if (child := look(int(pid))) and child.ppid == parent)
    if listed != []:
        yield from (process for process in scan().values() if process.ppid == parent)


def alive(who: Identity) -> bool:
    """Whether exactly this process still lives; a zombie does not."""
    found = look(who.pid)
    return found is not None and found.start == who.start and found.living


def scan() -> dict[int, Process]:
    """Reads every process of the host."""
    return {found.pid: found for pid in _pids() if (found := look(pid))}


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def descendants(root: int, table: Mapping[int, Process]) -> list[Process]:
    """Lists the processes below `root`, parents before children, without `root` itself.

    Args:
        root: pid of the ancestor.
        table: what `scan` returned.
    """
    children: dict[int, list[Process]] = {}
    for process in table.values():
        children.setdefault(process.ppid, []).append(process)
    below: list[Process] = []
    todo = children.pop(root, [])
    while todo:
        process = todo.pop()
        below.append(process)
        todo.extend(children.pop(process.pid, ()))
    return below


class TreeWindow:
    """Looks at one tree again and again, and reads only what can belong to it.

    A process outside the tree can never come into it, so its pid is remembered and not read again for a while: on a
    host with thousands of processes a look costs one listing of /proc.
    """

    def __init__(self, root: int) -> None:
        self.root = root
        self._foreign: set[int] = set()
        self._forget_at = 0.0

    def look(self, now: float) -> list[Process]:
        """Lists the living and dead-but-unreaped processes below the root.

        Args:
            now: monotonic seconds.
        """
        if now >= self._forget_at:
            self._foreign.clear()
            self._forget_at = now + _FORGET_AFTER
        pids = set(_pids())
        table = {found.pid: found for pid in pids - self._foreign if (found := look(pid))}
        below = descendants(self.root, table)
        self._foreign = pids.difference(process.pid for process in below)
        return below


def send(process: Process, signum: int) -> bool:
    """Sends a signal to exactly this process, never to one that got its pid later.

    Args:
        process: the process as it was seen.
        signum: the signal.

    Returns:
        Whether it was sent; False when the process is gone or out of reach.
    """
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    except (OSError, AttributeError):
        # No pidfd before Linux 5.3, or no descriptor left: what remains is to look once more just before.
        return identity(process.pid) == process.identity and _kill(os.kill, process.pid, signum)
    try:
        if identity(process.pid) != process.identity:
            return False
        signal.pidfd_send_signal(fd, signum)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _kill(call: Callable[[int, int], None], pid: int, signum: int) -> bool:
    try:
        call(pid, signum)
    except OSError:
        return False
    return True


#: Answers the processes that are to end and everything else that runs, from a fresh look.
Finder = Callable[[], tuple[list[Process], Mapping[int, Process]]]


def below(root: int, spare: Collection[int] = ()) -> Finder:
    """Makes the finder of the living processes below `root`.

    Args:
        root: pid of the ancestor, itself not found.
        spare: pids that are left alone (what is below them is not).
    """

    def find() -> tuple[list[Process], Mapping[int, Process]]:
        table = scan()
        return [p for p in descendants(root, table) if p.living and p.pid not in spare], table

    return find


def stop_then_kill(find: Finder) -> set[Identity]:
    """Stops everything that `find` finds until it finds nothing new, then kills all of it; does not wait.

    Stopping first wins against a tree that forks faster than it can be killed one by one, and takes the processor
    from it. A process group of the tree is signalled as a whole, which no fork in it can escape (kill(2)).

    Args:
        find: called for each fresh look.

    Returns:
        The living processes that got the kill.
    """
    met: dict[Identity, Process] = {}
    groups: set[int] = set()
    for _ in range(_STOP_PASSES):
        wanted, table = find()
        fresh = [process for process in wanted if process.identity not in met]
        if not fresh:
            break
        foreign = _groups_of_others(wanted, table)
        for process in fresh:
            met[process.identity] = process
            # Stopped, it keeps its group's number from being used again, so the group can be signalled safely.
            if send(process, signal.SIGSTOP) and process.pgrp not in foreign:
                groups.add(process.pgrp)
                _kill(os.killpg, process.pgrp, signal.SIGSTOP)
    for group in groups:
        _kill(os.killpg, group, signal.SIGKILL)
    for process in met.values():
        send(process, signal.SIGKILL)
    return set(met)


def _groups_of_others(wanted: Iterable[Process], table: Mapping[int, Process]) -> set[int]:
    mine = {process.pid for process in wanted}
    return {process.pgrp for process in table.values() if process.pid not in mine and process.living} | {0, 1}


def carriers(token: str) -> list[Process]:
    """Lists the living processes that carry `AUTOREDUCE_BOX=<token>` in the environment they were started with.

    Only processes of the caller's own user can be read; a process that was started with a cleaned environment is found
    by `end_carriers` as a descendant of one that was not.

    Args:
        token: the box's token.
    """
    return [process for process in scan().values() if process.living and _carries(process, token)]


def _carries(process: Process, token: str) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        fd = os.open(f"{shown_at(process)}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    text = b""
    try:
        while len(text) < _ENVIRON_BYTES and (chunk := os.read(fd, 1 << 16)):
            text += chunk
    except OSError:
        return False
    finally:
        os.close(fd)
    return f"{BOX_VARIABLE}={token}".encode() in text.split(b"\0")


def end_carriers(token: str, patience: float = 30.0) -> int:
    """Ends every process that carries the token, and all below it, until none is found twice running.

    Args:
        token: the box's token.
        patience: seconds after which it gives up; a process in state D ends only when the kernel lets it.

    Returns:
        How many processes were killed.

    Raises:
        TimeoutError: some were still there after `patience`; the text names their pids.
    """

    def find() -> tuple[list[Process], Mapping[int, Process]]:
        table = scan()
        found = {p.pid: p for p in table.values() if p.living and _carries(p, token)}
        for process in list(found.values()):
            found.update((p.pid, p) for p in descendants(process.pid, table) if p.living and p.pid != os.getpid())
        return list(found.values()), table

    killed: set[Identity] = set()
    deadline = time.monotonic() + patience
    nothing = 0
    while nothing < 2:
        killed |= stop_then_kill(find)
        # What a dead carrier had below it is found no more, but may still be dying.
        left = {who.pid for who in killed if alive(who)} | {process.pid for process in find()[0]}
        nothing = 0 if left else nothing + 1
        if left and time.monotonic() > deadline:
            pids = ", ".join(map(str, sorted(left)[:10]))
            raise TimeoutError(f"processes {pids} of box {token} still live {patience:g} s after SIGKILL")
        if left:
            time.sleep(0.02)
    return len(killed)
