import ctypes
import errno
import mmap

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mlock.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
MAP_LOCKED, MCL_CURRENT, MCL_FUTURE = 0x2000, 1, 2
size = 32 << 20


def told(name, failed):
    print(name + ":", errno.errorcode[ctypes.get_errno()] if failed else "done", flush=True)


area = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
told("mlock", libc.mlock(area, size) != 0)
locked = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_LOCKED, -1, 0)
told("map locked", locked == ctypes.c_void_p(-1).value)
told("mlockall", libc.mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
shm = libc.shmget(0, size, 0o1600)
if shm >= 0:
    told("shm lock", libc.shmctl(shm, 11, None) != 0)
    libc.shmctl(shm, 0, None)
else:
    told("shm lock", True)
