"""Three machines of the lab as a fleet: s exports a store and an archive over NFSv4.2, hosts a and b serve it.

    with TwoHosts(place, share, "vers=4.2,hard", lease=15, sections={...}, name="default") as fleet:
        [job] = fleet.submit("a", SCRIPT, [(1, "RB1", 0)])
        where = fleet.running(job)
        fleet.kill(where.host)

The machines are booted, held and ended by `fleet.sh`, with the lab's own functions. Each has an agent (`hostagent.py`)
at the other end of an ssh connection that does not run through the network that is cut.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from embedded import Embedded

from supervisor import intake, records
from supervisor.pinned import code_version

if TYPE_CHECKING:
    from collections.abc import Callable

FLEET = Path(__file__).with_name("fleet.sh")
HOSTS = ("a", "b")
#: The site, as every machine sees it.
SHARED = "/shared/site"
#: What every fleet has said, for the end of the test run.
MEASURED: list[str] = []


@dataclass(frozen=True)
class Where:
    """A run under way: in which epoch, on which host, and which not."""

    n: int
    host: str
    other: str
    token: str
    shepherd: int


class AgentError(AssertionError):
    """What was asked of a machine failed there; the message has its traceback."""


class Agent:
    """The other end of a `hostagent.py`."""

    def __init__(self, command: list[str]) -> None:
        """Start the agent by `command`."""
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what: str, *arguments: Any, timeout: float = 1200.0) -> Any:
        """Ask and return the answer.

        Raises:
            AgentError: it could not be done, or the machine did not answer in time.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(timeout, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(json.dumps({"what": what, "arguments": arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            raise AgentError(f"the machine did not answer {what}{arguments} within {timeout} s, or is gone")
        answer = json.loads(line)
        if "error" in answer:
            raise AgentError(f"{what}{arguments}: {answer['error']}\n{answer['trace']}")
        return answer["answer"]

    def close(self) -> None:
        """End the connection."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()


class Site(Embedded):
    """The configuration of one host: store and archive on the export, the rest on a disk of its own."""

    def __init__(self, place: Path, sections: dict[str, Any], host: str) -> None:
        """Write it to a file in `place`, which is on this computer."""
        place.mkdir()
        super().__init__(
            place,
            **sections
            | {
                "host": {**sections["host"], "id": host},
                "store": {**sections["store"], "path": f"{SHARED}/store"},
                "spool": {"path": "/var/lib/labspool"},
                "paths": {
                    "archive_directory": SHARED + "/archive/{instrument}/{rb}/{run}",
                    "ceph_directory": SHARED + "/archive/ceph/{rb}/{run}",
                    "excitation_directory": SHARED + "/archive/excitation/{rb}",
                    "data_roots": [f"{SHARED}/data"],
                    "result_roots": [f"{SHARED}/archive"],
                },
            },
        )

    def config_text(self) -> str:
        """The file, for the host."""
        return Path(self.config).read_text()

    def decoded(self, script: str, run: int, rb: str, time_ms: int, **keys: Any) -> records.Request:
        """What the host would decode a message to."""
        message = self.message(script, run=run, rb=rb, **keys)
        message["data"] = f"{SHARED}/data/{os.path.basename(message['data'])}"
        now = time.time()
        headers = {"job-id": str(uuid.uuid4()), "timestamp": str(time_ms or int(now * 1000)), "priority": "4"}
        what = intake.examine(
            json.dumps(message).encode(), headers, self.settings(), host="test", hostname="test", now=now
        )
        assert isinstance(what, intake.Run), what
        return what.request


class TwoHosts:
    """The machines, and what a test does with them."""

    def __init__(
        self, place: Path, share: Path, mount: str, *, lease: int, sections: dict[str, Any], name: str
    ) -> None:
        """Prepare machines.

        Args:
            place: an empty folder of the test's own.
            share: what the machines see as /mnt/work.
            mount: options of the NFS mount on a and b.
            lease: lease and grace time of the NFS server, seconds.
            sections: tables of the configuration; `host.id` is added.
            name: stands before each line of what is measured.
        """
        self._place = place
        self._lab = Path(os.environ.get("LAB", "../shared/lab")).resolve()
        self._sites = {host: Site(place / host, sections, host) for host in HOSTS}
        self._name = name
        self._environment = os.environ | {
            "LAB_TIMEOUT": os.environ.get("LAB_TIMEOUT", "14000"),
            "LAB_SHARE": str(share),
            "LAB_NFS_OPTS": mount,
            "LAB_LEASE": str(lease),
            "LAB_HOSTS": "s a b",
            # A frozen machine answers no ssh: the connections outlive the freeze.
            "LAB_ALIVE": "120",
        }
        self._agents: dict[str, Agent] = {}
        self._cut: set[str] = set()
        self._frozen: set[str] = set()

    # --- machines ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._log = open(self._place / "machines.log", "w")  # for as long as the machines
        self._holder = subprocess.Popen(
            ["bash", FLEET, self._lab, "hold", self._place],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        try:
            began = time.monotonic()
            while not (self._place / "state").exists():
                assert self._holder.poll() is None, (self._place / "machines.log").read_text()
                assert time.monotonic() - began < 3000, "the machines did not come up in 3000 s"
                time.sleep(0.5)
            self._environment["LAB_STATE"] = (self._place / "state").read_text().strip()
            self.say(f"machines up after {time.monotonic() - began:.0f} s")
            self.ask("s", "serve_site")
            self.together(self._install, lambda host: self.ask(host, "start"))
            self.say(f"fleet serves after {time.monotonic() - began:.0f} s")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        for agent in self._agents.values():
            agent.close()
        (self._place / "end").touch()
        if "LAB_STATE" not in self._environment:
            self._holder.terminate()  # it is still booting them, and looks for nothing else
        self._holder.wait(300)
        self._log.close()

    def together(self, *steps: Callable[[str], object]) -> None:
        """Do `steps` on both hosts, one after another on each and beside each other on the two."""
        with ThreadPoolExecutor(len(HOSTS)) as pool:
            list(pool.map(lambda host: [step(host) for step in steps], HOSTS))

    def say(self, line: str) -> None:
        """Print a line of what was measured, and keep it."""
        MEASURED.append(f"{self._name}: {line}")
        print(MEASURED[-1], flush=True)

    def _do(self, function: str, *arguments: str) -> str:
        """Call a function of the lab's shell."""
        done = subprocess.run(
            ["bash", FLEET, self._lab, function, *arguments],
            env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=1200,
        )  # fmt: skip
        assert done.returncode == 0, f"{function} {arguments}: {done.stdout}"
        return done.stdout

    def ask(self, host: str, what: str, *arguments: Any, timeout: float = 1200.0) -> Any:
        """Ask the agent of a machine."""
        if host not in self._agents:
            options = shlex.split(self._do("lab_ssh_opts"))
            port = (Path(self._environment["LAB_STATE"]) / f"{host}.port").read_text().strip()
            self._agents[host] = Agent(
                ["ssh", "-o", "ControlMaster=no", "-o", "ControlPath=none", *options, "-p", port, "root@127.0.0.1",
                 f"python3 -B /mnt/work/hostagent.py {host}"]
            )  # fmt: skip
        return self._agents[host].ask(what, *arguments, timeout=timeout)

    def _install(self, host: str) -> None:
        self.ask(host, "install", code_version(), self._sites[host].config_text())

    def clock(self) -> float:
        """The time of the file server: the one clock that is compared with."""
        return float(self.ask("s", "clock"))

    def kill(self, host: str) -> float:
        """Take the power from a host; return the time of the file server."""
        at = self.clock()
        self._do("vm_kill", host)
        self._agents.pop(host).close()
        return at

    def boot(self, host: str) -> None:
        """Boot a killed host anew, with its mount and its units, which are not started."""
        self._do("boot", host)
        self._install(host)

    def freeze(self, host: str) -> float:
        """Stop every processor of a host; return the time of the file server."""
        at = self.clock()
        self._frozen.add(host)
        self._do("vm_stop", host)
        return at

    def thaw(self, host: str) -> float:
        """Let a frozen host go on."""
        at = self.clock()
        self._do("vm_cont", host)
        self._frozen.discard(host)
        return at

    def cut(self, host: str) -> float:
        """Cut a host off from the file server; return the time of that."""
        at = self.clock()
        self._cut.add(host)
        self._do("net_cut", host)
        return at

    def heal(self, host: str) -> float:
        """Join a host to the file server again."""
        at = self.clock()
        self._do("net_heal", host)
        self._cut.discard(host)
        return at

    def cut_for(self, host: str, seconds: float) -> float:
        """Cut a host off for a while, without a way through this computer in between; return for how long it was."""
        began, ended = (float(text) for text in self._do("cut_for", host, str(seconds)).split())
        return ended - began

    def restart_nfs(self) -> float:
        """Restart the NFS server; return the time before that."""
        at = self.clock()
        self._do("on", "s", "systemctl restart nfs-server")
        return at

    def make_whole(self) -> None:
        """Have both hosts up and serving, whatever an earlier test has left."""
        for host in tuple(self._frozen):
            self.thaw(host)
        for host in tuple(self._cut):
            self.heal(host)
        for host in HOSTS:
            if not (Path(self._environment["LAB_STATE"]) / f"{host}.pid").exists():
                self.boot(host)
            self.ask(host, "end_children")
            if not self.ask(host, "is_up"):
                self.ask(host, "start")

    # --- runs -------------------------------------------------------------------------------------------------

    def submit(self, host: str, script: str, runs: list[tuple[int, str, int]], **keys: Any) -> list[str]:
        """Journal messages on a host: (run, rb, time in ms or 0 for now) each; return their jobs."""
        decoded = [self._sites[host].decoded(script, *run, **keys) for run in runs]
        self.ask(host, "submit", [[request.data[0], records.to_record(request).decode()] for request in decoded])
        return [request.job for request in decoded]

    def job(self, job: str) -> dict[str, Any]:
        """What the store says of a job, seen from the file server; epochs by number."""
        return _by_number(self.ask("s", "job", job))

    def wait(self, job: str, state: str, timeout: float = 300.0) -> dict[str, Any]:
        """Wait until a job is `running`, `final` or `published`, and return what the store says of it."""
        return _by_number(self.ask("s", "wait_job", job, state, timeout, timeout=timeout + 60))

    def running(self, job: str) -> Where:
        """Wait until the script of a job runs, and say where."""
        facts = self.wait(job, "running")
        n = max(n for n, entry in facts["epochs"].items() if entry["job"] == job)
        entry = facts["epochs"][n]
        host = entry["host"]
        self.ask(host, "wait_box", entry["token"], 120)
        return Where(n, host, "b" if host == "a" else "a", entry["token"], entry["shepherd"])

    def why(self) -> str:
        """What the units of both hosts have said last, for a test that failed."""
        said = []
        for host in HOSTS:
            with contextlib.suppress(AgentError, KeyError):
                said.append(f"--- {host}\n{self.ask(host, 'journal')}")
        return "\n".join(said)


def _by_number(facts: dict[str, Any]) -> dict[str, Any]:
    return facts | {"epochs": {int(n): entry for n, entry in facts["epochs"].items()}}
