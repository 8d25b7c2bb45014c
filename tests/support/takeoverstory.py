"""What a host leaves behind that dies with its hands full, and the path that whoever takes over has to go.

Runs under way; a result that is committed and stands half in place; a job that is decided and not told. `PATH` names
the points that another host reaches on its way through all that, in their order.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from sandbox.linux import proctree

if TYPE_CHECKING:
    from fleetofhosts import Fleet

DIES = "dies"
#: Each RB of the story has a run of its own number.
RUNNING = ("1410001", "1410002")
HALF_IN = "1410003"
UNTOLD = "1410004"

#: Process and label, in the order in which a host that takes over reaches them.
PATH = (
    ("supervisor", "lock.flock after"),
    ("supervisor", "store.fsync outcome-revoked after"),
    ("supervisor", "store.link outcome-revoked before"),
    ("supervisor", "store.link outcome-revoked after"),
    ("supervisor", "store.link epoch before"),
    ("supervisor", "store.link epoch after"),
    ("supervisor", "lock.beat before"),
    ("supervisor", "lock.beat after"),
    ("supervisor", "nursery.ask before"),
    ("nursery", "nursery.fork before"),
    ("nursery", "nursery.fork after"),
    ("supervisor", "nursery.ask after"),
    ("shepherd", "box.prepare after"),
    ("shepherd", "store.rename run before"),
    ("shepherd", "store.rename run after"),
    ("shepherd", "archive.remove before"),
    ("shepherd", "archive.remove after"),
    ("shepherd", "box.start after"),
    ("shepherd", "store.link outcome-committed before"),
    ("shepherd", "store.link outcome-committed after"),
    ("shepherd", "store.link final after"),
    ("shepherd", "store.link take before"),
    ("shepherd", "store.link take after"),
    ("shepherd", "archive.rename fence before"),
    ("shepherd", "archive.rename fence after"),
    ("shepherd", "archive.rename in before"),
    ("shepherd", "archive.rename in after"),
    ("shepherd", "store.link promoted-done before"),
    ("shepherd", "store.link promoted-done after"),
    ("shepherd", "store.unlink take before"),
    ("supervisor", "broker.send before"),
    ("supervisor", "broker.send after"),
    ("supervisor", "broker.sent after"),
    ("supervisor", "store.touch published before"),
    ("supervisor", "store.touch published after"),
)


def leave(fleet: Fleet) -> None:
    """Bring the host that is to die to where its hands are full; it stands alone, with four slots or more."""
    site = fleet[DIES]
    fleet.start(DIES)
    _done(fleet, "earlier", "5003", HALF_IN)
    _hold(fleet, "shepherd", "archive.rename aside after", "half-in", "5003", HALF_IN)
    _hold(fleet, "shepherd", "store.link promoted-done after", "untold", "5004", UNTOLD)
    for number, rb in enumerate(RUNNING):
        fleet.send(f"running{number}", fleet.message(f"running{number}", str(5001 + number), rb, gate=gate(fleet)))
    fleet.until(lambda: all(fleet.begun(f"running{n}") for n in range(len(RUNNING))), "the runs to be under way")
    assert not site.armed


def gate(fleet: Fleet):
    """What the runs wait for that are under way when their host dies."""
    return fleet.base / "go"


def _done(fleet: Fleet, job: str, run: str, rb: str) -> None:
    fleet.send(job, fleet.message(job, run, rb))
    fleet.until(lambda: fleet.is_published(job), f"{job} to be done")


def _hold(fleet: Fleet, process: str, label: str, job: str, run: str, rb: str) -> None:
    """Have the shepherd of a job stand at a point for good."""
    site = fleet[DIES]
    standing = {p.pid for p in site.processes() if p.state == "T"}
    site.arm(process, label, "stop")
    fleet.send(job, fleet.message(job, run, rb))
    fleet.until(lambda: [p for p in site.processes() if p.state == "T" and p.pid not in standing], f"{job} to be held")


def let_go(fleet: Fleet, name: str) -> None:
    """Let whatever stands on a host go on."""
    for process in fleet[name].processes():
        if process.state == "T":
            proctree.send(process, signal.SIGCONT)
