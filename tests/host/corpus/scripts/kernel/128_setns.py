import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


setns = 308 if first else 268
for name in ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup"):
    try:
        attempt(f"join {name} of the init", setns, os.open(f"/proc/1/ns/{name}", os.O_RDONLY), 0)
    except OSError as error:
        print(f"open {name} of the init:", errno.errorcode[error.errno])
for name in ("mnt", "net", "user"):
    attempt(f"join own {name}", setns, os.open(f"/proc/self/ns/{name}", os.O_RDONLY), 0)
# A descriptor of a process serves as well, from Linux 5.8 on.
pidfd = libc.syscall(434, 1, 0)
attempt("join all of the init", setns, pidfd, 0x20000 | 0x40000000)
