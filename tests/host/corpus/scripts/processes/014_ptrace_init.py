import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
init = os.getppid()
for name, request in (("attach", PTRACE_ATTACH), ("seize", PTRACE_SEIZE)):
    if libc.ptrace(request, init, 0, 0) == 0:
        print(name + ": done", flush=True)
        os._exit(1)
    print(name + ":", errno.errorcode[ctypes.get_errno()], flush=True)
