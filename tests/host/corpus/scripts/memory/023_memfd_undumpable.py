import ctypes
import os
import time

# The descriptors of a process that cannot be dumped are shut to its own user.
PR_SET_DUMPABLE = 4
print("prctl:", ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), flush=True)
kept, piece = [], bytes(1 << 20)
for number in range(64):
    kept.append(os.memfd_create("undumpable"))
    for _ in range(4):
        os.write(kept[-1], piece)
time.sleep(2)
print("survived with 256 MiB", flush=True)
