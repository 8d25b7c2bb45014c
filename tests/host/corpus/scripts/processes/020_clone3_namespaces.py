import ctypes
import errno
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)
CLONE3 = 435
for name, flags in (("user", 0x10000000), ("user mnt pid", 0x10000000 | 0x00020000 | 0x20000000), ("none", 0)):
    arguments = struct.pack("=QQQQQQQQ", flags, 0, 0, 0, 17, 0, 0, 0)
    pid = libc.syscall(CLONE3, arguments, len(arguments))
    if pid == 0:
        os._exit(0)
    print(f"clone3 {name}:", "done" if pid > 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    if pid > 0:
        os.waitpid(pid, 0)
