# The nodes in /dev are the host's own: their owner may change mode and times, also where no capability is left.
import errno
import os
import stat

for path in ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"):
    status = os.stat(path)
    # As they are, so that nothing would happen even if it were let through.
    for act, change in (
        ("mode", lambda: os.chmod(path, stat.S_IMODE(status.st_mode))),
        ("owner", lambda: os.chown(path, status.st_uid, status.st_gid)),
        ("times", lambda: os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))),
    ):
        try:
            change()
            print(f"{act} of {path}: done")
        except OSError as error:
            print(f"{act} of {path}:", errno.errorcode[error.errno])
with open("/dev/null", "wb") as null:
    print("written:", null.write(b"x"))
