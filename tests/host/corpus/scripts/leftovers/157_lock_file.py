import errno
import fcntl
import os

from reduce_vars import standard_vars


def flocked(path, flags):
    fd = os.open(path, flags)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def locked(path):
    fcntl.lockf(os.open(path, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)


for name in ("lock", "free_lock"):
    path = standard_vars[name]
    for act, change in (
        ("flock read-only", lambda: flocked(path, os.O_RDONLY)),
        ("flock", lambda: flocked(path, os.O_RDWR)),
        ("fcntl", lambda: locked(path)),
        ("unlink", lambda: os.unlink(path)),
        ("replace", lambda: os.replace("mine", path)),
        ("make", lambda: os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)),
        ("look", lambda: os.stat(path)),
        ("its folder", lambda: os.listdir(os.path.dirname(path))),
    ):
        open("mine", "w").close()
        try:
            change()
            print(f"{name} {act}: done")
        except OSError as error:
            print(f"{name} {act}:", errno.errorcode[error.errno])
os.unlink("mine")
