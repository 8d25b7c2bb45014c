"""Several hosts on one store and one broker, all on this machine: each with a supervisor, nursery and spool of its own.

The hosts share a kernel and its boot id; what makes them strangers to each other is their host ids, so a host judges
another one by its heartbeats and never by its processes. A host *dies* when all its processes are killed in the same
moment; it *freezes* when all of them are stopped. A file system of one machine keeps the lock of a stopped process, so
`lapse` takes the locks away as a file server does when the lease of a silent client has run out (`lapsedlocks`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import recordedruns
import victims
from fleetsite import PATIENCE, REPLACING, FleetSite, below_us
from history import Disturbance
from lapsedlocks import LapsedLocks
from stompclient import StompClient
from waiting import wait_until

from sandbox.linux import proctree
from supervisor import durable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.linux.proctree import Process

#: Short, and still honest on a loaded machine: a beat that is twenty times late ends no good run.
LOCKS = {"beat": "300 ms", "self_kill_after": "6 s", "takeover_after": "12 s"}
#: For tests in which a run that is ended for a late beat, and run again, is as good as any other.
QUICK_LOCKS = {"beat": "200 ms", "self_kill_after": "1500 ms", "takeover_after": "3 s"}


class Fleet:
    """Some hosts; a context manager that leaves no process behind.

    Args:
        base: A folder of its own.
        names: The ids of the hosts.
        broker_port: Where a STOMP broker listens on loopback; 0 for none.
        queues: Names of the queues by their key in the configuration.
        values: What each configuration says otherwise, see `FleetSite`.
        own: The same for one host alone, by its id.
    """

    def __init__(
        self,
        base: Path,
        *names: str,
        broker_port: int = 0,
        queues: dict[str, str] | None = None,
        values: dict[str, str] | None = None,
        own: dict[str, dict[str, str]] | None = None,
    ) -> None:
        base.mkdir(parents=True, exist_ok=True)
        self.base = base
        self.queues = queues or {}
        self.broker_port = broker_port
        self.seen = base / "seen"
        self.seen.mkdir()
        self.hosts = {
            name: FleetSite(
                base / name,
                broker_port=broker_port,
                queues=_queues_of(name, self.queues),
                host=name,
                shared=base,
                values=LOCKS | (values or {}) | (own or {}).get(name, {}),
            )
            for name in names
        }
        self.layout = self.any.layout
        self.archive = self.any.archive
        self.disturbances: list[Disturbance] = []
        self.accepted: set[str] = set()
        #: What the script of each job makes.
        self.makes: dict[str, dict[str, bytes]] = {}
        self._stack = ExitStack()
        self._restarts: dict[str, int] = dict.fromkeys(names, 0)
        self._lapsed = {name: LapsedLocks(site) for name, site in self.hosts.items()}

    def __enter__(self) -> Self:
        for site in self.hosts.values():
            self._stack.enter_context(site)
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.hosts:
            self._signal_all(name, signal.SIGCONT)
        self._stack.close()
        self._reap()

    def __getitem__(self, name: str) -> FleetSite:
        return self.hosts[name]

    @property
    def any(self) -> FleetSite:
        """One of the hosts, for what they all have in common."""
        return next(iter(self.hosts.values()))

    # --- time -------------------------------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start the supervisors of these hosts, or of all, and go on when all of them serve."""
        chosen = names or tuple(self.hosts)
        for name in chosen:
            (self[name].base / "run" / "supervisor.json").unlink(missing_ok=True)
            self[name].start()
        for name in chosen:
            self.until((self[name].base / "run" / "supervisor.json").exists, f"host {name} to serve")

    def turn(self) -> None:
        """Let each host do what is due, note who was started again, and take the status of orphans."""
        for name, site in self.hosts.items():
            site.turn()
            if site.restarts > self._restarts[name]:
                self._restarts[name] = site.restarts
                self.disturb("supervisor", name)
            self._lapsed[name].turn()
        self._reap()

    def until(self, predicate: Callable[[], Any], why: str, timeout: float = PATIENCE) -> Any:
        """Wait for a fact while everybody does what is due; fail with all logs."""

        def look() -> Any:
            self.turn()
            return predicate()

        try:
            return wait_until(look, timeout, why)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.describe()}") from None

    def settle(self, timeout: float = PATIENCE) -> None:
        """Wait until everything is done: nothing waits, and only supervisors and nurseries live."""
        self.until(self.is_quiet, "the fleet to be quiet", timeout)

    def is_quiet(self) -> bool:
        """Whether everything is done, and every host that was started serves."""
        if any(site.is_coming for site in self.hosts.values()):
            return False
        if durable.listing(self.layout.waiting):
            return False
        return not any(self.working(name) for name in self.hosts)

    def working(self, name: str) -> list[Process]:
        """The processes of a host besides its supervisor and its nursery."""
        return [process for process in self[name].processes() if process.living and not self[name].is_standing(process)]

    def _reap(self) -> None:
        own = {site.child.pid for site in self.hosts.values() if site.child is not None}
        for process in below_us():
            if process.ppid == os.getpid() and not process.living and process.pid not in own | self.any.bystanders:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)

    # --- messages ---------------------------------------------------------------------------------------------

    def message(
        self,
        job: str,
        run: str,
        rb: str,
        *,
        seconds: float = 0.0,
        gate: Path | None = None,
        fails: bool = False,
        instrument: str = REPLACING,
        tick: float = recordedruns.TICK,
    ) -> bytes:
        """Make the message of a run whose script records itself, and its data file."""
        self.makes[job] = recordedruns.result_of(job)
        told = recordedruns.variables(job, self.seen, seconds=seconds, gate=gate, fails=fails, tick=tick)
        body = json.loads(self.any.message(run, recordedruns.script(), instrument=instrument, variables=told))
        return json.dumps(body | {"rb_number": rb}).encode()

    def submit(self, job: str, body: bytes, *, priority: int = 4, time_ms: int = 0) -> None:
        """Journal a message as the verb does, in this process."""
        self.any.submit(job, body, priority=priority, time_ms=time_ms)
        self.accepted.add(job)

    def send(self, job: str, body: bytes, *, priority: int = 4, to: str = "") -> None:
        """Send a message as a producer does, to whoever takes it or to one host; the broker has confirmed it then."""
        with StompClient(self.broker_port) as client:
            self.send_by(client, job, body, priority=priority, to=to)

    def send_by(self, client: StompClient, job: str, body: bytes, *, priority: int = 4, to: str = "") -> None:
        """The same by a connection that is there already."""
        queue = f"{self.queues['pending']}.{to}" if to else self.queues["pending"]
        client.send(queue, body.decode(), {"job-id": job, "priority": str(priority)})
        if not json.loads(body).get("cancel"):
            self.accepted.add(job)

    def is_taken(self, to: str = "") -> bool:
        """Whether every message to whoever takes it, or to one host, is acknowledged."""
        with StompClient(self.broker_port) as client:
            return client.count(f"{self.queues['pending']}.{to}" if to else self.queues["pending"]) == 0

    def is_published(self, job: str) -> bool:
        """Whether every reply of a job has its receipt."""
        return os.path.exists(self.layout.job(job).published)

    def begun(self, job: str) -> list[recordedruns.RecordedRun]:
        """Every time that the script of a job has begun."""
        return [run for run in self.runs() if run.job == job]

    def runs(self) -> list[recordedruns.RecordedRun]:
        """Every time that a script has begun, in the monotonic clock."""
        return recordedruns.read(self.seen, {str(site.base): name for name, site in self.hosts.items()})

    # --- what befalls a host ------------------------------------------------------------------------------------

    def disturb(self, what: str, host: str = "") -> None:
        """Write down that something was done to a host, or to the broker."""
        self.disturbances.append(Disturbance(what=what, host=host, at=time.time()))

    def kill(self, name: str, role: str) -> bool:
        """Kill one process of a host by its role; a supervisor is started again by its service manager."""
        killed = victims.kill(self[name], role)
        if killed:
            self.disturb(role, name)
        return killed

    def die(self, name: str) -> None:
        """Kill every process of a host in one moment; nobody starts its supervisor again before `start`."""
        self[name].abandon()
        self._stop_all(name)  # nobody may see the others go
        while self._signal_all(name, signal.SIGKILL):
            self._reap()
            self[name].reap()
        child = self[name].child
        if child is not None:
            child.wait(PATIENCE)
        self.disturb("die", name)

    def freeze(self, name: str) -> None:
        """Stop every process of a host in its tracks."""
        self.disturb("freeze", name)
        self._stop_all(name)

    def thaw(self, name: str) -> None:
        """Let every process of a host go on."""
        self.disturb("thaw", name)
        self._signal_all(name, signal.SIGCONT)

    def lapse(self, name: str) -> int:
        """Take the RB locks of a frozen host away, as its file server does; return how many there were."""
        self.disturb("lapse", name)
        return self._lapsed[name].lapse()

    def _stop_all(self, name: str) -> None:
        def all_stand() -> bool:
            going = [p for p in self[name].processes() if p.living and p.state not in "Tt"]
            for process in going:
                proctree.send(process, signal.SIGSTOP)
            return not going

        wait_until(all_stand, PATIENCE, f"host {name} to stand still")

    def _signal_all(self, name: str, number: signal.Signals) -> int:
        living = [process for process in self[name].processes() if process.living]
        return sum(proctree.send(process, number) for process in living)

    # --- what there is to say -----------------------------------------------------------------------------------

    def describe(self) -> str:
        """Everything there is to see, for a failure."""
        logs = [f"== {name}\n{site.log()[-20000:]}" for name, site in self.hosts.items()]
        alive = [f"{p.pid} {p.state} {name}" for name, site in self.hosts.items() for p in site.processes()]
        waiting = durable.listing(self.layout.waiting)
        with contextlib.suppress(OSError, AssertionError), StompClient(self.broker_port) as client:
            held = [message.headers for message in client.browse(self.queues["pending"])]
            logs.append(f"== the broker holds {held}")
        said = [f"{d.at:.3f} {d.what} {d.host}" for d in self.disturbances]
        return "\n".join(
            [*logs, "== processes", *alive, f"== {len(waiting)} wait", *waiting[:20], "== done to it", *said]
        )


def _queues_of(name: str, queues: dict[str, str]) -> dict[str, str | list[str]]:
    """The queues of a host: those of all, and one more from which only it takes messages."""
    if "pending" not in queues:
        return dict(queues)
    return queues | {"pending": [queues["pending"], f"{queues['pending']}.{name}"]}
