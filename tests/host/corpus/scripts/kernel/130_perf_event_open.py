import ctypes
import errno
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


# A counter of the own process that needs least: a software event, the kernel left out.
attributes = struct.pack("=IIQQQQQ", 1, 112, 1, 0, 0, 0, 1 << 0 | 1 << 5 | 1 << 6) + bytes(72)
attempt("own counter", 298 if first else 241, attributes, 0, -1, -1, 0)
attempt("counter of the host", 298 if first else 241, attributes, -1, 0, -1, 0)
