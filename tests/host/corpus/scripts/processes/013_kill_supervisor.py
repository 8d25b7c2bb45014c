import errno
import os
import signal

from reduce_vars import standard_vars as given


def act(name, do):
    try:
        do()
    except OSError as error:
        print(name + ":", errno.errorcode[error.errno], flush=True)
    else:
        print(name + ": done", flush=True)


signal.signal(signal.SIGTERM, signal.SIG_IGN)
act("see shepherd", lambda: os.kill(given["shepherd"], 0))
act("kill victim", lambda: os.kill(given["victim"], signal.SIGTERM))
act("kill victim's group", lambda: os.killpg(given["victim"], signal.SIGTERM))
act("pidfd of victim", lambda: os.pidfd_open(given["victim"]))
act("kill group 0", lambda: os.kill(0, signal.SIGTERM))
