import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUSER, NEWPID, NEWNET, SIGCHLD = 0x00020000, 0x10000000, 0x20000000, 0x40000000, 17


def told(name, done):
    print(name + ":", "done" if done >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)


CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
answer = libc.syscall(CLONE, NEWUSER | NEWNET | SIGCHLD, 0, 0, 0, 0)
if answer == 0:
    os._exit(0)
told("clone", answer)
told("unshare user", libc.unshare(NEWUSER))
told("unshare mnt", libc.unshare(NEWNS))
told("unshare user mnt", libc.unshare(NEWUSER | NEWNS))
told("unshare pid", libc.unshare(NEWPID))
