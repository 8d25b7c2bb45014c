import errno
import os

made = 0
try:
    for made in range(2000):
        with open(f"{made:05d}.txt", "w") as file:
            file.write("x" * 100)
    print("files: all", flush=True)
except OSError as error:
    print("files:", errno.errorcode[error.errno], "after", made, flush=True)
