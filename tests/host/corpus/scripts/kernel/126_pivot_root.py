import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


os.makedirs("new/old")
attempt("pivot_root", 155 if first else 41, b"new", b"new/old")
attempt("pivot_root here", 155 if first else 41, b".", b".")
