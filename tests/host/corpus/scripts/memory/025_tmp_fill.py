import errno
import os
import tempfile

folder, total = tempfile.gettempdir(), 0
try:
    for number in range(64):
        with open(os.path.join(folder, str(number)), "wb", buffering=0) as file:
            total += file.write(bytes(1 << 20))
    print("tmp: took", total >> 20, "MiB", flush=True)
except OSError as error:
    print("tmp:", errno.errorcode[error.errno], "after", total >> 20, "MiB", flush=True)
