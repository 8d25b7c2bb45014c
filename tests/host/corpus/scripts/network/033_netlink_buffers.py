# Answers of the kernel that nobody reads lie in memory that no control group counts, of version 1 or 2.
import errno
import os
import socket
import struct


def unreclaimable():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) >> 10 for line in file if line.startswith("SUnreclaim"))


# RTM_GETLINK for the first interface
request = struct.pack("=IHHII", 32, 18, 1, 1, 0) + struct.pack("=BxHiII", 0, 0, 1, 0, 0)
before, kept = unreclaimable(), []
try:
    for _ in range(200):
        one = socket.socket(16, socket.SOCK_RAW, 0)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        one.setblocking(False)
        one.bind((0, 0))
        kept.append(one)
        try:
            for _ in range(600):
                one.send(request)
        except BlockingIOError:
            continue
    print("sockets:", len(kept))
except OSError as error:
    print("sockets:", len(kept), errno.errorcode[error.errno])
held = unreclaimable() - before
print("MiB:", held)
print("within twice the limit:", held <= 128)
