import os

for name, mode in (("suid", 0o4755), ("sgid", 0o2755), ("sticky", 0o1644), ("all", 0o7777)):
    open(name, "w").write("#!/bin/sh\n")
    os.chmod(name, mode)
os.mkdir("folder")
os.chmod("folder", 0o7777)
open("folder/inside", "w").write("x")
print("modes:", oct(os.stat("all").st_mode & 0o7777))
