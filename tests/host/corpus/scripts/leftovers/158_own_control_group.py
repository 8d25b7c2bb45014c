import errno
import os

print("mine:", open("/proc/self/cgroup").read().split())
for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory", "/sys/fs", "/cgroup"):
    try:
        os.stat(path)
        print(f"{path}: done")
    except OSError as error:
        print(f"{path}:", errno.errorcode[error.errno])
found = []
for place in ("/sys", "/run", "/dev"):
    for top, folders, files in os.walk(place):
        found += [f"{top}/{name}" for name in files if name.startswith(("cgroup.", "memory.", "pids.", "tasks"))]
        if found:
            folders.clear()
print("files:", found)
print("mounts:", [line.split()[1] for line in open("/proc/self/mounts") if line.split()[2].startswith("cgroup")])
