import errno
import os
import tempfile

folder = tempfile.gettempdir()
try:
    for number in range(64):
        with open(os.path.join(folder, str(number)), "wb", buffering=0) as file:
            file.write(bytes(1 << 20))
    print("tmp: took all", flush=True)
except OSError as error:
    print("tmp:", errno.errorcode[error.errno], flush=True)
os._exit(0)
