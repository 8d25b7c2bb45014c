import ctypes
import errno
import mmap
import os

libc = ctypes.CDLL(None, use_errno=True)
MEMFD_SECRET = 447
fd = libc.syscall(MEMFD_SECRET, 0)
if fd < 0:
    print("memfd_secret:", errno.errorcode[ctypes.get_errno()])
else:
    os.ftruncate(fd, 1 << 20)
    mmap.mmap(fd, 1 << 20)[:4096] = bytes(4096)
    print("memfd_secret: done")
