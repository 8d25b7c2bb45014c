import errno
import os
import sys

out = sys.argv[2].rstrip("/")
with open(os.path.join(out, "a.txt"), "w") as file:
    file.write("a")
try:
    os.rename(out, out + ".away")
    print("rename: done", flush=True)
except OSError as error:
    print("rename:", errno.errorcode[error.errno], flush=True)
