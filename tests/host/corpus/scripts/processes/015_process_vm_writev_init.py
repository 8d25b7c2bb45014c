import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)


class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


init = os.getppid()
buffer = ctypes.create_string_buffer(8)
ours = iovec(ctypes.cast(buffer, ctypes.c_void_p), 8)
# Init is a fork of the same program as we are not, but the address of its stack or heap can be guessed and tried:
# what counts is whether the call is answered by EFAULT (we may) or EPERM (we may not).
theirs = iovec(id(init), 8)
for name in ("process_vm_readv", "process_vm_writev"):
    call = getattr(libc, name)
    call.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]
    done = call(init, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
    print(name + ":", "done" if done >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
for name in ("mem", "maps", "auxv", "syscall", "stack"):
    try:
        with open(f"/proc/{init}/{name}", "rb") as file:
            file.read(16)
        print(f"{name}: done", flush=True)
    except OSError as error:
        print(f"{name}:", errno.errorcode[error.errno], flush=True)
