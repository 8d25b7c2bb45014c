import os
import signal
import time

try:
    os.setsid()
    print("setsid: done", flush=True)
except PermissionError:
    print("setsid: EPERM", flush=True)
for number in set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, 32, 33}:
    signal.signal(number, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        os.setpgid(0, 0)
while True:
    time.sleep(60)
