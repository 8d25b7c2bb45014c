import errno
import os


def act(name, do):
    try:
        do()
    except OSError as error:
        print(name + ":", errno.errorcode[error.errno], flush=True)
    else:
        print(name + ": done", flush=True)


if os.getppid() != 1:
    raise SystemExit("not in a box")
for path in ("/etc/passwd", "/etc/hosts", "/etc/ld.so.cache"):
    act(f"write {path}", lambda: open(path, "r+b").close())
    act(f"replace {path}", lambda: os.rename(path, path))
for folder in ("/", "/etc", "/usr", "/usr/bin", "/usr/lib", "/lib", "/bin", "/dev", "/run", "/home"):
    act(f"create {folder}", lambda: os.close(os.open(os.path.join(folder, ".corpus"), os.O_CREAT | os.O_WRONLY)))
    act(f"mkdir {folder}", lambda: os.mkdir(os.path.join(folder, ".corpus.d")))
act("output in the root", lambda: os.makedirs("/output"))
