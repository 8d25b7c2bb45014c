import errno
import os

from reduce_vars import standard_vars

beside = standard_vars["beside"]
print("processes:", sorted(int(name) for name in os.listdir("/proc") if name.isdigit()))
for act, look in (
    ("tmp", lambda: os.stat("/tmp/of_the_first")),
    ("shm", lambda: os.stat("/dev/shm/of_the_first")),
    ("home", lambda: os.stat(os.path.expanduser("~/of_the_first"))),
    ("work", lambda: os.stat(os.path.join(os.path.dirname(os.getcwd()), "of_the_first"))),
    ("result", lambda: os.stat("of_the_first")),
    ("handoff", lambda: os.stat(os.environ["AUTOREDUCE_HANDOFF"] + "/of_the_first")),
    ("its scratch", lambda: os.stat(beside["scratch"])),
    ("its init", lambda: os.stat(f"/proc/{beside['init']}")),
    ("its script", lambda: os.kill(beside["script"], 0)),
):
    try:
        look()
        print(f"{act}: done")
    except OSError as error:
        print(f"{act}:", errno.errorcode[error.errno])
for name in ("shm", "sem", "msg"):
    print(f"sysv {name}:", len(open(f"/proc/sysvipc/{name}").readlines()) - 1)
print("locks:", len(open("/proc/locks").readlines()))
print("abstract:", "of_the_first" in open("/proc/net/unix").read())
