import ctypes
import os
import threading
import time


def go_on():
    while first_is_there():
        time.sleep(0.01)
    kept = []
    for _ in range(512):
        kept.append(bytearray(os.urandom(4096) * 256))
    time.sleep(2)
    print("survived with", len(kept), "MiB", flush=True)
    os._exit(0)


def first_is_there():
    with open("/proc/self/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


# The process goes on without the thread by whose numbers it is looked at.
threading.Thread(target=go_on).start()
print("goes on", flush=True)
ctypes.CDLL(None).pthread_exit(None)
