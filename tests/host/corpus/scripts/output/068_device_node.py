import errno
import os
import stat

for name, kind, major, minor in (
    ("null", stat.S_IFCHR, 1, 3),
    ("mem", stat.S_IFCHR, 1, 1),
    ("disk", stat.S_IFBLK, 254, 0),
):
    try:
        os.mknod(name, kind | 0o666, os.makedev(major, minor))
        print(f"{name}: done")
    except OSError as error:
        print(f"{name}:", errno.errorcode[error.errno])
open("result.txt", "w").write("no device")
