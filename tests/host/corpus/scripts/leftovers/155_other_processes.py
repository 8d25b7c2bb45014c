import errno
import os

from reduce_vars import standard_vars

shepherd = standard_vars["shepherd"]
for act, look in (
    ("its folder", lambda: os.listdir(f"/proc/{shepherd}")),
    ("its environment", lambda: open(f"/proc/{shepherd}/environ").read()),
    ("its signal", lambda: os.kill(shepherd, 0)),
    ("its descriptor", lambda: os.pidfd_open(shepherd)),
):
    try:
        look()
        print(f"{act}: done")
    except OSError as error:
        print(f"{act}:", errno.errorcode[error.errno])
numbers = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
print("processes:", numbers, "me:", os.getpid(), "parent:", os.getppid())
status = open("/proc/self/status").read()
print("tracer:", [line for line in status.splitlines() if line.startswith(("NSpid", "NStgid"))])
