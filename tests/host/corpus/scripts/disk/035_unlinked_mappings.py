import ctypes
import mmap
import os
import time

# Neither a folder nor a descriptor shows what is only mapped (a mapping of Python's own keeps a descriptor).
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
held = []
for number in range(8):
    fd = os.open(f"nameless {number}", os.O_RDWR | os.O_CREAT, 0o600)
    os.truncate(fd, 8 << 20)
    held.append(libc.mmap(None, 8 << 20, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, 0))
    os.close(fd)
    os.unlink(f"nameless {number}")
print("mapped", flush=True)
for address in held:
    ctypes.memset(address, 1, 8 << 20)
time.sleep(6)
print("survived with 64 MiB", flush=True)
