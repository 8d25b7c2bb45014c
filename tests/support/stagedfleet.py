"""A stage for the protocol with real processes: two or three hosts on one store and one archive, moved step by step.

A step has one process stand at a fail-point, lets it go, freezes or cuts off its host, ends its lease, kills it. All
else runs as it does in service, in real time. `check` photographs the fleet: everything stands still for a moment, and
what must hold at each moment is looked at in store and archive. `settle` waits for the end, and knows a fleet that does
nothing any more from one that is slow by the heartbeats of its supervisors.
"""

from __future__ import annotations

import contextlib
import errno
import json
import sys
import time
from typing import TYPE_CHECKING, Any, Self

import lease
import stagedhost
from fleetview import RB, FleetView
from protocolview import forget_records
from stagedhost import PATIENCE, ROOT, StagedHost
from stagedsite import CALM, CONFIG, INSTRUMENT, SCRIPT
from waiting import wait_until

from sandbox.linux import proctree
from supervisor import config, intake, journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stagedhost import Held
    from stagedsite import Times

    from sandbox.linux.proctree import Process

#: The run of a job that is told of none.
RUN = "12"


class StagedFleet(FleetView):
    """Hosts A, B and C; a context manager that leaves no process behind.

    Args:
        base: a folder of its own.
        times: of the locks.
        watcher: the same for B alone, where A must not end its own run by the clock meanwhile.
        give_up: `publish.give_up`.
        code: the packages that the hosts run: the tree, or a mutated copy of it.
        broker_port: where a STOMP broker listens on loopback; 0 for none.
        queues: names of the queues by their key in the configuration.
    """

    def __init__(
        self,
        base: Path,
        *,
        times: Times = CALM,
        watcher: Times | None = None,
        give_up: str = "1 h",
        code: Path = ROOT,
        broker_port: int = 0,
        queues: dict[str, str] | None = None,
    ) -> None:
        super().__init__(base)
        self.base = base
        self._still = max(times.still, watcher.still if watcher else 0)
        self.broker_port = broker_port
        for name in ("archive", "data", "signs"):
            (base / name).mkdir(parents=True)
        journal.open_store(self.layout, create=True)
        named = "\n".join(f'{key} = "{name}"' for key, name in (queues or {}).items())
        self.hosts = {
            name: StagedHost(
                base / name,
                name,
                self.layout,
                CONFIG.format(
                    base=base,
                    host=name,
                    broker=f"stomp://127.0.0.1:{broker_port}" if broker_port else "none",
                    queues=named,
                    self_kill=(watcher if watcher and name == "B" else times).self_kill,
                    takeover=(watcher if watcher and name == "B" else times).takeover,
                    give_up=give_up,
                    python=sys.executable,
                ),
                code,
            )
            for name in ("A", "B", "C")
        }
        self.settings = config.load(str(self.hosts["A"].config))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts.values():
            host.power_off()
        forget_records()

    # --- hosts ---------------------------------------------------------------------------------------------------

    def serve(self, *names: str) -> list[StagedHost]:
        """Boot hosts and have their supervisors serve; all but the first sleep, frozen, until they are thawed."""
        hosts = [self.hosts[name] for name in names]
        for host in hosts:
            host.power_on()
            host.start()
        for host in hosts:
            self.wait(lambda host=host: host.serves, f"{host.name} to serve")
        for host in hosts[1:]:
            host.freeze()
        return hosts

    def restart(self, host: StagedHost) -> None:
        """Start a supervisor where one was killed, or a machine that died."""
        if host.state == "off":
            host.power_on()
        host.start()
        self.wait(lambda: host.serves, f"{host.name} to serve again")

    def lease_ends(self, host: StagedHost, *, silently: bool = False) -> None:
        """End the leases of a host: its locks pass, and the locks' own descriptors answer EIO.

        Args:
            host: frozen, cut off, or none of it: a server that restarted and gave no grace.
            silently: they answer nothing, as on a file system that tells no holder.
        """
        running = stagedhost.stop(host.processes)
        pids = lease.end(host.processes(), self.layout.path("rb"))
        for pid in pids:
            if not silently and (host.supervisor is None or pid != host.supervisor.pid):
                host.fails(errno.EIO, "lock.beat", pid=pid)
        if host.state != "frozen":
            stagedhost.go_on(running)

    def pass_beats(self, host: StagedHost, count: int = 6) -> None:
        """Let a supervisor go on for so many beats: that is how long it had to do what it must not."""
        before = host.beats
        self.wait(lambda: host.beats >= before + count, f"{count} beats of {host.name}")

    def wait(self, predicate: Callable[[], Any], why: str) -> Any:
        """Wait for a fact; fail with everything there is to see."""
        try:
            return wait_until(predicate, PATIENCE, why)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.describe()}\n{self.logs()}") from None

    # --- steps ---------------------------------------------------------------------------------------------------

    def standing(self, host: StagedHost, label: str) -> Held:
        """Wait until a process stands at the point that is armed on its host."""
        return self.wait(lambda: host.reached(label), f"a process of {host.name} to stand at {label!r}")

    def hold(self, host: StagedHost, process: str, label: str, when: Callable[[], object] = lambda: None) -> Held:
        """Have the next process of that kind on a host stand at a point after `when` is done, and wait until it does."""
        host.arm(process, label)
        when()
        return self.standing(host, label)

    def wake(self, host: StagedHost, process: str, label: str) -> Held:
        """Thaw a host that sleeps, and hold its next process of that kind at a point."""
        host.arm(process, label)
        host.thaw()
        return self.standing(host, label)

    def hold_unless(self, host: StagedHost, process: str, label: str, unless: Callable[[], object]) -> Held | None:
        """The same, where it may never come there: None once `unless` says so. A mutant may come."""
        host.arm(process, label)
        said = self.wait(lambda: host.reached(label) or unless(), f"the {process} of {host.name}: {label!r}, or not")
        if isinstance(said, stagedhost.Held):
            return said
        if host.disarm():
            return None
        return self.standing(host, label)

    def on(self, held: Held, process: str, label: str) -> Held:
        """Let a held process go, and hold the next of that kind at a point."""
        held.host.arm(process, label)
        held.let_go()
        return self.standing(held.host, label)

    def gone(self, held: Held) -> None:
        """Wait until a process that was let go has ended."""
        self.wait(lambda: held.host.is_gone(held), f"the process held at {held.label!r} to end")

    def crash(self, host: StagedHost, process: str, label: str) -> None:
        """Have the next process of that kind killed at a point, and wait until it was."""
        self.hold(host, process, label).kill()

    def passed(self, beats: int, host: StagedHost) -> Callable[[], bool]:
        """Says whether a host had so many beats since this call."""
        before = host.beats
        return lambda: host.beats >= before + beats

    # --- jobs ----------------------------------------------------------------------------------------------------

    def old_result(self, rb: str = RB, run: str = RUN) -> None:
        """Have a good result of an older worker stand at the target of a run."""
        target = self.archive / f"{rb}{run}"
        self._had_old.add(rb)
        target.mkdir()
        (target / "old.txt").write_text("old")

    def body(self, job: str, *, rb: str = RB, run: str = RUN, gated: bool = False) -> bytes:
        """The message of a job, and its data file."""
        self.rbs[rb] = str(self.archive / f"{rb}{run}")
        self.jobs.append(job)
        data = self.base / "data" / f"{INSTRUMENT}{run}.nxs"
        data.write_bytes(b"counts")
        message = {
            "data": str(data),
            "facility": "ISIS",
            "instrument": INSTRUMENT,
            "rb_number": rb,
            "run_number": run,
            "run_version": 0,
            "reduction_script": SCRIPT.format(signs=str(self.signs), job=job, rb=rb, gated=gated),
            "reduction_arguments": {"standard_vars": {}, "advanced_vars": {}},
            "message": "",
        }
        return json.dumps(message).encode()

    def submit(
        self, job: str, *, rb: str = RB, run: str = RUN, gated: bool = False, sent: float | None = None
    ) -> bytes:
        """Journal a job as a supervisor does, in this process; return its message.

        Args:
            job: its id.
            rb: its experiment.
            run: its run.
            gated: its script waits for `go`.
            sent: when the producer sent it, seconds since 1970; now.
        """
        body = self.body(job, rb=rb, run=run, gated=gated)
        headers = {"job-id": job, "timestamp": str(int((sent or time.time()) * 1000))}
        what = intake.examine(body, headers, self.settings, host="test", hostname="test", now=time.time())
        assert isinstance(what, intake.Run), what
        journal.journal(self.layout, what.request)
        return body

    def go(self, job: str) -> None:
        """Let the gated script of a job go on."""
        (self.signs / f"go-{job}").touch()

    # --- the end of a step --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def photograph(self) -> Iterator[None]:
        """Have every process of every host stand still."""
        assert not any(host.armed for host in self.hosts.values()), "who stops by itself now would be let go"
        stopped = stagedhost.stop(self._everybody)
        try:
            yield
        finally:
            stagedhost.go_on(stopped)

    def _everybody(self) -> list[Process]:
        table = proctree.scan()
        return [process for host in self.hosts.values() for process in host.processes(table)]

    def check(self) -> tuple[str, object]:
        """Photograph the fleet and look at everything that must hold at each moment.

        Returns:
            What is undone, and the signature.
        """
        with self.photograph():
            self.check_now()
            return self.unfinished(), self.signature()

    def settle(self) -> None:
        """Wait until everything is done and right, by the hosts that are up; look at the invariants on the way."""
        seen: object = None
        since: dict[str, int] = {}
        while True:
            undone, now = self.check()
            if not undone:
                break
            alive = {host.name: host.beats for host in self.hosts.values() if host.looks}
            if now != seen:
                seen, since = now, alive
            elif all(beats - since[name] > self._still for name, beats in alive.items()):
                self.violates("STUCK", undone)
            time.sleep(0.05)  # a photograph stops the whole fleet: not more often
        self.check_end()
        looking = [host for host in self.hosts.values() if host.looks]
        self.wait(lambda: all(len(host.processes()) == 2 for host in looking), "every shepherd and box to end")
