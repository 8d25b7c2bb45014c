import os
import signal

print("stopping", flush=True)
while True:
    os.kill(os.getpid(), signal.SIGSTOP)
