import errno
import os
import sys

# Another folder in the place of the output folder, and a link in its place.
out = sys.argv[2].rstrip("/")
with open(os.path.join(out, "a.txt"), "w") as file:
    file.write("a")
try:
    os.rename(out, out + ".away")
    os.symlink("/etc", out)
    print("swap: done", flush=True)
except OSError as error:
    print("swap:", errno.errorcode[error.errno], flush=True)
