"""A site for acceptance tests: an archive, a real broker and a real supervisor process, and the producer's side of them."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import tomlkit
from stompclient import Frame, StompClient
from waiting import wait_until

from supervisor.cells import RbCells, read_final
from supervisor.layout import JobPlace, Layout

if TYPE_CHECKING:
    from activemq import ActiveMQ

    from supervisor.records import Outcome

#: Generous: the tests share a small machine with others.
PATIENCE = 60.0
ANSWERS = ("started", "complete", "error", "skipped", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of a made-up measurement: its message and where everything of it stands."""

    job: str
    message: dict[str, Any]
    data: Path
    #: Where the result goes; for the excitation layout the folder of the RB.
    result: Path

    @property
    def rb(self) -> str:
        return str(self.message.get("rb_number", self.message.get("ipts"))).strip().upper()


class Door:
    """Two FIFOs beside a data file: a script rings a bell and waits at a gate, and the test hears and opens it.

    A script that begins with `KNOCK` and calls `knock(input_file)` does so.
    """

    def __init__(self, data: Path) -> None:
        self._fds = []
        for name in ("bell", "gate"):
            path = f"{data}.{name}"
            os.mkfifo(path, 0o666)
            # Open at both ends, so that neither side ever blocks in open(2) or sees an end of file.
            self._fds.append(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))

    def rung(self, timeout: float = PATIENCE) -> bytes:
        """Wait until the script rings, and return what it said."""
        assert select.select([self._fds[0]], [], [], timeout)[0], f"nobody rang in {timeout} s"
        return os.read(self._fds[0], 4096)

    def is_quiet(self) -> bool:
        """Say whether nobody has rung so far."""
        return not select.select([self._fds[0]], [], [], 0)[0]

    def open(self) -> None:
        """Let one waiting script go on."""
        os.write(self._fds[1], b"o")

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)


KNOCK = """
import os


def ring(input_file, word=b"r"):
    fd = os.open(input_file + ".bell", os.O_WRONLY)
    os.write(fd, word)
    os.close(fd)


def knock(input_file):
    gate = os.open(input_file + ".gate", os.O_RDONLY)
    ring(input_file)
    os.read(gate, 1)
    os.close(gate)
"""

#: Rings, waits, and writes one result.
HOLDS = f"""{KNOCK}

def main(input_file, output_dir):
    knock(input_file)
    with open(os.path.join(output_dir, "result.txt"), "w") as result:
        result.write("held\\n")
"""

#: Writes one result, whose text comes with the message.
WRITES = """
import os
import reduce_vars as web_var


def main(input_file, output_dir):
    print("reducing", os.path.basename(input_file))
    with open(os.path.join(output_dir, "result.txt"), "w") as result:
        result.write(web_var.standard_vars.get("text", "done"))
"""


class Site:
    """One site below `base`; use it as a context manager, which starts the supervisor and ends everything.

    Args:
        base: A folder of its own.
        broker: The broker, or None for runs that are put into the store by hand.
        serve: Whether the context manager starts the supervisor.
        sections: Tables of the configuration, over those of a quick test site; `queues` takes bare names.
    """

    def __init__(self, base: Path, broker: ActiveMQ | None, *, serve: bool = True, **sections: dict[str, Any]) -> None:
        self.base = base
        self.broker = broker
        self.archive = base / "archive"
        self.run_dir = base / "run"
        self.spool = base / "spool"
        self.layout = Layout(str(base / "store"))
        self.log = base / "supervisor.log"
        self.failpoints = base / "failpoints"
        self._client: StompClient | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._doors: list[Door] = []
        self._mark = uuid.uuid4().hex[:12]
        self._config = base / "supervisor.toml"
        self._serve = serve
        for folder in (self.archive / "isis", self.archive / "instrument", self.failpoints):
            folder.mkdir(parents=True)
        self._write_config(sections)

    # --- the supervisor --------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            return self.start() if self._serve else self
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, *, connected: bool = True) -> Self:
        """Start the supervisor and wait until it takes messages, or, with `connected` false, until it serves at all."""
        (self.run_dir / "state.json").unlink(missing_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                # The supervisor dies with the test process, whatever kills that.
                ["setpriv", "--pdeathsig", "KILL", *self.command("serve")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.base,
                env={**kept, "LANG": "C.UTF-8", "AUTOREDUCE_FAILPOINTS": str(self.failpoints)},
            )
        wait_until(functools.partial(self._serves, connected=connected), PATIENCE, "a supervisor that serves")
        return self

    def command(self, verb: str, *arguments: str) -> list[str]:
        """Return the command line of a verb with this site's configuration."""
        return [sys.executable, "-m", "supervisor.cli", verb, *arguments, "--config", str(self._config)]

    @property
    def pid(self) -> int:
        """The supervisor's process."""
        assert self._process is not None, "the supervisor does not run"
        return self._process.pid

    def stop(self) -> None:
        """End the supervisor in order; runs go on."""
        process, self._process = self._process, None
        assert process is not None, "the supervisor does not run"
        process.terminate()
        assert process.wait(PATIENCE) == 0, self.said()

    def kill(self) -> None:
        """End the supervisor as a crash would; runs go on."""
        process, self._process = self._process, None
        assert process is not None, "the supervisor does not run"
        process.kill()
        process.wait(PATIENCE)

    def wait_killed(self) -> None:
        """Wait until the supervisor was killed at a fail-point."""
        process, self._process = self._process, None
        assert process is not None, "the supervisor does not run"
        assert process.wait(PATIENCE) == -signal.SIGKILL, self.said()

    def arm(self, process: str, label: str) -> None:
        """Have the next process of this kind that reaches the fail-point killed there."""
        text = json.dumps({"process": process, "label": label, "action": "kill"})
        (self.failpoints / "armed").write_text(text)

    def said(self) -> str:
        """Return what supervisor and nursery wrote, for a failure message."""
        logs = (self.log, self.run_dir / "nursery.log")
        return "\n".join(log.read_text(errors="replace")[-6000:] for log in logs if log.exists())

    def close(self) -> None:
        """End what this site started: the supervisor, the nursery and with it every run."""
        for door in self._doors:
            door.close()
        try:
            if self._process is not None:
                self.stop()
        finally:
            if self._client is not None:
                self._client.close()
            if self._process is not None:
                self.kill()
            self.end_nursery()

    def end_nursery(self) -> None:
        """Have the nursery end as at a shutdown of the host: it ends its runs first."""
        for pid in self.nurseries():
            with contextlib.suppress(ProcessLookupError):
                fd = os.pidfd_open(pid)
                signal.pidfd_send_signal(fd, signal.SIGTERM)
                gone = select.select([fd], [], [], PATIENCE)[0]
                os.close(fd)
                assert gone, f"the nursery {pid} did not end: {self.said()}"

    def nurseries(self) -> list[int]:
        """Return the nurseries that serve this site's run directory."""
        wanted = ["supervisor.nursery", str(self.run_dir)]
        return [pid for pid, line in command_lines().items() if all(word in line for word in wanted)]

    # --- the producer ----------------------------------------------------------------------------------------

    @property
    def client(self) -> StompClient:
        """A connection of the producer, made when it is first used."""
        if self._client is None:
            assert self.broker is not None, "this site has no broker"
            self._client = StompClient(self.broker.port, user=self.broker.user, password=self.broker.password)
        return self._client

    def reconnect(self) -> None:
        """Let go of a connection to a broker that is gone."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def queue(self, name: str) -> str:
        """The site's own queue of this name."""
        return f"/queue/t.{self._mark}.{name}"

    def run(
        self,
        script: str,
        *,
        instrument: str = "GEM",
        run: Any = "00075513",
        rb: Any = "1510111",
        folder: str = "",
        arguments: dict[str, Any] | None = None,
        data: bool = True,
        **others: Any,
    ) -> Run:
        """Make the message of a run, as producers send it, and the small data file that it names.

        Args:
            script: Text of the script.
            instrument: Also decides the layout of the result.
            run: The run number in any form.
            rb: The RB number in any form.
            folder: A folder of the archive between the cycle and the data file.
            arguments: `standard_vars`.
            data: Whether the data file is there already.
            others: Further keys of the message.
        """
        number = int(float(run))
        name = f"{instrument}{number:08d}.nxs"
        below = "/".join(part for part in (f"NDX{instrument}/Instrument/data/cycle_15_1", folder, name) if part)
        path = self.archive / "isis" / below
        path.parent.mkdir(parents=True, exist_ok=True)
        if data:
            path.write_bytes(b"counts")
        message = {
            "facility": "ISIS",
            "instrument": instrument,
            "rb_number": rb,
            "run_number": run,
            "run_version": 0,
            "data": "\\\\isis\\inst$\\" + below.replace("/", "\\"),
            "reduction_script": script,
            "reduction_arguments": {"standard_vars": arguments or {}, "advanced_vars": {}},
            **others,
        }
        rb_text = str(rb).strip().upper()
        if instrument in ("LET", "MARI", "MAPS", "MERLIN", "WISH"):
            result = self.archive / "instrument" / instrument / "RBNumber" / f"RB{rb_text}" / "autoreduced"
        else:
            cycle = self.archive / "isis" / f"NDX{instrument}" / "Instrument" / "data" / "cycle_15_1"
            result = cycle / "autoreduced" / rb_text / str(number)
        return Run(job=f"job-{uuid.uuid4()}", message=message, data=path, result=result)

    def held(self, **facts: Any) -> tuple[Run, Door]:
        """Make a run that rings and waits, and its door; `script` names another script that knocks."""
        run = self.run(facts.pop("script", HOLDS), **facts)
        return run, self.door(run)

    def door(self, run: Run) -> Door:
        """Make the door of a run whose script knocks."""
        door = Door(run.data)
        self._doors.append(door)
        return door

    def send(self, run: Run, *, priority: int = 4) -> Run:
        """Send the run's message under its job id."""
        self.send_raw(json.dumps(run.message), run.job, priority=priority)
        return run

    def send_raw(self, body: str | bytes, job: str, *, priority: int = 4, to: str = "pending") -> None:
        """Send any body to the pending queue, or to another."""
        self.client.send(self.queue(to), body, {"job-id": job, "priority": str(priority)})

    def cancel(self, run: Run, *, to: str = "pending", **changes: Any) -> None:
        """Send the cancel of a run, as the web application does: its message with `cancel`."""
        self.send_raw(json.dumps({**run.message, "cancel": True, **changes}), f"cancel-{uuid.uuid4()}", to=to)

    def answer(self, name: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """Take the next reply of a queue."""
        return dict(json.loads(self.answer_frame(name, timeout).body))

    def answer_frame(self, name: str, timeout: float = PATIENCE) -> Frame:
        """Take the next reply of a queue, as it came."""
        frame = self.client.receive(self.queue(name), timeout)
        assert frame is not None, f"no reply came on {name} in {timeout} s; the logs:\n{self.said()}"
        return frame

    def completed(self, run: Run) -> dict[str, Any]:
        """Take the two replies of a run that is the only one under way, and check that they are of it."""
        started, complete = self.answer("started"), self.answer("complete")
        assert started["supervisor"]["job_id"] == complete["supervisor"]["job_id"] == run.job
        return complete

    def left(self) -> dict[str, list[str]]:
        """Return the event ids of the replies that lie in each queue, empty queues left out."""
        found = {
            name: [frame.headers.get("event-id", "") for frame in self.client.browse(self.queue(name))]
            for name in ANSWERS
        }
        return {name: events for name, events in found.items() if events}

    # --- the store -------------------------------------------------------------------------------------------

    def place(self, run: Run) -> JobPlace:
        """Where the job stands in the store."""
        return self.layout.job(run.job)

    def outcome(self, run: Run) -> Outcome:
        """Wait until the job is told to its end, and return its one outcome."""
        wait_until(functools.partial(os.path.exists, self.place(run).published), PATIENCE, f"the end of {run.job}")
        final = read_final(self.place(run))
        assert final is not None
        outcome = RbCells(self.layout.rb(run.rb)).outcome(final.n)
        assert outcome is not None
        return outcome

    def attempts(self, run: Run) -> int:
        """Return how many times the job was begun."""
        return len(os.listdir(self.place(run).attempts))

    def wait_journaled(self, *runs: Run) -> None:
        """Wait until these messages stand in the store."""
        for run in runs:
            wait_until(functools.partial(os.path.exists, self.place(run).request), PATIENCE, f"{run.job} in the store")

    def wait_clean(self) -> None:
        """Wait until no run has left anything in the scratch space; a shepherd tidies up after it has published."""
        wait_until(lambda: not os.listdir(self.spool), PATIENCE, f"an empty {self.spool}")

    def processes(self, run: Run) -> dict[str, int]:
        """Return the processes of a run that is under way, from the nursery down to the script, by what they are."""
        place = self.place(run)
        n = max(int(name) for name in os.listdir(place.attempts))
        record = json.loads(Path(place.run(n)).read_bytes())
        mark = f"AUTOREDUCE_BOX={record['token']}".encode()
        (script,) = [
            pid
            for pid, line in command_lines().items()
            if "harness.py" in line and mark in Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
        ]
        init = _parent(script)
        assert _parent(init) == record["builder"]["pid"]
        (nursery,) = [pid for pid in self.nurseries() if pid == _parent(record["shepherd"]["pid"])]
        return {
            "nursery": nursery,
            "shepherd": record["shepherd"]["pid"],
            "builder": record["builder"]["pid"],
            "init": init,
            "script": script,
        }

    def write_password(self, password: str) -> None:
        """Write the file that holds the password, readable by its owner alone."""
        path = self.base / "password"
        path.touch(0o600)
        path.write_text(f"{password}\n")

    # -----------------------------------------------------------------------------------------------------------

    def _serves(self, *, connected: bool) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the supervisor ended with {self._process.returncode}: {self.said()}"
        try:
            state = json.loads((self.run_dir / "state.json").read_bytes())
        except FileNotFoundError:
            return False
        return not connected or bool(state["broker"] == ("connected" if self.broker is not None else "none"))

    def _write_config(self, sections: dict[str, dict[str, Any]]) -> None:
        assert shutil.which("setpriv"), "setpriv is missing; run: apt-get install -y util-linux"
        broker: dict[str, Any] = {"url": "none"}
        if self.broker is not None:
            broker = {"url": f"stomp://{self.broker.host}:{self.broker.port}", "heartbeat": "2 s"}
        if self.broker is not None and self.broker.user is not None:
            assert self.broker.password is not None
            self.write_password(self.broker.password)
            broker |= {"user": self.broker.user, "password_file": str(self.base / "password")}
        tables: dict[str, dict[str, Any]] = {
            "broker": broker,
            "store": {"path": self.layout.root, "poll": "100 ms"},
            "host": {"id": "test-host", "slots": 2, "memory": "1 TiB"},
            "service": {"run_dir": str(self.run_dir)},
            "spool": {"path": str(self.spool)},
            "queues": {name: self.queue(name) for name in ("pending", "started", "complete", "error")},
            "interpreter": {"argv": [sys.executable]},
            "paths": {
                "root_map": [
                    {"from": "/isis", "to": str(self.archive / "isis")},
                    {"from": "/instrument", "to": str(self.archive / "instrument")},
                    {"from": "/SNS", "to": str(self.archive / "SNS")},
                ]
            },
            "limits": {"grace": "5 s", "wall": "5 min"},
            "retry": {"first": "500 ms", "delay": "1 s"},
        }
        for name, table in sections.items():
            own = self._queue_names(table) if name == "queues" else table
            tables[name] = {**tables.get(name, {}), **own}
        self._config.write_text(tomlkit.dumps(tables))

    def _queue_names(self, table: dict[str, Any]) -> dict[str, Any]:
        return {
            key: self._queue_names(value) if isinstance(value, dict) else self.queue(value)
            for key, value in table.items()
        }


def _parent(pid: int) -> int:
    """Return the parent of a process: the fourth word of its stat, counted behind the name (proc(5))."""
    return int(Path("/proc", str(pid), "stat").read_bytes().rpartition(b")")[2].split()[1])


def command_lines() -> dict[int, str]:
    """Return the command line of every process, by pid, as `ps` shows it."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                found[int(name)] = (
                    Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
    return found


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file below a folder with its mode and bytes, by relative path."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
