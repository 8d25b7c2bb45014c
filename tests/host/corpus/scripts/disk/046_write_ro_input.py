import errno
import os
import sys

data = sys.argv[1]
folder = os.path.dirname(data)


def act(name, do):
    try:
        do()
    except OSError as error:
        print(name + ":", errno.errorcode[error.errno], flush=True)
    else:
        print(name + ": done", flush=True)


print("read:", open(data).read().strip(), sorted(os.listdir(folder)), flush=True)
act("append", lambda: open(data, "ab").write(b"x"))
act("truncate", lambda: os.truncate(data, 0))
act("create", lambda: open(os.path.join(folder, "new.txt"), "w"))
act("mkdir", lambda: os.mkdir(os.path.join(folder, "new")))
act("unlink", lambda: os.unlink(data))
act("rename", lambda: os.rename(data, data + ".old"))
act("symlink", lambda: os.symlink("/etc/passwd", os.path.join(folder, "link")))
act("link", lambda: os.link(data, os.path.join(folder, "link")))
act("chmod", lambda: os.chmod(data, 0o777))
act("utime", lambda: os.utime(data, (0, 0)))
act("setxattr", lambda: os.setxattr(data, "user.x", b"x"))
act("chmod folder", lambda: os.chmod(folder, 0o777))
act("rmdir folder", lambda: os.rmdir(folder))
