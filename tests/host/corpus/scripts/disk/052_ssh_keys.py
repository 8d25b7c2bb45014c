import errno
import os


def act(name, do):
    try:
        do()
    except OSError as error:
        print(name + ":", errno.errorcode[error.errno], flush=True)
    else:
        print(name + ": done", flush=True)


for path in (os.path.expanduser("~/.ssh"), "/root/.ssh", "/root/.bashrc", "/root/.gitconfig", "/home/user/.ssh", "/root/.netrc"):
    act(path, lambda: os.listdir(path) if os.path.isdir(path) else open(path).read(1))
print("home:", os.path.expanduser("~"), sorted(os.listdir(os.path.expanduser("~"))), flush=True)
print("homes:", *sorted(os.listdir("/home")) if os.path.isdir("/home") else ["none"], flush=True)
