"""A whole site in one folder: store, archive, spool, and a supervisor that is started again whenever a test kills it.

The test process adopts orphans while a site is open, so that no process of the site can get away: whatever is left of
a killed supervisor, nursery or shepherd comes below this process and is seen (and ended) here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from waiting import wait_until

from sandbox.linux import prctl, proctree
from supervisor import config, durable, intake, journal, rundir
from supervisor.failpoints import VARIABLE
from supervisor.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sandbox.linux.proctree import Process
    from supervisor.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
#: Generous: a kill-and-restart takes a second or two, on a small and noisy machine some more.
PATIENCE = 60.0
#: The experiment and the instruments of every site.
RB = "1410001"
REPLACING = "GEM"
MERGING = "MERLIN"

_CONFIG = """
[broker]
url = "{broker}"
heartbeat = "{heartbeat}"
{broker_more}[store]
path = "{shared}/store"
poll = "{poll}"
[host]
id = "{host}"
slots = {slots}
memory = "1 TiB"
[service]
run_dir = "{base}/run"
[spool]
path = "{base}/spool"
[queues]
{queues}
[replies]
gap = "0 s"
[retry]
first = "100 ms"
cap = 100
jitter = 0.0
[lock]
beat = "{beat}"
self_kill_after = "{self_kill_after}"
takeover_after = "{takeover_after}"
[publish]
max_attempts = 5
[limits]
grace = "300 ms"
[isolation]
require = "{level}"
allow_unsafe = true
[interpreter]
argv = ["{python}", "-I", "-S"]
[paths]
data_roots = ["{shared}/data"]
result_roots = ["{shared}/archive"]
archive_directory = "{shared}/archive/{{instrument}}/RB{{rb}}/autoreduced/{{run}}/"
ceph_directory = "{shared}/archive/ceph/{{instrument}}/RB{{rb}}/{{run}}/"
excitation_directory = "{shared}/archive/{{instrument}}/RB{{rb}}/"
excitation_instruments = ["{merging}"]
version_directory = ""
script = "{shared}/scripts/{{instrument}}/reduce.py"
variables = "{shared}/scripts/{{instrument}}/reduce_vars.py"
{more}"""
#: What stands in the configuration where a test says nothing else.
_VALUES = {
    "poll": "50 ms",
    "slots": "2",
    "beat": "500 ms",
    "self_kill_after": "60 s",
    "takeover_after": "120 s",
    "more": "",
}


@dataclass(frozen=True, kw_only=True)
class Victims:
    """The processes of the run that is under way, as far as they exist at this moment."""

    supervisor: int | None
    nursery: int | None
    shepherd: int | None
    builder: int | None
    init: int | None
    script: int | None


class FleetSite:
    """One host with its own store and archive; a context manager that leaves no process behind.

    Args:
        base: A folder of its own.
        broker_port: Where a STOMP broker listens on loopback; 0 for none.
        queues: Names of the queues by their key in the configuration.
        level: What the boxes hold. The protocol is the same at each, and without walls a supervisor starts sooner.
        host: Its id.
        shared: The folder of the store, the data and the archive, where other hosts use them too; else all lie in
            `base`.
        values: Laid over what a site's configuration says: poll, slots, beat, self_kill_after, takeover_after, more.
        heartbeat: That of the link.
        broker_more: Further lines of the table `broker`.
    """

    def __init__(
        self,
        base: Path,
        *,
        broker_port: int = 0,
        queues: Mapping[str, str | list[str]] | None = None,
        level: str = "none",
        host: str = "fleet",
        shared: Path | None = None,
        values: dict[str, str] | None = None,
        heartbeat: str = "2 s",
        broker_more: str = "",
    ) -> None:
        self.base = base
        self.host = host
        self.shared = shared or base
        self.level = level
        self.broker_port = broker_port
        self.layout = Layout(str(self.shared / "store"))
        self.archive = self.shared / "archive"
        self.points = base / "points"
        self.config = base / "supervisor.toml"
        self.restarts = 0
        self._passes = 0
        self._then: Callable[[], object] | None = None
        self._schedule: list[tuple[float, Callable[[], object]]] = []
        self._next_kill = 0.0
        self._order = ("", "")
        self._process: subprocess.Popen[bytes] | None = None
        self._verb: subprocess.Popen[bytes] | None = None
        self._service_managed = False
        self._before: set[int] = set()
        self._adopted_before = False
        self.points.mkdir(parents=True)
        for name in ("archive", "data"):
            (self.shared / name).mkdir(exist_ok=shared is not None)
        named = "\n".join(f"{key} = {json.dumps(name)}" for key, name in (queues or {}).items())
        self.config.write_text(
            _CONFIG.format(
                **{**_VALUES, **(values or {})},
                base=base,
                shared=self.shared,
                host=host,
                heartbeat=heartbeat,
                broker_more=broker_more,
                broker=f"stomp://127.0.0.1:{broker_port}" if broker_port else "none",
                queues=named,
                level=level,
                python=sys.executable,
                merging=MERGING,
            )
        )

    def __enter__(self) -> Self:
        self._adopted_before = prctl.adopts_orphans()
        prctl.adopt_orphans()
        self._before = {process.pid for process in below_us()}
        return self

    def __exit__(self, *_: object) -> None:
        self._service_managed = False
        self.reap()
        while left := [process for process in self.processes() if process.living]:
            for process in left:
                proctree.send(process, signal.SIGKILL)
            self.reap()
        self.reap()
        if self._process is not None:
            self._process.wait(PATIENCE)
        if not self._adopted_before:
            prctl.adopt_orphans(adopt=False)

    # --- the supervisor, and who restarts it ------------------------------------------------------------------

    def start(self) -> None:
        """Start the supervisor; from now on `tend` starts it again when it was killed."""
        self._service_managed = True
        log = os.open(self.base / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.cli", "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self.environment(),
            )
        finally:
            os.close(log)

    @cached_property
    def settings(self) -> Settings:
        """The configuration of this site."""
        return config.load(str(self.config))

    def environment(self) -> dict[str, str]:
        """What our processes are started with."""
        return {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT), VARIABLE: str(self.points)}

    def serve(self) -> None:
        """Start the supervisor, and go on when it takes messages; it has a nursery by then, which may be killed."""
        self.start()
        self.until((self.base / "run" / "supervisor.json").exists, "the supervisor to serve")

    def tend(self) -> None:
        """Do what a service manager does: start a supervisor that was killed again; nothing else may end it."""
        if self._process is None or not self._service_managed:
            return
        status = self._process.poll()
        if status is None:
            return
        assert status == -signal.SIGKILL, f"the supervisor ended with status {status}:\n{self.log()}"
        self.restarts += 1
        self.start()

    def turn(self) -> None:
        """Do all that is due: restart who was killed, let go who stands a time too early, kill who is on the list."""
        self.tend()
        self._let_pass()
        self._keep_schedule()

    def until(self, predicate: Callable[[], Any], why: str) -> Any:
        """Wait for a fact while the service manager does its work; fail with the logs."""

        def look() -> Any:
            self.turn()
            return predicate()

        try:
            return wait_until(look, PATIENCE, why)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.describe()}") from None

    def kill_supervisor(self) -> None:
        """Kill the supervisor, and do not start it again before `start`."""
        self._service_managed = False
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE)

    def abandon(self) -> None:
        """From now on nobody starts the supervisor again, whatever becomes of it."""
        self._service_managed = False

    @property
    def is_coming(self) -> bool:
        """Whether the supervisor was started and does not serve yet: it tries boxes, and knows nothing of the store."""
        if self._process is None or not self._service_managed:
            return False
        told = rundir.read_local(str(self.base / "run"), rundir.IDENTITY_FILE)
        return told is None or told["pid"] != self._process.pid

    @property
    def child(self) -> subprocess.Popen[bytes] | None:
        """The supervisor that was started last."""
        return self._process

    def stop_supervisor(self) -> int:
        """End the supervisor in order and return its exit status."""
        self._service_managed = False
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE)

    # --- messages -----------------------------------------------------------------------------------------------

    def data(self, run: str) -> Path:
        """The data file of a run."""
        return self.shared / "data" / f"{REPLACING}{run}.nxs"

    def message(
        self, run: str, script: str | None, *, instrument: str = REPLACING, variables: dict[str, Any] | None = None
    ) -> bytes:
        """Make the message of a run, and its data file; without a script it is the instrument's own that runs."""
        self.data(run).write_bytes(b"counts")
        body = {
            "data": str(self.data(run)),
            "facility": "ISIS",
            "instrument": instrument,
            "rb_number": RB,
            "run_number": run,
            "run_version": 0,
            "reduction_script": script,
            "reduction_arguments": {"standard_vars": variables or {}, "advanced_vars": {}},
            "message": "",
        }
        return json.dumps(body).encode()

    def cancellation(self, run: str, *, instrument: str = REPLACING) -> bytes:
        """Make the message that cancels a run."""
        return json.dumps({"instrument": instrument, "run_number": run, "cancel": True}).encode()

    def submit(self, job: str, body: bytes, *, time_ms: int = 0, priority: int = 4) -> None:
        """Journal a message as the verb does, in this process."""
        now = time.time()
        journal.open_store(self.layout, create=True)
        headers = {"job-id": job, "timestamp": str(time_ms or int(now * 1000)), "priority": str(priority)}
        what = intake.examine(body, headers, self.settings, host="test", hostname="test", now=now)
        if isinstance(what, intake.CancelRun):
            journal.cancel_run(self.layout, what.cancel)
        else:
            assert isinstance(what, intake.Run), what
            journal.journal(self.layout, what.request)

    def submit_by_verb(self, job: str, body: bytes) -> None:
        """Journal a message by the verb, a process of its own; a person whose command was killed gives it again."""
        path = self.base / f"{job}.json"
        path.write_bytes(body)
        command = [sys.executable, "-m", "supervisor.cli", "submit", str(path), "--job", job]

        said = self.base / f"{job}.said"

        def submitted() -> bool:
            # Never waited for: the verb may stand at a fail-point until `until` lets it pass.
            if self._verb is None:
                with said.open("wb") as errors:
                    self._verb = subprocess.Popen(
                        [*command, "--config", str(self.config)],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=errors,
                        env=self.environment(),
                        cwd="/",
                    )
            status = self._verb.poll()
            assert status in (None, 0, -signal.SIGKILL), said.read_text()
            if status is not None:
                self._verb = None
            return status == 0

        self.until(submitted, "the verb to journal the message")

    # --- fail-points ----------------------------------------------------------------------------------------------

    def arm(self, process: str, label: str, action: str = "kill") -> None:
        """Have the next process of that kind that reaches the point killed or stopped."""
        order = {"process": process, "label": label, "action": action}
        new = self.points / "armed.new"
        new.write_text(json.dumps(order))
        new.rename(self.points / "armed")

    def arm_nth(self, process: str, label: str, nth: int) -> None:
        """Have it killed when it reaches the point for the `nth` time; `until` lets it pass the times before."""
        self._passes = nth - 1
        self._order = (process, label)
        self.arm(process, label, "stop" if self._passes else "kill")

    def hold_nth(self, process: str, label: str, nth: int, then: Callable[[], object]) -> None:
        """Have it held when it reaches the point for the `nth` time; `until` calls `then` and lets it go on."""
        self._passes, self._then = nth, then
        self._order = (process, label)
        self.arm(process, label, "stop")

    @property
    def holding(self) -> bool:
        """Whether the process that is to be held has not come, or has not been let go."""
        return self._passes > 0

    def kill_later(self, kills: list[tuple[float, Callable[[], object]]]) -> None:
        """Have `until` call each of `kills` when so many seconds have passed since the one before."""
        self._schedule = kills
        self._next_kill = time.monotonic() + kills[0][0]

    def _let_pass(self) -> None:
        """Let the process that stopped at the point, one time too early, go on."""
        if not self._passes or self.armed:
            return
        process = self.stopped()
        if process is None:
            return
        self._passes -= 1
        if self._passes or self._then is None:
            self.arm(*self._order, "kill" if not self._passes else "stop")
        else:
            self._then()
        proctree.send(process, signal.SIGCONT)

    def _keep_schedule(self) -> None:
        """Kill who is due."""
        if self._schedule and time.monotonic() >= self._next_kill:
            (_, due), *self._schedule = self._schedule
            due()
            if self._schedule:
                self._next_kill = time.monotonic() + self._schedule[0][0]

    def trouble(self, *orders: dict[str, Any]) -> None:
        """Have calls fail or hang from now on, as `failpoints` says; without orders all is well again."""
        numbered = [{"id": f"{time.monotonic_ns()}-{place}", **order} for place, order in enumerate(orders)]
        new = self.points / "trouble.new"
        new.write_text(json.dumps(numbered))
        new.rename(self.points / "trouble")

    def hits(self) -> list[str]:
        """The points at which there was trouble, `process label` each, in order; of those that hang one."""
        path = self.points / "hits"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def armed(self) -> bool:
        """Whether the point that was armed has not been reached."""
        return (self.points / "armed").exists()

    def trace(self) -> None:
        """Have every point that is reached from now on recorded."""
        (self.points / "trace").touch()

    def traced(self) -> list[tuple[str, str]]:
        """The points reached since `trace`: process and label, in order."""
        lines = (self.points / "trace").read_text().splitlines()
        return [(process, label) for process, _, label in (line.partition(" ") for line in lines)]

    def stopped(self) -> Process | None:
        """The process that stands stopped at a fail-point."""
        return next((process for process in self.processes() if process.state == "T"), None)

    # --- processes ------------------------------------------------------------------------------------------------

    def processes(self) -> list[Process]:
        """Every process of this site; where others share its store, those of this host alone."""
        found = [process for process in below_us() if process.pid not in self._before]
        return found if self.shared == self.base else _of_host(self.base, found)

    @property
    def bystanders(self) -> set[int]:
        """Processes that were there before the site, or are none of it."""
        return self._before

    def spare(self, pid: int) -> None:
        """Take a process that the test started meanwhile for a bystander."""
        self._before.add(pid)

    def reap(self) -> None:
        """Take the status of dead orphans that came to us; those of the supervisor and of a verb are their own."""
        own = {child.pid: child for child in (self._process, self._verb) if child is not None}
        for process in self.processes():
            if process.ppid == os.getpid() and not process.living:
                if process.pid in own:
                    own[process.pid].poll()
                else:
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(process.pid, os.WNOHANG)

    def nursery(self) -> int | None:
        """The nursery that serves."""
        return next((p.pid for p in self.processes() if p.living and _role(p) == "nursery"), None)

    def victims(self) -> Victims:
        """The processes of the run that is under way; builder and init stand in its tree, hidden but for their place."""
        table = proctree.scan()

        def child(of: int | None) -> int | None:
            found = sorted((p.start, p.pid) for p in table.values() if p.ppid == of and p.living)
            return found[0][1] if of is not None and found else None

        supervisor = self._process.pid if self._process is not None and self._process.poll() is None else None
        shepherd = next((p.pid for p in self.processes() if p.living and _role(p) == "shepherd"), None)
        builder = child(shepherd)
        init = child(builder)
        return Victims(
            supervisor=supervisor,
            nursery=self.nursery(),
            shepherd=shepherd,
            builder=builder,
            init=init,
            script=child(init),
        )

    def is_quiet(self) -> bool:
        """Whether everything is done: nothing waits, and nobody lives but a supervisor and its nursery."""
        if durable.listing(self.layout.waiting):
            return False
        own = self._process.pid if self._process is not None else None
        living = [process for process in self.processes() if process.living]
        return own in {process.pid for process in living} and all(map(self.is_standing, living))

    def is_standing(self, process: Process) -> bool:
        """Whether a process is there when nothing is to be done: our supervisor, or a nursery."""
        own = self._process.pid if self._process is not None else None
        return process.pid == own or _role(process) == "nursery"

    def settle(self) -> None:
        """Wait until everything is done, whatever was killed before."""
        self.until(self.is_quiet, "the site to be quiet")

    # --- what there is to say -------------------------------------------------------------------------------------

    def log(self) -> str:
        """What supervisor, nursery and shepherds have said."""
        names = (self.base / "supervisor.log", self.base / "run" / "nursery.log")
        return "\n".join(f"--- {name.name}\n{name.read_text(errors='replace')}" for name in names if name.exists())

    def describe(self) -> str:
        """Everything there is to see, for a failure."""
        store = sorted(_files(self.layout.root))
        beside = sorted(_files(str(self.archive)))
        alive = [f"{p.pid} {p.state} {_words(p.pid)}" for p in self.processes()]
        parts = [("store", store), ("archive", beside), ("processes", alive), ("logs", [self.log()])]
        return "\n".join(f"== {name}\n" + "\n".join(lines) for name, lines in parts)


def tree(root: str | Path) -> dict[str, bytes]:
    """Every file below `root` with its bytes; empty where there is no folder."""
    found: dict[str, bytes] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = file.read()
    return found


def below_us() -> list[Process]:
    return proctree.descendants(os.getpid(), proctree.scan())


def _files(root: str) -> Iterable[str]:
    for folder, _, names in os.walk(root):
        yield from (os.path.relpath(os.path.join(folder, name), root) for name in names)


def _of_host(base: Path, found: list[Process]) -> list[Process]:
    """Those of `found` that belong to the host in `base`: its folder stands in their environment, or in a parent's.

    Whatever the supervisor starts inherits the folder of its fail-points, and a script has its scratch for a home. An
    init shows its environment to nobody, but its parent does.
    """
    mark = f"{base}/".encode()
    own: set[int] = set()
    for process in sorted(found, key=lambda process: process.start):
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{process.pid}/environ").read_bytes():
                own.add(process.pid)
    grown = True
    while grown:
        more = {process.pid for process in found if process.ppid in own} - own
        own |= more
        grown = bool(more)
    return [process for process in found if process.pid in own]


def _words(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return "?"


def _role(process: Process) -> str:
    """Tell nursery, shepherd and the rest apart: all are forks with one command line, but each has signals of its own.

    The nursery handles SIGTERM and leaves SIGUSR1 alone, a shepherd handles both, builder and init ignore SIGUSR1.
    """
    if "supervisor.nursery" not in _words(process.pid):
        return ""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return ""
    masks = {line[:6]: int(line.split()[1], 16) for line in lines if line.startswith(("SigCgt", "SigIgn"))}

    def has(mask: str, number: signal.Signals) -> bool:
        return bool(masks.get(mask, 0) >> (number - 1) & 1)

    if has("SigCgt", signal.SIGUSR1):
        return "shepherd"
    return "nursery" if has("SigCgt", signal.SIGTERM) and not has("SigIgn", signal.SIGUSR1) else ""
