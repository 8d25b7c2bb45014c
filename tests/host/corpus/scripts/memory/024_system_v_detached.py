import ctypes
import time

# A segment that nobody has attached is in nobody's resident size.
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.shmdt.argtypes = [ctypes.c_void_p]
IPC_PRIVATE, IPC_CREAT = 0, 0o1000
for number in range(32):
    segment = libc.shmget(IPC_PRIVATE, ctypes.c_size_t(8 << 20), IPC_CREAT | 0o600)
    address = libc.shmat(segment, None, 0)
    ctypes.memset(address, 1, 8 << 20)
    libc.shmdt(address)
    print("segment", number, flush=True)
time.sleep(2)
print("survived with 256 MiB", flush=True)
