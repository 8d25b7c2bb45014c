import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


attempt("sethostname", 170 if first else 161, b"owned", ctypes.c_size_t(5))
attempt("setdomainname", 171 if first else 162, b"owned", ctypes.c_size_t(5))
print("name:", os.uname().nodename)
