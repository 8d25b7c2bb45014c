import ctypes
import errno
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


name_to, open_by = (303, 304) if first else (264, 265)
handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0) + bytes(128))
mount = ctypes.c_int()
answer = libc.syscall(name_to, -100, b"/usr", handle, ctypes.byref(mount), 0)
print("handle:", "done" if answer == 0 else errno.errorcode[ctypes.get_errno()])
attempt("open by handle", open_by, os.open("/usr", os.O_RDONLY), handle, os.O_RDONLY)
# The handle of the root of most file systems is inode 2 of them, whatever is mounted of it.
root = ctypes.create_string_buffer(struct.pack("=IiII", 8, 1, 2, 0))
attempt("open the root of the disk", open_by, os.open("/usr", os.O_RDONLY), root, os.O_RDONLY)
