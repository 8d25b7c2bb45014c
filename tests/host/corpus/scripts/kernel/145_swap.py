import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


# A file that does not exist.
attempt("swapon", 167 if first else 224, b"/no/such/file", 0)
attempt("swapoff", 168 if first else 225, b"/no/such/file")
