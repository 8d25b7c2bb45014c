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


bpf = 321 if first else 280
attempt("map", bpf, 0, struct.pack("=5I", 2, 4, 8, 1, 0) + bytes(100), 72)
program = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0))
license = ctypes.create_string_buffer(b"GPL")
attempt("program", bpf, 5, struct.pack("=IIQQ", 1, 2, ctypes.addressof(program), ctypes.addressof(license)) + bytes(100), 72)
