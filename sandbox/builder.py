"""The builder: forked by the shepherd while that has one thread, it makes the box and waits for the word to go.

While the shepherd still looks at the archive, the box is built as far as this host alone is concerned: namespaces, init
and script's process, the ground of the tree, the rules and filters. What may lie on a shared file system, where a look
can hang for ever, is shown when the word has come.

It stands between shepherd and init for three reasons. It exists before anything of the script does, so a run has a name
(pid and start time) that can be recorded first. Its death signal follows the shepherd's
main thread, and the init's follows its only thread. And when the script kills the init, the orphans come here, and the
builder ends them.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sandbox import enclosure, gate, init, reports
from sandbox.linux import cgroupfiles, fork, prctl, proctree
from sandbox.linux.mounttable import MountTable

if TYPE_CHECKING:
    from sandbox.enclosure import Enclosure
    from sandbox.init import Plan, Wires
    from sandbox.views import Views

#: The step at which a box fails that no longer sees what its host has mounted.
STALE: Final = "mounts"

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
        if plan.enclosure is None:
            told = gate.wait(wires.life, plan)
            child = 0 if told is None else _open(told, wires)
        else:
            stage = "enclosure"
            child = _enclosed(plan, wires)
        if not child:
            return 0  # given up
    except (OSError, ValueError, prctl.ParentGoneError) as error:
        init.fail(wires.report, STALE if isinstance(error, enclosure.Stale) else stage, error)
        return 1
    for fd in (wires.life, wires.stdout, wires.stderr, *wires.script_leaf):
        os.close(fd)
    return _stand_by(child, wires.report)


def _open(plan: Plan, wires: Wires) -> int:
    builder = os.getpid()
    return fork.fork_into(lambda: init.main(plan, wires, builder))


def _enclosed(plan: Plan, wires: Wires) -> int:
    """Leaves the host, forks the init, and makes the tree; returns the init's pid, 0 for a box that was given up."""
    assert plan.enclosure is not None
    with MountTable() as host:
        enclosure.leave_host(plan.enclosure)
        builder = 0 if "pid" in plan.enclosure.guards else os.getpid()
        read, write = os.pipe2(os.O_CLOEXEC)
        inner = replace(wires, handover=-1)
        child = fork.fork_into(lambda: init.main(plan, inner, builder, init.keep_only(read, write)))
        os.close(read)
        # The init starts while the tree is made, and waits at the gate.
        try:
            told = _built(plan, wires, child, write, host)
        except BaseException:
            _give_up(child, write)
            raise
    if told is None:
        _give_up(child, write)
        return 0
    gate.pass_on(write, told, plan)
    return child


def _built(plan: Plan, wires: Wires, child: int, gate_fd: int, host: MountTable) -> Plan | None:
    """Makes the tree, as much of it as can be before the word to go; returns what is to be run, None for nothing."""
    early = plan.enclosure is not None and plan.enclosure.stands_early
    if plan.enclosure and early:
        _stand(plan.enclosure, wires, child, gate_fd)
    told = gate.wait(wires.life, plan)
    if told is None or told.enclosure is None:
        return None
    made = told.enclosure
    if not early:
        made = enclosure.draw_whole(made)
        _stand(made, wires, child, gate_fd)
    enclosure.furnish(made, host)
    return told


def _stand(made: Enclosure, wires: Wires, child: int, gate_fd: int) -> None:
    """Makes the ground of the tree, and tells the shepherd by which pid the host knows the init."""
    _hand_over(wires.handover, enclosure.lay(made))
    # As long as the init waits the host's /proc is still ours to look into.
    if "pid" in made.guards:
        reports.write(wires.report, {"inside": True, "init": proctree.identity(child)})
    gate.say(gate_fd, gate.STANDS)


def _give_up(child: int, gate_fd: int) -> None:
    os.close(gate_fd)  # and the init ends
    os.waitpid(child, 0)


def _hand_over(socket_fd: int, views: Views) -> None:
    fds = views.all()
    if socket_fd >= 0:
        with socket.socket(fileno=socket_fd) as handover:
            if fds:
                socket.send_fds(handover, [views.kinds()], fds)
    for fd in fds:
        os.close(fd)


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
