import ctypes
import errno
import mmap
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
size = 64 << 20
failed = ctypes.c_void_p(-1).value
got = libc.mmap(None, size, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000, -1, 0)
print("map huge:", errno.errorcode[ctypes.get_errno()] if got == failed else "done", flush=True)
try:
    fd = os.memfd_create("huge", 0x0004)
    got = libc.mmap(None, size, 3, mmap.MAP_SHARED, fd, 0)
    print("memfd huge:", errno.errorcode[ctypes.get_errno()] if got == failed else "done", flush=True)
except OSError as error:
    print("memfd huge:", errno.errorcode[error.errno], flush=True)
shm = libc.shmget(0, size, 0o1600 | 0o4000)
print("shm huge:", errno.errorcode[ctypes.get_errno()] if shm < 0 else "done", flush=True)
if shm >= 0:
    libc.shmctl(shm, 0, None)
