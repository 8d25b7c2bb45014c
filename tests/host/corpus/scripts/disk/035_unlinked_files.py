import errno
import os
import time

# No folder shows what a file without a name takes.
piece, total = bytes(1 << 20), 0
held = []
for number in range(8):
    held.append(os.open(f"nameless {number}", os.O_RDWR | os.O_CREAT, 0o600))
    os.unlink(f"nameless {number}")
print("opened", flush=True)
try:
    for _ in range(8):
        for fd in held:
            total += os.write(fd, piece)
except OSError as error:
    print("nameless:", errno.errorcode[error.errno], flush=True)
time.sleep(6)
print("survived with", total >> 20, "MiB", flush=True)
