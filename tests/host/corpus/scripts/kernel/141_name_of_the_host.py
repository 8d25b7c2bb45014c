import os
import socket

print("name:", os.uname().nodename, socket.gethostname(), open("/proc/sys/kernel/hostname").read().strip())
