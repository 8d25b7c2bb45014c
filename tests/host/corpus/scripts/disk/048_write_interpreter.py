import errno
import os
import sys
import sysconfig


def act(name, do):
    try:
        do()
    except OSError as error:
        print(name + ":", errno.errorcode[error.errno], flush=True)
    else:
        print(name + ": done", flush=True)


if os.getppid() != 1:
    raise SystemExit("not in a box")
stdlib = sysconfig.get_path("stdlib")
for name, folder in (
    ("stdlib", stdlib),
    ("cache", os.path.join(stdlib, "__pycache__")),
    ("site", sysconfig.get_path("purelib")),
    ("bin", os.path.dirname(sys.executable)),
    ("base", os.path.dirname(os.path.realpath(sys.executable))),
):
    act(f"create {name}", lambda: os.close(os.open(os.path.join(folder, ".corpus"), os.O_CREAT | os.O_WRONLY)))
act("write os.py", lambda: open(os.__file__, "r+b").close())
act("write python", lambda: open(os.path.realpath(sys.executable), "r+b").close())
act("replace os.py", lambda: os.rename(os.__file__, os.__file__))
