"""In the guest, as root: the Debian packages from their install to an upgrade under runs that are alive; facts as JSON.

    python3 packagedriver.py EVENT

The share is /mnt/work: the packages of two versions in debs/1 and debs/2, and what the units' driver needs. Store and
archive lie on a file system of their own, which can be frozen (fsfreeze(8)): every write into it hangs then.
"""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys

SHARE = "/mnt/work"
OLD, NEW = "0.1.0", "0.2.0"
sys.path.insert(0, SHARE)


def apt(version):
    """The command that installs both packages of a version, as an operator without a repository would."""
    return ["dpkg", "--install", *sorted(glob.glob(f"{SHARE}/debs/{version}/*.deb"))]


# Before anything of ours is imported: it comes from the package.
with open("/tmp/install.log", "w") as install_log:
    done = subprocess.run(apt("1"), check=False, stdout=install_log, stderr=subprocess.STDOUT)
if done.returncode:
    with open("/tmp/install.log") as install_log:
        sys.exit(f"the packages cannot be installed: {install_log.read()}")
sys.path[:0] = glob.glob(f"/opt/autoreduce-supervisor/{OLD}/lib/python3*/site-packages")
import unitsdriver as units  # noqa: E402
from unitsdriver import PATIENCE, SUPERVISOR, main_pid, say, shepherds, system, wait_until  # noqa: E402

COMMAND = "/usr/bin/autoreduce-supervisor"


def asked(*command):
    """Run a command as root whatever it answers, and return its words and status."""
    done = subprocess.run(command, user=0, group=0, capture_output=True, text=True, check=False, timeout=300)
    return {"status": done.returncode, "said": done.stdout + done.stderr}


def patient():
    """Have a start take its time: the processor is emulated, and other work of its host slows it further."""
    os.makedirs(f"/etc/systemd/system/{SUPERVISOR}.d", exist_ok=True)
    with open(f"/etc/systemd/system/{SUPERVISOR}.d/slow.conf", "w") as file:
        file.write("[Service]\nTimeoutStartSec=15min\n")
    system("systemctl", "daemon-reload")


def site(**sections):
    """A site whose store and archive can be frozen, and whose data cannot; the supervisor does not serve yet."""
    patient()
    os.makedirs(units.SITE)
    system("mount", "-o", "loop", f"{SHARE}/disk.img", units.SITE)
    os.makedirs(f"{units.SITE}/data")
    system("mount", "-t", "tmpfs", "tmpfs", f"{units.SITE}/data")
    for path in (units.SITE, f"{units.SITE}/data"):
        system("chown", "autoreduce:autoreduce", path)
    return units.site("unit", **sections)


def frozen(how):
    system("fsfreeze", f"--{how}", units.SITE)


def is_another(before):
    return main_pid(SUPERVISOR) not in (0, before) and units.is_up(SUPERVISOR)


def watched(seconds):
    """Have the manager wait less long for a sign of life, so that the test need not."""
    os.seteuid(0)
    os.makedirs(f"/etc/systemd/system/{SUPERVISOR}.d", exist_ok=True)
    with open(f"/etc/systemd/system/{SUPERVISOR}.d/watch.conf", "w") as file:
        file.write(f"[Service]\nWatchdogSec={seconds}\n")
    units.as_service_user()
    system("systemctl", "daemon-reload")
    system("systemctl", "restart", SUPERVISOR)


def restarts():
    return int(system("systemctl", "show", "-P", "NRestarts", SUPERVISOR))


def reloads():
    """Reload a configuration that is well, then one that is not, and put the first back."""
    before = main_pid(SUPERVISOR)
    os.seteuid(0)
    with open(units.CONFIG) as file:
        text = file.read()
    answers = []
    for more in ('\n[limits.instrument.GEM]\nwall = "1 h"\n', "\n[nonsense]\n", ""):
        with open(units.CONFIG, "w") as file:
            file.write(text + more)
        answers.append(asked("systemctl", "reload", SUPERVISOR)["status"])
    units.as_service_user()
    return {"statuses": answers, "same": main_pid(SUPERVISOR) == before, "journal": units.journal()}


def installed():
    """What the packages have brought before anybody has edited anything."""
    return {
        "enabled": [system("systemctl", "is-enabled", u, check=False) for u in (SUPERVISOR, units.nursery_unit("1"))],
        "active": units.is_up(SUPERVISOR),
        "current": os.readlink(f"{units.HOME}/current"),
        "folders": [
            system("stat", "-c", "%U %a", path)
            for path in (
                "/run/autoreduce-supervisor",
                "/var/lib/autoreduce-supervisor",
                "/var/tmp/autoreduce-supervisor",
            )
        ],
        "check_config": asked(COMMAND, "check-config"),
        "verify": system("systemd-analyze", "verify", "--recursive-errors=no", SUPERVISOR, units.nursery_unit("1")),
        "security": {
            name: system("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
            for name, unit in (("supervisor", SUPERVISOR), ("nursery", units.nursery_unit("1")))
        },
    }


def day():
    """An operator's day: install, start, a run, a restart, two hangs, and an upgrade under runs that are alive."""
    facts = {"installed": installed()}
    made = site()
    say("starting")
    system("systemctl", "start", SUPERVISOR)
    with open("/tmp/message.json", "w") as file:
        json.dump(made.message("def main(input_file, output_dir):\n    return ''\n", run=7, rb="RB7"), file)
    os.chmod("/tmp/message.json", 0o644)
    facts["submit"] = asked("runuser", "-u", "autoreduce", "--", COMMAND, "submit", "/tmp/message.json")
    # A run that ends during the restart has no line in the log.
    wait_until(lambda: "Run ended" in units.journal(), PATIENCE, "the first run to end")
    jobs = units.begin(made, 1)
    pids = shepherds(made, jobs)
    system("systemctl", "restart", SUPERVISOR)
    facts["after_restart"] = units.alive(pids)
    say("restarted")
    facts["reload"] = reloads()

    watched(20)
    before = main_pid(SUPERVISOR)
    frozen("freeze")
    hangs = "systemctl", "show", "-P", "StatusText", SUPERVISOR
    wait_until(lambda: "hanging" in system(*hangs), PATIENCE, "the hanging store to be told")
    facts["hanging_store"] = {"told": system(*hangs), "same": main_pid(SUPERVISOR) == before, "restarts": restarts()}
    frozen("unfreeze")
    wait_until(lambda: "store well" in system(*hangs), PATIENCE, "the store to be well")
    say("the store has hung")
    system("kill", "-STOP", str(before))
    wait_until(lambda: is_another(before), PATIENCE, "the watchdog to act")
    facts["hanging_loop"] = {"restarts": restarts(), "alive": units.alive(pids), "journal": units.journal()}
    say("the loop has hung")

    facts["upgrade"] = asked(*apt("2"))
    facts["after_upgrade"] = {
        "alive": units.alive(pids),
        "current": os.readlink(f"{units.HOME}/current"),
        "enabled": [system("systemctl", "is-enabled", units.nursery_unit(v), check=False) for v in ("1", "2")],
        "old_stays": os.path.isdir(f"{units.HOME}/{OLD}/bin"),
    }
    jobs += units.begin(made, 3)
    units.let_go(made)
    facts["stories"] = [units.story(made, job) for job in jobs]
    wait_until(lambda: not units.is_up(units.nursery_unit("1")), PATIENCE, "the old nursery to end")
    facts["lines"] = system("journalctl", "--no-pager", "-o", "cat", "-u", SUPERVISOR, "-g", "Run ended action=run ")
    return facts


def between():
    """Upgrade while two scripts have ended and their runs are not committed: their shepherds stand still."""
    # For as long as an upgrade takes here nobody may take them for dead.
    made = site(lock={"beat": "5 s", "self_kill_after": "20 min", "takeover_after": "40 min"})
    system("systemctl", "start", SUPERVISOR)
    jobs = units.begin(made, 1)
    pids = shepherds(made, jobs)
    tokens = [made.wait_running(job).token for job in jobs]
    before = main_pid(SUPERVISOR)
    system("kill", "-STOP", *map(str, pids))
    units.let_go(made)
    wait_until(lambda: not any(units.carriers(token) for token in tokens), PATIENCE, "the scripts to end")
    say("the scripts have ended")
    facts = {"upgrade": asked(*apt("2"))}
    facts["alive"] = units.alive(pids)
    facts["undecided"] = [made.cells(job).outcome(1) is None for job in jobs]
    facts["another"] = main_pid(SUPERVISOR) not in (0, before)
    system("kill", "-CONT", *map(str, pids))
    facts["stories"] = [units.story(made, job) for job in jobs]
    facts["current"] = os.readlink(f"{units.HOME}/current")
    wait_until(lambda: not units.is_up(units.nursery_unit("1")), PATIENCE, "the old nursery to end")
    return facts


def main(event):
    """Do what is asked, and tell the facts in the last line; else what the units have said."""
    try:
        facts = {"day": day, "between": between}[event]()
    except BaseException:
        with open("/tmp/install.log") as file:
            print(file.read())
        # Where a supervisor hangs that does not come up goes to the journal.
        asked("systemctl", "kill", "--signal=ABRT", SUPERVISOR)
        system("systemctl", "stop", SUPERVISOR, check=False)
        print(units.journal())
        raise
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
