"""In the guest, as root: what happens to two runs that are alive when something happens to the units; facts as JSON.

    python3 unitsdriver.py EVENT IDENTITY

The share is /mnt/work: two installed versions in 1/ and 2/, the units in etc/. IDENTITY is "unit" (User= of the units)
or "root" (both units start as root, service.user names the user). What is asked of the files of the service is asked as
the service user: root would leave files behind that are not the user's.
"""

from __future__ import annotations

import glob
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time

SHARE = "/mnt/work"
HOME = "/opt/autoreduce-supervisor"
SITE = "/srv/site"
CONFIG = "/etc/autoreduce/supervisor.toml"
SUPERVISOR = "autoreduce-supervisor.service"
with open(f"{SHARE}/order.json") as order_file:
    ORDER = json.load(order_file)
VERSIONS = ORDER["versions"]
#: What a unit that starts as root may do.
ROOT_NEEDS = "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL CAP_SETGID CAP_SETUID"
#: Seconds; the processor is emulated.
PATIENCE = 150.0
#: Ends when the gate opens: a file beside its data, which a box shows as well.
SCRIPT = """
import os, time
def main(input_file, output_dir):
    gate = os.path.join(os.path.dirname(input_file), "gate")
    while not os.path.exists(gate):
        time.sleep(0.1)
    with open(os.path.join(output_dir, "result.txt"), "w") as out:
        out.write("done")
"""
GREEDY = """
def main(input_file, output_dir):
    return str(len(bytearray(400 << 20)))
"""
LAUNCHER = """#!/bin/sh
here=$(dirname "$(dirname "$0")")
PYTHONPATH=$here/packages exec /usr/bin/python3 -m supervisor.cli "$@"
"""

sys.path[:0] = [f"{SHARE}/1/packages", f"{SHARE}/support"]
from embedded import Embedded  # noqa: E402
from waiting import wait_until  # noqa: E402

from supervisor import records  # noqa: E402


def say(*words):
    """Tell what is being done, with the time since the machine was started."""
    with open("/proc/uptime") as file:
        print(f"[{file.read().split()[0]}]", *words, flush=True)


def system(*command, check=True):
    """Run a command as root and return what it says."""
    done = subprocess.run(command, user=0, group=0, capture_output=True, text=True, check=False, timeout=900)
    if check and done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}\n{journal()}")
    return (done.stdout + (done.stderr if command[0] == "systemd-analyze" else "")).strip()


def journal():
    """The last lines that either unit has said."""
    command = ["journalctl", "--no-pager", "-o", "cat", "-n", "120", "-u", "autoreduce*"]
    done = subprocess.run(command, user=0, group=0, capture_output=True, text=True, errors="replace", check=False)
    return done.stdout


def as_service_user():
    account = pwd.getpwnam("autoreduce")
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)


def nursery_unit(version):
    return f"autoreduce-nursery@{VERSIONS[version]}.service"


def install(identity):
    """Put both versions, the link, the user and the units where an operator would."""
    subprocess.run(["useradd", "--system", "--user-group", "autoreduce"], check=True)
    for version in ("1", "2"):
        place = f"{HOME}/{VERSIONS[version]}"
        os.makedirs(f"{place}/bin")
        os.symlink(f"{SHARE}/{version}/packages", f"{place}/packages")
        with open(os.open(f"{place}/bin/autoreduce-supervisor", os.O_WRONLY | os.O_CREAT, 0o755), "w") as file:
            file.write(LAUNCHER)
    os.symlink(VERSIONS["1"], f"{HOME}/current")
    for unit in glob.glob(f"{SHARE}/etc/systemd/*"):
        shutil.copy(unit, "/etc/systemd/system/")
    if identity == "root":
        for unit in ("autoreduce-supervisor.service", "autoreduce-nursery@.service"):
            os.makedirs(f"/etc/systemd/system/{unit}.d")
            with open(f"/etc/systemd/system/{unit}.d/root.conf", "w") as file:
                file.write(f"[Service]\nUser=\nRuntimeDirectory=\nStateDirectory=\n{ROOT_NEEDS}\n")
    os.makedirs("/etc/autoreduce", exist_ok=True)
    system("systemctl", "daemon-reload")
    complaints = system("systemd-analyze", "verify", "--recursive-errors=no", SUPERVISOR, nursery_unit("1"))
    if complaints:
        raise SystemExit(f"the units are not well: {complaints}")
    system("systemctl", "enable", SUPERVISOR, nursery_unit("1"))


def site(identity, **sections):
    """Lay out a site; `sections` of the configuration are laid over its own."""
    if not os.path.isdir(SITE):
        os.mkdir(SITE)
    account = pwd.getpwnam("autoreduce")
    os.chown(SITE, account.pw_uid, account.pw_gid)
    as_service_user()
    user = {"user": "autoreduce"} if identity == "root" else {}
    usual = {
        "service": {"run_dir": "/run/autoreduce-supervisor", **user},
        "interpreter": {"argv": ["/usr/bin/python3"]},
        # Four have room in the machine's gigabyte.
        "limits": {"memory": "192 MiB", "wall": "20 min", "grace": "2 s"},
        "lock": {"beat": "5 s", "self_kill_after": "60 s", "takeover_after": "120 s"},
        "host": {"slots": 4, "id": "guest"},
        "broker": {"url": f"stomp://broker:{ORDER['port']}"},
        "queues": ORDER["queues"],
        "isolation": {"require": "contained", "allow_unsafe": False},
    }
    made = Embedded(SITE, **usual | sections)
    system("cp", made.config, CONFIG)
    return made


def begin(made, number):
    """Submit runs that wait at the gate, each of an RB of its own, and return the jobs once their boxes run."""
    jobs = [made.submit(made.message(SCRIPT, run=run, rb=f"RB{run}")) for run in (number, number + 1)]
    for job in jobs:
        made.wait_running(job, PATIENCE)
    for job in jobs:  # the script, and not only the shepherd: its process carries the token
        token = made.wait_running(job).token
        wait_until(lambda token=token: carriers(token), PATIENCE, f"the script of {job} to run")
    say("running:", jobs)
    return jobs


def carriers(token):
    """The scripts of a box, from outside: python3 processes with the box's token in their environment."""
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as file:
                if f"AUTOREDUCE_BOX={token}".encode() in file.read():
                    found.append(int(path.split("/")[2]))
        except OSError:
            continue
    return found


def shepherds(made, jobs):
    return [made.wait_running(job).shepherd.pid for job in jobs]


def alive(pids):
    return [os.path.exists(f"/proc/{pid}") for pid in pids]


def let_go(made):
    with open(os.path.join(made.data, "gate"), "w"):
        pass


def story(made, job):
    """What the store says of a job, when it is told: each attempt with the version that ran it, and how it ended."""
    made.wait_published(job, PATIENCE)
    cells = made.cells(job)
    attempts = []
    for folder in sorted(os.listdir(made.place(job).attempts), key=int):
        path = os.path.join(made.place(job).attempts, folder, "run.json")
        with open(path, "rb") as file:
            ran = records.from_record(records.RunRecord, path, file.read())
        outcome = cells.outcome(int(folder))
        attempts.append({"version": ran.version, "kind": outcome.kind, "why": outcome.why, "verdict": outcome.verdict})
    with open(made.place(job).request) as file:
        run = json.load(file)["run"]
    [record] = glob.glob(f"{made.archive}/ENGINX/RB{run}/{run}/**/reduction.json", recursive=True)
    with open(record) as file:
        reduced = json.load(file)
    return {
        "attempts": attempts,
        "reduced_by": reduced["supervisor_version"],
        "guards": reduced["guards"],
        "result": os.path.exists(f"{made.archive}/ENGINX/RB{run}/{run}/result.txt"),
    }


def groups_left():
    return glob.glob("/sys/fs/cgroup/**/autoreduce-????????????????", recursive=True)


def main_pid(unit):
    return int(system("systemctl", "show", "-P", "MainPID", unit))


def owner_of(pid):
    return pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name


def is_up(unit):
    return system("systemctl", "is-active", unit, check=False) == "active"


# --- what happens ---------------------------------------------------------------------------------------------------


def restart(made, jobs):
    system("systemctl", "restart", SUPERVISOR)


def kill(made, jobs):
    before = main_pid(SUPERVISOR)
    system("systemctl", "kill", "--kill-whom=main", "--signal=KILL", SUPERVISOR)
    wait_until(lambda: main_pid(SUPERVISOR) not in (0, before) and is_up(SUPERVISOR), PATIENCE, "the supervisor")


def upgrade(made, jobs):
    """Switch the link, have the new nursery wanted instead of the old one, restart: three commands of the how-to."""
    system("ln", "-sfn", VERSIONS["2"], f"{HOME}/current")
    system("systemctl", "enable", nursery_unit("2"))
    system("systemctl", "disable", nursery_unit("1"))
    system("systemctl", "restart", SUPERVISOR)


def nursery(made, jobs):
    before = main_pid(nursery_unit("1"))
    tokens = [made.wait_running(job).token for job in jobs]
    system("systemctl", "kill", "--kill-whom=main", "--signal=KILL", nursery_unit("1"))
    wait_until(lambda: main_pid(nursery_unit("1")) not in (0, before), PATIENCE, "the nursery to be back")
    wait_until(lambda: not any(carriers(token) for token in tokens), PATIENCE, "the boxes to be gone")
    for job in jobs:
        wait_until(lambda job=job: len(os.listdir(made.place(job).attempts)) == 2, PATIENCE, "a second attempt")


def shepherd(made, jobs):
    """Kill one shepherd: its run begins again, the other goes on."""
    os.seteuid(0)
    os.kill(shepherds(made, jobs)[0], signal.SIGKILL)
    as_service_user()
    wait_until(lambda: len(os.listdir(made.place(jobs[0]).attempts)) == 2, PATIENCE, "a second attempt")


def oom(made, jobs):
    """Have a third run take more memory than it may: the kernel ends it, and the unit's business goes on."""
    before = main_pid(nursery_unit("1"))
    job = made.submit(made.message(GREEDY, run=9, rb="RB9"))
    verdict = made.wait_published(job, PATIENCE).verdict
    if verdict != "memory_limit" or main_pid(nursery_unit("1")) != before:
        raise SystemExit(f"the greedy run ended as {verdict}")


EVENTS = {"restart": restart, "kill": kill, "upgrade": upgrade, "nursery": nursery, "shepherd": shepherd, "oom": oom}


def happen(event, identity):
    """Have one thing happen to two runs that are alive, and tell the facts."""
    install(identity)
    made = site(identity)
    say("starting")
    system("systemctl", "start", SUPERVISOR)
    say("serving")
    facts = {
        "owners": sorted({owner_of(main_pid(SUPERVISOR)), owner_of(main_pid(nursery_unit("1")))}),
        "status": system("systemctl", "show", "-P", "StatusText", SUPERVISOR),
    }
    jobs = begin(made, 1)
    pids = shepherds(made, jobs)
    facts["status_running"] = system("systemctl", "show", "-P", "StatusText", SUPERVISOR)
    EVENTS[event](made, jobs)
    say("it happened:", event)
    facts["shepherds_alive"] = alive(pids)
    if event == "upgrade":
        jobs += begin(made, 3)
    let_go(made)
    facts["stories"] = [story(made, job) for job in jobs]
    say("told")
    if event == "upgrade":
        wait_until(lambda: not is_up(nursery_unit("1")), PATIENCE, "the old nursery to end")
        facts["old_nursery"] = system("systemctl", "show", "-P", "Result", "-P", "ExecMainStatus", nursery_unit("1"))
    wait_until(lambda: not groups_left(), 30, f"the control groups to be gone: {groups_left()}")
    facts["up"] = is_up(SUPERVISOR)
    return facts


def before_shutdown(identity):
    """Have two runs alive, then end the host in good order; the site lies in a disk image that stays."""
    os.mkdir(SITE)
    system("mount", "-o", "loop", f"{SHARE}/disk.img", SITE)
    install(identity)
    made = site(identity)
    system("systemctl", "start", SUPERVISOR)
    jobs = begin(made, 1)
    os.seteuid(0)
    with open(f"{SHARE}/jobs.json", "w") as file:
        json.dump(jobs, file)
    say("powering off")
    system("systemctl", "poweroff")
    time.sleep(PATIENCE)


def after_boot(identity):
    """Boot with the same disk: what was alive runs again, and is told once."""
    os.mkdir(SITE)
    system("mount", "-o", "loop", f"{SHARE}/disk.img", SITE)
    install(identity)
    with open(f"{SHARE}/jobs.json") as file:
        jobs = json.load(file)
    made = site(identity)
    first = [made.cells(job).outcome(1) for job in jobs]
    system("systemctl", "start", SUPERVISOR)
    let_go(made)
    return {
        "first": [[outcome.kind, outcome.why] if outcome else None for outcome in first],
        "stories": [story(made, job) for job in jobs],
    }


def main(what, who):
    """Do what is asked, and tell the facts in the last line; else what the units have said."""
    special = {"before-shutdown": before_shutdown, "after-boot": after_boot}
    try:
        facts = special[what](who) if what in special else happen(what, who)
    except BaseException:
        print(journal())
        raise
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
