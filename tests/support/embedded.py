"""A real supervisor on an embedded store, as a child process of a test: no broker, trivial scripts, everything ended.

    with Embedded(tmp_path, limits={"wall": "2 s"}) as site:
        site.start()
        job = site.submit(site.message("def main(input_file, output_dir):\\n    return ''\\n"))
        assert site.wait_final(job).verdict == "completed"
        assert site.why(job)["verdict"] == "completed"

The config, the store, the run directory, the spool, the data and the archive all lie below `tmp_path`. `start`, `stop`,
`kill` and `restart` act on a `serve` in the foreground of a child process; `verb` runs any verb of the command as a
person would. Leaving the context ends what this site started and nothing else: its supervisors, its nursery, the
shepherds and the boxes; they are known by the site's own run directory in their command line, and by the tokens of the
boxes in `run.json`.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any, Self

import tomlkit
from waiting import wait_until

from sandbox.linux import proctree
from supervisor import config, intake, journal, pinned, records, rundir
from supervisor.cells import RbCells, read_final
from supervisor.layout import JobPlace, Layout
from supervisor.nurserylink import clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisor.records import Outcome
    from supervisor.settings import Settings

#: Seconds; the machine may be busy with other tests.
PATIENCE = 60.0
#: The most trivial reduction.
EMPTY_SCRIPT = "def main(input_file, output_dir):\n    return ''\n"
INSTRUMENT = "ENGINX"


class Embedded:
    """One host with an embedded store; see the module."""

    def __init__(self, folder: object, **sections: Mapping[str, Any]) -> None:
        """Lay out a site below `folder`; nothing is started.

        Args:
            folder: an empty folder of the test's own (`tmp_path`).
            sections: tables of the configuration, laid over those that every site has: `limits={"wall": "2 s"}`.
        """
        self.folder = os.path.realpath(str(folder))
        self.config = self.path("supervisor.toml")
        self.store = self.path("store")
        self.run_dir = self.path("run")
        self.archive = self.path("archive")
        self.data = self.path("data")
        #: Standard error of every `serve` of this site.
        self.log = self.path("serve.log")
        self.layout = Layout(self.store)
        self.process: subprocess.Popen[bytes] | None = None
        #: Added to the environment of what is started, for instance fail-points.
        self.environment: dict[str, str] = {}
        for made in (self.archive, self.data):
            os.makedirs(made, exist_ok=True)
        self.configure(**sections)

    def path(self, *parts: str) -> str:
        """Join `parts` below the site's folder."""
        return os.path.join(self.folder, *parts)

    def configure(self, **sections: Mapping[str, Any]) -> None:
        """Write the configuration anew; a running supervisor keeps the one it has read."""
        tables: dict[str, dict[str, Any]] = {
            "broker": {"url": "none"},
            "store": {"path": self.store, "poll": "200 ms"},
            "host": {"slots": 2},
            "service": {"run_dir": self.run_dir},
            "spool": {"path": self.path("spool")},
            "paths": {
                "windows_prefixes": [],
                "archive_directory": self.archive + "/{instrument}/{rb}/{run}",
                "ceph_directory": self.archive + "/ceph/{rb}/{run}",
                "excitation_directory": self.archive + "/excitation/{rb}",
                "data_roots": [self.data],
                "result_roots": [self.archive],
            },
            "interpreter": {"argv": [sys.executable]},
            # Scripts of these tests look at gates and files of their tests; boxes with walls have tests of their own.
            "isolation": {"require": "none", "allow_unsafe": True},
            "limits": {"memory": "2 GiB", "wall": "2 min", "grace": "1 s"},
        }
        for name, content in sections.items():
            tables.setdefault(name, {}).update(content)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(tomlkit.dumps(tables))

    def settings(self) -> Settings:
        """Read the configuration as it is now."""
        return config.load(self.config)

    # --- the supervisor ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start `serve` and wait until it serves."""
        assert self.process is None or self.process.poll() is not None, "this site has a supervisor already"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command("serve"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                cwd=self.folder,
            )
        child = self.process

        def serves() -> bool:
            assert child.poll() is None, f"serve ended with {child.returncode}:\n{self.log_text()}"
            who = rundir.serving(self.run_dir)
            return who is not None and who.pid == child.pid

        wait_until(serves, PATIENCE, "the supervisor to serve")

    def stop(self) -> int:
        """Stop the supervisor by SIGTERM and return its exit status; its shepherds go on."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the supervisor on the spot; its shepherds go on."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop the supervisor and start another."""
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None, "this site has no supervisor"
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self.process = None
        return status

    def command(self, verb: str, *arguments: str) -> list[str]:
        """Return the command line of a verb with this site's configuration."""
        return [sys.executable, "-m", "supervisor.cli", verb, *arguments, "--config", self.config]

    def verb(self, verb: str, *arguments: str, cwd: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a verb of the command to its end, as a person would."""
        return subprocess.run(
            self.command(verb, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
            env=self._environment(),
            cwd=cwd or self.folder,
            check=False,
        )

    def log_text(self) -> str:
        """Return what every `serve` of this site has logged."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _environment(self) -> dict[str, str]:
        return clean_environment() | {"PYTHONWARNINGS": "error"} | self.environment

    # --- jobs -------------------------------------------------------------------------------------------------

    def message(
        self, script: str = EMPTY_SCRIPT, *, run: object = 75513, rb: object = 1510111, **keys: Any
    ) -> dict[str, Any]:
        """Return a message as a producer of 2016 sends it, and make its data file; `keys` go over the others."""
        data = os.path.join(self.data, f"{INSTRUMENT}{str(run).strip().zfill(8)}.nxs")
        with open(data, "wb") as file:
            file.write(b"counts")
        return {
            "facility": "ISIS",
            "instrument": INSTRUMENT,
            "rb_number": rb,
            "run_number": run,
            "run_version": 0,
            "data": data,
            "reduction_script": script,
            "reduction_arguments": {"standard_vars": {}, "advanced_vars": {}},
        } | keys

    def submit(self, message: Mapping[str, Any], *, job: str = "", priority: int = 4, time_ms: int = 0) -> str:
        """Journal a message as a broker's delivery would be, without a process of its own; return the job's id."""
        job = job or str(uuid.uuid4())
        now = time.time()
        headers = {"job-id": job, "timestamp": str(time_ms or int(now * 1000)), "priority": str(priority)}
        journal.open_store(self.layout, create=True)
        body = json.dumps(message).encode()
        what = intake.examine(body, headers, self.settings(), host="test", hostname="test", now=now)
        assert isinstance(what, intake.Run), what
        assert journal.journal(self.layout, what.request) is journal.Taken.NEW
        return job

    def place(self, job: str) -> JobPlace:
        """Return the folder of a job."""
        return self.layout.job(job)

    def cells(self, job: str) -> RbCells:
        """Return the cells of the RB of a job."""
        wanted = journal.read_request(self.place(job))
        assert wanted is not None, f"job {job} is not journaled"
        return RbCells(self.layout.rb(wanted.rb))

    def wait_running(self, job: str, timeout: float = PATIENCE) -> records.RunRecord:
        """Wait until a shepherd has begun the job's run, and return its `run.json`."""

        def begun() -> records.RunRecord | None:
            for path in sorted(glob.glob(os.path.join(glob.escape(self.place(job).attempts), "*", "run.json"))):
                with open(path, "rb") as file:
                    return records.from_record(records.RunRecord, path, file.read())
            return None

        try:
            record = wait_until(begun, timeout, f"job {job} to run")
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._last_words()}") from None
        assert record is not None
        return record

    def wait_final(self, job: str, timeout: float = PATIENCE) -> Outcome:
        """Wait until the job is decided and its promotion has ended; return its committed outcome."""
        cells = self.cells(job)

        def ended() -> Outcome | None:
            final = read_final(self.place(job))
            if final is None or cells.promoted(final.n) is None:
                return None
            return cells.outcome(final.n)

        outcome = wait_until(ended, timeout, f"job {job} to be decided and promoted; {self._last_words()}")
        assert outcome is not None
        return outcome

    def wait_published(self, job: str, timeout: float = PATIENCE) -> Outcome:
        """Wait until every reply of the job is told as well; only a supervisor that serves does that."""
        outcome = self.wait_final(job, timeout)
        wait_until(lambda: os.path.exists(self.place(job).published), timeout, f"job {job} to be published")
        return outcome

    def _last_words(self) -> str:
        return self.log_text()[-2000:] if os.path.exists(self.log) else "no supervisor was started"

    def result(self, *parts: str, run: object = 75513, rb: object = 1510111) -> str:
        """Return a path in the archive below the result of a run."""
        return os.path.join(self.archive, INSTRUMENT, str(rb), str(run), *parts)

    def why(self, what: str) -> dict[str, Any]:
        """Return what `why --json` says."""
        said = self.verb("why", what, "--json")
        assert said.returncode == 0, said.stderr
        answer: dict[str, Any] = json.loads(said.stdout)
        return answer

    # --- the end ----------------------------------------------------------------------------------------------

    def processes(self) -> list[proctree.Process]:
        """Return every living process of this site but the scripts: supervisors, nursery, shepherds, inits.

        What the nursery forks keeps its command line, in which the run directory stands.
        """
        marks = {self.run_dir.encode(), self.config.encode()}
        found = []
        for process in proctree.scan().values():
            with contextlib.suppress(OSError), open(f"/proc/{process.pid}/cmdline", "rb") as file:
                if process.living and marks & set(file.read().split(b"\0")) and process.pid != os.getpid():
                    found.append(process)
        return found

    def nursery(self) -> int:
        """Return the pid of the nursery: the one process of this site that listens and is nobody's fork."""
        import supervisor.errandsocket as errands

        link = errands.connect(self.run_dir, f"nursery-{pinned.code_version()}.sock", PATIENCE)
        try:
            return errands.check_peer(link)
        finally:
            link.close()

    def end_everything(self) -> None:
        """End every process of this site, at once; what it has stored stays for the test to look at."""

        def none_left() -> bool:
            left = self.processes()
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            return not left

        wait_until(none_left, PATIENCE, "the processes of the site to end")
        if self.process is not None:
            self.process.wait(PATIENCE)
            self.process = None
        pattern = os.path.join(glob.escape(self.store), "jobs", "*", "*", "attempts", "*", "run.json")
        for path in glob.glob(pattern):
            with open(path, "rb") as file, contextlib.suppress(records.CorruptRecord):
                proctree.end_carriers(records.from_record(records.RunRecord, path, file.read()).token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end_everything()
