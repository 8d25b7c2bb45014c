import errno
import os

made = 0
try:
    for number in range(50_000):
        os.close(os.open(f"{number:06d}", os.O_WRONLY | os.O_CREAT))
        made += 1
    print("files: done")
except OSError as error:
    print("files:", errno.errorcode[error.errno])
    raise
