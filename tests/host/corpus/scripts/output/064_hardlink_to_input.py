import errno
import os
import sys

for act, link in (
    ("link", lambda: os.link(sys.argv[1], "data.nxs")),
    ("link of a link", lambda: os.link("/proc/self/exe", "python", follow_symlinks=True)),
):
    try:
        link()
        print(f"{act}: done")
    except OSError as error:
        print(f"{act}:", errno.errorcode[error.errno])
open("result.txt", "w").write("without it")
