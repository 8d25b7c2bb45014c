"""The init of a box and, inside it, the start of the script.

The init is the parent of the script and adopts every orphan below it, so as long as anything of the run lives, the init
has a child: `wait4` answering ECHILD is the proof that the tree is empty. It holds the report pipe and the read end of
the life pipe and nothing else. The life pipe carries one-byte words of the shepherd:

    G   go (read by the builder; see `sandbox.gate`)
    .   I am alive
    T   ask the script to end (SIGTERM)
    K   end the tree now

The end of the pipe means that the shepherd is gone, and so does silence for longer than `mute_after`. SIGTERM is the
death signal of the builder; from anyone else it is ignored.
"""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox import enclosure, gate, handoff, reports
from sandbox.linux import cgroupfiles, fork, namespaces, prctl, proctree, rlimits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.enclosure import Enclosure

#: Words on the life pipe.
ALIVE: Final = b"."
TERM: Final = b"T"
KILL: Final = b"K"

#: What a tree gets to end by itself after its main process, in seconds: helpers such as Python's resource tracker end
#: when they see their parent go, and remove what it left in /dev/shm.
SETTLE: Final = 0.25
#: The script yields to the processes that watch it: its niceness above theirs (setpriority(2)).
NICENESS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is needed to start the script, worked out before the fork."""

    #: Program and arguments; the first one is a path.
    argv: tuple[str, ...]
    #: The whole environment.
    env: Mapping[str, str]
    #: Working folder.
    cwd: str
    #: Limits of setrlimit(2) by the names of `rlimits.apply`.
    rlimits: Mapping[str, int]
    #: Processors that the script may use; empty means all.
    processors: tuple[int, ...] = ()
    #: Seconds of silence on the life pipe after which the tree is ended.
    mute_after: float = 60.0
    #: The handoff folder, as the box sees it.
    handoff: str = ""
    #: What closes the box; None leaves it open (level "none").
    enclosure: Enclosure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """The inner ends of a box's pipes; all close on exec, all numbered 3 or higher."""

    life: int
    report: int
    stdout: int
    stderr: int
    #: Doorways (`cgroupfiles.doorway`) of the leaf for builder and init, and of the leaf for the script.
    init_leaf: tuple[int, ...] = ()
    script_leaf: tuple[int, ...] = ()
    #: A socket by which the builder gives descriptors to the shepherd; -1 for none.
    handover: int = -1

    def all(self) -> tuple[int, ...]:
        """Every descriptor."""
        pipes = (self.life, self.report, self.stdout, self.stderr, *self.init_leaf, *self.script_leaf)
        return pipes if self.handover < 0 else (*pipes, self.handover)


def main(plan: Plan, wires: Wires, builder: int, entry: int = -1) -> int:
    """Lives the life of the init; runs in a forked child and returns its exit status.

    Args:
        plan: what will run.
        wires: the inner ends of the box's pipes.
        builder: pid of the parent, 0 when that is in another pid namespace and so has none here.
        entry: the gate at which the builder says when the tree stands, and when to go; -1 for an open box, which goes
            at once.
    """
    stage = "init"
    try:
        # The builder's signals are ignored, and so are ours; what was noted for its shepherd's loop is not ours.
        signal.set_wakeup_fd(-1)
        # The init of a pid namespace takes everything in it along, and could not tell its parent from a later one.
        prctl.die_with_parent(signal.SIGTERM if builder else signal.SIGKILL, builder)
        prctl.adopt_orphans()
        fork.close_descriptors({0, 1, 2, entry, *wires.all()})
        if plan.enclosure:
            stage = "enclosure"
            enclosure.narrow(plan.enclosure)
            stage = "init"
        wake = _wake_on(signal.SIGCHLD, signal.SIGTERM)
        stage = "fork"
        # The script's process exists while the tree is made, and waits at a gate of its own.
        door, opener = os.pipe2(os.O_CLOEXEC)
        heard, ready = os.pipe2(os.O_CLOEXEC)
        init = os.getpid()
        script = fork.fork_into(lambda: _inside(plan, wires, init, (keep_only(door, opener), keep_only(ready, heard))))
        os.close(door)
        os.close(ready)
        for fd in (wires.stdout, wires.stderr, *wires.script_leaf):
            os.close(fd)
        stage = "init"
        told = plan
        if plan.enclosure:
            stage = "enclosure"
            if not gate.stands(entry):
                return _give_up(script, opener)
            enclosure.show_processes(plan.enclosure)
            gate.say(opener, gate.STANDS)
            new = gate.wait(entry, plan)
            if new is None:
                return _give_up(script, opener)  # as when the builder ended before the death signal was armed
            told = new
            os.close(entry)
            os.read(heard, 1)  # what the script's process looks for in the tree, it looks for before that is the root
            enclosure.enter(plan.enclosure)
            stage = "init"
        else:
            gate.say(opener, gate.STANDS)
        io = _open_io()
        if plan.enclosure is None or "hidden_init" in plan.enclosure.guards:
            prctl.hide()  # from here on /proc/self belongs to root
        else:
            namespaces.keep_dumpable()
        fork.unblock_signals()
        os.close(heard)
        # Not before the init is out of the script's reach.
        gate.pass_on(opener, told, plan)
    except (OSError, prctl.ParentGoneError) as error:
        fail(wires.report, stage, error)
        return 1
    return _Init(plan, wires, builder, script, wake, io).live()


def _give_up(script: int, opener: int) -> int:
    os.close(opener)  # and the script's process, which waits there, ends
    os.waitpid(script, 0)
    return 0


def fail(report: int, stage: str, error: BaseException) -> None:
    """Reports the step of the building that failed."""
    reports.write(report, reports.failure(stage, error))


def end_all(reap: Callable[[], bool], pause: Callable[[float], None], settle: float) -> set[proctree.Identity]:
    """Ends every process below the caller, which adopts orphans, and returns when it has no child any more.

    Args:
        reap: waits for what has ended, without blocking; False when there is no child left.
        pause: waits for a child's end, at most the given seconds.
        settle: seconds in which the processes may end by themselves.

    Returns:
        The processes that were killed.
    """
    killed: set[proctree.Identity] = set()
    until = time.monotonic() + settle
    while reap() and (left := until - time.monotonic()) > 0:
        pause(left)
    moment = 0.005
    find = proctree.below(os.getpid())
    while reap():
        killed |= proctree.stop_then_kill(find)
        pause(moment)
        moment = min(moment * 1.5, 0.5)  # what is in state D ends when the kernel lets it
    return killed


class _Init:
    """The init after the script's process exists."""

    def __init__(self, plan: Plan, wires: Wires, builder: int, script: int, wake: int, io: int) -> None:
        self._plan = plan
        self._wires = wires
        self._builder = builder
        self._script = script
        self._wake = wake
        self._io = io
        self._io_before = _io_counts(io)
        self._born = time.monotonic()
        self._ended = False
        self._asked = False
        self._told = False
        self._turn_of_asking = False
        self._peak: float = 0

    def live(self) -> int:
        """Waits for the script's end, for a word of the shepherd, or for the shepherd's end; then ends the tree."""
        script, init = proctree.identity(self._script), proctree.identity(os.getpid())
        # The peak of a child begins with what it had from us between fork and exec, which says nothing of the program.
        floor = rlimits.usage_of_self()["peak"]
        reports.write(self._wires.report, {"script": script, "init": init, "at": self._born, "floor": floor})
        commanded = self._watch()
        killed = end_all(self._reap, self._pause, 0.0 if commanded else SETTLE)
        killed = {who for who in killed if who.pid != self._script}
        usage = rlimits.usage_of_children()
        reports.write(
            self._wires.report,
            {
                "empty": True,
                # What lives on after a signal of ours was not left behind by the script.
                "leftovers": 0 if commanded or self._told else len(killed),
                "killed": len(killed),
                "cpu": usage["cpu"],
                "peak": self._peak,
                "io": [now - then for now, then in zip(_io_counts(self._io), self._io_before, strict=True)],
            },
        )
        return 0

    def _watch(self) -> bool:
        """Returns when the tree is to be ended: True when that was commanded, False when the script just ended."""
        poll = select.poll()
        poll.register(self._wires.life, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        heard = time.monotonic()
        while True:
            left = heard + self._plan.mute_after - time.monotonic()
            ready = {fd for fd, _ in poll.poll(max(0.0, left) * 1000)}
            if self._wake in ready:
                os.read(self._wake, 4096)
            self._turn_of_asking = False
            self._reap()
            if self._wires.life in ready:
                words = os.read(self._wires.life, 4096)
                heard = time.monotonic()
                if TERM in words and not self._ended:
                    self._ask()
                if not words or KILL in words:
                    return self._commanded()
            if self._ended:
                return False
            if os.getppid() != self._builder:
                return self._commanded()
            if time.monotonic() - heard >= self._plan.mute_after:
                return self._commanded(mute=True)

    def _ask(self) -> None:
        # A stopped script sees the signal only when it goes on.
        os.kill(self._script, signal.SIGTERM)
        os.kill(self._script, signal.SIGCONT)
        self._told = self._asked = self._turn_of_asking = True
        reports.write(self._wires.report, {"signalled": signal.SIGTERM.value})
        self._reap()

    def _commanded(self, *, mute: bool = False) -> bool:
        if self._ended:
            return False
        self._told = True
        # A shepherd that comes round, as after a freeze of the whole host, must know that it was its own silence.
        reports.write(self._wires.report, {"signalled": signal.SIGKILL.value, "mute": mute})
        return True

    def _reap(self) -> bool:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            record = rlimits.usage_record(usage)
            self._peak = max(self._peak, record["peak"])
            if pid == self._script and not self._ended:
                self._ended = True
                # A normal exit found in the very turn of the asking happened before the signal could be seen.
                landed = self._told and (os.WIFSIGNALED(status) or (self._asked and not self._turn_of_asking))
                wall = time.monotonic() - self._born
                reports.write(
                    self._wires.report,
                    {
                        "status": status,
                        "wall": wall,
                        "cpu": record["cpu"],
                        "peak": self._peak,
                        "landed": landed,
                        "claim": handoff.mark(self._plan.handoff),
                    },
                )

    def _pause(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if poll.poll(seconds * 1000):
            os.read(self._wake, 4096)


def keep_only(kept: int, other: int) -> int:
    """Closes one end of a pipe in the process that keeps the other."""
    os.close(other)
    return kept


def _inside(plan: Plan, wires: Wires, init: int, gates: tuple[int, int]) -> int:
    """Becomes the script: a list of steps, each of which must succeed; runs in a forked child.

    What needs nothing of the tree is done while that is made, and the last doors are closed when it stands: the box may
    not be let go yet then. The gate opens when the init has entered the tree and given up what it could do.
    """
    door, ready = gates
    stage = "start"
    try:
        stage = "death signal"
        prctl.die_with_parent(signal.SIGKILL, init)
        stage = "cgroup"
        cgroupfiles.enter(wires.script_leaf)  # before anything is allocated: what was charged elsewhere stays there
        stage = "session"
        os.setsid()
        stage = "niceness"
        os.nice(NICENESS)
        os.umask(0o027)
        stage = "descriptors"
        _plug_script(wires)
        stage = "limits"
        if plan.processors:
            os.sched_setaffinity(0, plan.processors)
        rlimits.apply(plan.rlimits)
        stage = "privileges"
        if plan.enclosure:
            enclosure.renounce(plan.enclosure)
        else:
            prctl.forgo_new_privileges()
        stage = "signals"
        fork.default_signals()
        stage = "gate"
        if not gate.stands(door):
            return 127  # the init could not go on, and has told why
        stage = "privileges"
        early = plan.enclosure and plan.enclosure.stands_early
        if plan.enclosure and early:
            enclosure.seal(plan.enclosure)
        os.close(ready)
        stage = "gate"
        new = gate.wait(door, plan)
        if new is None:
            return 127
        stage = "privileges"
        if plan.enclosure and not early:
            enclosure.seal(plan.enclosure)
        plan = new
        stage = "folder"
        os.chdir(plan.cwd)
        fork.unblock_signals()
        stage = "exec"
        os.execve(plan.argv[0], plan.argv, plan.env)  # noqa: S606 - no shell is wanted
    except (OSError, ValueError, prctl.ParentGoneError) as error:
        told = reports.failure(stage, error)
        if stage == "exec" and told["errno"]:
            told["detail"] = f"'{plan.argv[0]}'"
        reports.write(wires.report, told)
    return 127


def _plug_script(wires: Wires) -> None:
    os.dup2(wires.stdout, 1)
    os.dup2(wires.stderr, 2)
    os.set_inheritable(0, True)
    # Everything else of the init closes on exec; what was inheritable was closed when builder and init were born.


def plug_null() -> None:
    """Puts /dev/null in the place of stdin, stdout and stderr, so that no pipe of the caller is held open."""
    fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in range(3):
        os.dup2(fd, number)
    if fd > 2:
        os.close(fd)


def _wake_on(*signals: signal.Signals) -> int:
    """Makes a descriptor that becomes readable when one of the signals comes."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for number in signals:
        signal.signal(number, _noted)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def _noted(_number: int, _frame: Any) -> None:
    """Lets Python write the signal to the wake-up descriptor, which is all that is wanted."""


def _open_io() -> int:
    """Opens the counters that reaped children are added to; -1 on a kernel without them."""
    try:
        return os.open("/proc/self/io", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _io_counts(fd: int) -> tuple[int, ...]:
    """Reads bytes through read and write calls: (read, written); empty where the kernel does not count."""
    if fd < 0:
        return ()
    try:
        lines = os.pread(fd, 4096, 0).decode("ascii").splitlines()
    except OSError:
        return ()
    counts = dict(line.split(": ", 1) for line in lines)
    return int(counts.get("rchar", 0)), int(counts.get("wchar", 0))
