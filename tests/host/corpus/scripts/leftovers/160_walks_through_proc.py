import errno
import os
import sys

from reduce_vars import standard_vars

secret = standard_vars["secret"]
opened = [os.open(path, os.O_RDONLY) for path in (sys.argv[2], os.path.dirname(sys.argv[1]), "/", "/tmp", "/proc/self", "/usr", "/run/handoff")]
ways = ["/proc/self/root", "/proc/self/cwd/../../..", "/proc/self/task/../root", "/proc/thread-self/root", "/proc/1/root", "/proc/1/cwd", "/proc/2/root", "/proc/self/map_files/.."]
ways += [f"/proc/self/fd/{fd}" + "/.." * up for fd in opened for up in (1, 3, 20)]
ways += [f"/dev/fd/{fd}/../../.." for fd in opened]
denied = set()
for way in ways:
    for path in (secret, "/etc/shadow", standard_vars["spool"]):
        try:
            os.stat(way + path)
            print("reached:", way, path)
        except OSError as error:
            denied.add(errno.errorcode[error.errno])
print("denied by:", sorted(denied))
