import errno
import os

from reduce_vars import standard_vars as given


def act(name, do):
    try:
        do()
    except OSError as error:
        print(name + ":", errno.errorcode[error.errno], flush=True)
    else:
        print(name + ": done", flush=True)


act("secret", lambda: open(given["secret"]).read())
act("folder of the secret", lambda: os.listdir(os.path.dirname(given["secret"])))
act("lock", lambda: open(given["lock"]).read())
act("project", lambda: open(given["project"]).read())
act("spool", lambda: os.listdir(given["spool"]))
for path in ("/var/lib", "/var/spool", "/run/lock", "/run/systemd", "/etc/autoreduce-supervisor", "/proc/1/root/etc"):
    act(path, lambda: os.listdir(path))
