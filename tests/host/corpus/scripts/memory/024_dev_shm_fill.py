import errno
import os

total, kept = 0, 0
try:
    for kept in range(64):
        with open(f"/dev/shm/{kept}", "wb", buffering=0) as file:
            total += file.write(bytes(1 << 20))
    print("shm: took", total >> 20, "MiB", flush=True)
except OSError as error:
    print("shm:", errno.errorcode[error.errno], "after", total >> 20, "MiB", flush=True)
finally:
    for number in range(kept + 1):
        if os.path.exists(f"/dev/shm/{number}"):
            os.unlink(f"/dev/shm/{number}")
