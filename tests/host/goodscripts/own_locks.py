import fcntl
import json
import os
import subprocess
import sys

import filelock

TRY = """
import fcntl, sys
try:
    getattr(fcntl, sys.argv[2])(open(sys.argv[1], "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("free")
except BlockingIOError:
    print("held")
"""


def main(input_file, output_dir):
    values = {}
    for name, folder in (("out", output_dir), ("work", "."), ("home", os.environ["HOME"]), ("tmp", os.environ["TMPDIR"])):
        path = os.path.join(folder, "lock")
        for kind in ("flock", "lockf"):
            with open(path, "w") as file:
                getattr(fcntl, kind)(file, fcntl.LOCK_EX)
                ask = [sys.executable, "-I", "-S", "-c", TRY, path, kind]
                held = subprocess.run(ask, capture_output=True, text=True).stdout.strip()
                getattr(fcntl, kind)(file, fcntl.LOCK_UN)
                values[name + " " + kind] = held
        os.unlink(path)
    with filelock.FileLock("results.lock", timeout=5) as lock:
        values["filelock"] = lock.is_locked
    with open(input_file, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        fcntl.lockf(file, fcntl.LOCK_SH)
        values["input"] = "shared"
    values["command"] = subprocess.call(["flock", "-n", "lockfile", "true"])
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
