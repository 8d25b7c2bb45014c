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


# Times and modes that no kernel takes: nothing would happen even if the calls were let through.
never = struct.pack("=qq", 0, -1)
attempt("clock_settime", 227 if first else 112, 0, never)
attempt("settimeofday", 164 if first else 170, never, None)
wrong = struct.pack("=I", 0x8000) + bytes(300)
attempt("adjtimex", 159 if first else 171, wrong)
attempt("clock_adjtime", 305 if first else 266, 0, wrong)
