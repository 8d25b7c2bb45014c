import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


add, request, control = (248, 249, 250) if first else (217, 218, 219)
attempt("add_key", add, b"user", b"corpus", b"secret", ctypes.c_size_t(6), -3)
attempt("add_key for the user", add, b"user", b"corpus", b"secret", ctypes.c_size_t(6), -4)
attempt("request_key", request, b"user", b"corpus", None, 0)
attempt("session keyring", control, 0, -3, 0)
attempt("new session", control, 1, b"corpus")
attempt("keyring of the user", control, 0, -4, 1)
for name in ("keys", "key-users"):
    try:
        print(f"{name}:", len(open(f"/proc/{name}").readlines()), "lines")
    except OSError as error:
        print(f"{name}:", errno.errorcode[error.errno])
