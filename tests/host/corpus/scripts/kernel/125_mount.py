import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


mount, umount = (165, 166) if first else (40, 39)
none = None
os.mkdir("here")
attempt("mount tmpfs", mount, b"none", b"here", b"tmpfs", 0, none)
attempt("mount proc", mount, b"none", b"here", b"proc", 0, none)
attempt("bind", mount, b"/usr", b"here", none, 4096, none)
attempt("remount", mount, b"none", b"/", none, 32 | 4096, none)
attempt("make shared", mount, b"none", b"/", none, 1 << 20 | 16384, none)
attempt("umount", umount, b"/proc", 2)
attempt("open_tree", 428, -100, b"/usr", 1 | 0x80000)
attempt("move_mount", 429, -100, b"/usr", -100, b"here", 0)
attempt("fsopen", 430, b"tmpfs", 0)
attempt("fsconfig", 431, -1, 0, none, none, 0)
attempt("fsmount", 432, -1, 0, 0)
attempt("fspick", 433, -100, b"/usr", 0)
attempt("mount_setattr", 442, -100, b"/", 0, bytes(32), ctypes.c_size_t(32))
os.rmdir("here")
