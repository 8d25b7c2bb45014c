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


act("other input", lambda: open(given["other_input"]).read())
act("other output", lambda: os.listdir(given["other_output"]))
act("other box", lambda: os.listdir(given["other_box"]))
act("spool", lambda: os.listdir(given["spool"]))
act("write other output", lambda: open(os.path.join(given["other_output"], "x"), "w"))
act("kill other", lambda: os.kill(given["other_pid"], 0))
act("other's memory", lambda: open(f"/proc/{given['other_pid']}/mem", "rb"))
seen = [name for name in os.listdir("/proc") if name.isdigit()]
print("processes:", len(seen), flush=True)
print("other shm:", os.path.exists("/dev/shm/of_the_other"), flush=True)
print("other tmp:", os.path.exists("/tmp/of_the_other"), flush=True)
