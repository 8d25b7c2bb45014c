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
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import lease
import stagedhost
from protocolview import ProtocolView, Violation, forget_records, is_completed, record_at
from stagedhost import PATIENCE, ROOT, StagedHost
from waiting import wait_until

from sandbox.linux import proctree
from supervisor import config, durable, intake, journal
from supervisor.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stagedhost import Held

    from sandbox.linux.proctree import Process

RB, RUN = "1", "12"
INSTRUMENT = "GEM"

_CONFIG = """
[broker]
url = "{broker}"
heartbeat = "2 s"
[store]
path = "{base}/store"
poll = "50 ms"
[host]
id = "{host}"
slots = 2
[service]
run_dir = "{base}/{host}/run"
[spool]
path = "{base}/{host}/spool"
[queues]
{queues}
[replies]
gap = "0 s"
[lock]
beat = "300 ms"
self_kill_after = "{self_kill}"
takeover_after = "{takeover}"
[publish]
max_attempts = 5
give_up = "{give_up}"
[limits]
grace = "300 ms"
[isolation]
require = "none"
allow_unsafe = true
[interpreter]
argv = ["{python}", "-I", "-S"]
[paths]
data_roots = ["{base}/data"]
result_roots = ["{base}/archive"]
archive_directory = "{base}/archive/{{rb}}{{run}}/"
ceph_directory = "{base}/archive/ceph/{{rb}}/{{run}}/"
excitation_directory = "{base}/archive/excitations/{{rb}}/"
version_directory = ""
script = "{base}/scripts/{{instrument}}/reduce.py"
variables = "{base}/scripts/{{instrument}}/reduce_vars.py"
"""

#: A script that says when it begins, notices another one of its RB that lives, and waits for a sign if it is told to.
_SCRIPT = """
import fcntl, os, time
signs, job, rb, gated = {signs!r}, {job!r}, {rb!r}, {gated!r}
def main(input_file, output_dir):
    box = os.open(os.path.join(signs, "box-" + rb), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(box, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        open(os.path.join(signs, "overlap-" + job), "w").close()
    open(os.path.join(signs, "began-" + job), "a").write("x")
    while gated and not os.path.exists(os.path.join(signs, "go-" + job)):
        time.sleep(0.01)
    for name in ("a.txt", "b.txt"):
        with open(os.path.join(output_dir, name), "w") as file:
            file.write(rb + " " + job)
"""


@dataclass(frozen=True, kw_only=True)
class Times:
    """The times of a lock, all hosts the same; `beat` is 300 ms."""

    self_kill: str
    takeover: str
    #: Beats of every living host in which nothing changes: then nothing will. More than every pause of a poll
    #: (`storepoller._COOL`), and twice `takeover` where hosts are taken over.
    still: int


#: Where a host is to be taken over.
QUICK = Times(self_kill="1 s", takeover="2 s", still=25)
#: Where none is: a machine under load takes nobody for dead.
CALM = Times(self_kill="60 s", takeover="120 s", still=12)


class StagedFleet(ProtocolView):
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
        super().__init__(Layout(str(base / "store")))
        self.base = base
        self.archive = base / "archive"
        self.signs = base / "signs"
        self._still = max(times.still, watcher.still if watcher else 0)
        self.jobs: list[str] = []
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
                _CONFIG.format(
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
            "reduction_script": _SCRIPT.format(signs=str(self.signs), job=job, rb=rb, gated=gated),
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

    def began(self, job: str) -> int:
        """How often the script of a job began."""
        path = self.signs / f"began-{job}"
        return len(path.read_text()) if path.exists() else 0

    def verdict_of(self, job: str) -> str:
        """With what a job ended, "" while it did not."""
        final = record_at(self.layout.job(job).final)
        if final is None:
            return ""
        return str((record_at(self.layout.rb(final["rb"]).outcome(final["n"])) or {}).get("verdict"))

    def outcomes(self, rb: str = RB) -> list[str | None]:
        """The kinds of the outcomes of an RB, by epoch."""
        return [(cell["outcome"] or {}).get("kind") for cell in self.cells_of(rb)]

    def promotions(self, rb: str = RB) -> list[str | None]:
        """How the promotions of an RB ended, by epoch."""
        return [(cell["promoted"] or {}).get("kind") for cell in self.cells_of(rb)]

    def stands(self, rb: str = RB) -> int | None:
        """The epoch that stands at the target of an RB: 0 is the older worker's, None is nothing."""
        there = self.content(self.target_of(rb))
        return there[0] if there is not None else None

    def expect(self, holds: object, violation: str, detail: str = "") -> None:
        """Call it a violation if something does not hold."""
        if not holds:
            self.violates(violation, detail)

    def mark_of(self, record: dict[str, Any]) -> str:
        """What the script of a job writes: it knows nothing of epochs."""
        return f"{record['rb']} {record['job']}"

    # --- what must hold ------------------------------------------------------------------------------------------

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

    def check(self) -> str:
        """Photograph the fleet and look at everything that must hold at each moment; return what is undone."""
        with self.photograph():
            self.check_now()
            return self.unfinished()

    def check_now(self) -> None:
        """Look at everything that must hold at each moment."""
        super().check_now()
        overlaps = [name for name in os.listdir(self.signs) if name.startswith("overlap-")]
        self.expect(not overlaps, "OVERLAP", str(overlaps))
        for job in self.jobs:
            place = self.layout.job(job)
            if not durable.exists(place.published):
                continue
            final = record_at(place.final)
            self.expect(final is not None, "REPLY-NOT-FROZEN", f"{job} is published and has no outcome")
            assert final is not None
            promoted = durable.exists(self.layout.rb(final["rb"]).promoted(final["n"]))
            self.expect(promoted, "REPLY-NOT-FROZEN", f"{job} is published before it is promoted")

    def settle(self) -> None:
        """Wait until everything is done and right, by the hosts that are up; look at the invariants on the way."""
        seen: object = None
        since: dict[str, int] = {}
        while undone := self.check():
            alive = {host.name: host.beats for host in self.hosts.values() if host.looks}
            now = self._signature()
            if now != seen:
                seen, since = now, alive
            elif all(beats - since[name] > self._still for name, beats in alive.items()):
                self.violates("STUCK", undone)
            time.sleep(0.05)  # a photograph stops the whole fleet: not more often
        self._check_end()

    def _signature(self) -> object:
        """What changes while anything is done."""
        cells = [
            (rb, [(c["n"], c["outcome"], c["promoted"]) for c in self.cells_of(rb)], self.takes(rb)) for rb in self.rbs
        ]
        beside = [(name, self.content(str(self.archive / name))) for name in sorted(os.listdir(self.archive))]
        marks = [
            sorted(os.listdir(self.layout.job(job).root))
            for job in self.jobs
            if durable.exists(self.layout.job(job).root)
        ]
        return cells, beside, marks, sorted(os.listdir(self.layout.waiting))

    def unfinished(self) -> str:
        """What is still to be done, or ""."""
        silent = {host.name for host in self.hosts.values() if host.state != "up"}
        makers = {rb: self._makers(rb) for rb in self.rbs}
        for job in self.jobs:
            if not durable.exists(self.layout.job(job).published):
                return f"job {job} is not published"
        for name in durable.listing(self.layout.waiting):
            if not set(makers.get(name.split(".")[2], {}).values()) & silent:
                return f"{name} waits"
        for rb in self.rbs:
            theirs = [take for take, host in makers[rb].items() if host not in silent]
            if theirs:
                return f"takes {theirs} of RB {rb} stand"
            if sum(1 for other in self.rbs if self.target_of(other) == self.target_of(rb)) > 1:
                continue
            done = [
                c["n"] for c in self.cells_of(rb) if is_completed(c) and (c["promoted"] or {}).get("kind") == "done"
            ]
            want = max(done, default=0 if rb in self._had_old else None)
            if self.stands(rb) != want:
                return f"at the target of RB {rb} stands {self.stands(rb)}, not {want}"
            asides, staging, _ = self.beside(rb)
            if not makers[rb] and (asides or staging):
                return f"beside the target of RB {rb} is left: {asides} {staging}"
        return ""

    def _makers(self, rb: str) -> dict[str, str]:
        """The takes that stand, and the host of each."""
        folder = self.layout.rb(rb).folder("promoting")
        records = {take: record_at(os.path.join(folder, take)) for take in self.takes(rb)}
        return {take: record["host"] for take, record in records.items() if record is not None}

    def _check_end(self) -> None:
        """What must be true when all is done: each job committed once, in their order, and nobody left."""
        for rb in self.rbs:
            committed = [
                c["epoch"]["job"] for c in self.cells_of(rb) if (c["outcome"] or {}).get("kind") == "committed"
            ]
            mine = [job for job in self.jobs if job in committed]
            self.expect(committed == mine, "ORDER", f"{committed} of RB {rb} is not {mine}")
        every = [
            c["epoch"]["job"]
            for rb in self.rbs
            for c in self.cells_of(rb)
            if (c["outcome"] or {}).get("kind") == "committed"
        ]
        self.expect(sorted(every) == sorted(self.jobs), "NOT-ONE-COMMIT-EACH", f"{every} of {self.jobs}")
        for text in ("Traceback", "defect"):
            assert text not in self.logs(), self.logs()

    def logs(self) -> str:
        """What all hosts have said."""
        return "\n".join(host.log() for host in self.hosts.values())

    def describe(self) -> str:
        """Everything there is to see, for a failure."""
        lines = [super().describe(), f"waiting {durable.listing(self.layout.waiting)}"]
        for host in self.hosts.values():
            shown = [f"{p.pid} {p.state}" for p in host.processes()]
            lines.append(f"{host.name} is {host.state}, beat {host.beats}, armed {host.armed}: {shown}")
        return "\n".join(lines)


__all__ = ["CALM", "QUICK", "RB", "RUN", "StagedFleet", "Violation"]
