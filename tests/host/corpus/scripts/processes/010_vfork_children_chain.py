import os
import sys

# Each link starts the next one by vfork and ends, so the pid changes for ever.
with open("link.py", "w") as file:
    file.write(
        "import os, sys\n"
        "os.posix_spawn(sys.executable, [sys.executable, '-I', '-S', 'link.py'], os.environ)\n"
        "os._exit(0)\n"
    )
os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", "link.py"], os.environ)
print("main waits", flush=True)
while True:
    try:
        os.wait()
    except ChildProcessError:
        os.kill(os.getpid(), 19)
