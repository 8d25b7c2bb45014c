import os
import shutil
import subprocess
import sys
import sysconfig

# So are those of a process whose program may not be read.
PROGRAM = """
import os, time
kept, piece = [], bytes(1 << 20)
for number in range(64):
    kept.append(os.memfd_create("unreadable"))
    for _ in range(4):
        os.write(kept[-1], piece)
time.sleep(2)
print("survived with 256 MiB", flush=True)
"""
shutil.copyfile(os.path.realpath(sys.executable), "program")
os.chmod("program", 0o111)
environment = {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR") or ""}
print("begins", flush=True)
done = subprocess.run(["./program", "-S", "-c", PROGRAM], env=environment)
print("program:", done.returncode, flush=True)
