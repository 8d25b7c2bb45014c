"""One real host of a staged fleet: supervisor, nursery and shepherds on a machine that can freeze, be cut off and die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waiting import wait_until

from sandbox.linux import proctree
from supervisor.failpoints import VARIABLE
from supervisor.hosts import read_beat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sandbox.linux.proctree import Process
    from supervisor.layout import Layout

ROOT = Path(__file__).resolve().parents[2]
_MACHINE = Path(__file__).with_name("hostmachine.py")
#: Generous: a start takes a second, on a small and noisy machine some more.
PATIENCE = 60.0
#: What a host that is cut off cannot reach: store, locks and archive. Its boxes and its own folders it can.
_SHARED = ["store.", "lock.", "archive."]


@dataclass(frozen=True, kw_only=True)
class Held:
    """A process that stands stopped at a fail-point."""

    host: StagedHost
    process: Process
    label: str

    def let_go(self) -> None:
        """Have it go on."""
        self.host.release(self.process)

    def kill(self) -> None:
        """Kill it where it stands."""
        self.host.release(self.process, signal.SIGKILL)


class StagedHost:
    """A host; its processes are those below its machine.

    Args:
        base: a folder of its own.
        name: its id in the store.
        layout: the shared store.
        config: the text of its configuration.
        code: the folder with the packages that its processes import: the tree, or a mutated copy of it.
    """

    def __init__(self, base: Path, name: str, layout: Layout, config: str, code: Path = ROOT) -> None:
        self.base = base
        self.name = name
        self.points = base / "points"
        self.points.mkdir(parents=True)
        (self.points / "trace").touch()
        os.mkfifo(self.points / "gate")
        self.config = base / "supervisor.toml"
        self.config.write_text(config)
        self._layout = layout
        self._code = code
        self._machine: subprocess.Popen[bytes] | None = None
        self._gate = -1
        self.boot = ""
        self.supervisor: Process | None = None
        #: `off`, `up`, `frozen` or `cut`.
        self.state = "off"
        self._held: set[int] = set()

    # --- power ---------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Boot the machine: with a boot id that it never had before."""
        self.boot = str(uuid.uuid4())
        boot = self.base / f"boot-{self.boot}"
        boot.write_text(self.boot + "\n")
        self._machine = subprocess.Popen(
            [sys.executable, str(_MACHINE), str(boot)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**self._environment(), "PYTHONPATH": str(ROOT)},
            cwd="/",
        )
        self._read_pid()
        self.state = "up"

    def power_off(self) -> None:
        """Have the machine die, with everything on it."""
        self.state = "off"
        self._held.clear()
        if self._machine is None:
            return
        while left := self.processes():
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for process in left:
                    proctree.send(process, number)
        self._machine.kill()
        self._machine.communicate()
        self._machine = None

    def start(self) -> None:
        """Start the supervisor; `serves` says when it takes runs."""
        self.supervisor = self.run("serve", "--config", str(self.config))

    @property
    def serves(self) -> bool:
        """Whether the supervisor that was started last serves."""
        assert self.supervisor is not None
        assert proctree.alive(self.supervisor.identity), f"the supervisor of {self.name} ended:\n{self.log()}"
        path = self.base / "run" / "supervisor.json"
        return path.exists() and json.loads(path.read_bytes())["pid"] == self.supervisor.pid

    @property
    def looks(self) -> bool:
        """Whether a supervisor looks at everything here, and beats."""
        return self.state == "up" and self.supervisor is not None

    def kill_supervisor(self) -> None:
        """Kill the supervisor; shepherds go on."""
        assert self.supervisor is not None
        proctree.send(self.supervisor, signal.SIGKILL)
        who = self.supervisor.identity
        wait_until(lambda: not proctree.alive(who), PATIENCE, f"the supervisor of {self.name} to die")

    def run(self, *arguments: str) -> Process:
        """Start a verb on this machine."""
        assert self._machine is not None
        assert self._machine.stdin is not None
        order = {
            "argv": [sys.executable, "-m", "supervisor.cli", *arguments],
            "env": self._environment(),
            "log": str(self.base / "supervisor.log"),
        }
        self._machine.stdin.write(json.dumps(order).encode() + b"\n")
        self._machine.stdin.flush()
        process = proctree.look(self._read_pid())
        assert process is not None, f"the verb {arguments[0]} ended at once:\n{self.log()}"
        return process

    def _environment(self) -> dict[str, str]:
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, "PYTHONPATH": str(self._code), VARIABLE: str(self.points), "HOME": str(self.base)}

    def _read_pid(self) -> int:
        assert self._machine is not None
        assert self._machine.stdout is not None
        line = self._machine.stdout.readline()
        assert line, f"the machine {self.name} did not boot: it needs a mount namespace of its own (user_namespaces(7))"
        return int(line)

    # --- faults --------------------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Stop every process of this host."""
        self.state = "frozen"
        stop(self.processes)

    def thaw(self) -> None:
        """Have every process go on but those that are held at a fail-point."""
        self.state = "up"
        for process in self.processes():
            if process.pid not in self._held:
                proctree.send(process, signal.SIGCONT)

    def cut_off(self) -> None:
        """Have every thread hang that touches the store or the archive: a hard mount whose server is away."""
        self.state = "cut"
        self._stand([{"labels": _SHARED}])

    def hang(self, process: str, *labels: str) -> None:
        """Have threads of one kind of process hang at the calls that begin with `labels`."""
        self._stand([*self._standing(), {"process": process, "labels": labels}])

    def heal(self) -> None:
        """Reach the server again: what hangs goes on."""
        self._stand([order for order in self._standing() if "error" in order])
        self.state = "up"
        self._gate = os.open(self.points / "gate", os.O_RDWR | os.O_CLOEXEC)

    def fails(self, error: int, *labels: str, pid: int | None = None) -> None:
        """Have the calls that begin with `labels` answered by an error, of every process or of one."""
        self._stand([*self._standing(), {"pid": pid, "labels": labels, "error": error}])

    def works_again(self) -> None:
        """Take back `fails`, but not for processes that were named."""
        self._stand([order for order in self._standing() if "error" not in order or order["pid"] is not None])

    def _standing(self) -> list[dict[str, Any]]:
        path = self.points / "standing"
        return json.loads(path.read_bytes()) if path.exists() else []

    def _stand(self, orders: list[dict[str, Any]]) -> None:
        if self._gate >= 0:
            os.close(self._gate)
            self._gate = -1
        new = self.points / "standing.new"
        new.write_text(json.dumps(orders))
        new.rename(self.points / "standing")

    # --- fail-points ---------------------------------------------------------------------------------------------

    def arm(self, process: str, label: str, action: str = "stop") -> None:
        """Have the next process of that kind that reaches the point stopped or killed."""
        new = self.points / "armed.new"
        new.write_text(json.dumps({"process": process, "label": label, "action": action}))
        new.rename(self.points / "armed")

    def disarm(self) -> bool:
        """Take back what is armed; say whether it had not been reached."""
        try:
            (self.points / "armed").unlink()
        except FileNotFoundError:
            return False
        return True

    @property
    def armed(self) -> bool:
        """Whether the point that was armed has not been reached."""
        return (self.points / "armed").exists()

    def reached(self, label: str) -> Held | None:
        """The process that has come to the armed point and stands there."""
        if self.armed:
            return None
        for process in self.processes():
            if process.state == "T" and process.pid not in self._held:
                self._held.add(process.pid)
                return Held(host=self, process=process, label=label)
        return None

    def release(self, process: Process, number: int = signal.SIGCONT) -> None:
        """Have a held process go on, or die."""
        self._held.discard(process.pid)
        assert proctree.send(process, number), f"the process that was held on {self.name} is gone"
        if number == signal.SIGKILL:
            wait_until(lambda: not proctree.alive(process.identity), PATIENCE, "the held process to die")

    @staticmethod
    def is_gone(held: Held) -> bool:
        """Whether a process that was let go has ended."""
        return not proctree.alive(held.process.identity)

    def traced(self, line: str) -> int:
        """How often a process of this host has reached a point: `process label`."""
        return (self.points / "trace").read_text().splitlines().count(line)

    # --- what there is -------------------------------------------------------------------------------------------

    def processes(self, table: Mapping[int, Process] | None = None) -> list[Process]:
        """Every living process of this host but the machine itself, by a fresh look or in a table of all."""
        if self._machine is None:
            return []
        below = proctree.descendants(self._machine.pid, proctree.scan() if table is None else table)
        return [process for process in below if process.living]

    @property
    def beats(self) -> int:
        """How often the supervisor has told the store that it lives; its poller has looked at everything meanwhile."""
        beat = read_beat(self._layout, self.name)
        return beat.counter if beat is not None else 0

    def log(self) -> str:
        """What its processes have said."""
        names = (self.base / "supervisor.log", self.base / "run" / "nursery.log")
        return "\n".join(f"--- {name}\n{name.read_text(errors='replace')}" for name in names if name.exists())


def stop(find: Callable[[], Iterable[Process]]) -> list[Process]:
    """Stop all processes that `find` finds, until it finds none that runs; return those that ran."""
    met: dict[int, Process] = {}
    while running := [process for process in find() if process.state != "T"]:
        for process in running:
            met[process.pid] = process
            proctree.send(process, signal.SIGSTOP)
    return list(met.values())


def go_on(processes: Iterable[Process]) -> None:
    """Have stopped processes go on."""
    for process in processes:
        proctree.send(process, signal.SIGCONT)
