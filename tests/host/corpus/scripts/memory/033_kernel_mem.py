import ctypes
import errno
import os
import select
import socket
import time

libc = ctypes.CDLL(None, use_errno=True)


def inotify():
    fd = libc.inotify_init1(0)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    return [fd]


def epolls():
    with select.epoll() as made:
        return [os.dup(made.fileno())]


def sockets():
    return [each.detach() for each in socket.socketpair()]


makers = {
    "sockets": sockets,
    "pipes": lambda: list(os.pipe()),
    "epolls": epolls,
    "inotifys": inotify,
    "memfds": lambda: [os.memfd_create("x")],
}
for name, make in makers.items():
    kept = []
    try:
        for _ in range(1_000_000):
            kept += make()
        print(f"{name}: all", flush=True)
    except OSError as error:
        print(f"{name}:", errno.errorcode[error.errno], "after", len(kept), flush=True)
    time.sleep(0.1)  # what is held no longer than between two looks is not seen
    for fd in kept:
        os.close(fd)
