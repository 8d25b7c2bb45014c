"""The site of the demo: an archive with simulated runs, a store and a supervisor of its own, all in one folder.

Nothing outside the folder is written and nothing of it needs root, a broker or a cgroup. Whatever was started here is
ended here, each process by its own pid: the supervisor is a child, the nursery tells who it is on its socket.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import tomlkit

from sandbox.levels import LEVELS
from supervisor import config, errandsocket, hostfacts, intake, journal, pinned, records, rundir
from supervisor.cells import RbCells, read_final
from supervisor.demoruns import RUNS, DemoTrouble, examples_folder, load_example
from supervisor.layout import Layout
from supervisor.localwalls import NoWalls, Walls, walls_for
from supervisor.nurserylink import clean_environment
from supervisor.profiles import Profile
from supervisor.settings import Settings

if TYPE_CHECKING:
    from sandbox.limits import Limits
    from supervisor.demoruns import DemoRun

#: What the examples import; the extra `demo` of the distribution brings them.
NEEDED = ("h5py", "numpy", "matplotlib")
_CYCLE = "15_1"
#: The archive's name on the control computers, which write the messages.
_SHARE = "\\\\isis\\inst$\\"
#: Seconds for the supervisor to serve, and for it and its nursery to end.
_PATIENCE = 30.0
#: Seconds in which a nursery whose supervisor was ended at its start still comes to listen.
_LATE = 3.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How far a run is; `t`, `rss` and `processes` are those of its last beat."""

    phase: str
    t: float = 0.0
    rss: int = 0
    processes: int = 0
    outcome: records.Outcome | None = None


def walls_of_demo(folder: str) -> Walls:
    """Return how the boxes of the demo will be closed on this host: at most `contained`, as a service does.

    Raises:
        OSError: it could not be tried.
        DemoTrouble: this Python does not run behind the tree of a box.
    """
    profile = Profile(name="interpreter", argv=(sys.executable,))
    try:
        walls = walls_for(profile, Settings(), folder)
    except NoWalls as lacking:
        raise DemoTrouble(str(lacking)) from None
    return dataclasses.replace(walls, level=min(walls.level, "contained", key=LEVELS.index))


class DemoSite:
    """One supervisor on an embedded store, with four runs."""

    def __init__(self, folder: str, *, contained: bool) -> None:
        """Lay out the site in the absolute, empty `folder`; nothing is started.

        Args:
            folder: where everything will lie.
            contained: whether this host proves that level; else the scripts, which are ours, run without walls.
        """
        self.folder = folder
        self._contained = contained
        self.config = os.path.join(folder, "supervisor.toml")
        self.archive = os.path.join(folder, "archive")
        self.log = os.path.join(folder, "supervisor.log")
        self._run_dir = os.path.join(folder, "run")
        self._messages = os.path.join(folder, "messages")
        self._layout = Layout(os.path.join(folder, "store"))
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._served = False
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(tomlkit.dumps(self._tables()))
        self.settings = config.load(self.config)

    def _tables(self) -> dict[str, Any]:
        return {
            "broker": {"url": "none"},
            # One supervisor, which nobody else comes to: its folder may lie on any file system.
            "store": {"path": self._layout.root, "poll": "100 ms", "unproven": True},
            "host": {"id": "demo", "slots": 2},
            "service": {"run_dir": self._run_dir},
            "spool": {"path": os.path.join(self.folder, "spool")},
            "lock": {"beat": "250 ms", "self_kill_after": "30 s"},
            "paths": {
                "windows_prefixes": [{"windows": _SHARE, "linux": self.archive + "/"}],
                "archive_directory": (
                    self.archive + "/NDX{instrument}/Instrument/data/cycle_{cycle}/autoreduced/{rb}/{run}"
                ),
                "ceph_directory": self.archive + "/ceph/{rb}/{run}",
                "excitation_directory": self.archive + "/excitation/{rb}",
                "data_roots": [self.archive],
                "result_roots": [self.archive],
            },
            "interpreter": {"argv": [sys.executable]},
            "isolation": {} if self._contained else {"require": "none", "allow_unsafe": True},
            "limits": {
                "memory": "800 MiB",
                "wall": "60 s",
                "grace": "1 s",
                "instrument": {"GREEDY": {"memory": "300 MiB"}, "PATIENT": {"wall": "5 s"}},
            },
        }

    def limits(self, run: DemoRun) -> Limits:
        """Return the limits that the configuration sets for a run."""
        return self.settings.limits_for(run.instrument, run.rb)

    def measure(self) -> None:
        """Simulate the four measurements, and write the message about each as the control computer would.

        Raises:
            DemoTrouble: what the examples import is not there.
        """
        lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
        if lacking:
            remedy = f"install with: {sys.executable} -m pip install {' '.join(lacking)}"
            raise DemoTrouble(f"the demo needs {', '.join(lacking)}; {remedy}")
        examples = examples_folder()
        simulate = load_example(examples, "simulate")
        variables = load_example(examples, "reduce_vars")
        os.makedirs(self._messages)
        for run in RUNS:
            below = f"NDX{run.instrument}/Instrument/data/cycle_{_CYCLE}/{run.instrument}{run.run:08d}.nxs"
            path = os.path.join(self.archive, below)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            simulate.simulate(path, run=run.run, instrument=run.instrument, rb=run.rb, cycle=_CYCLE)
            with open(os.path.join(examples, run.script), encoding="utf-8") as file:
                script = file.read()
            message = {
                "facility": "ISIS",
                "instrument": run.instrument,
                "rb_number": run.rb,
                "run_number": run.run,
                "run_version": 0,
                "data": _SHARE + below.replace("/", "\\"),
                "reduction_script": script,
                "reduction_arguments": {
                    "standard_vars": variables.standard_vars,
                    "advanced_vars": variables.advanced_vars,
                },
            }
            with open(os.path.join(self._messages, f"{run.job}.json"), "w", encoding="utf-8") as file:
                json.dump(message, file, indent=2)

    def start(self) -> None:
        """Start the supervisor and wait until it serves.

        Raises:
            DemoTrouble: it does not come up.
        """
        with open(self.log, "ab") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-P", "-m", "supervisor.cli", "serve", "--config", self.config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(),
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is ours: we end it in good order
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._served:
            self.check()
            who = rundir.serving(self._run_dir)
            self._served = who is not None and who.pid == self._supervisor.pid
            if time.monotonic() > deadline:
                raise DemoTrouble(f"the supervisor does not serve after {_PATIENCE:g} s{self._last_words()}")
            time.sleep(0.02)

    def check(self) -> None:
        """See that the supervisor lives.

        Raises:
            DemoTrouble: it has ended.
        """
        assert self._supervisor is not None  # `start` comes first
        status = self._supervisor.poll()
        if status is not None:
            raise DemoTrouble(f"the supervisor ended with status {status}{self._last_words()}")

    def submit(self) -> None:
        """Put the four messages into the store, as `submit` does.

        Raises:
            DemoTrouble: one is refused.
        """
        facts = hostfacts.facts_of(self.settings)
        for place, run in enumerate(RUNS):
            with open(os.path.join(self._messages, f"{run.job}.json"), "rb") as file:
                body = file.read()
            now = time.time()
            headers = {"job-id": run.job, "timestamp": str(int(now * 1000) + place), "priority": "4"}
            what = intake.examine(body, headers, self.settings, host=facts.host, hostname=facts.hostname, now=now)
            if not isinstance(what, intake.Run):
                raise DemoTrouble(f"the message of {run.name} was not taken: {what}")
            journal.journal(self._layout, what.request)

    def look(self, run: DemoRun) -> Seen:
        """Return how far a run is, from what stands in the store."""
        place = self._layout.job(run.job)
        final = read_final(place)
        if final is not None:
            cells = RbCells(self._layout.rb(run.rb))
            if cells.promoted(final.n) is not None and os.path.exists(place.published):
                return Seen(phase="ended", outcome=cells.outcome(final.n))
        try:
            attempts = sorted(name for name in os.listdir(place.attempts) if name.isdigit())
        except FileNotFoundError:
            attempts = []
        if not attempts or not os.path.exists(place.run(int(attempts[-1]))):
            return Seen(phase="waiting")
        beat = _last_record(os.path.join(place.attempt(int(attempts[-1])), "usage.jsonl"))
        return Seen(
            phase="running",
            t=float(beat.get("t", 0.0)),
            rss=int(beat.get("rss", 0)),
            processes=int(beat.get("processes", 0)),
        )

    def end(self) -> None:
        """End the supervisor and its nursery and see them gone; without any that was started, do nothing.

        Raises:
            DemoTrouble: one of them had to be killed.
        """
        if self._supervisor is None:
            return
        late = _end_child(self._supervisor)
        late = self._end_nursery() or late
        self._supervisor = None
        if late:
            raise DemoTrouble(f"the {late} did not end by itself within {_PATIENCE:g} s and was killed")

    def _end_nursery(self) -> str:
        deadline = time.monotonic() + (0.0 if self._served else _LATE)
        while True:
            try:
                link = errandsocket.connect(self._run_dir, f"nursery-{pinned.code_version()}.sock", _PATIENCE)
                break
            except OSError:
                if time.monotonic() >= deadline:
                    return ""  # nobody listens: it was never there, or has ended already
                time.sleep(0.05)
        try:
            # As long as it holds the other end of `link` this pid is its own.
            pidfd = os.pidfd_open(errandsocket.check_peer(link))
        finally:
            link.close()
        try:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGTERM)  # it ends its shepherds, waits for them, and goes
                poll = select.poll()
                poll.register(pidfd, select.POLLIN)
                if not poll.poll(_PATIENCE * 1000):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    return "nursery"
        finally:
            os.close(pidfd)
        return ""

    def _last_words(self) -> str:
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                words = file.read().strip()[-2000:]
        except OSError:
            return ""
        return f'; "{self.log}" says:\n{words}' if words else ""


def _end_child(child: subprocess.Popen[bytes]) -> str:
    child.terminate()
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return "supervisor"
    return ""


def _last_record(path: str) -> dict[str, Any]:
    """Return the last whole line of a file of records; {} where there is none yet."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 1024))
            whole = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return {}
    if not whole:
        return {}
    try:
        return records.unpack(path, whole[-1])
    except records.CorruptRecord:
        return {}
