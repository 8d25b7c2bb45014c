import errno
import os
import time

made = 0
for _ in range(2000):
    try:
        if os.fork() == 0:
            os._exit(0)
    except OSError as error:
        print(f"zombies: {made}, then {errno.errorcode[error.errno]}", flush=True)
        break
    made += 1
else:
    print(f"zombies: all {made}", flush=True)
time.sleep(0.4)
