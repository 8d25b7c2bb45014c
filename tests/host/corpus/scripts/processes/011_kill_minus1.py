import errno
import os
import signal
import sys
import time

if os.getpid() > 50 or os.getppid() != 1:
    sys.exit("not in a pid namespace of its own: this would end the host")
helper = os.fork()
if helper == 0:
    time.sleep(60)
    os._exit(0)
try:
    os.kill(-1, signal.SIGKILL)
    print("kill -1: done", flush=True)
except OSError as error:
    print("kill -1:", errno.errorcode[error.errno], flush=True)
    os.kill(helper, signal.SIGKILL)
print("helper:", os.waitstatus_to_exitcode(os.waitpid(helper, 0)[1]), flush=True)
