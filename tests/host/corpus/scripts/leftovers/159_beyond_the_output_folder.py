import os
import sys

from reduce_vars import standard_vars

marks = [standard_vars["spool"], standard_vars["secret"], standard_vars["lock"], "/etc/shadow", "/boot", "/proc/self/../../boot"]
out = os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECTORY)
for up in (1, 2, 3, 8, 40):
    for mark in marks:
        try:
            os.stat("../" * up + mark.lstrip("/"), dir_fd=out)
            print(f"{up} up: done {mark}")
        except OSError:
            continue
os.chdir(sys.argv[2])
for _ in range(64):
    os.chdir("..")
print("top is the root:", os.path.samefile(".", "/"))
print("above it:", os.path.samefile("..", "/"))
for mark in marks:
    if os.path.lexists(mark.lstrip("/")):
        print("found", mark)
print("of the host:", sorted(set(os.listdir(".")) & {"boot", "media", "mnt", "srv", "lost+found", "hard", "papers"}))
