import threading
import time

started = 0
for _ in range(2000):
    try:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    except RuntimeError:
        print("threads:", started, flush=True)
        time.sleep(0.4)
        raise
    started += 1
print("threads: all", started, flush=True)
