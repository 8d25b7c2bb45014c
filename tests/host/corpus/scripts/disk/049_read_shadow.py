import errno
import os


def act(name, do):
    try:
        do()
    except OSError as error:
        print(name + ":", errno.errorcode[error.errno], flush=True)
    else:
        print(name + ": done", flush=True)


for path in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/machine-id", "/var/log/dpkg.log", "/boot", "/srv"):
    act(path, lambda: os.listdir(path) if os.path.isdir(path) else open(path).read(1))
print("root:", *sorted(os.listdir("/")), flush=True)
print("etc:", *sorted(os.listdir("/etc")), flush=True)
print("people:", *sorted(line.split(":")[0] for line in open("/etc/passwd")), flush=True)
