import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"  # numbers are those of x86_64, else of aarch64


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


# Magic numbers that no kernel takes: nothing would happen even if the call were let through.
attempt("reboot", 169 if first else 142, 0, 0, 0, None)
# Names that do not exist, and a size that no kernel takes.
attempt("init_module", 175 if first else 105, None, ctypes.c_ulong(0), b"")
attempt("finit_module", 313 if first else 273, -1, b"", 0)
attempt("delete_module", 176 if first else 106, b"no_such_module_as_this", 0x800)
attempt("acct", 163 if first else 89, b"/no/such/file")
attempt("syslog", 103 if first else 116, 10, None, 0)
attempt("quotactl", 179 if first else 60, 0x80000100 - (1 << 32), b"/no/such/device", 0, None)
attempt("fanotify_init", 300 if first else 262, 0, 0)
if first:
    attempt("iopl", 172, 0)
    attempt("ioperm", 173, ctypes.c_ulong(0), ctypes.c_ulong(1), 0)
    attempt("modify_ldt", 154, 0, ctypes.create_string_buffer(16), ctypes.c_ulong(16))
