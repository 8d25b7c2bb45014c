import errno
import fcntl
import os
import sys

# Whoever opens a leased file waits for its holder, up to 45 s.
data, folder = sys.argv[1], sys.argv[2]
for name, path in (("data", data), ("sibling", os.path.join(os.path.dirname(data), "ENGINX00075512.nxs"))):
    fd = os.open(path, os.O_RDONLY)
    for kind in ("F_RDLCK", "F_WRLCK"):
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, getattr(fcntl, kind))
            print(f"{name} {kind}: leased")
        except OSError as error:
            print(f"{name} {kind}:", errno.errorcode[error.errno])
