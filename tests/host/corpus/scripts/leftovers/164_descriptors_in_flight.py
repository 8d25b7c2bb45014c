# Descriptors that are sent and not received are counted for the user, not for the run (unix(7), ETOOMANYREFS).
import array
import errno
import os
import socket
import time

null = os.open("/dev/null", os.O_RDONLY)
kept, sent = [], 0
try:
    while sent < 5000:
        here, there = socket.socketpair()
        kept += [here, there]
        here.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null] * 253))])
        sent += 253
    print("in flight: done")
except OSError as error:
    print("in flight:", sent, errno.errorcode[error.errno], flush=True)
print("ready", flush=True)
time.sleep(1)
