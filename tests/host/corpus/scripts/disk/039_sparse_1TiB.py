import errno
import os
import signal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def act(name, do):
    try:
        do()
    except OSError as error:
        print(name + ":", errno.errorcode[error.errno], flush=True)
    else:
        print(name + ": done", flush=True)


file = open("sparse.dat", "wb", buffering=0)
act("truncate", lambda: os.truncate("sparse.dat", 1 << 40))
act("fallocate", lambda: os.posix_fallocate(file.fileno(), 0, 1 << 40))
act("write far out", lambda: os.pwrite(file.fileno(), b"x", 1 << 40))
memory = os.memfd_create("sparse")
act("truncate memfd", lambda: os.ftruncate(memory, 1 << 40))
act("fallocate memfd", lambda: os.posix_fallocate(memory, 0, 1 << 40))
act("write far out in memfd", lambda: os.pwrite(memory, b"x", 1 << 40))
