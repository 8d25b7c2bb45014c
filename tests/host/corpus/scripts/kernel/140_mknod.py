import errno
import os
import stat

for folder in (".", "/tmp", "/dev/shm", "/home/reduce", "/dev"):
    for name, kind, device in (("null", stat.S_IFCHR, (1, 3)), ("mem", stat.S_IFCHR, (1, 1)), ("disk", stat.S_IFBLK, (254, 0))):
        try:
            os.mknod(f"{folder}/{name}.new", kind | 0o666, os.makedev(*device))
            os.open(f"{folder}/{name}.new", os.O_RDONLY)
            print(f"{folder} {name}: done")
        except OSError as error:
            print(f"{folder} {name}:", errno.errorcode[error.errno])
