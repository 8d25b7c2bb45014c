import array
import errno
import fcntl
import os

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
for name, flag in (("immutable", 0x10), ("append", 0x20)):
    open(name, "w").write("for ever")
    fd = os.open(name, os.O_RDONLY)
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(fd, FS_IOC_GETFLAGS, flags)
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, array.array("l", [flags[0] | flag]))
        print(f"{name}: done")
    except OSError as error:
        print(f"{name}:", errno.errorcode[error.errno])
    os.close(fd)
