import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


attempt("io_uring_setup", 425, 4, ctypes.create_string_buffer(200))
attempt("io_uring_enter", 426, -1, 0, 0, 0, None, 0)
attempt("io_uring_register", 427, -1, 0, None, 0)
