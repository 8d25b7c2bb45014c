import os
import signal
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
made = 0
for _ in range(300):
    if os.fork() == 0:
        os.setsid()
        while True:
            time.sleep(60)
    made += 1
print("tree:", made, flush=True)
while True:
    time.sleep(60)
