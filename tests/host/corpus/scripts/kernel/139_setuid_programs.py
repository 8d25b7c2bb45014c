import errno
import os
import re
import shutil
import subprocess

status = open("/proc/self/status").read()
print("no new privileges:", re.search(r"NoNewPrivs:\s*(\d)", status)[1])
print("capabilities:", *sorted(set(re.findall(r"Cap\w+:\s*(\w+)", status))))
for place in ("/usr", "/out", "/tmp", "/dev/shm", "/home/reduce", "/run/handoff"):
    print(f"{place}:", "nosuid" if os.statvfs(place).f_flag & os.ST_NOSUID else "suid is honoured")
for program, *arguments in (("su", "-c", "grep Cap /proc/self/status"), ("mount", "-t", "tmpfs", "none", "/mnt"), ("newgrp", "root"), ("ping", "-c1", "127.0.0.1")):
    found = shutil.which(program, path="/usr/bin:/usr/sbin:/bin:/sbin")
    if not found:
        print(f"{program}: is not here")
        continue
    done = subprocess.run([found, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    powers = set(re.findall(r"Cap(?:Eff|Prm|Bnd):\s*(\w+)", done.stdout)) - {"0" * 16}
    print(f"{program}:", "refused" if done.returncode else f"ran with {sorted(powers)}")
for act, change in (
    ("setuid 0", lambda: os.setresuid(0, 0, 0)),
    ("setuid 1", lambda: os.setresuid(1, 1, 1)),
    ("setgroups", lambda: os.setgroups([0])),
    ("chown", lambda: os.chown(".", 1, 1)),
):
    try:
        change()
        print(f"{act}: done", os.getresuid() if act == "setuid 1" else "")
    except OSError as error:
        print(f"{act}:", errno.errorcode[error.errno])
