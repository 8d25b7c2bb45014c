import os
import sys
import time

ready, told = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(0)
        os.close(1)
        os.close(2)
        os.write(told, b"!")
        time.sleep(60)
        open("survivor.txt", "w").write("still here")
    os._exit(0)
os.read(ready, 1)
print("daemon: started", flush=True)
sys.exit(0)
