import os
import time

# No process ever has more than a third of the limit of its own.
while True:
    if os.fork() == 0:
        began = time.process_time()
        while time.process_time() - began < 0.4:
            pass
        os._exit(0)
    os.wait()
