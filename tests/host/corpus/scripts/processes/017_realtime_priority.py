import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)


def act(name, do):
    try:
        do()
    except OSError as error:
        print(name + ":", errno.errorcode[error.errno], flush=True)
    else:
        print(name + ": done", flush=True)


def ioprio():
    if libc.syscall(251, 1, 0, 1 << 13) != 0:
        raise OSError(ctypes.get_errno(), "ioprio_set")


act("setpriority", lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))
act("fifo", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))
act("round robin", lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)))
act("priority of init", lambda: os.setpriority(os.PRIO_PROCESS, 1, -5))
act("real-time io", ioprio)
