import errno
import os
import signal
import sys
import time

if os.getpid() > 50 or os.getppid() != 1:
    sys.exit("not in a pid namespace of its own")
answers = set()
for number in [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, *(set(range(1, 65)) - {9, 15, 19, 32, 33})]:
    try:
        os.kill(1, number)
        answers.add("sent")
    except OSError as error:
        answers.add(errno.errorcode[error.errno])
print("kill 1:", *sorted(answers), flush=True)
time.sleep(0.2)
# An init that is stopped or dead adopts and reaps nobody.
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(0.05)
        os._exit(0)
    os._exit(0)
os.wait()
time.sleep(0.2)
print("still here, child of", os.getppid(), flush=True)
sys.exit(77)
