"""The builder: forked by the shepherd while that has one thread, it waits for the word to go, and forks the init.

It stands between shepherd and init for three reasons. It exists before anything of the script does, so a run has a name
(pid and start time) that can be recorded first. Its death signal follows the shepherd's
main thread, and the init's follows its only thread. And when the script kills the init, the orphans come here, and the
builder ends them.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import struct
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sandbox import enclosure, init, reports
from sandbox.linux import cgroupfiles, fork, prctl, proctree

if TYPE_CHECKING:
    from sandbox.init import Plan, Wires

#: Word on the life pipe, read by the builder: another program is to be run; its length and JSON follow.
AMEND: Final = b"P"
_LENGTH: Final = struct.Struct("<I")

#: Seconds between two looks when the builder itself ends what the init left.
_LOOK: Final = 0.01


def build(plan: Plan, wires: Wires) -> int:
    """Forks the builder; the caller has one thread, and closes its copies of the inner ends afterwards.

    Args:
        plan: what will run.
        wires: the inner ends of the box's pipes.

    Returns:
        The builder's pid.

    Raises:
        OSError: the kernel could not make the process.
    """
    shepherd = os.getpid()
    return fork.fork_into(lambda: _main(plan, wires, shepherd))


def _main(plan: Plan, wires: Wires, shepherd: int) -> int:
    stage = "builder"
    try:
        fork.ignore_signals()
        prctl.die_with_parent(signal.SIGKILL, shepherd)
        os.setsid()  # Ctrl-C and Ctrl-Z of a terminal are for the shepherd alone
        prctl.adopt_orphans()
        init.plug_null()
        fork.close_descriptors({0, 1, 2, *wires.all()})
        prctl.hide()
        stage = "cgroup"
        cgroupfiles.enter(wires.init_leaf)
        wires = replace(wires, init_leaf=())
        stage = "builder"
        fork.unblock_signals()
        word = os.read(wires.life, 1)
        while word == AMEND:
            plan = _amended(plan, wires.life)
            word = os.read(wires.life, 1)
        if word != init.GO:
            return 0  # abandoned
        if plan.enclosure is None:
            builder = os.getpid()
            child = fork.fork_into(lambda: init.main(plan, wires, builder))
        else:
            stage = "enclosure"
            child = _enclosed(plan, wires)
    except (OSError, ValueError, prctl.ParentGoneError) as error:
        init.fail(wires.report, stage, error)
        return 1
    for fd in (wires.life, wires.stdout, wires.stderr, *wires.script_leaf):
        os.close(fd)
    return _stand_by(child, wires.report)


def _enclosed(plan: Plan, wires: Wires) -> int:
    """Leaves the host, forks the init, and tells the shepherd by which pid the host knows it."""
    assert plan.enclosure is not None
    enclosure.leave_host(plan.enclosure)
    own_pids = "pid" in plan.enclosure.guards
    builder = 0 if own_pids else os.getpid()
    read, write = os.pipe2(os.O_CLOEXEC)
    inner = replace(wires, handover=-1)
    child = fork.fork_into(lambda: init.main(plan, inner, builder, init.keep_only(read, write)))
    os.close(read)
    # The init starts while the tree is made, and waits at the gate.
    try:
        _hand_over(wires.handover, enclosure.furnish(plan.enclosure))
        # As long as it waits the host's /proc is still ours to look into.
        if own_pids:
            reports.write(wires.report, {"inside": True, "init": proctree.identity(child)})
    except BaseException:
        os.close(write)  # and the init ends
        os.waitpid(child, 0)
        raise
    with contextlib.suppress(BrokenPipeError):
        os.write(write, init.GO)
    os.close(write)
    return child


def _hand_over(socket_fd: int, given: tuple[int, ...]) -> None:
    if socket_fd >= 0:
        with socket.socket(fileno=socket_fd) as handover:
            if given:
                socket.send_fds(handover, [b"F"], given)
    for fd in given:
        os.close(fd)


def amendment(plan: Plan) -> bytes:
    """Returns what is said on the life pipe so that the builder runs the program of another plan."""
    told = {"argv": plan.argv, "env": dict(plan.env), "enclosure": plan.enclosure and plan.enclosure.amendment()}
    body = json.dumps(told).encode()
    return AMEND + _LENGTH.pack(len(body)) + body


def _amended(plan: Plan, life: int) -> Plan:
    (length,) = _LENGTH.unpack(_read_exactly(life, _LENGTH.size))
    told = json.loads(_read_exactly(life, length))
    plan = replace(plan, argv=tuple(told["argv"]), env=told["env"])
    if plan.enclosure and told["enclosure"]:
        plan = replace(plan, enclosure=replace(plan.enclosure, **plan.enclosure.amended(told["enclosure"])))
    return plan


def _read_exactly(fd: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = os.read(fd, count - len(data))
        if not piece:
            raise OSError(errno.EPIPE, "the shepherd is gone")
        data += piece
    return data


def _stand_by(child: int, report: int) -> int:
    """Waits for the init; if it did not end by itself, ends all that it left."""
    status = _wait_for(child)
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    killed = init.end_all(_reap, _pause, 0.0)
    reports.write(report, {"empty": True, "init": status, "leftovers": 0, "killed": len(killed)})
    return 0


def _wait_for(child: int) -> int:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return status


def _reap() -> bool:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def _pause(seconds: float) -> None:
    # SIGCHLD has its default action here and wakes nobody; a short sleep is all that this rare path needs.
    time.sleep(min(seconds, _LOOK))
