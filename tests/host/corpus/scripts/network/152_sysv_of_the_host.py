import ctypes
import errno
import os

from reduce_vars import standard_vars

libc = ctypes.CDLL(None, use_errno=True)
first = os.uname().machine == "x86_64"


def attempt(act, number, *arguments):
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    print(f"{act}:", "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
    return answer


key, identity = standard_vars["key"], standard_vars["shmid"]
attempt("shm of the host", 29 if first else 194, key, ctypes.c_size_t(0), 0)
attempt("sem of the host", 64 if first else 190, key, 0, 0)
attempt("msg of the host", 68 if first else 186, key, 0)
attempt("shm by its number", 30 if first else 196, identity, None, 0o10000)
attempt("removal by its number", 31 if first else 195, identity, 0, None)
attempt("mq of the host", 240 if first else 180, standard_vars["queue"].encode(), os.O_RDONLY, 0, None)
print("listed:", [len(open(f"/proc/sysvipc/{name}").readlines()) - 1 for name in ("shm", "sem", "msg")])
mine = attempt("own shm", 29 if first else 194, key, ctypes.c_size_t(4096), 0o1600)
print("shm folder:", sorted(os.listdir("/dev/shm")))
