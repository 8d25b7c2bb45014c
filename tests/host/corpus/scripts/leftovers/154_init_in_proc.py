import errno
import os


def attempt(act, look):
    try:
        print(f"{act}: done", repr(look())[:200])
    except OSError as error:
        print(f"{act}:", errno.errorcode[error.errno])


def read(name):
    with open(f"/proc/1/{name}", "rb") as file:
        return file.read(4096)


for name in ("environ", "mem", "maps", "smaps", "auxv", "pagemap", "numa_maps", "syscall", "stack", "io", "personality"):
    attempt(name, lambda: read(name))
for name in ("fd", "fdinfo", "map_files", "task/1/fd"):
    attempt(name, lambda: os.listdir(f"/proc/1/{name}"))
for name in ("cwd", "root", "exe", "ns/mnt"):
    attempt(name, lambda: os.readlink(f"/proc/1/{name}"))
attempt("files of its root", lambda: os.listdir("/proc/1/root/"))
attempt("files of its folder", lambda: os.listdir("/proc/1/cwd/"))
for number in range(12):
    attempt(f"fd {number}", lambda: os.open(f"/proc/1/fd/{number}", os.O_RDWR))
attempt("memory for writing", lambda: os.open("/proc/1/mem", os.O_RDWR))
