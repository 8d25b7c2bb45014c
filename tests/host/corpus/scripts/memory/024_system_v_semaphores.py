import ctypes
import errno
import time

# Nor are semaphores in anybody's resident size, and each takes a line of the processor's cache.
libc = ctypes.CDLL(None, use_errno=True)
IPC_PRIVATE, IPC_CREAT = 0, 0o1000
made = 0
for number in range(256):
    if libc.semget(IPC_PRIVATE, 32000, IPC_CREAT | 0o600) < 0:
        print("semget:", errno.errorcode[ctypes.get_errno()], flush=True)
        break
    made += 1
time.sleep(2)
print("survived with", made, "sets", flush=True)
