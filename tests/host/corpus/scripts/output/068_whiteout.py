# The one device node that needs no privilege (mknod(2), Linux 5.8).
import errno
import os
import stat

try:
    os.mknod("white", stat.S_IFCHR, os.makedev(0, 0))
    print("whiteout: done")
except OSError as error:
    print("whiteout:", errno.errorcode[error.errno])
