"""A site whose supervisor reaches its broker over a line that fails, and what must be true when the line is mended."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from fleetsite import FleetSite, tree
from invariants import without_logs
from relay import Fault, Relay
from scenarios import files_of, gated, let_go, queue_names, signs
from stompclient import StompClient

from supervisor import durable
from supervisor.cells import RbCells

if TYPE_CHECKING:
    from pathlib import Path

    from javabroker import JavaBroker

#: A link that notices soon: silence after 2.5 s, a missing receipt after 4 s.
_QUICK = 'connect_timeout = "3 s"\nreceipt_timeout = "4 s"\n'
#: What the operator is promised.
RECOVERY_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How long it took from the mending of the line, in seconds."""

    connected: float
    settled: float


class LineSite:
    """A site with its broker behind a relay; the producer and the consumers speak with the broker directly."""

    def __init__(self, base: Path, broker: JavaBroker, heartbeat: str = "1 s") -> None:
        self.relay = Relay(broker.port, stomp=True)
        self.site = FleetSite(
            base, broker_port=self.relay.port, queues=queue_names(), heartbeat=heartbeat, broker_more=_QUICK
        )
        self.site.broker_port = broker.port
        self._runs: list[str] = []
        self._mended = 0.0

    def __enter__(self) -> Self:
        self.relay.__enter__()
        self.site.__enter__()
        self.site.serve()
        self.site.until(lambda: self.link == "connected", "the link to be connected")
        return self

    def __exit__(self, *problem: object) -> None:
        self.site.__exit__(*problem)
        self.relay.__exit__(*problem)

    @property
    def link(self) -> str:
        """What `status` says of the broker."""
        try:
            return str(json.loads((self.site.base / "run" / "state.json").read_bytes())["broker"])
        except FileNotFoundError:
            return ""

    # --- the story

    def send(self, count: int) -> None:
        """Send runs as a producer of today does, without a job id, each of an experiment of its own."""
        with StompClient(self.site.broker_port) as client:
            for _ in range(count):
                run = str(5000 + len(self._runs))
                body = json.loads(self.site.message(run, gated(run), variables={"signs": str(signs(self.site))}))
                body["rb_number"] = f"15{run}"
                client.send(self.site.settings.queues.pending[0], json.dumps(body))
                self._runs.append(run)

    def let_go(self) -> None:
        """Let every script end."""
        let_go(self.site)

    def begun(self) -> int:
        """How many times a script was begun."""
        return sum(name.startswith("began-") for name in os.listdir(signs(self.site)))

    def journaled(self) -> list[dict[str, Any]]:
        """Every request of the store."""
        folder = self.site.layout.path("jobs")
        names = [os.path.join(root, "request.json") for root, _, files in os.walk(folder) if "request.json" in files]
        return [json.loads(durable.read(name) or b"{}") for name in names]

    def results(self) -> int:
        """How many results stand in the archive."""
        return sum(os.path.exists(self._result(run) / ".run") for run in self._runs)

    def waiting(self, key: str) -> int:
        """How many messages lie in a queue."""
        name = getattr(self.site.settings.queues, key)
        with StompClient(self.site.broker_port) as client:
            return client.count(name[0] if key == "pending" else name)

    def fail(self, fault: Fault) -> None:
        """Have the line fail."""
        self.relay.fail(fault)

    def wait_noticed(self, fault: Fault) -> None:
        """Wait until the link knows of the fault; a slow line is none."""
        if fault is Fault.SLOW:
            return
        self.site.until(lambda: self.link == "away", f"the link to notice that its line is {fault}")

    def mend(self) -> None:
        """Mend the line."""
        self._mended = time.monotonic()
        self.relay.mend()

    # --- its end

    def settle(self) -> Measured:
        """Wait until everything is done and told, and check it all."""
        self.site.until(lambda: self.link == "connected", "the link to be connected again")
        connected = time.monotonic() - self._mended
        self.site.until(self._is_told, "every run to be told to its end")
        measured = Measured(connected=connected, settled=time.monotonic() - self._mended)
        self.site.settle()
        self._check()
        return measured

    def _is_told(self) -> bool:
        jobs = [self.site.layout.job(request["job"]) for request in self.journaled()]
        if len(jobs) < len(self._runs) or not all(os.path.exists(job.published) for job in jobs):
            return False
        return self.waiting("pending") == 0

    def _check(self) -> None:
        """One job for each message, one run and one outcome for each job, and the same reply in every copy."""
        requests = self.journaled()
        assert sorted(request["run"] for request in requests) == sorted(self._runs), "a message is lost, or two jobs"
        assert self.begun() == len(self._runs), f"{self.begun()} runs of {len(self._runs)} messages"
        for request in requests:
            cells = RbCells(self.site.layout.rb(request["rb"]))
            assert cells.last() == 1, f"RB {request['rb']} has {cells.last()} epochs"
            outcome = cells.outcome(1)
            assert outcome is not None
            assert (outcome.kind, outcome.verdict) == ("committed", "completed"), outcome
            run = request["run"]
            assert without_logs(tree(self._result(run))) == files_of(run), f"the result of run {run}"
        with StompClient(self.site.broker_port) as client:
            for key in ("started", "complete"):
                self._check_copies(client.browse(getattr(self.site.settings.queues, key)), requests, key)
            assert client.browse(self.site.settings.queues.error) == [], "an error was told"
        for text in ("Traceback", "defect", "undeliverable"):
            assert text not in self.site.log(), f"the logs hold a {text}"

    def _check_copies(self, frames: list[Any], requests: list[dict[str, Any]], key: str) -> None:
        bodies: dict[str, set[bytes]] = {}
        for frame in frames:
            bodies.setdefault(frame.headers["event-id"], set()).add(frame.body)
        assert all(len(copies) == 1 for copies in bodies.values()), f"copies of a reply in {key} differ"
        told = sorted(json.loads(body)["supervisor"]["job_id"] for copies in bodies.values() for body in copies)
        assert told == sorted(request["job"] for request in requests), f"{key} tells of {told}"
        self.copies = len(frames)

    def _result(self, run: str) -> Path:
        return self.site.archive / "GEM" / f"RB15{run}" / "autoreduced" / run
