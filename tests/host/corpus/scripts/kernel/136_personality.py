import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


personality = 135 if first else 92
attempt("ask", personality, ctypes.c_ulong(0xFFFFFFFF))
attempt("no randomness of addresses", personality, ctypes.c_ulong(0x0040000))
attempt("readable is executable", personality, ctypes.c_ulong(0x0400000))
attempt("page zero", personality, ctypes.c_ulong(0x0100000))
attempt("Irix", personality, ctypes.c_ulong(0x0009))
print("is:", libc.personality(ctypes.c_ulong(0xFFFFFFFF)))
