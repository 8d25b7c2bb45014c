"""In a machine of the lab, as root: does what the tests ask on standard input, one line of JSON each, and answers likewise.

    python3 hostagent.py NAME

The machine is a host of the fleet (a, b) or the file server (s). What is asked of the store and of the export is done as
the service user: the export squashes root.
"""

from __future__ import annotations

import contextlib
import glob
import importlib
import json
import os
import pwd
import re
import subprocess
import sys
import time
import traceback

SHARE = "/mnt/work"
HOME = "/opt/autoreduce-supervisor"
SITE = "/shared/site"
CONFIG = "/etc/autoreduce/supervisor.toml"
SUPERVISOR = "autoreduce-supervisor.service"
RUN_DIR = "/run/autoreduce-supervisor"
#: Of this host alone, and shown in every box: a run ends when a file with its number is there.
GATES = "/var/lib/labgates"
SPOOL = "/var/lib/labspool"
ACCOUNT = pwd.getpwnam("svc")
WITNESS_PORT = 7077

sys.path.insert(0, f"{HOME}/packages")


@contextlib.contextmanager
def as_service_user():
    """Be the service user in what is done meanwhile."""
    os.setegid(ACCOUNT.pw_gid)
    os.seteuid(ACCOUNT.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def system(*command, check=True):
    """Run a command as root and return what it says."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=1200)
    if check and done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


class Agent:
    """Does what is asked; each public method is one thing that can be asked."""

    def __init__(self, name):
        self.name = name
        self._children = {}

    # --- any machine ------------------------------------------------------------------------------------------

    def clock(self):
        """The time of this machine."""
        return time.time()

    def spawn(self, key, command):
        """Start a command as the service user; what it prints is kept under `key`."""
        path = f"/tmp/child.{key}"
        with open(path, "w") as out:
            env = os.environ | {"PYTHONPATH": f"{HOME}/packages"}
            self._children[key] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, user="svc", group="svc", env=env, cwd="/"
            )
        return path

    def end_children(self):
        """Kill what an earlier test has spawned and not reaped."""
        for key in [key for key in self._children if key != "witness"]:
            self.reap(key, 60, kill=True)

    def reap(self, key, timeout=300, kill=False):
        """Wait for what was spawned, or kill it; return its status and the facts and words that it printed."""
        child = self._children.pop(key)
        if kill:
            child.kill()
        status = child.wait(timeout)
        facts, words = [], []
        with open(f"/tmp/child.{key}") as file:
            for line in file:
                try:
                    facts.append(json.loads(line))
                except ValueError:
                    words.append(line)
        return {"status": status, "facts": facts, "words": "".join(words)}

    @staticmethod
    def _unpack():
        os.makedirs(HOME, exist_ok=True)
        system("tar", "-C", HOME, "-xf", f"{SHARE}/packages.tar")  # file by file, the share is slow
        importlib.invalidate_caches()

    # --- the file server --------------------------------------------------------------------------------------

    def serve_site(self):
        """Make the folders of the site, squash root on the export, and start the witness."""
        for folder in ("", "data", "archive"):
            os.makedirs(f"{SITE}/{folder}", exist_ok=True)
            os.chown(f"{SITE}/{folder}", ACCOUNT.pw_uid, ACCOUNT.pw_gid)
        with open("/etc/exports", "w") as file:
            file.write("/srv/shared *(rw,sync,fsid=0,no_subtree_check,root_squash)\n")
        system("exportfs", "-ra")
        self._unpack()
        self.spawn("witness", ["python3", f"{SHARE}/witness.py", str(WITNESS_PORT), "/tmp/witness.log"])

    def marks(self):
        """What the witness has written down: [time, text] in its order."""
        if not os.path.exists("/tmp/witness.log"):
            return []
        with open("/tmp/witness.log") as file:
            found = [line.rstrip("\n").split(" ", 1) for line in file]
        return [[float(at), text] for at, text in found]

    def job(self, job):
        """All that the store says of a job and its RB, looked at on the server itself, with the server's times."""
        from supervisor import durable, records
        from supervisor.cells import RbCells, read_final
        from supervisor.layout import Layout

        layout = Layout(f"{SITE}/store")
        place = layout.job(job)
        with open(place.request) as file:
            request = json.load(file)
        cells = RbCells(layout.rb(request["rb"]))
        epochs = {}
        for name in durable.listing(cells.place.folder("epochs")):
            n = int(name)
            epoch, outcome, promoted = cells.epoch(n), cells.outcome(n), cells.promoted(n)
            entry = {"host": epoch.host, "boot": epoch.boot, "job": epoch.job, "linked": _ctime(cells.place.epoch(n))}
            if outcome is not None:
                entry |= {key: getattr(outcome, key) for key in ("kind", "why", "by", "verdict", "sentence")}
                entry |= {"decided_by": outcome.host, "decided": _ctime(cells.place.outcome(n))}
            if promoted is not None:
                entry |= {"promoted": promoted.kind, "promoted_at": _ctime(cells.place.promoted(n))}
            path = layout.job(epoch.job).run(n)
            data = durable.read(path)
            if data is not None:
                run = records.from_record(records.RunRecord, path, data)
                entry |= {"token": run.token, "shepherd": run.shepherd.pid, "began": _ctime(path)}
            epochs[n] = entry
        final = read_final(place)
        return {
            "rb": request["rb"],
            "run": request["run"],
            "final": final.n if final is not None else None,
            "cancel": _ctime(place.cancel) if os.path.exists(place.cancel) else None,
            "published": os.path.exists(place.published),
            "takes": [f"{n}.{k}" for n, k in cells.takes()],
            "epochs": epochs,
        }

    def wait_job(self, job, state, timeout):
        """Wait until a job is `running`, `final` or `published` and return what the store says of it."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                facts = self.job(job)
            except FileNotFoundError:
                facts = {"epochs": {}, "final": None, "published": False}
            mine = [entry for entry in facts["epochs"].values() if entry["job"] == job]
            if state == "running" and mine and "began" in mine[-1] and "kind" not in mine[-1]:
                return facts
            if state == "final" and facts["final"] and "promoted" in facts["epochs"][facts["final"]]:
                return facts
            if state == "published" and facts["published"]:
                return facts
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job} is not {state} after {timeout} s: {facts}")
            time.sleep(0.1)

    def archived(self, rb, run):
        """What stands in the archive for a run: every name beside and in its result, the text of the result, `.run`."""
        parent = f"{SITE}/archive/ENGINX/{rb}"
        result = f"{parent}/{run}"
        text, stamp = None, None
        with contextlib.suppress(FileNotFoundError), open(f"{result}/result.txt") as file:
            text = file.read()
        with contextlib.suppress(FileNotFoundError), open(f"{result}/.run") as file:
            stamp = json.load(file)
        names = []
        for folder, folders, files in os.walk(parent):
            names += [os.path.relpath(os.path.join(folder, name), parent) for name in (*folders, *files)]
        guards = {}
        with contextlib.suppress(FileNotFoundError), open(f"{result}/reduction_log/reduction.json") as file:
            guards = json.load(file)["guards"]
        return {"text": text, "epoch": stamp and stamp["epoch"], "names": sorted(names), "guards": guards}

    def silly_renames(self):
        """Names that NFS clients made of files which were removed while open."""
        found = []
        for folder, _, files in os.walk(SITE):
            found += [os.path.join(folder, name) for name in files if name.startswith(".nfs")]
        return found

    def temporaries(self):
        """Temporary files of records in the store."""
        found = []
        for folder, _, files in os.walk(f"{SITE}/store"):
            found += [os.path.join(folder, name) for name in files if name.startswith(".tmp.")]
        return found

    # --- a host -----------------------------------------------------------------------------------------------

    def install(self, version, config):
        """Put the package, the units and the configuration where an operator would."""
        self._unpack()
        for name in ("current", version):
            os.makedirs(f"{HOME}/{name}/bin", exist_ok=True)
            with open(
                os.open(f"{HOME}/{name}/bin/autoreduce-supervisor", os.O_WRONLY | os.O_CREAT, 0o755), "w"
            ) as file:
                file.write(f'#!/bin/sh\nPYTHONPATH={HOME}/packages exec /usr/bin/python3 -m supervisor.cli "$@"\n')
        for unit in glob.glob(f"{SHARE}/etc/systemd/*"):
            with open(unit) as file:
                text = file.read().replace("User=autoreduce\n", "User=svc\n")
            with open(f"/etc/systemd/system/{os.path.basename(unit)}", "w") as file:
                file.write(text)
            os.makedirs(f"/etc/systemd/system/{os.path.basename(unit)}.d", exist_ok=True)
            with open(f"/etc/systemd/system/{os.path.basename(unit)}.d/slow.conf", "w") as file:
                file.write("[Service]\nTimeoutStartSec=20min\n")  # imports take minutes on an emulated processor
        os.makedirs("/etc/autoreduce", exist_ok=True)
        for folder in (GATES, SPOOL):
            os.makedirs(folder, exist_ok=True)
            os.chown(folder, ACCOUNT.pw_uid, ACCOUNT.pw_gid)
        with open(CONFIG, "w") as file:
            file.write(config)
        system("systemctl", "daemon-reload")
        system("systemctl", "enable", SUPERVISOR, f"autoreduce-nursery@{version}.service")

    def start(self):
        """Start the units and wait until the supervisor serves."""
        system("systemctl", "start", SUPERVISOR)

    def stop(self):
        """Stop the supervisor; runs go on."""
        system("systemctl", "stop", SUPERVISOR)

    def id_is_free(self, host):
        """Say whether the lock of a host's id could be taken here."""
        from supervisor.flock import acquire
        from supervisor.layout import Layout

        with as_service_user():
            lock = acquire(Layout(f"{SITE}/store").host_lock(host))
        if lock is not None:
            lock.close()
        return lock is not None

    def is_up(self):
        """Say whether the supervisor serves and the share is the export."""
        up = system("systemctl", "is-active", SUPERVISOR, check=False) == "active"
        return up and "nfs4" in system("findmnt", "-nt", "nfs4", "/shared", check=False)

    def status(self):
        """What the supervisor has said of itself last."""
        return system("systemctl", "show", "-P", "StatusText", SUPERVISOR)

    def journal(self, lines=60):
        """The last lines of both units, and of the kernel."""
        common = ("journalctl", "--no-pager", "-o", "short-monotonic")
        units = system(*common, "-n", str(lines), "-u", "autoreduce*", check=False)
        return units + "\n" + system(*common, "-n", "15", "-k", check=False)

    def submit(self, requests):
        """Journal what messages were decoded to, and make their data files; return the jobs."""
        from supervisor import journal, records
        from supervisor.layout import Layout

        layout = Layout(f"{SITE}/store")
        with as_service_user():
            journal.open_store(layout, create=True)
            for data, text in requests:
                with open(data, "wb") as file:
                    file.write(b"counts")
                request = records.from_record(records.Request, "asked", text.encode())
                if journal.journal(layout, request) is not journal.Taken.NEW:
                    raise RuntimeError(f"job {request.job} is known")

    def let(self, run):
        """Open this host's gate for a run."""
        with open(f"{GATES}/{run}.new", "w") as file:
            file.write(self.name)
        os.chmod(f"{GATES}/{run}.new", 0o644)
        os.rename(f"{GATES}/{run}.new", f"{GATES}/{run}")  # a script that sees the gate reads the whole name

    def verb(self, verb, *arguments):
        """Run a verb as the service user."""
        done = subprocess.run(
            [f"{HOME}/current/bin/autoreduce-supervisor", verb, *arguments, "--config", CONFIG],
            user="svc", group="svc", capture_output=True, text=True, check=False, timeout=900, cwd="/",
        )  # fmt: skip
        return {"status": done.returncode, "out": done.stdout, "err": done.stderr}

    def carriers(self, token):
        """The processes of a box, by its token."""
        found = []
        for path in glob.glob("/proc/[0-9]*/environ"):
            with contextlib.suppress(OSError), open(path, "rb") as file:
                if f"AUTOREDUCE_BOX={token}".encode() in file.read():
                    found.append(int(re.findall(r"\d+", path)[0]))
        return found

    def wait_gone(self, token, pid, timeout):
        """Wait until a box is empty and its shepherd is gone, if it is asked for; return this host's time then."""
        deadline = time.monotonic() + timeout
        while self.carriers(token) or (pid and os.path.exists(f"/proc/{pid}")):
            if time.monotonic() > deadline:
                raise TimeoutError(f"box {token} of shepherd {pid} still lives: {self.carriers(token)}")
            time.sleep(0.2)
        return time.time()

    def wait_box(self, token, timeout):
        """Wait until the script of a box runs."""
        deadline = time.monotonic() + timeout
        while not self.carriers(token):
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing carries {token}")
            time.sleep(0.2)

    def wait_clean(self, timeout):
        """Wait until neither scratch nor control group of any box is left."""
        deadline = time.monotonic() + timeout
        while True:
            left = os.listdir(SPOOL) + glob.glob("/sys/fs/cgroup/**/autoreduce-????????????????", recursive=True)
            if not left:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"left behind: {left}")
            time.sleep(0.5)


def _ctime(path):
    return os.stat(path).st_ctime


def main(name):
    """Answer until standard input ends."""
    agent = Agent(name)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"answer": getattr(agent, asked["what"])(*asked["arguments"])}
        except Exception as error:  # noqa: BLE001  # told to the test, which fails of it
            answer = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
