import errno
import os
import tempfile

folder, made = tempfile.gettempdir(), 0
try:
    for made in range(20_000):
        os.mknod(os.path.join(folder, str(made)))
    print("tmp: all", made, flush=True)
except OSError as error:
    print("tmp:", errno.errorcode[error.errno], "after", made, flush=True)
