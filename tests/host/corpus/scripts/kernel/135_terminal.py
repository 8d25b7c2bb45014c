import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


TIOCSTI, TIOCLINUX, TIOCSCTTY = 0x5412, 0x541C, 0x540E
for name, request in (("TIOCSTI", TIOCSTI), ("TIOCLINUX", TIOCLINUX), ("TIOCSTI with high bits", TIOCSTI | 1 << 32)):
    answer = libc.syscall(ctypes.c_long(16 if first else 29), 0, ctypes.c_ulong(request), b"x")
    print(f"{name}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()])
for path in ("/dev/tty", "/dev/tty0", "/dev/console", "/dev/ptmx", "/dev/pts/0", "/dev/pts/ptmx"):
    try:
        os.open(path, os.O_RDWR | os.O_NOCTTY)
        print(f"{path}: done")
    except OSError as error:
        print(f"{path}:", errno.errorcode[error.errno])
