import errno
import os
import time

# What lies behind a shut door is seen by nobody, unless somebody opens it.
os.mkdir("shut")
held = [open(f"shut/{number}", "wb", buffering=0) for number in range(8)]
os.mkdir("no way in")
held += [open(f"no way in/{number}", "wb", buffering=0) for number in range(8)]
os.chmod("shut", 0)
os.chmod("no way in", 0o400)
print("shut", flush=True)
try:
    for _ in range(4):
        for file in held:
            file.write(bytes(1 << 20))
except OSError as error:
    print("shut:", errno.errorcode[error.errno], flush=True)
time.sleep(6)
for folder in ("shut", "no way in"):
    os.chmod(folder, 0o700)
    for name in os.listdir(folder):
        os.unlink(f"{folder}/{name}")
print("survived", flush=True)
