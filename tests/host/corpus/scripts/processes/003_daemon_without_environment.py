import os
import sys

# Nothing that it carries tells whose it is: no environment, another session, another folder, no open descriptor.
ready, told = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        os.write(told, b"!")
        os.closerange(0, 64)
        os.execve("/bin/sleep", ["[kworker/0:1]", "60"], {})
    os._exit(0)
os.read(ready, 1)
print("daemon: started", flush=True)
sys.exit(0)
